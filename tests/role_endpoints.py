"""Stand-ins for the endpoints that give credentials to a role, and an S3 that checks them.

`RoleEndpoints` responds like the instance metadata service (IMDSv2 only) and like the container
endpoint of ECS and EKS pod identity. `SigningGateway` stands in front of moto's S3, which checks
nothing: it accepts only requests that botocore signs alike with credentials that are valid now.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode, urlsplit

import botocore.credentials
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest

from queryrun.results.sigv4 import Credentials

ROLE = "query-results"
METADATA_TOKEN = "metadata-token"
CONTAINER_TOKEN = "container-token"
REGION = "us-east-1"
UNSIGNED = "none Credential=/,SignedHeaders=,Signature="


@dataclass
class RoleEndpoints:
    """The running endpoints. Credentials change by `rotate` alone."""

    endpoint: str = ""
    lifetime: timedelta = timedelta(hours=6)
    number: int = 1
    is_failing: bool = False
    failed: threading.Event = field(default_factory=threading.Event)
    """Set by the first request that failed."""
    requests: list[str] = field(default_factory=list)

    @property
    def current(self) -> Credentials:
        """The credentials that are given out now."""
        expires = (datetime.now(UTC) + self.lifetime).replace(microsecond=0)
        keys = (f"ASIA{self.number:016}", f"secret-{self.number}", f"token-{self.number}")
        return Credentials(*keys, expires)

    def rotate(self) -> None:
        """Give out other credentials from now on."""
        self.number += 1

    def document(self) -> bytes:
        """The credentials as both endpoints render them."""
        current = self.current
        assert current.expires is not None
        content = {
            "Code": "Success",
            "AccessKeyId": current.access_key_id,
            "SecretAccessKey": current.secret_access_key,
            "Token": current.session_token,
            "Expiration": current.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return json.dumps(content).encode()


@contextmanager
def role_endpoints() -> Iterator[RoleEndpoints]:
    """The endpoints on a free port of loopback."""
    endpoints = RoleEndpoints()
    with _serving(_endpoints_handler(endpoints)) as address:
        endpoints.endpoint = address
        yield endpoints


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def respond(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response_only(status)
        for name, text in (headers or {"content-length": str(len(body))}).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


def _endpoints_handler(endpoints: RoleEndpoints) -> type[BaseHTTPRequestHandler]:
    metadata = "/latest/meta-data/iam/security-credentials/"

    class Handler(_Handler):
        def do_PUT(self) -> None:
            endpoints.requests.append(f"PUT {self.path}")
            has_ttl = self.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "").isdigit()
            is_token = self.path == "/latest/api/token" and has_ttl and not endpoints.is_failing
            self.respond(200 if is_token else 400, METADATA_TOKEN.encode() if is_token else b"")

        def do_GET(self) -> None:
            endpoints.requests.append(f"GET {self.path}")
            is_container = self.path == "/container"
            expected = CONTAINER_TOKEN if is_container else METADATA_TOKEN
            header = "authorization" if is_container else "x-aws-ec2-metadata-token"
            if endpoints.is_failing:
                endpoints.failed.set()
                return self.respond(500, b"")
            if self.headers.get(header) != expected:
                return self.respond(401, b"")
            if self.path == metadata:
                return self.respond(200, ROLE.encode())
            return self.respond(200, endpoints.document())

    return Handler


@dataclass
class SigningGateway:
    """The running gateway. `accepted` may be changed at any time."""

    endpoint: str = ""
    accepted: list[Credentials] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """S3's codes for what was refused."""
    used: set[str] = field(default_factory=set)
    """The access keys of requests that were passed on."""


@contextmanager
def signing_gateway(backend: str) -> Iterator[SigningGateway]:
    """A gateway in front of the S3 server at `backend`."""
    gateway = SigningGateway()
    with _serving(_gateway_handler(gateway, urlsplit(backend).netloc)) as address:
        gateway.endpoint = address
        yield gateway


def _gateway_handler(gateway: SigningGateway, backend: str) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            fault = self.fault(body)
            if fault:
                gateway.refused.append(fault)
                code = f"<Error><Code>{fault}</Code></Error>".encode()
                return self.respond(400 if fault == "ExpiredToken" else 403, code)
            connection = http.client.HTTPConnection(backend)
            try:
                connection.request(self.command, self.path, body, dict(self.headers))
                response = connection.getresponse()
                content = response.read()
            finally:
                connection.close()
            headers = {name.lower(): text for name, text in response.getheaders()}
            headers.pop("transfer-encoding", None)
            if self.command != "HEAD":
                headers["content-length"] = str(len(content))
            return self.respond(response.status, content, headers)

        def fault(self, body: bytes) -> str | None:
            """S3's code for what is wrong with the request; None for a good one."""
            query = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
            is_link = "X-Amz-Signature" in query
            signed = _signed_by_link(query) if is_link else _signed_by_header(dict(self.headers))
            known = {one.access_key_id: one for one in gateway.accepted}
            credentials = known.get(signed.access_key_id)
            if credentials is None:
                return "InvalidAccessKeyId"
            if credentials.expires is not None and credentials.expires < datetime.now(UTC):
                return "ExpiredToken"
            if signed.token != credentials.session_token:
                return "InvalidToken"
            url = f"http://{self.headers['host']}{self.path}"
            if signed.signature != _signature(credentials, self.command, url, signed, body):
                return "SignatureDoesNotMatch"
            gateway.used.add(credentials.access_key_id)
            return None

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815 - as inherited

    return Handler


@dataclass(frozen=True)
class _Signed:
    access_key_id: str
    signature: str
    time: str
    token: str | None
    headers: dict[str, str]
    is_link: bool


def _signed_by_link(query: dict[str, str]) -> _Signed:
    return _Signed(
        query["X-Amz-Credential"].split("/")[0],
        query["X-Amz-Signature"],
        query["X-Amz-Date"],
        query.get("X-Amz-Security-Token"),
        {},
        is_link=True,
    )


def _signed_by_header(headers: dict[str, str]) -> _Signed:
    lower = {name.lower(): text for name, text in headers.items()}
    parts = lower.get("authorization", UNSIGNED).partition(" ")[2]
    fields = dict(part.strip().split("=", 1) for part in parts.split(","))
    names = fields["SignedHeaders"].split(";")
    return _Signed(
        fields["Credential"].split("/")[0],
        fields["Signature"],
        lower.get("x-amz-date", ""),
        lower.get("x-amz-security-token"),
        {name: lower[name] for name in names if name in lower},
        is_link=False,
    )


def _signature(
    credentials: Credentials, method: str, url: str, signed: _Signed, body: bytes
) -> str:
    """The signature that botocore computes for the same request."""
    keys = botocore.credentials.Credentials(
        credentials.access_key_id, credentials.secret_access_key, credentials.session_token
    )
    kind = S3SigV4QueryAuth if signed.is_link else S3SigV4Auth
    auth = kind(keys, "s3", REGION)
    parts = urlsplit(url)
    if signed.is_link:
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        kept = [(name, text) for name, text in pairs if name != "X-Amz-Signature"]
        url = parts._replace(query=urlencode(kept)).geturl()
    request = AWSRequest(method, url, signed.headers, body)
    request.context["timestamp"] = signed.time
    canonical = auth.canonical_request(request)
    return str(auth.signature(auth.string_to_sign(request, canonical), request))

"""Conversion between our requests and responses and those of the HTTP library."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import replace

import httpx2

from queryrun_client.core import Credentials
from queryrun_client.decrypt import PrivateKey
from queryrun_client.effects import Request, Response, Sleep
from queryrun_client.errors import ClientError
from queryrun_client.model import Options

AGENT = {"user-agent": "queryrun-client"}
CHUNK_BYTES = 256 * 1024
_ERROR_NUMBER = re.compile(r"^\[Errno -?\d+\] ")
_TLS = re.compile(r"\[SSL[^]]*\] ([^(]*)")
LOOPBACK = ("all://127.0.0.1", "all://localhost", "all://[::1]")
"""Servers of this machine: no proxy of the environment leads to them."""


@contextlib.contextmanager
def usable_environment() -> Iterator[None]:
    """The library reads proxies and certificates from the environment. `ClientError` names what it
    cannot use there."""
    try:
        yield
    except (ImportError, ValueError, OSError, httpx2.InvalidURL) as error:
        names = ("http_proxy", "https_proxy", "all_proxy", "ssl_cert_file", "ssl_cert_dir")
        found = sorted(name for name in os.environ if name.lower() in names)
        is_socks = isinstance(error, ImportError)
        reason = "name an HTTP proxy, SOCKS is not supported" if is_socks else str(error)
        raise ClientError(
            f"the environment cannot be used ({', '.join(found) or 'proxies, certificates'}): "
            f"{reason.splitlines()[0]}"
        ) from error


def tell_wait(options: Options, sleep: Sleep) -> None:
    """Tell the caller what a retry waits for, if it wants to know."""
    if sleep.reason and options.on_wait is not None:
        options.on_wait(sleep.reason, sleep.seconds)


def with_attempts(options: Options, attempts: int) -> Options:
    """The same options with fewer retries."""
    return replace(options, retry=replace(options.retry, attempts=attempts))


def credentials(client_id: str | None, client_secret: str | None) -> Credentials | None:
    """The credentials, or None without any. `ClientError` when only one half is given."""
    if client_id and client_secret:
        return Credentials(client_id, client_secret)
    if client_id or client_secret:
        raise ClientError("a client id needs its secret, and a secret its client id")
    return None


def private_key(options: Options) -> PrivateKey | None:
    """The client's private key, if it has one."""
    if options.private_key is None:
        return None
    return PrivateKey(options.private_key, options.private_key_password)


def build_request(client: httpx2.Client | httpx2.AsyncClient, request: Request) -> httpx2.Request:
    """The library's request. The read timeout of a long poll includes its wait."""
    read_s = (client.timeout.read or 0.0) + request.wait_s
    # No timeout for the connection pool: many concurrent calls are not a network failure.
    timeout = httpx2.Timeout(client.timeout.connect, read=read_s, pool=None)
    try:
        return client.build_request(
            request.method,
            request.url,
            headers=dict(request.headers),
            content=request.body,
            timeout=timeout,
        )
    except (httpx2.InvalidURL, UnicodeEncodeError) as error:
        raise ClientError("the URL or a header cannot be sent") from error


def response_of(response: httpx2.Response) -> Response:
    """A response with its body, decompressed."""
    return Response(response.status_code, _headers(response), response.content)


def head_of(response: httpx2.Response) -> Response:
    """A response whose body is streamed."""
    return Response(response.status_code, _headers(response))


def _headers(response: httpx2.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def describe_error(error: httpx2.RequestError) -> str:
    """What happened, for people; without the URL, which may hold a link's signature."""
    if isinstance(error, httpx2.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, httpx2.TimeoutException):
        return "no response in time"
    if (tls := _TLS.search(str(error))) is not None:
        return f"no TLS ({tls[1].strip()}); is it https?"
    return _ERROR_NUMBER.sub("", str(error)).rstrip(".") or "the connection was closed"

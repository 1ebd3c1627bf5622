"""AWS Signature Version 4 for S3: signs requests and links. No I/O.

After "Authenticating Requests (AWS Signature Version 4)" in the Amazon S3 API reference.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"
"""Replaces the body's hash in a link, because the body is not known when it is signed."""
MAX_LINK_LIFETIME_S = 7 * 24 * 3600
"""S3 refuses longer lifetimes."""

_ALGORITHM = "AWS4-HMAC-SHA256"
_TIME = "%Y%m%dT%H%M%SZ"
_UNRESERVED = "-_.~"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The node's identity at the store. The secret parts are never in a repr."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires: datetime | None = None
    """When temporary credentials expire, and with them every link that they signed."""

    def last_until(self, end: datetime) -> bool:
        """Whether a link signed now with these credentials still works at `end`."""
        return self.expires is None or self.expires >= end


@dataclass(frozen=True, slots=True)
class UnsignedRequest:
    """A request before it is signed. `path` is percent-encoded, `query` and `headers` are not."""

    method: str
    host: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    payload_sha256: str = EMPTY_SHA256


SignRequest = Callable[[UnsignedRequest, timedelta], Mapping[str, str]]
"""Signs one request now, by a clock that is set forward by the second argument: its headers,
including the signature. The signature is good for this
request with this very body, for a quarter of an hour. Raises `OSError` where that is not possible.
"""


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs for one region of one kind of service."""

    credentials: Credentials
    region: str
    service: str = "s3"

    def headers(self, request: UnsignedRequest, at: datetime) -> dict[str, str]:
        """The request's headers, including the signature. All of them are signed."""
        headers = {name.lower(): " ".join(text.split()) for name, text in request.headers.items()}
        headers["host"] = request.host
        headers["x-amz-date"] = at.strftime(_TIME)
        headers["x-amz-content-sha256"] = request.payload_sha256
        if self.credentials.session_token:
            headers["x-amz-security-token"] = self.credentials.session_token
        signature = self._signature(request, encoded(request.query), headers, at)
        headers["authorization"] = (
            f"{_ALGORITHM} Credential={self._credential(at)}, "
            f"SignedHeaders={_names(headers)}, Signature={signature}"
        )
        return headers

    def link_query(self, request: UnsignedRequest, at: datetime, lifetime_s: int) -> str:
        """The query string that presigns `request` for `lifetime_s` seconds.

        `lifetime_s` is at most `MAX_LINK_LIFETIME_S`. The request must have no headers.
        """
        token = self.credentials.session_token
        signing = [
            ("X-Amz-Algorithm", _ALGORITHM),
            ("X-Amz-Credential", self._credential(at)),
            ("X-Amz-Date", at.strftime(_TIME)),
            ("X-Amz-Expires", str(lifetime_s)),
            ("X-Amz-SignedHeaders", "host"),
            *([("X-Amz-Security-Token", token)] if token else []),
        ]
        query = encoded([*request.query, *signing])
        signature = self._signature(request, query, {"host": request.host}, at)
        return f"{query}&X-Amz-Signature={signature}"

    def _signature(
        self, request: UnsignedRequest, query: str, headers: Mapping[str, str], at: datetime
    ) -> str:
        """Canonical request, string to sign and HMAC, in the order that AWS specifies."""
        canonical = "\n".join(
            [
                request.method,
                request.path,
                query,
                *(f"{name}:{headers[name]}" for name in sorted(headers)),
                "",
                _names(headers),
                request.payload_sha256,
            ]
        )
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        to_sign = "\n".join([_ALGORITHM, at.strftime(_TIME), self._scope(at), digest])
        return hmac.new(self._key(at), to_sign.encode(), hashlib.sha256).hexdigest()

    def _key(self, at: datetime) -> bytes:
        """The day's key, derived from the secret."""
        key = f"AWS4{self.credentials.secret_access_key}".encode()
        for part in self._scope(at).split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return key

    def _scope(self, at: datetime) -> str:
        return f"{at:%Y%m%d}/{self.region}/{self.service}/aws4_request"

    def _credential(self, at: datetime) -> str:
        return f"{self.credentials.access_key_id}/{self._scope(at)}"


def utc_now() -> datetime:
    """The time of this machine's clock."""
    return datetime.now(UTC)


def sign_with(
    credentials: Callable[[], Credentials], region: str, now: Callable[[], datetime] = utc_now
) -> SignRequest:
    """Sign every request with the credentials that are current then."""

    def sign(request: UnsignedRequest, offset: timedelta) -> Mapping[str, str]:
        return Signer(credentials(), region).headers(request, now() + offset)

    return sign


def signed_at(headers: Mapping[str, str]) -> datetime:
    """The time in the headers of a signed request."""
    return datetime.strptime(headers["x-amz-date"], _TIME).replace(tzinfo=UTC)


def encoded(query: Sequence[tuple[str, str]]) -> str:
    """A query string in canonical order and encoding, as it is also sent."""
    pairs = sorted((quote(name, _UNRESERVED), quote(value, _UNRESERVED)) for name, value in query)
    return "&".join(f"{name}={value}" for name, value in pairs)


def encoded_path(*segments: str) -> str:
    """A path made of segments, each of which may contain slashes."""
    return "/" + "/".join(quote(segment, _UNRESERVED + "/") for segment in segments if segment)


def _names(headers: Mapping[str, str]) -> str:
    return ";".join(sorted(headers))

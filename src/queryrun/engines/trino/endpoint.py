"""The address and credentials of a Trino. Only this module reads the secret."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from queryrun.engines.base import GiveSocket
from queryrun.errors import FailureCode, RunFailed

CERTIFICATE_REFUSED = 525
"""The status of a relay's own response: Trino's certificate is not trusted."""
Origin = tuple[str, str, int]
"""Scheme, host and port."""
_PORTS = {"http": 80, "https": 443}
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_AUTHS = {"none", "password", "token"}
_NAME_SCOPES = {"schema", "catalog", "all"}
_DEFAULT_USER = "queryrun"


class UnencryptedError(requests.RequestException):
    """Trino's response redirects from https to http. Nothing has been sent there."""


class ForeignAddressError(requests.RequestException):
    """Trino's response leads to an address that is none of the source's. Nothing was sent there."""


@dataclass(frozen=True, slots=True)
class TrinoEndpoint:
    """A source's options, validated. `name_scope`: which names a statement may use.

    `spool_url`: the origin of the object store that Trino spools results to, if workers fetch them
    there.
    """

    url: str
    catalog: str = ""
    schema: str = ""
    user: str = _DEFAULT_USER
    auth: str = "none"
    name_scope: str = "schema"
    spool_url: str = ""
    secret: str | None = field(default=None, repr=False)
    give: GiveSocket | None = field(default=None, repr=False, compare=False)
    """Where connections come from, unless we open them."""

    @classmethod
    def of(
        cls, options: Mapping[str, str], secret: str | None, give: GiveSocket | None = None
    ) -> TrinoEndpoint:
        """Read a source's options: `url`, `catalog`, `schema`, `user`, `auth`, `name_scope`,
        `spool_url`.

        Raises `RunFailed` (`internal_error`) for what cannot work, and for a secret that would
        leave this machine unencrypted.
        """
        endpoint = cls(
            url=options.get("url", "").rstrip("/"),
            catalog=options.get("catalog", ""),
            schema=options.get("schema", ""),
            user=options.get("user") or _DEFAULT_USER,
            auth=options.get("auth", "none"),
            name_scope=options.get("name_scope", "schema"),
            spool_url=options.get("spool_url", ""),
            secret=secret,
            give=give,
        )
        if not endpoint._can_work():
            raise RunFailed.of(FailureCode.INTERNAL_ERROR, "The source is not set up correctly")
        return endpoint

    @property
    def scheme(self) -> str:
        """`http` or `https`."""
        return self._split.scheme

    @property
    def host(self) -> str:
        """The coordinator's name."""
        return self._split.hostname or ""

    @property
    def port(self) -> int:
        """The coordinator's port."""
        return self._split.port or _PORTS[self.scheme]

    def http(self) -> requests.Session:
        """A new session that says who we are.

        Proxies and `.netrc` of the environment don't count; certificates are those of the
        system (`SSL_CERT_FILE`, `SSL_CERT_DIR`) beside the library's own. Where we speak https
        we do not follow to http, which a Trino behind a proxy may lead to: `UnencryptedError`.
        Nor do we follow to another host or port: `ForeignAddressError`.
        """
        session = self._pinned(self.url)
        session.headers["X-Trino-User"] = self.user
        if self.auth == "password":
            session.auth = (self.user, self.secret or "")
        elif self.auth == "token":
            session.auth = _Bearer(self.secret or "")
        return session

    def segments_http(self) -> requests.Session:
        """A new session for spooled results, which says nothing of who we are."""
        return self._pinned(self.url, *filter(None, [self.spool_url]))

    def _pinned(self, *urls: str) -> requests.Session:
        """A session that reaches these origins and nothing else, wherever a response may lead."""
        session = requests.Session()
        session.trust_env = False
        origins = frozenset(map(_origin, urls))
        for scheme in _PORTS:
            session.mount(f"{scheme}://", self._adapter(origins))
        return session

    def _adapter(self, origins: frozenset[Origin]) -> _Pinned:
        if self.give is None:
            return _Pinned(origins)
        return GivenConnections(origins, _origin(self.url), self.give)

    @property
    def _split(self) -> SplitResult:
        return urlsplit(self.url)

    def _can_work(self) -> bool:
        """A secret leaves this machine over https only; loopback does not leave it."""
        try:
            is_url = bool(self.scheme in _PORTS and self.host and self.port)
        except ValueError:
            return False
        is_known = self.auth in _AUTHS and self.name_scope in _NAME_SCOPES
        is_private = self.scheme == "https" or self.host in _LOOPBACK
        is_open = self.auth == "none"
        return is_url and is_known and (is_open or (bool(self.secret) and is_private))


class _Bearer(requests.auth.AuthBase):
    """A token; requests drops it when it is led to another host."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Pinned(HTTPAdapter):
    """Connects to these origins only, and trusts whom the system trusts: an operator's own
    authority is usually kept there."""

    def __init__(self, origins: frozenset[tuple[str, str, int]]) -> None:
        self._origins = origins
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make connections with the system's certificates."""
        options["ssl_context"] = ssl.create_default_context()
        super().init_poolmanager(*args, **options)

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> Any:
        """Refuse before anything is connected. Redirects come through here too."""
        origin = _origin(request.url or "")
        if origin not in self._origins:
            if origin[0] == "http" and all(scheme == "https" for scheme, *_ in self._origins):
                raise UnencryptedError
            raise ForeignAddressError
        return super().send(request, *args, **options)


class GivenConnections(_Pinned):
    """On sockets that a relay has connected. It speaks TLS with the engine, we with others."""

    def __init__(self, origins: frozenset[Origin], engine: Origin, give: GiveSocket) -> None:
        super().__init__(origins)
        self._engine = engine
        self._give = give
        self._pools: dict[Origin, HTTPConnectionPool] = {}

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, *_args: Any, **_options: Any
    ) -> Any:
        """A pool of the request's origin, which has been checked."""
        origin = _origin(request.url or "")
        if origin not in self._pools:
            self._pools[origin] = self._new_pool(origin)
        return self._pools[origin]

    def cert_verify(self, *_args: Any, **_options: Any) -> None:
        """The pools have the system's certificates already."""

    def close(self) -> None:
        """Close the connections."""
        super().close()
        while self._pools:
            self._pools.popitem()[1].close()

    def _new_pool(self, origin: Origin) -> Any:
        scheme, host, port = origin
        if origin == self._engine:
            return _pool(HTTPConnectionPool, HTTPConnection, "engine", self._give)(host, port)
        if scheme == "http":
            return _pool(HTTPConnectionPool, HTTPConnection, "spool", self._give)(host, port)
        secure = _pool(HTTPSConnectionPool, HTTPSConnection, "spool", self._give)
        return secure(host, port, ssl_context=ssl.create_default_context())


def _pool(pool: Any, connection: Any, name: str, give: GiveSocket) -> Any:
    """A class of pools whose connections are given to them."""

    class Given(connection):  # type: ignore[misc]
        def _new_conn(self) -> socket.socket:
            given = give(name)
            given.settimeout(self.timeout)
            return given

    class Pool(pool):  # type: ignore[misc]
        ConnectionCls = Given

    return Pool


def _origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port."""
    split = urlsplit(url)
    return split.scheme, (split.hostname or "").lower(), split.port or _PORTS.get(split.scheme, 0)

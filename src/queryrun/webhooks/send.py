"""One POST to a receiver, with every read bounded: no redirects, no cookies, no kept connection."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from queryrun.webhooks.target import RefusedTargetError, Resolver, Target

CONNECT_TIMEOUT_S = 10.0
RESPONSE_TIMEOUT_S = 15.0
"""Until the line and headers of the response are there (contract C8)."""
BODY_TIMEOUT_S = 1.0
"""For the beginning of its body, which is only for people to read."""
MAX_HEAD_BYTES = 16 * 1024
MAX_BODY_BYTES = 1024
_MAX_INTERIM = 4
_STATUS = re.compile(r"HTTP/1\.[0-9] ([1-9][0-9]{2})(?: |$)")
"""Three ASCII digits: what else a receiver writes there is no number that can be kept."""


class SendError(Exception):
    """There was no response. The words say why, for the owner of the webhook."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A receiver's response: its status, `Retry-After` in seconds, and how its body begins."""

    code: int
    retry_after_s: float
    beginning: str

    @property
    def is_success(self) -> bool:
        """2xx."""
        return 200 <= self.code < 300


class Sender:
    """Sends to whatever `Resolver` allows.

    The certificates that are trusted are read for the first receiver with https: that takes 30 ms,
    and most nodes have none.
    """

    def __init__(self, resolver: Resolver, make_tls: Callable[[], ssl.SSLContext]) -> None:
        self._resolver = resolver
        self._make_tls = make_tls
        self._tls: ssl.SSLContext | None = None

    async def post(self, target: Target, headers: Mapping[str, str], body: bytes) -> Reply:
        """POST the body and read the response; takes 26 seconds at most. Raises `SendError`."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                address = await self._resolver.address(target)
                reader, writer = await self._connect(target, address)
        except TimeoutError as error:
            raise SendError(f"no connection within {CONNECT_TIMEOUT_S:g} s") from error
        except RefusedTargetError as error:
            raise SendError(f"the URL {error}") from error
        except ssl.SSLError as error:
            raise SendError(f"TLS: {_words(error)}") from error
        except (OSError, UnicodeError) as error:
            raise SendError(f"no connection: {_words(error)}") from error
        try:
            return await self._exchange(target, headers, body, reader, writer)
        finally:
            writer.transport.abort()

    async def _connect(
        self, target: Target, address: str
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """To the address that was checked; the certificate must be the name's."""
        if target.scheme == "http":
            return await asyncio.open_connection(address, target.port, limit=MAX_HEAD_BYTES)
        return await asyncio.open_connection(
            address,
            target.port,
            limit=MAX_HEAD_BYTES,
            ssl=await self._trusted(),
            server_hostname=target.host,
            ssl_handshake_timeout=CONNECT_TIMEOUT_S,
        )

    async def _trusted(self) -> ssl.SSLContext:
        """Read again next time when there were none: OpenSSL does not say that it could not open
        the file, as when a process may open no more."""
        if self._tls is not None:
            return self._tls
        made = await asyncio.to_thread(self._make_tls)
        if made.cert_store_stats()["x509"]:
            self._tls = made
        return made

    async def _exchange(
        self,
        target: Target,
        headers: Mapping[str, str],
        body: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> Reply:
        try:
            async with asyncio.timeout(RESPONSE_TIMEOUT_S):
                writer.write(_request(target, headers, body))
                await writer.drain()
                code, fields = await _head(reader)
        except TimeoutError as error:
            raise SendError(f"no response within {RESPONSE_TIMEOUT_S:g} s") from error
        except asyncio.IncompleteReadError as error:
            raise SendError("the connection was closed without a response") from error
        except asyncio.LimitOverrunError as error:
            raise SendError(f"headers of more than {MAX_HEAD_BYTES} bytes") from error
        except (OSError, ssl.SSLError) as error:
            raise SendError(f"the connection broke: {_words(error)}") from error
        return Reply(code, _retry_after_s(fields, datetime.now(UTC)), await _beginning(reader))


def _request(target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    fields = {
        "host": target.authority,
        **headers,
        "content-length": str(len(body)),
        "connection": "close",
    }
    lines = [
        f"POST {target.path} HTTP/1.1",
        *(f"{name}: {value}" for name, value in fields.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """The status and headers of the response; interim ones before it are skipped, a few."""
    for _ in range(_MAX_INTERIM):
        raw = await reader.readuntil(b"\r\n\r\n")
        line, *rest = raw.decode("latin-1").split("\r\n")
        found = _STATUS.match(line)
        if found is None:
            raise SendError("the response is not HTTP/1.1")
        code = int(found[1])
        if not 100 <= code < 200 or code == 101:
            pairs = (field.partition(":") for field in rest if ":" in field)
            return code, {name.strip().lower(): value.strip() for name, _, value in pairs}
    raise SendError("interim responses alone")


def _retry_after_s(fields: Mapping[str, str], now: datetime) -> float:
    """Seconds from now, of a number of seconds or of a date (RFC 9110); 0 for anything else."""
    text = fields.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return float(text) if len(text) < 7 else 0.0
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return 0.0
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds())


async def _beginning(reader: asyncio.StreamReader) -> str:
    """What arrives of the body within a second, up to a KiB. The status has decided already."""
    raw = b""
    with suppress(TimeoutError, OSError, ssl.SSLError):
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while len(raw) < MAX_BODY_BYTES:
                if not (part := await reader.read(MAX_BODY_BYTES - len(raw))):
                    break
                raw += part
    return raw.decode("utf-8", "replace").replace("\0", "\ufffd")


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return (error.reason or "failed").lower().replace("_", " ")
    return (error.strerror if isinstance(error, OSError) and error.strerror else str(error)) or (
        type(error).__name__
    )

"""Certificates of the tests' own, and a wire that keeps what clients have sent over it."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
_VALID = timedelta(days=1)


class Authority:
    """Signs certificates of servers; clients that trust it get its `certificate`, a PEM file."""

    def __init__(self, certificate: Path) -> None:
        self._key = generate_private_key(SECP256R1())
        self._name = _named("an authority of the tests")
        self._certificate = (
            _builder(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = certificate
        certificate.write_bytes(self._certificate.public_bytes(Encoding.PEM))

    def issue(self) -> str:
        """A new key and a certificate for 127.0.0.1, and no other name, as PEM."""
        key = generate_private_key(SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))])
        certificate = (
            _builder(_named(HOST), self._name, key)
            .add_extension(names, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return (private + certificate.public_bytes(Encoding.PEM)).decode()


def server_context(pem: Path, *protocols: str) -> ssl.SSLContext:
    """What a server shows itself with: the file of an issued certificate; `protocols` by ALPN."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


@dataclass
class Wire:
    """Carries connections from `port` to another one; `sent` is what came from clients.

    As it came, unless the wire's end speaks TLS: then it is what the client encrypted.
    """

    port: int = 0
    sent: bytearray = field(default_factory=bytearray)


@contextmanager
def wire_to(port: int, context: ssl.SSLContext | None = None) -> Iterator[Wire]:
    """A wire to a port of this machine. With a `context` it terminates TLS."""
    wire = Wire()
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(wire, port, context, started)))
    thread.start()
    loop, over = started.result()
    try:
        yield wire
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


async def _serve(
    wire: Wire,
    port: int,
    context: ssl.SSLContext | None,
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]],
) -> None:
    over = asyncio.Event()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(HOST, port)
        try:
            with suppress(asyncio.CancelledError):  # the wire is cut
                await asyncio.gather(
                    _copy(reader, far_writer, wire.sent), _copy(far_reader, writer, bytearray())
                )
        finally:
            far_writer.close()
            writer.close()

    server = await asyncio.start_server(carry, HOST, 0, ssl=context)
    wire.port = server.sockets[0].getsockname()[1]
    started.set_result((asyncio.get_running_loop(), over))
    await over.wait()
    server.close()  # what is still being carried is canceled by the end of the loop


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray
) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            kept += data
            writer.write(data)
            await writer.drain()
    writer.close()


def _builder(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _VALID)
        .not_valid_after(now + _VALID)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

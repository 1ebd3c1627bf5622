"""Which URLs messages may be sent to: the wall between receivers and an installation's network.

An address is checked when a message is sent, and the connection is made to the address that was
checked: a name that leads elsewhere a moment later leads nowhere.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

MAX_URL_CHARS = 2048
RESOLVER_THREADS = 16
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_UNSAFE = re.compile(r"[^\x21-\x7e]|[\\\"<>^`{|}]")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_ISATAP = {0x00005EFE, 0x02005EFE}
"""Bits 64 to 95 of an IPv6 address that leads to the IPv4 address behind them (RFC 5214)."""
_NOT_PUBLIC: dict[int, tuple[Network, ...]] = {
    4: tuple(
        ipaddress.ip_network(one)
        for one in (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
            "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
            "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
            "168.63.129.16/32",  # the metadata service of a cloud, in a public range
        )
    ),
    6: tuple(
        ipaddress.ip_network(one)
        for one in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
    ),
}  # fmt: skip
"""What no receiver has, of addresses that look global: the registries of special addresses, and
tunnels, whose other end may be anywhere."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_DEFAULT_PORTS = {"https": 443, "http": 80}


class RefusedTargetError(Exception):
    """The URL is not one that messages may be sent to. The words say why."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL, taken apart."""

    scheme: str
    host: str
    """Without brackets."""
    port: int
    path: str
    """With the query; begins with a slash."""

    @property
    def is_default_port(self) -> bool:
        """Whether the URL needs no port."""
        return self.port == _DEFAULT_PORTS[self.scheme]

    @property
    def authority(self) -> str:
        """The value of `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.is_default_port else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL in one form, with a path."""
        return f"{self.scheme}://{self.authority}{self.path}"


@dataclass(frozen=True, slots=True)
class Wall:
    """What may be reached. `allowed` networks are reached although they are private."""

    allowed: tuple[Network, ...] = ()
    allow_http: bool = False

    def target(self, url: str, *, is_callout: bool = False) -> Target:
        """The URL taken apart; `RefusedTargetError` when nothing may be sent there, whatever its
        name leads to. Callouts need https on its default port (contract C8)."""
        found = _parsed(url)
        if found.scheme != "https" and (is_callout or not self.allow_http):
            raise RefusedTargetError("must begin with https://")
        if is_callout and not found.is_default_port:
            raise RefusedTargetError("must use the default port of https")
        literal = _literal(found.host)
        if literal is not None:
            self.check(literal)
        return found

    def check(self, address: Address) -> None:
        """`RefusedTargetError` for an address that is private, or no one receiver's."""
        plain = _unwrapped(address)
        if any(plain in network for network in self.allowed if network.version == plain.version):
            return
        if not _is_public(plain):
            raise RefusedTargetError(
                "leads to an address that is not public; an operator can allow its network "
                "(webhooks.allowed_networks)"
            )


def parse_networks(text: str) -> tuple[Network, ...]:
    """`10.1.0.0/16, 192.0.2.7`: addresses and networks; `ValueError` for anything else."""
    parts = (part.strip() for part in text.split(","))
    return tuple(ipaddress.ip_network(part) for part in parts if part)


class Resolver:
    """Finds and checks the address of a target. Its threads are its own: a name server that does
    not respond keeps nothing else from working."""

    def __init__(self, wall: Wall) -> None:
        self._wall = wall
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, "webhook-resolver")

    async def address(self, target: Target) -> str:
        """The address to connect to. Every address of the name must be allowed.

        Raises `RefusedTargetError`, and `OSError` when the name cannot be resolved.
        """
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _resolve, target.host, target.port)
        for address in found:
            self._wall.check(address)
        return str(found[0])

    def close(self) -> None:
        """Wait for nothing."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _resolve(host: str, port: int) -> list[Address]:
    """IPv4 first: more receivers and networks have it."""
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    found = {ipaddress.ip_address(str(info[4][0]).partition("%")[0]) for info in infos}
    if not found:
        raise OSError("the name has no address")
    return sorted(found, key=lambda address: (address.version, int(address)))


def _literal(host: str) -> Address | None:
    """The address that a host is, in whichever form resolvers take one for it: `10.1`, `0x0a000001`
    and `167772161` are the same. None for a name."""
    with suppress(ValueError):
        return ipaddress.ip_address(host)
    with suppress(OSError):
        return ipaddress.IPv4Address(socket.inet_aton(host))
    return None


def _parsed(url: str) -> Target:
    if len(url) > MAX_URL_CHARS:
        raise RefusedTargetError(f"must have at most {MAX_URL_CHARS} characters")
    if _UNSAFE.search(url):
        raise RefusedTargetError("must be written in ASCII, with other characters escaped")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise RefusedTargetError("is not a URL") from error
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise RefusedTargetError("must begin with https:// and a name")
    if parts.username is not None or parts.password is not None:
        raise RefusedTargetError("must not contain a user or a password")
    if parts.fragment or port == 0:
        raise RefusedTargetError("must have neither a fragment nor the port 0")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme], path)


def _is_public(address: Address) -> bool:
    """Python's own answer differs by its version, so the lists above count too."""
    if not address.is_global or any(address in network for network in _NOT_PUBLIC[address.version]):
        return False
    return isinstance(address, ipaddress.IPv4Address) or address in _GLOBAL_UNICAST


def _unwrapped(address: Address) -> Address:
    """The IPv4 address in an IPv6 one that leads to it."""
    if isinstance(address, ipaddress.IPv6Address):
        if int(address) >> 32 & 0xFFFFFFFF in _ISATAP:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return inner
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address

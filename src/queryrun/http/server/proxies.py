"""Whose word about a client's address counts: only that of `server.trusted_proxies`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from queryrun.errors import ConfigurationError

_IPV6_SITE_BITS = 64
"""One subscriber has at least this much of IPv6, so a whole network counts as one address."""


class TrustedProxies:
    """The addresses and networks of our own proxies."""

    def __init__(self, listed: str = "") -> None:
        """`listed` is separated by commas. `ConfigurationError` for what is no address."""
        try:
            self._networks = [ip_network(one.strip()) for one in listed.split(",") if one.strip()]
        except ValueError as error:
            raise ConfigurationError(
                f"server.trusted_proxies: {error}; name addresses such as 10.0.0.5 or networks "
                "such as 10.0.0.0/24, separated by commas"
            ) from error
        self._trusts = lru_cache(maxsize=4096)(self._is_listed)

    def trusts(self, address: str) -> bool:
        """Whether this peer is one of our proxies."""
        return bool(self._networks) and self._trusts(address)

    def client_address(self, peer: str, forwarded_for: Sequence[bytes]) -> str:
        """The address that a request came from: the peer's, unless that is a trusted proxy.

        Then it is the right-most of X-Forwarded-For that is not a trusted proxy itself: every
        proxy appends whom it heard, so what is further left is the client's own word. A value that
        is no address ends the search at the last one that is known.
        """
        if not forwarded_for or not self.trusts(peer):
            return peer
        known = peer
        for named in reversed(b",".join(forwarded_for).split(b",")):
            address = _address(named)
            if address is None:
                return known
            known = address
            if not self.trusts(address):
                return address
        return known

    def _is_listed(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


def plain_address(host: str) -> str:
    """A peer's address, without the IPv6 clothes of an IPv4 one or a scope (`fe80::1%eth0`)."""
    if ":" not in host:
        return host
    try:
        return _plain(ip_address(host.partition("%")[0]))
    except ValueError:
        return host


@lru_cache(maxsize=4096)
def address_group(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 network of an IPv6 one."""
    if ":" not in address:
        return address
    try:
        return str(IPv6Network((address, _IPV6_SITE_BITS), strict=False))
    except ValueError:
        return address


def _address(named: bytes) -> str | None:
    """An address as proxies write it: alone, with a port, or in brackets."""
    text = named.decode("latin-1").strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return _plain(ip_address(text))
    except ValueError:
        return None


def _plain(address: IPv4Address | IPv6Address) -> str:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)

"""IP addresses and networks as Trino reads them: 16 bytes, in which IPv4 addresses are mapped."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address

MAPPED = bytes(10) + b"\xff\xff"
"""What an IPv4 address begins with."""


@dataclass(frozen=True, slots=True)
class Network:
    """The addresses from `first` to `last`; `is_mapped`: it is one of IPv4 addresses."""

    first: bytes
    last: bytes
    is_mapped: bool


def read_address(written: str) -> bytes:
    """The bytes of an address. Raises `ValueError` for what is none."""
    if "%" in written or "/" in written:
        raise ValueError(written)
    address = ip_address(written)
    return MAPPED + address.packed if isinstance(address, IPv4Address) else address.packed


def read_network(written: str) -> Network:
    """The addresses of `10.0.0.0/8`. Raises `ValueError` with Trino's words for what is none."""
    base, slash, length = written.partition("/")
    if not slash:
        raise ValueError("Invalid CIDR")
    try:
        address = read_address(base)
    except ValueError:
        raise ValueError("Invalid network IP address") from None
    bits = 32 if ":" not in base else 128
    if not length.isdecimal() or int(length) > bits:
        raise ValueError("Invalid CIDR")
    others = (1 << bits - int(length)) - 1
    start = int.from_bytes(address)
    if bits == 32 and start & others:
        raise ValueError("Invalid CIDR")
    first, last = start & ~others, start | others
    return Network(first.to_bytes(16), last.to_bytes(16), address.startswith(MAPPED))

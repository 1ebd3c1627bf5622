"""IP addresses: 16 bytes, in which IPv4 addresses are mapped, so that order is by bytes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from queryrun.engines.duckdb.functions.registry import InputError, worker_function

_MAPPED = bytes(10) + b"\xff\xff"


@worker_function("qr_ip_of_text(VARCHAR) -> BLOB")
def _ip_of_text(value: str) -> bytes:
    try:
        return _bytes(value)
    except ValueError:
        raise InputError(f"Cannot cast value to IPADDRESS: {value}") from None


def _bytes(written: str) -> bytes:
    if "%" in written or "/" in written:
        raise ValueError(written)
    address = ip_address(written)
    return _MAPPED + address.packed if isinstance(address, IPv4Address) else address.packed


@worker_function("qr_ip_text(BLOB) -> VARCHAR")
def _ip_text(value: bytes) -> str:
    if value.startswith(_MAPPED):
        return str(IPv4Address(value[12:]))
    address = str(IPv6Address(value))
    return f"::{IPv6Address(value).packed[12:].hex()}" if "." in address else address


@worker_function("qr_ip_of_bytes(BLOB) -> BLOB")
def _ip_of_bytes(value: bytes) -> bytes:
    if len(value) not in {4, 16}:
        raise InputError(f"Invalid InetAddress binary length: {len(value)}")
    return _MAPPED + value if len(value) == 4 else value


@worker_function("qr_ip_contains(VARCHAR, BLOB) -> BOOLEAN")
def _ip_contains(network: str, address: bytes) -> bool:
    base, slash, length = network.partition("/")
    if not slash:
        raise InputError("Invalid CIDR")
    try:
        first = _bytes(base)
    except ValueError:
        raise InputError("Invalid network IP address") from None
    bits = 32 if ":" not in base else 128
    if not length.isdecimal() or int(length) > bits:
        raise InputError("Invalid CIDR")
    host = bits - int(length)
    start = int.from_bytes(first)
    if bits == 32 and start & ((1 << host) - 1):
        raise InputError("Invalid CIDR")
    is_mapped = address.startswith(_MAPPED)
    if is_mapped != first.startswith(_MAPPED):
        return False
    return start >> host == int.from_bytes(address) >> host

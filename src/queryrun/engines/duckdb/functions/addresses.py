"""IP addresses: 16 bytes, in which IPv4 addresses are mapped, so that order is by bytes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from queryrun.engines.duckdb.functions.registry import InputError, worker_function
from queryrun.sql.addresses import MAPPED, read_address, read_network


@worker_function("qr_ip_of_text(VARCHAR) -> BLOB")
def _ip_of_text(value: str) -> bytes:
    try:
        return read_address(value)
    except ValueError:
        raise InputError(f"Cannot cast value to IPADDRESS: {value}") from None


@worker_function("qr_ip_text(BLOB) -> VARCHAR")
def _ip_text(value: bytes) -> str:
    if value.startswith(MAPPED):
        return str(IPv4Address(value[12:]))
    address = str(IPv6Address(value))
    return f"::{IPv6Address(value).packed[12:].hex()}" if "." in address else address


@worker_function("qr_ip_of_bytes(BLOB) -> BLOB")
def _ip_of_bytes(value: bytes) -> bytes:
    if len(value) not in {4, 16}:
        raise InputError(f"Invalid InetAddress binary length: {len(value)}")
    return MAPPED + value if len(value) == 4 else value


@worker_function("qr_ip_contains(VARCHAR, BLOB) -> BOOLEAN")
def _ip_contains(network: str, address: bytes) -> bool:
    try:
        found = read_network(network)
    except ValueError as error:
        raise InputError(str(error)) from None
    is_alike = address.startswith(MAPPED) == found.is_mapped
    return is_alike and found.first <= address <= found.last

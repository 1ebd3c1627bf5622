"""IP addresses and networks, as Trino reads them."""

from __future__ import annotations

import pytest

from queryrun.sql.addresses import MAPPED, read_address, read_network


def test_an_address_is_sixteen_bytes() -> None:
    assert read_address("10.0.0.1") == MAPPED + bytes([10, 0, 0, 1])
    assert read_address("::1") == bytes(15) + b"\x01"
    assert read_address("::ffff:10.0.0.1") == read_address("10.0.0.1")


@pytest.mark.parametrize("written", ["", "10.0.0", "10.0.0.256", "::1%lo", "10.0.0.0/8", "1::2::3"])
def test_what_is_no_address_is_none(written: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_address(written)


@pytest.mark.parametrize(
    ("written", "first", "last", "is_mapped"),
    [
        ("10.0.0.0/8", "10.0.0.0", "10.255.255.255", True),
        ("10.1.2.3/32", "10.1.2.3", "10.1.2.3", True),
        ("128.0.0.0/1", "128.0.0.0", "255.255.255.255", True),
        ("2001:db8::/32", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", False),
        ("2001:db8::7/126", "2001:db8::4", "2001:db8::7", False),
    ],
)
def test_a_network_is_from_its_first_address_to_its_last(
    written: str, first: str, last: str, is_mapped: bool
) -> None:
    found = read_network(written)
    assert (found.first, found.last) == (read_address(first), read_address(last))
    assert found.is_mapped is is_mapped


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("10.0.0.0", "Invalid CIDR"),
        ("10.0.0.0/33", "Invalid CIDR"),
        ("10.0.0.0/", "Invalid CIDR"),
        ("10.0.0.0/-1", "Invalid CIDR"),
        ("10.0.0.1/8", "Invalid CIDR"),
        ("10.0.0/8", "Invalid network IP address"),
        ("2001:db8::/129", "Invalid CIDR"),
    ],
)
def test_what_is_no_network_fails_with_trinos_words(written: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_network(written)

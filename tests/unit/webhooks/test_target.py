"""Which addresses messages may be sent to, however an address is written."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryrun.webhooks.target import RefusedTargetError, Wall, parse_networks

INSIDE_V4 = [
    *("0.0.0.0", "0.1.2.3", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1"),  # noqa: S104 - an address, refused
    *("127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.254", "192.0.0.8"),
    *("192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.254"),
    *("198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255"),
    "168.63.129.16",
]
INSIDE_V6 = [
    *("::", "::1", "::7f00:1", "::ffff:0:7f00:1", "64:ff9b:1::7f00:1", "100::1", "fe80::1"),
    *("fe80::a9fe:a9fe", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001::1"),
    *("2001:0:808:808::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "3fff::1"),
    *("4000::1", "5f00::1", "e000::1"),
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "2606:4700:4700::1111", "2a00:1450::1"]


def embedded(v4: str) -> list[str]:
    """IPv6 addresses that lead to an IPv4 address: mapped, NAT64, 6to4, ISATAP."""
    number = int(ipaddress.IPv4Address(v4))
    bases = {
        "::ffff:0:0": 0, "64:ff9b::": 0, "2002::": 80, "2606:4700::5efe:0:0": 0,
        "2606:4700::200:5efe:0:0": 0,
    }  # fmt: skip
    return [
        str(ipaddress.IPv6Address(int(ipaddress.IPv6Address(base)) | number << shift))
        for base, shift in bases.items()
    ]


def is_refused(address: str, wall: Wall | None = None) -> bool:
    """Whether nothing may be sent there."""
    try:
        (wall or Wall()).check(ipaddress.ip_address(address))
    except RefusedTargetError:
        return True
    return False


@pytest.mark.parametrize("address", INSIDE_V4 + INSIDE_V6)
def test_addresses_that_are_nobodys_or_inside_are_refused(address: str) -> None:
    assert is_refused(address)


@pytest.mark.parametrize("v4", INSIDE_V4)
def test_an_inner_address_is_refused_in_whatever_it_is_embedded(v4: str) -> None:
    assert [one for one in embedded(v4) if not is_refused(one)] == []


def other_forms(v4: str) -> list[str]:
    """The address as resolvers take it too."""
    a, b, c, d = v4.split(".")
    number = int(ipaddress.IPv4Address(v4))
    octal = ".".join(f"0{int(part):o}" for part in (a, b, c, d))
    short = f"{a}.{int(b) << 16 | int(c) << 8 | int(d)}"
    return [str(number), hex(number), f"0{number:o}", octal, f"0x{int(a):x}.{b}.{c}.{d}", short]


@pytest.mark.parametrize("v4", INSIDE_V4)
def test_an_inner_address_is_refused_in_every_form_when_it_is_given(v4: str) -> None:
    for form in other_forms(v4):
        with pytest.raises(RefusedTargetError, match="not public"):
            Wall().target(f"https://{form}/")


def test_a_name_of_digits_is_a_name() -> None:
    for host in ("8.8.8.8", "134744072", "10.example", "1.2.3.4.example", "0x", "a.1"):
        assert Wall().target(f"https://{host}/").host == host


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_reached(address: str) -> None:
    assert not is_refused(address)


@given(st.ip_addresses(v=6))
def test_an_ipv6_address_outside_global_unicast_leads_to_a_public_ipv4_address_or_nowhere(
    address: ipaddress.IPv6Address,
) -> None:
    if address in ipaddress.IPv6Network("2000::/3"):
        return
    inner = str(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    assert is_refused(str(address)) or not is_refused(inner)


def test_a_network_that_an_operator_allows_is_reached_and_no_other() -> None:
    wall = Wall(parse_networks("10.1.0.0/16, fd00:1::/32"))
    assert not is_refused("10.1.2.3", wall)
    assert not is_refused("::ffff:10.1.2.3", wall)
    assert not is_refused("fd00:1::5", wall)
    assert is_refused("10.2.0.1", wall)
    assert is_refused("fd00:2::5", wall)

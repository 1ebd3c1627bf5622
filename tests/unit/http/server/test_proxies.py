"""Whose word about an address counts."""

from __future__ import annotations

import pytest

from queryrun.errors import ConfigurationError
from queryrun.http.server.proxies import TrustedProxies, address_group, plain_address


@pytest.mark.parametrize(
    ("peer", "values", "client"),
    [
        ("192.0.2.9", [b"198.51.100.1"], "192.0.2.9"),  # not a proxy of ours
        ("10.0.0.5", [], "10.0.0.5"),
        ("10.0.0.5", [b"198.51.100.1"], "198.51.100.1"),
        ("10.0.0.5", [b"1.1.1.1, 198.51.100.1"], "198.51.100.1"),  # 1.1.1.1 is the client's word
        ("10.0.0.5", [b"1.1.1.1", b"198.51.100.1"], "198.51.100.1"),
        ("10.0.0.5", [b"198.51.100.1, 10.1.2.3"], "198.51.100.1"),  # two proxies of ours
        ("10.0.0.5", [b"10.1.2.3, 10.1.2.4"], "10.1.2.3"),
        ("10.0.0.5", [b"198.51.100.1, nonsense"], "10.0.0.5"),
        ("10.0.0.5", [b"198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.5", [b"[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.5", [b"::ffff:198.51.100.1"], "198.51.100.1"),
        ("fd00::1", [b"198.51.100.1"], "198.51.100.1"),
    ],
)
def test_the_right_most_address_that_is_no_proxy_counts(
    peer: str, values: list[bytes], client: str
) -> None:
    proxies = TrustedProxies("10.0.0.5, 10.1.0.0/16,fd00::/8")
    assert proxies.client_address(peer, values) == client


def test_nobody_is_trusted_by_default() -> None:
    assert TrustedProxies().client_address("127.0.0.1", [b"1.1.1.1"]) == "127.0.0.1"


def test_a_proxy_that_is_no_address_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigurationError, match=r"server\.trusted_proxies"):
        TrustedProxies("10.0.0.5, proxy.internal")


def test_addresses_are_plain_and_ipv6_counts_by_network() -> None:
    assert plain_address("::ffff:192.0.2.1") == "192.0.2.1"
    assert plain_address("fe80::1%eth0") == "fe80::1"
    assert address_group("2001:db8:0:1:2:3:4:5") == address_group("2001:db8:0:1::9")
    assert address_group("2001:db8:0:2::9") != address_group("2001:db8:0:1::9")
    assert address_group("192.0.2.1") == "192.0.2.1"

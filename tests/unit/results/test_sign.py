"""Signed links."""

from __future__ import annotations

import pytest

from queryrun.results.sign import sign, verify

SECRET = b"s" * 32
SIGNATURE = sign("run_1.csv", 1_764_016_245, SECRET)


def test_our_own_signature_is_verified() -> None:
    assert verify("run_1.csv", 1_764_016_245, SIGNATURE, SECRET)


@pytest.mark.parametrize(
    ("key", "expires", "signature", "secret"),
    [
        ("run_2.csv", 1_764_016_245, SIGNATURE, SECRET),
        ("run_1.csv", 1_764_016_246, SIGNATURE, SECRET),
        ("run_1.csv", 1_764_016_245, SIGNATURE.upper(), SECRET),
        ("run_1.csv", 1_764_016_245, SIGNATURE[:-1], SECRET),
        ("run_1.csv", 1_764_016_245, "", SECRET),
        ("run_1.csv", 1_764_016_245, "é" * 64, SECRET),
        ("run_1.csv", 1_764_016_245, SIGNATURE, b"t" * 32),
    ],
)
def test_no_other_signature_is(key: str, expires: int, signature: str, secret: bytes) -> None:
    assert not verify(key, expires, signature, secret)


def test_a_digit_cannot_move_from_the_time_into_the_key() -> None:
    assert sign("1x", 12, SECRET) != sign("x", 121, SECRET)

"""Tokens and keys of an issuer that are well signed and badly made: refused by name, no fault."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from queryrun.auth.oidc_tokens import (
    Header,
    TokenOptions,
    fitting_keys,
    keys_of,
    read_header,
    verified_claims,
)
from queryrun.errors import Unauthenticated

NOW_S = 1_800_000_000.0
KEY = ECKey.generate_key("P-256")
PUBLIC = KEY.as_dict(private=False)
OPTIONS = TokenOptions("https://issuer.example", "queryrun", frozenset({"ES256"}), 60.0)
CLAIMS = {"iss": OPTIONS.issuer, "aud": "queryrun", "sub": "me", "exp": NOW_S + 60}


def claims_of(claims: Mapping[str, object], key: Mapping[str, Any] = PUBLIC) -> dict[str, Any]:
    """What a token of these claims says, as its issuer has published `key`."""
    content = json.dumps(claims).encode()
    token = jws.serialize_compact({"alg": "ES256"}, content, KEY, algorithms=["ES256"])
    header = read_header(token, OPTIONS.algorithms)
    keys = fitting_keys(header, keys_of({"keys": [key, PUBLIC]}))
    return verified_claims(token, header, keys, OPTIONS, NOW_S)


@pytest.mark.parametrize(
    "odd",
    [
        {"kty": "EC"},
        {"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA"},
        {**PUBLIC, "crv": "P-384"},
        {**PUBLIC, "x": 5},
        {**PUBLIC, "x": PUBLIC["y"]},
        {**PUBLIC, "x": "AA"},
        {**PUBLIC, "alg": "ES512"},
    ],
)
def test_a_key_that_is_malformed_or_of_an_unknown_curve_is_passed_over(odd: dict[str, Any]) -> None:
    assert claims_of(CLAIMS, odd) == CLAIMS
    assert fitting_keys(Header("ES256", None), [odd]) == []


@pytest.mark.parametrize(
    "odd",
    [
        {"sub": "a\0b"},
        {"sub": "\ud800"},
        {"orgs": ["1", "\udfff"]},
        {"resource": {"\ud800": 1}},
        {"sub": ""},
        {"sub": "x" * 256},
        {"sub": 5},
        {"aud": [["queryrun"]]},
        {"aud": {"queryrun": 1}},
        {"iss": [OPTIONS.issuer]},
        {"iss": OPTIONS.issuer + "/"},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"exp": True},
        {"exp": str(NOW_S + 60)},
        {"nbf": NOW_S + 61},
        {"iat": "yesterday"},
    ],
)
def test_claims_that_are_no_texts_and_no_times_are_refused(odd: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        claims_of({**CLAIMS, **odd})


def test_a_login_may_have_any_name_that_can_be_written() -> None:
    name = "Zoë \N{ROCKET} <a@b.example>|auth0"
    assert claims_of({**CLAIMS, "sub": name})["sub"] == name

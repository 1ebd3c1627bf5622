"""The keys of an issuer, and what it sends in their place."""

from __future__ import annotations

from typing import Any

import pytest
from joserfc.jwk import RSAKey

from queryrun.auth.oidc_keys import MAX_AGE_S, MAX_STALE_S, IssuerKeys
from queryrun.auth.oidc_tokens import Header
from queryrun.errors import Unauthenticated, Unavailable

pytestmark = pytest.mark.anyio

KEY = RSAKey.generate_key(2048, {"kid": "a"}).as_dict(private=False)
HEADER = Header("RS256", "a")


class Issuer:
    """Sends `document`, at a time that moves by hand."""

    def __init__(self) -> None:
        self.document: Any = {"keys": [KEY]}
        self.now_s = 0.0
        self.keys = IssuerKeys(self.fetch, lambda: self.now_s)

    async def fetch(self) -> object:
        return self.document


@pytest.mark.parametrize(
    "document", [{"error": "maintenance"}, {"keys": 7}, {"keys": {}}, [], None]
)
async def test_a_page_in_the_place_of_the_keys_logs_nobody_out(document: object) -> None:
    issuer = Issuer()
    assert len(await issuer.keys.find(HEADER)) == 1
    issuer.document = document
    for _ in range(2):
        issuer.now_s += MAX_AGE_S + 1
        assert len(await issuer.keys.find(HEADER)) == 1
    issuer.now_s += MAX_STALE_S
    with pytest.raises(Unavailable, match="something else than its keys"):
        await issuer.keys.find(HEADER)


async def test_an_issuer_that_has_no_keys_any_more_says_so() -> None:
    issuer = Issuer()
    await issuer.keys.find(HEADER)
    issuer.document = {"keys": []}
    issuer.now_s += MAX_AGE_S + 1
    with pytest.raises(Unauthenticated):
        await issuer.keys.find(HEADER)

"""Ids, secrets and tokens: their form and comparison."""

from __future__ import annotations

from uuid import UUID

from queryrun.auth.secrets import digest, matches, new_client_id, new_secret, new_token


def test_a_client_id_is_a_uuid_of_36_characters() -> None:
    """One SDK refuses any other length (contract E)."""
    client_id = new_client_id()
    assert len(client_id) == 36
    assert str(UUID(client_id)) == client_id


def test_a_secret_has_at_most_42_characters_and_needs_no_escaping() -> None:
    secret = new_secret()
    assert len(secret) == 42
    assert secret.isascii()
    assert secret.isalnum()


def test_a_token_can_be_found_by_secret_scanners_and_has_256_random_bits() -> None:
    token = new_token()
    assert token.startswith("qrt_")
    assert len(bytes.fromhex(token.removeprefix("qrt_"))) == 32


def test_no_two_are_the_same() -> None:
    for make in (new_client_id, new_secret, new_token):
        assert len({make() for _ in range(100)}) == 100


def test_a_secret_matches_its_digest_alone() -> None:
    one, other = new_secret(), new_secret()
    assert matches(one, [digest(other), digest(one)])
    assert not matches(one, [digest(other)])
    assert not matches(one, [])
    assert one not in digest(one)

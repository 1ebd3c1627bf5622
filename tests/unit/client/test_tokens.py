"""A token is kept between processes: by its owner alone, until it expires or is refused."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

import pytest

from queryrun_client import Client, Options, Unauthorized
from queryrun_client.profiles import Profile, Server
from queryrun_client.tokens import MAX_KEPT, TokenFile, key_of, user_tokens
from tests.unit.client.scripted import TOKEN, Script, response, run_body, script


@dataclass
class Clock:
    now_s: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(tmp_path: Path, clock: Clock) -> TokenFile:
    return TokenFile(tmp_path / "config" / "tokens.json", clock)


def found(tokens: TokenFile, key: str) -> str | None:
    kept = tokens.find(key)
    return None if kept is None else kept.token


def test_a_kept_token_is_found_until_its_time_is_over(tokens: TokenFile, clock: Clock) -> None:
    tokens.keep("a", "t1", 60)
    tokens.keep("b", "t2", 600)
    assert (found(tokens, "a"), found(tokens, "b"), found(tokens, "c")) == ("t1", "t2", None)
    clock.now_s += 60
    assert (found(tokens, "a"), found(tokens, "b")) == (None, "t2")


def test_only_the_owner_may_read_the_file_and_its_directory(tokens: TokenFile) -> None:
    tokens.keep("a", "t1", 60)
    assert stat.S_IMODE(tokens.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(tokens.path.parent.stat().st_mode) == 0o700
    assert [path.name for path in tokens.path.parent.iterdir()] == ["tokens.json"]


def test_a_file_that_others_may_read_is_not_used_and_is_replaced(tokens: TokenFile) -> None:
    tokens.keep("a", "t1", 60)
    tokens.path.chmod(0o644)
    assert tokens.find("a") is None
    tokens.keep("b", "t2", 60)
    assert stat.S_IMODE(tokens.path.stat().st_mode) == 0o600
    assert (found(tokens, "a"), found(tokens, "b")) == (None, "t2")


@pytest.mark.parametrize("content", [b"", b"nonsense", b"[1]", b'{"a": {"token": 1}}', b"\xff"])
def test_a_broken_file_costs_no_more_than_a_new_token(tokens: TokenFile, content: bytes) -> None:
    tokens.path.parent.mkdir()
    tokens.path.write_bytes(content)
    tokens.path.chmod(0o600)
    assert tokens.find("a") is None
    tokens.keep("a", "t1", 60)
    assert found(tokens, "a") == "t1"


def test_a_directory_that_cannot_be_written_costs_no_more(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    tokens = TokenFile(tmp_path / "file" / "tokens.json")
    tokens.keep("a", "t1", 60)
    assert tokens.find("a") is None


def test_only_the_refused_token_is_dropped(tokens: TokenFile) -> None:
    """Another process may have renewed it meanwhile."""
    tokens.keep("a", "new", 60)
    tokens.drop("a", "old")
    assert found(tokens, "a") == "new"
    tokens.drop("a", "new")
    assert tokens.find("a") is None


def test_the_file_is_bounded_and_loses_what_expires_first(tokens: TokenFile) -> None:
    for number in range(MAX_KEPT + 5):
        tokens.keep(f"k{number}", "t", 100 + number)
    assert tokens.find("k4") is None
    assert found(tokens, "k5") == found(tokens, f"k{MAX_KEPT + 4}") == "t"


def test_a_token_belongs_to_server_client_secret_and_entity() -> None:
    keys = {
        key_of(*parts)
        for parts in (
            ("http://x", "c", "s", None),
            ("http://y", "c", "s", None),
            ("http://x", "d", "s", None),
            ("http://x", "c", "other", None),
            ("http://x", "c", "s", "e"),
        )
    }
    assert len(keys) == 5
    assert "s" not in keys


def keeping(tokens: TokenFile, *replies: object) -> Script:
    world = script(*replies)  # type: ignore[arg-type]
    world.core = world.client(options=Options(tokens=tokens))
    return world


def test_a_second_process_uses_the_token_of_the_first(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path / "tokens.json")
    first = keeping(tokens, TOKEN, response(200, run_body()))
    first.run(first.core.read("r1"))
    second = keeping(tokens, response(200, run_body()))
    second.run(second.core.read("r1"))
    assert [one.headers["authorization"] for one in second.requests] == ["Bearer t1"]


def test_a_kept_token_that_is_refused_is_dropped_and_replaced(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path / "tokens.json")
    first = keeping(tokens, TOKEN, response(200, run_body()))
    first.run(first.core.read("r1"))
    renewed = response(200, {"access_token": "t2", "expires_in": 3599})
    second = keeping(tokens, response(401), renewed, response(200, run_body()))
    second.run(second.core.read("r1"))
    assert second.requests[-1].headers["authorization"] == "Bearer t2"
    third = keeping(tokens, response(200, run_body()))
    third.run(third.core.read("r1"))
    assert third.requests[0].headers["authorization"] == "Bearer t2"


def test_a_client_that_is_revoked_keeps_no_token(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path / "tokens.json")
    first = keeping(tokens, TOKEN, response(200, run_body()))
    first.run(first.core.read("r1"))
    second = keeping(tokens, response(401), response(401, {"error": "invalid_client"}))
    with pytest.raises(Unauthorized):
        second.run(second.core.read("r1"))
    assert b"t1" not in tokens.path.read_bytes()


def test_a_client_keeps_no_token_unless_it_is_told_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert user_tokens().path == tmp_path / "queryrun" / "tokens.json"
    with Client.of_server(Server("test", Profile("http://x", "c", "s"))) as client:
        assert client.core.options.tokens is None

"""Profiles and the choice of a server."""

from __future__ import annotations

import resource
import stat
from pathlib import Path

import pytest

from queryrun_cli.errors import CommandError
from queryrun_cli.profiles import add_profile, remove_profile, use_profile
from queryrun_client import NotConfigured
from queryrun_client.profiles import (
    Profile,
    Profiles,
    find_server,
    load_profiles,
    profiles_path,
    secret_in,
)
from queryrun_client.tokens import user_tokens

ONE = Profile("http://one", "id-1", "secret-1")
TWO = Profile("http://two", "id-2", "secret-2", api_version="v1")


@pytest.fixture(autouse=True)
def config_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def test_a_profile_is_private_and_becomes_the_current_one() -> None:
    add_profile("one", ONE)
    add_profile("two", TWO)
    assert load_profiles().current == "two"
    assert load_profiles().get("one") == ONE
    assert stat.S_IMODE(profiles_path().stat().st_mode) == 0o600
    assert stat.S_IMODE(profiles_path().parent.stat().st_mode) == 0o700


def test_removing_a_profile_removes_its_secret() -> None:
    add_profile("one", ONE)
    remove_profile("one")
    assert "secret-1" not in profiles_path().read_text()
    assert load_profiles().current == ""


def test_a_file_that_others_may_read_is_refused() -> None:
    add_profile("one", ONE)
    profiles_path().chmod(0o640)
    with pytest.raises(NotConfigured, match="chmod 600"):
        load_profiles()


def test_a_file_that_is_broken_is_named() -> None:
    add_profile("one", ONE)
    profiles_path().write_text("{")
    with pytest.raises(NotConfigured, match=r"profiles\.json"):
        load_profiles()


@pytest.mark.parametrize("name", ["", "../x", "a b", "-x"])
def test_invalid_names_are_refused(name: str) -> None:
    with pytest.raises(CommandError):
        add_profile(name, ONE)


def test_a_secret_is_not_in_a_profiles_repr() -> None:
    assert "secret-1" not in repr(ONE)


def test_the_option_wins_then_the_url_then_the_variable_then_the_current_one() -> None:
    add_profile("one", ONE)
    add_profile("two", TWO)
    use_profile("one")
    address = {"QUERYRUN_URL": "http://env", "QUERYRUN_PROFILE": "two"}
    assert find_server("two", address).profile == TWO
    assert find_server(None, address).profile.url == "http://env"
    assert find_server(None, {"QUERYRUN_PROFILE": "two"}).profile == TWO
    assert find_server(None, {}).profile == ONE


def test_without_a_server_the_error_explains_what_to_do() -> None:
    with pytest.raises(NotConfigured, match="queryrun login"):
        find_server(None, {})


def test_an_unknown_profile_names_the_known_ones() -> None:
    add_profile("one", ONE)
    with pytest.raises(NotConfigured, match=r"'none'.*one"):
        find_server("none", {})


def test_the_secret_comes_from_the_variable_or_the_file_it_names(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from file\n")
    named = {"QUERYRUN_CLIENT_SECRET_FILE": str(tmp_path / "secret")}
    assert secret_in(named) == "from file"
    assert secret_in({**named, "QUERYRUN_CLIENT_SECRET": "direct"}) == "direct"
    assert secret_in({}) is None


def test_a_full_disk_leaves_no_part_of_a_secret_behind() -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            add_profile("one", ONE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(profiles_path().parent.iterdir()) == []


def test_a_user_without_a_home_has_no_profiles_and_keeps_no_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "~nobody-at-all")
    assert load_profiles() == Profiles()
    user_tokens().keep("key", "token", 60)
    assert user_tokens().find("key") is None
    with pytest.raises(NotConfigured, match="set HOME"):
        add_profile("one", ONE)

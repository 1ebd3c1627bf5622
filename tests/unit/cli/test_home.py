"""Making a home, what is printed of it, and how `serve` introduces itself."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from shlex import split

import pytest

from queryrun.cli.banner import banner
from queryrun.cli.clients import every
from queryrun.cli.home import FIRST_CLIENT_NAME, FIRST_SECRET_NAME, check_entity_name, init_home
from queryrun.cli.show import show_client, show_clients, show_init
from queryrun.errors import ConfigurationError
from queryrun.processes.sandbox import SandboxMode, SandboxSupport
from queryrun.settings import LINK_KEY_NAME
from queryrun.settings.file import load
from queryrun.wiring.sandbox import NodeSandbox


def test_a_home_has_a_private_secret_and_link_key(tmp_path: Path) -> None:
    made = init_home(tmp_path / "home", entity="main", factor=None)
    for name in (FIRST_SECRET_NAME, LINK_KEY_NAME, FIRST_CLIENT_NAME):
        assert stat.S_IMODE((made.home / name).stat().st_mode) == 0o600
    assert (made.home / FIRST_SECRET_NAME).read_text() == made.issued.secret
    assert made.data_dir.is_dir()
    assert load(made.home, {}).default_source == "live"


def test_a_home_is_not_created_twice(tmp_path: Path) -> None:
    init_home(tmp_path, entity="main", factor=None)
    with pytest.raises(ConfigurationError, match="already a home"):
        init_home(tmp_path, entity="main", factor=None)


def test_an_interrupted_init_can_be_repeated(tmp_path: Path) -> None:
    """The configuration is written last, so without it there is no home yet."""
    made = init_home(tmp_path, entity="main", factor=None)
    (tmp_path / "queryrun.toml").unlink()
    again = init_home(tmp_path, entity="main", factor=None)
    assert again.issued.client.id != made.issued.client.id


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".", "-a", "a" * 64, "é"])
def test_entity_names_that_are_not_directory_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError):
        check_entity_name(name)


def test_init_prints_the_secret_as_text_and_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = init_home(tmp_path / "home", entity="main", factor=None)
    show_init(made, as_json=True)
    output = json.loads(capsys.readouterr().out)
    assert (output["client_secret"], output["entity"]) == (made.issued.secret, "main")
    show_init(made, as_json=False)
    printed = capsys.readouterr().out
    assert made.issued.secret in printed
    assert f"(kept in {made.home / FIRST_SECRET_NAME})" in printed
    assert f"queryrun serve --home {made.home}" in printed
    assert f"queryrun login --home {made.home}" in printed
    show_client(made.issued, as_json=False)
    assert made.issued.secret in capsys.readouterr().out


def test_a_list_of_clients_has_no_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = init_home(tmp_path / "home", entity="main", factor=None)
    for as_json in (True, False):
        show_clients(every(made.home), as_json=as_json)
        out = capsys.readouterr().out
        assert made.issued.client.id in out
        assert made.issued.secret not in out


SANDBOX = NodeSandbox(SandboxMode.BEST_EFFORT, SandboxSupport(0, has_filter=True))


def test_the_banner_says_which_walls_stand_and_which_do_not(tmp_path: Path) -> None:
    text = banner(load(tmp_path, {}), "http://127.0.0.1:1", SANDBOX)
    assert "no Landlock, system calls filtered, best_effort" in text
    assert "WARNING" in text


def test_the_banner_names_the_secrets_file_and_not_the_secret(tmp_path: Path) -> None:
    made = init_home(tmp_path / "home", entity="main", factor=None)
    text = banner(load(made.home, {}), "http://127.0.0.1:1", SANDBOX)
    assert "http://127.0.0.1:1/v2/query_runs" in text
    assert "http://127.0.0.1:1/console" in text
    assert FIRST_SECRET_NAME in text
    assert made.issued.secret not in text


def test_the_login_that_the_banner_offers_can_be_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the home is called, and where the program is not on the PATH."""
    made = init_home(tmp_path / "my home", entity="main", factor=None)
    installed = tmp_path / "bin" / "queryrun"
    installed.parent.mkdir()
    installed.touch(mode=0o755)
    monkeypatch.setattr("sys.executable", str(installed.with_name("python")))
    for path, program in ((installed.parent, "queryrun"), (tmp_path, str(installed))):
        monkeypatch.setenv("PATH", str(path))
        lines = banner(load(made.home, {}), "http://127.0.0.1:1", SANDBOX).splitlines()
        login = next(line for line in lines if " login " in line)
        assert split(login) == [program, "login", "http://127.0.0.1:1", "--home", str(made.home)]


def test_the_banner_of_a_home_whose_secret_was_removed_explains_how_to_get_a_client(
    tmp_path: Path,
) -> None:
    made = init_home(tmp_path / "home", entity="main", factor=None)
    (made.home / FIRST_SECRET_NAME).unlink()
    assert "clients create" in banner(load(made.home, {}), "http://127.0.0.1:1", SANDBOX)

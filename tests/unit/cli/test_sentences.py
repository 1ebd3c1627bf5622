"""Whoever types a command gets a sentence that says what to do, and no traceback."""

from __future__ import annotations

import os
import socket
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from queryrun.cli.home import MadeHome, init_home
from queryrun_cli.main import main

Command = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeHome:
    """A home."""
    return init_home(tmp_path_factory.mktemp("homes") / "home", entity="main", factor=None)


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    """Run a command line; its exit status and what it wrote on stderr."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["queryrun", *map(str, arguments)])
        with pytest.raises(SystemExit) as exited:
            main()
        return int(exited.value.code or 0), capfd.readouterr().err

    return run


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a port where nobody listens, as the server of the environment."""
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setenv("QUERYRUN_URL", url)
    monkeypatch.setenv("QUERYRUN_CLIENT_ID", "a")
    monkeypatch.setenv("QUERYRUN_CLIENT_SECRET", "b")
    monkeypatch.setattr("queryrun_client.sync.time.sleep", lambda _s: None)
    return url


def home_with(tmp_path: Path, made: MadeHome, name: str, content: bytes | None) -> Path:
    """A copy of the home's configuration with one other file; None: a directory in its place."""
    home = tmp_path / "home"
    home.mkdir()
    for file in ("queryrun.toml", "link.key", "queryrun.db"):
        (home / file).write_bytes((made.home / file).read_bytes())
    (home / name).unlink(missing_ok=True)
    (home / name).mkdir() if content is None else (home / name).write_bytes(content)
    return home


@pytest.mark.parametrize("arguments", [("clients", "ls"), ("tenants", "ls"), ("migrate",)])
@pytest.mark.parametrize("content", [b"no database " * 1000, None])
def test_a_damaged_database_is_a_sentence_in_every_command(
    command: Command,
    tmp_path: Path,
    made: MadeHome,
    arguments: tuple[str, ...],
    content: bytes | None,
) -> None:
    home = home_with(tmp_path, made, "queryrun.db", content)
    status, stderr = command(*arguments, "--home", home)
    assert (status, stderr.count("\n")) == (1, 1)
    assert "queryrun.db" in stderr


def test_a_locked_database_is_a_sentence(
    command: Command, tmp_path: Path, made: MadeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queryrun.db.sqlite.database.BUSY_TIMEOUT_S", 0.01)
    home = home_with(tmp_path, made, "other", b"")
    with closing(sqlite3.connect(home / "queryrun.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        status, stderr = command("tenants", "create", "t", "--home", home)
    assert (status, stderr.count("\n")) == (1, 1)


@pytest.mark.parametrize(
    ("change", "arguments"),
    [
        ("DROP TABLE audit_log", ("audit", "verify")),
        ("DROP TABLE audit_head", ("audit", "export")),
        ("DROP TABLE clients", ("clients", "ls")),
        ("ALTER TABLE clients RENAME COLUMN name TO title", ("clients", "ls")),
    ],
)
def test_a_table_or_column_that_somebody_removed_is_a_sentence(
    command: Command, tmp_path: Path, made: MadeHome, change: str, arguments: tuple[str, ...]
) -> None:
    home = home_with(tmp_path, made, "other", b"")
    with closing(sqlite3.connect(home / "queryrun.db")) as other:
        other.execute(change)
        other.commit()
    status, stderr = command(*arguments, "--home", home)
    assert (status, stderr.count("\n")) == (1, 1)
    assert "restore a backup" in stderr


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("QUERYRUN_DEBUG", "1", "there is no setting 'debug'"),
        ("QUERYRUN_SERVER__PROT", "1", "there is no setting 'server.prot'"),
        ("QUERYRUN_SERVER__PORT", "many", "server.port"),
        ("QUERYRUN_SERVER__PORT", "70000", "server.port must be 0 to 65535"),
        ("QUERYRUN_SERVER", "x", "server"),
        ("QUERYRUN_SERVER__PORT__X", "1", "'port' is not a section"),
    ],
)
def test_a_wrong_variable_is_named_and_not_the_file(
    command: Command,
    made: MadeHome,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    words: str,
) -> None:
    monkeypatch.setenv(variable, value)
    status, stderr = command("clients", "ls", "--home", made.home)
    assert (status, stderr.count("\n")) == (1, 1)
    assert f"environment variable {variable}" in stderr
    assert words in stderr
    assert "queryrun.toml" not in stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'tenant = "caf\xe9"\n', "line 1: byte 0xe9 is not UTF-8"),
        (b'tenant = "a"\ndefault_source = "lvie"\n', "line 2: default_source: no source is named"),
        (b"[server]\nport = 1\nprot = 2\n", "line 3: there is no setting 'server.prot'"),
        (b'[sources.live]\nengine = "oracle"\n', "line 2: sources.live.engine"),
        (b"\xef\xbb\xbf[server\n", "line 1"),
        (b"[serverr]\nport = 1\n", "line 1: there is no setting 'serverr'"),
    ],
)
def test_a_wrong_line_of_the_configuration_is_named(
    command: Command, tmp_path: Path, made: MadeHome, text: bytes, words: str
) -> None:
    home = home_with(tmp_path, made, "queryrun.toml", text)
    status, stderr = command("clients", "ls", "--home", home)
    assert (status, stderr.count("\n")) == (1, 1)
    assert f"queryrun.toml, {words}" in stderr or words in stderr


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"SELECT 1,\n'\xe9'", "line 2: byte 0xe9 is not UTF-8"),
        ("SELECT 1".encode("utf-16"), "is UTF-16"),
    ],
)
def test_a_statement_in_another_encoding_is_refused_with_the_line(
    command: Command, tmp_path: Path, data: bytes, words: str
) -> None:
    (tmp_path / "q.sql").write_bytes(data)
    status, stderr = command("run", "-f", tmp_path / "q.sql")
    assert status == 1
    assert words in stderr
    assert "iconv" in stderr


@pytest.mark.parametrize("arguments", [("run", "SELECT 1"), ("ls",), ("show", "x"), ("get", "x")])
@pytest.mark.parametrize("proxy", ["http_proxy", "ALL_PROXY"])
def test_a_server_that_is_not_there_is_named_with_what_to_do(
    command: Command,
    refusing: str,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    proxy: str,
) -> None:
    monkeypatch.setenv(proxy, "http://192.0.2.1:9")
    status, stderr = command(*arguments)
    assert status == 5
    assert f"{refusing} does not respond" in stderr
    assert "Connection refused" in stderr
    assert "trying again" in stderr
    assert "queryrun serve" in stderr.splitlines()[-1]


def test_a_proxy_of_a_kind_that_is_not_supported_is_named(
    command: Command, refusing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://127.0.0.1:9")
    status, stderr = command("ls")
    assert (status, stderr.count("\n")) == (1, 1)
    assert "ALL_PROXY" in stderr, refusing


def test_a_failed_init_leaves_no_half_made_home(command: Command, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("no URL")
    home = tmp_path / "new"
    status, stderr = command("init", "--home", home, "--database-url-file", tmp_path / "url")
    assert (status, home.exists()) == (1, False), stderr
    home.mkdir()
    (home / "mine").write_text("kept")
    status, stderr = command("init", "--home", home, "--database-url-file", tmp_path / "url")
    assert (status, os.listdir(home)) == (1, ["mine"]), stderr  # noqa: PTH208


@pytest.mark.parametrize("name", ["afile", "afile/below"])
def test_a_home_that_cannot_be_made_is_a_sentence(
    command: Command, tmp_path: Path, name: str
) -> None:
    (tmp_path / "afile").write_text("x")
    status, stderr = command("init", "--home", tmp_path / name)
    assert (status, stderr.count("\n")) == (1, 1)
    assert str(tmp_path / "afile") in stderr


def test_a_port_out_of_range_is_refused(command: Command, made: MadeHome) -> None:
    status, stderr = command("serve", "--home", made.home, "--port", "70000")
    assert status == 2
    assert "65535" in stderr


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, made: MadeHome) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("queryrun.cli.show.show_clients", broken)
    monkeypatch.setattr("queryrun.cli.clients.every", lambda _home: [])
    monkeypatch.setattr(sys, "argv", ["queryrun", "clients", "ls", "--home", str(made.home)])
    with pytest.raises(ZeroDivisionError):
        main()

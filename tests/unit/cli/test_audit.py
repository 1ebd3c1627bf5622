"""`queryrun audit` on a home: what commands on its disk record, and tampering."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest
from typer.testing import CliRunner

from queryrun.cli import audit
from queryrun.cli.clients import NewClient, create, revoke, rotate
from queryrun.cli.home import init_home
from queryrun.cli.tenants import create as create_tenant
from queryrun.errors import ConfigurationError
from queryrun.settings import DATABASE_NAME
from queryrun_cli.main import program

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with some history, which nobody changes."""
    home = tmp_path_factory.mktemp("made") / "home"
    init_home(home, entity="main", factor=None)
    issued = create(home, NewClient(["main", "second"], ["read"]))
    rotate(home, issued.client.id, 60.0)
    revoke(home, issued.client.id)
    create_tenant(home, "globex", ["g"])
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(made, tmp_path / "home")


def change(home: Path, statement: str) -> None:
    """Somebody changes the database by hand."""
    with closing(sqlite3.connect(home / DATABASE_NAME)) as connection:
        connection.execute(statement)
        connection.commit()


def verify(home: Path, *options: str) -> tuple[int, str]:
    """The exit status and output of `queryrun audit verify`."""
    result = RUNNER.invoke(program(), ["audit", "verify", "--home", str(home), *options])
    return result.exit_code, result.output


def test_commands_on_the_disk_are_recorded(home: Path) -> None:
    result = RUNNER.invoke(program(), ["audit", "export", "--home", str(home)])
    entries = [json.loads(line) for line in result.output.splitlines()]
    assert [one["event"] for one in entries] == [
        *("entity_created", "client_created", "entity_created", "client_created"),
        *("client_secret_rotated", "client_revoked", "tenant_created", "entity_created"),
    ]
    assert entries[3]["detail"]["scopes"] == ["read"]
    assert verify(home)[0] == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET content = replace(content, 'read', 'admin') WHERE position = 4",
        "DELETE FROM audit_log WHERE position = 5",
        "DELETE FROM audit_log WHERE position = 8",
        "UPDATE audit_log SET position = 100 WHERE position = 2",
        "DELETE FROM audit_log",
        "INSERT INTO audit_log SELECT 9, at_ms, content, digest FROM audit_log WHERE position = 8",
        "INSERT INTO audit_log SELECT 0, at_ms, content, digest FROM audit_log WHERE position = 8",
        "INSERT INTO audit_log SELECT -9, at_ms, content, digest FROM audit_log WHERE position = 8",
        "UPDATE audit_head SET base_position = 1, base_digest ="
        " (SELECT digest FROM audit_log WHERE position = 1)",
    ],
)
def test_tampering_is_found(home: Path, statement: str) -> None:
    change(home, statement)
    status, output = verify(home)
    assert status == 1
    assert "fault: " in output


ANYTHING = (
    "''",
    "5",
    "-1",
    "1.5",
    "9e30",
    "'x'",
    "x'00ff'",
    "CAST(x'ff' AS TEXT)",
    "'[\"entries_removed\"'",
)
"""What somebody may put into a column of SQLite, whose types are no more than advice."""


@pytest.mark.parametrize("column", ["position", "at_ms", "content", "digest"])
def test_whatever_is_put_into_any_column_of_an_entry_is_found(home: Path, column: str) -> None:
    pristine = (home / DATABASE_NAME).read_bytes()
    for value, position in product(ANYTHING, (1, 4, 8)):
        (home / DATABASE_NAME).write_bytes(pristine)
        try:
            change(home, f"UPDATE audit_log SET {column} = {value} WHERE position = {position}")
        except sqlite3.Error:  # not even SQLite takes it
            continue
        verified = audit.verify(home, [])
        assert verified.faults, (value, position)
        json.dumps(verified.faults)


@pytest.mark.parametrize("column", ["position", "digest", "base_position", "base_digest"])
def test_whatever_is_put_into_the_head_is_found(home: Path, column: str) -> None:
    for value in ANYTHING:
        change(home, f"UPDATE audit_head SET {column} = {value}")
        try:
            found = audit.verify(home, []).faults
        except ConfigurationError as error:
            found = [str(error)]
        assert found, value


def test_a_beginning_that_is_cut_off_with_its_base_is_found(home: Path) -> None:
    change(
        home,
        "UPDATE audit_head SET base_position = 4, base_digest ="
        " (SELECT digest FROM audit_log WHERE position = 4)",
    )
    change(home, "DELETE FROM audit_log WHERE position <= 4")
    status, output = verify(home)
    assert status == 1
    assert "no entry says that the retention removed them" in output


def test_a_head_that_is_gone_is_told_with_what_to_do(home: Path) -> None:
    change(home, "DELETE FROM audit_head")
    status, output = verify(home)
    assert status == 1
    assert "Traceback" not in output


def test_a_removed_end_is_found_by_an_anchor_even_if_the_head_was_moved(home: Path) -> None:
    anchor = verify(home)[1].split("anchor ")[1].strip()
    change(home, "DELETE FROM audit_log WHERE position > 6")
    change(
        home,
        "UPDATE audit_head SET position = 6, digest ="
        " (SELECT digest FROM audit_log WHERE position = 6)",
    )
    assert verify(home)[0] == 0
    status, output = verify(home, "--anchor", anchor)
    assert status == 1
    assert "position 8, which was noted, is missing" in output


def test_an_anchor_that_is_none_is_refused_with_its_form(home: Path) -> None:
    status, _ = verify(home, "--anchor", "yesterday")
    assert status not in (0, None)

"""`queryrun migrate` from the command line, on both databases: check, dry run, apply, refuse.

Commands that are refused run in a process of their own, whose end prints why; the others in
this one, because a process takes a second for each.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from queryrun.db.migrate import migrations
from queryrun.db.postgres import migrate as postgres_migrate
from queryrun.db.sqlite import migrate as sqlite_migrate
from queryrun.settings import DATABASE_NAME
from queryrun_cli.main import program
from tests.postgres_server import PostgresServer
from tests.postgres_server import postgres_server as postgres_server  # a fixture

NEWEST = migrations("sqlite")[-1].name
UP_TO_DATE = "the database is up to date\n"


@dataclass
class Installation:
    """A home that has been made, and its database."""

    home: Path
    database: str
    run_sql: Callable[[str], list[tuple[Any, ...]]]

    def __call__(self, *arguments: str, migrate: str = "auto") -> Result:
        """Run a command of the program, with `database.migrate` set."""
        environ: dict[str, str | None] = {
            name: None for name in os.environ if name.startswith("QUERYRUN_")
        }
        environ["QUERYRUN_DATABASE__MIGRATE"] = migrate
        return CliRunner().invoke(program(), [*arguments, "--home", str(self.home)], env=environ)

    def refused(self, *arguments: str) -> str:
        """Run a command that is refused, in a process of its own; what it says on stderr alone."""
        environ = {k: v for k, v in os.environ.items() if not k.startswith("QUERYRUN_")}
        done = subprocess.run(
            [sys.executable, "-m", "queryrun.cli", *arguments, "--home", str(self.home)],
            env=environ | {"QUERYRUN_DATABASE__MIGRATE": "manual"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        return done.stderr

    def ok(self, *arguments: str, migrate: str = "auto") -> str:
        """Run a command that succeeds."""
        done = self(*arguments, migrate=migrate)
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout

    @property
    def version(self) -> int:
        """The last migration that is recorded."""
        [(number,)] = self.run_sql("SELECT max(number) FROM schema_version")
        return int(number)


def on_sqlite(home: Path) -> Installation:
    """A database in the home."""
    path = home / DATABASE_NAME

    def run_sql(text: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            if text.startswith("SELECT"):
                return connection.execute(text).fetchall()
            connection.executescript(text)
            return []

    installation = Installation(home, "sqlite", run_sql)
    installation.ok("init")
    return installation


def on_postgres(home: Path, url: str) -> Installation:
    """A database on a server."""
    url_file = home.parent / "url"
    url_file.write_text(url)

    def run_sql(text: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(text.encode())
            return cursor.fetchall() if cursor.description else []

    installation = Installation(home, "postgres", run_sql)
    installation.ok("init", "--database-url-file", str(url_file))
    return installation


@pytest.fixture(params=["sqlite", "postgres"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    """One that is up to date."""
    home = tmp_path / "home"
    if request.param == "sqlite":
        yield on_sqlite(home)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.new_database()
    yield on_postgres(home, server.url(name))
    server.drop_database(name)


@pytest.fixture
def old(installation: Installation) -> Installation:
    """One whose database has the first migration alone."""
    first = migrations(installation.database)[:1]
    if installation.database == "sqlite":
        for path in installation.home.glob(f"{DATABASE_NAME}*"):
            path.unlink()
        installation.run_sql("\n".join(sqlite_migrate.script(first)))
    else:
        installation.run_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        installation.run_sql("\n".join(postgres_migrate.script(first)))
    assert installation.version == 1
    return installation


def test_a_new_database_is_up_to_date(installation: Installation) -> None:
    assert installation.ok("migrate", "--check") == UP_TO_DATE
    assert installation.ok("migrate", "--sql") == ""
    assert installation.ok("migrate") == UP_TO_DATE


def test_a_check_reports_what_is_pending_and_changes_nothing(old: Installation) -> None:
    checked = old("migrate", "--check")
    assert (checked.exit_code, checked.stdout) == (1, f"pending {NEWEST}\n")
    assert old.version == 1


def test_the_dry_run_prints_what_a_database_administrator_can_run(old: Installation) -> None:
    printed = old.ok("migrate", "--sql")
    assert "ALTER TABLE attempts" in printed
    assert old.version == 1
    old.run_sql(printed)
    assert old.ok("migrate", "--check") == UP_TO_DATE
    old.ok("clients", "ls", migrate="manual")


def test_migrate_applies_what_is_pending_once(old: Installation) -> None:
    assert old.ok("migrate", migrate="manual") == f"applied {NEWEST}\n"
    assert old.ok("migrate", migrate="manual") == UP_TO_DATE
    old.ok("clients", "ls", migrate="manual")


def test_a_node_does_not_migrate_where_it_must_not(old: Installation) -> None:
    reported = old.refused("serve", "--port", "0")
    assert NEWEST in reported
    assert "`queryrun migrate`" in reported
    assert old.version == 1


def test_by_default_a_shared_database_in_use_is_left_to_the_operator(old: Installation) -> None:
    opened = old("clients", "ls")
    assert (opened.exit_code == 0) == (old.database == "sqlite")
    assert old.version == (len(migrations("sqlite")) if old.database == "sqlite" else 1)


def test_at_start_a_database_is_migrated(old: Installation) -> None:
    old.ok("clients", "ls", migrate="at_start")
    assert old.version == len(migrations(old.database))


def test_a_database_for_newer_programs_is_refused(installation: Installation) -> None:
    oldest = ", 9999" if installation.database == "postgres" else ""
    installation.run_sql(f"INSERT INTO schema_version VALUES (9999, 'later'{oldest})")
    for options in ((), ("--check",), ("--sql",)):
        reported = installation.refused("migrate", *options)
        assert "9999" in reported
        assert "use a newer program" in reported


def test_check_and_dry_run_exclude_each_other(tmp_path: Path) -> None:
    both = on_sqlite(tmp_path / "home")("migrate", "--check", "--sql")
    assert both.exit_code == 2

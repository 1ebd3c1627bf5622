"""Migrate the database of a home, or print what that would do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from queryrun.cli.private import keep_private
from queryrun.db.migrate import Migration
from queryrun.errors import ConfigurationError
from queryrun.settings import CONFIG_NAME, Settings, load
from queryrun.wiring.database import apply_migrations, migration_script, pending_migrations

PENDING = 1
"""Exit status of `--check` when migrations are pending."""


def apply(home: Path) -> None:
    """Apply what is missing, and print its names."""
    _print_names("applied", apply_migrations(_settings(home)))


def check_home(home: Path) -> None:
    """Print what is pending; exit with `PENDING` if there is anything."""
    pending = pending_migrations(_settings(home))
    _print_names("pending", pending)
    if pending:
        raise typer.Exit(PENDING)


def print_sql(home: Path) -> None:
    """Print every statement that `apply` would execute; nothing when nothing is pending."""
    settings = _settings(home)
    for statement in migration_script(settings, pending_migrations(settings)):
        typer.echo(statement)


def _settings(home: Path) -> Settings:
    if not (home / CONFIG_NAME).exists():
        raise ConfigurationError(f"{home} is not a home yet; `queryrun init --home {home}` first")
    keep_private(home)
    return load(home)


def _print_names(what: str, migrations: Sequence[Migration]) -> None:
    for migration in migrations:
        typer.echo(f"{what} {migration.name}")
    if not migrations:
        typer.echo("the database is up to date")

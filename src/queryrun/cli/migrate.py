"""Migrate the database of a home, or print what that would do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from queryrun.cli.existing import home_settings
from queryrun.db.migrate import Migration
from queryrun.wiring.database import apply_migrations, migration_script, pending_migrations

PENDING = 1
"""Exit status of `--check` when migrations are pending."""


def apply(home: Path) -> None:
    """Apply what is missing, and print its names."""
    _print_names("applied", apply_migrations(home_settings(home)))


def check_home(home: Path) -> None:
    """Print what is pending; exit with `PENDING` if there is anything."""
    pending = pending_migrations(home_settings(home))
    _print_names("pending", pending)
    if pending:
        raise typer.Exit(PENDING)


def print_sql(home: Path) -> None:
    """Print every statement that `apply` would execute; nothing when nothing is pending."""
    settings = home_settings(home)
    for statement in migration_script(settings, pending_migrations(settings)):
        typer.echo(statement)


def _print_names(what: str, migrations: Sequence[Migration]) -> None:
    for migration in migrations:
        typer.echo(f"{what} {migration.name}")
    if not migrations:
        typer.echo("the database is up to date")

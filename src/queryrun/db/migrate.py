"""What the migrations of both databases share: numbered SQL files, each applied once.

`queryrun migrate --sql` prints exactly the statements that are executed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from importlib.resources import files

from queryrun.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file: `0001_first.sql` is number 1."""

    number: int
    name: str
    sql: str = field(repr=False)


class MigrateOnOpen(Enum):
    """Whether opening a database may change its tables."""

    ALWAYS = auto()
    IF_EMPTY = auto()
    """It makes the tables of an empty database. Others are left to `queryrun migrate`."""
    NEVER = auto()


def migrations(database: str) -> list[Migration]:
    """The migrations that come with this program for `sqlite` (a folder's name), in order."""
    folder = files("queryrun.db") / "migrations" / database
    found = [entry for entry in folder.iterdir() if entry.name.endswith(".sql")]
    loaded = [
        Migration(int(entry.name[:4]), entry.name.removesuffix(".sql"), entry.read_text("utf-8"))
        for entry in found
    ]
    return sorted(loaded, key=lambda migration: migration.number)


def check_allowed(on_open: MigrateOnOpen, version: int, pending: Sequence[Migration]) -> None:
    """`ConfigurationError` when migrations are pending and opening must not apply them."""
    allowed = on_open is MigrateOnOpen.ALWAYS or (on_open is MigrateOnOpen.IF_EMPTY and not version)
    if pending and not allowed:
        names = ", ".join(migration.name for migration in pending)
        raise ConfigurationError(
            f"the database lacks migrations ({names}); apply them with `queryrun migrate`"
        )


def version_row(**columns: int | str) -> str:
    """The statement that records a migration. Its values come from the names of our own files, and
    a dry run has to print them, so they are not bound."""
    names = ", ".join(columns)
    values = ", ".join(
        f"'{value}'" if isinstance(value, str) else str(value) for value in columns.values()
    )
    return f"INSERT INTO schema_version ({names}) VALUES ({values});"  # noqa: S608 - no value from outside


def too_new(version: int, oldest_program: int, newest: int) -> ConfigurationError:
    """A database that only newer programs may use is refused."""
    return ConfigurationError(
        f"the database has schema {version}, for programs that know migration {oldest_program};"
        f" this one knows {newest}: use a newer program"
    )


def not_ours(table: str) -> ConfigurationError:
    """A database with tables of another program in it: its tables might have the names of ours."""
    return ConfigurationError(
        f"the database has a table {table!r} and none of this program's: it is another program's, "
        "or was not restored whole; give this one an empty database, or restore its backup"
    )

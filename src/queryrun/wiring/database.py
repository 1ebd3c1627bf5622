"""Settings -> the database: SQLite in the home directory, or a PostgreSQL that nodes share.

The PostgreSQL driver is imported only by nodes that use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from queryrun.db.database import Database
from queryrun.db.migrate import MigrateOnOpen, Migration
from queryrun.db.sqlite import migrate as sqlite_migrate
from queryrun.db.sqlite.database import SqliteDatabase, open_sqlite
from queryrun.extras import require_extra
from queryrun.http.rate_limits import MakeLimiter
from queryrun.settings import DATABASE_NAME, Settings
from queryrun.settings.file import refuse_pipe
from queryrun.wiring.secrets import database_url


def open_database(settings: Settings, now: Callable[[], datetime]) -> Database:
    """Open the node's database, and migrate its schema if `database.migrate` allows it.

    `now` is the clock of SQLite. PostgreSQL has its own clock, which all nodes share.
    """
    if not settings.is_shared:
        return open_sqlite(_sqlite_file(settings), now, _on_open(settings))
    _require_driver()
    from queryrun.db.postgres.connections import ConnectionCounts
    from queryrun.db.postgres.database import PostgresOptions, open_postgres

    return open_postgres(
        database_url(settings),
        PostgresOptions(
            ConnectionCounts.within(settings.database.connections), on_open=_on_open(settings)
        ),
    )


def _sqlite_file(settings: Settings) -> Path:
    path = settings.path(DATABASE_NAME)
    refuse_pipe(path)
    return path


def _require_driver() -> None:
    require_extra("postgres", "the database is a PostgreSQL")


def _on_open(settings: Settings) -> MigrateOnOpen:
    """A database of a single node is migrated with its program: no other node uses it."""
    if settings.database.migrate == "auto":
        return MigrateOnOpen.IF_EMPTY if settings.is_shared else MigrateOnOpen.ALWAYS
    at_start = settings.database.migrate == "at_start"
    return MigrateOnOpen.ALWAYS if at_start else MigrateOnOpen.NEVER


def pending_migrations(settings: Settings) -> list[Migration]:
    """What the database lacks. Changes nothing; `ConfigurationError` when it is too new."""
    if not settings.is_shared:
        return sqlite_migrate.pending_in(_sqlite_file(settings))
    _require_driver()
    from queryrun.db.postgres.database import pending_at

    return pending_at(database_url(settings))


def migration_script(settings: Settings, pending: Sequence[Migration]) -> Iterator[str]:
    """The statements that `apply_migrations` executes for these migrations."""
    if not settings.is_shared:
        return sqlite_migrate.dry_run(pending)
    from queryrun.db.postgres.migrate import dry_run

    return dry_run(pending)


def apply_migrations(settings: Settings) -> list[Migration]:
    """Apply what the database lacks, all of it or nothing; returns what was applied."""
    if not settings.is_shared:
        return sqlite_migrate.migrate_at(_sqlite_file(settings))
    _require_driver()
    from queryrun.db.postgres.database import migrate_at

    return migrate_at(database_url(settings))


def make_limiter(database: Database) -> MakeLimiter | None:
    """Rate limiters that count over all nodes on the database. None: this node counts alone."""
    if isinstance(database, SqliteDatabase):
        return None
    from queryrun.db.postgres.database import PostgresDatabase
    from queryrun.wiring.rates import shared_limiter

    assert isinstance(database, PostgresDatabase)  # noqa: S101 - there are two
    return shared_limiter(database.rates)

"""Settings -> the database: SQLite in the home directory, or a PostgreSQL that nodes share.

The PostgreSQL driver is imported only by nodes that use it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from queryrun.db.database import Database
from queryrun.db.sqlite.database import SqliteDatabase, open_sqlite
from queryrun.http.rate_limits import MakeLimiter
from queryrun.settings import DATABASE_NAME, Settings
from queryrun.wiring.secrets import database_url


def open_database(settings: Settings, now: Callable[[], datetime]) -> Database:
    """Open the node's database and migrate its schema.

    `now` is the clock of SQLite. PostgreSQL has its own clock, which all nodes share.
    """
    if not settings.is_shared:
        return open_sqlite(settings.path(DATABASE_NAME), now)
    from queryrun.db.postgres.database import open_postgres

    return open_postgres(database_url(settings))


def make_limiter(database: Database) -> MakeLimiter | None:
    """Rate limiters that count over all nodes on the database. None: this node counts alone."""
    if isinstance(database, SqliteDatabase):
        return None
    from queryrun.db.postgres.database import PostgresDatabase
    from queryrun.wiring.rates import shared_limiter

    assert isinstance(database, PostgresDatabase)  # noqa: S101 - there are two
    return shared_limiter(database.rates)

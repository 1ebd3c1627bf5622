"""Settings -> the database: SQLite in the home directory, or a PostgreSQL that nodes share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from queryrun.db.database import Database
from queryrun.db.sqlite.database import open_sqlite
from queryrun.settings import DATABASE_NAME, Settings, database_url


def open_database(settings: Settings, now: Callable[[], datetime]) -> Database:
    """The node's database, its schema brought up to date. `now` is SQLite's clock; PostgreSQL
    has its own, which all nodes share.

    Imported here: only nodes that share a database need its driver.
    """
    if not settings.is_shared:
        return open_sqlite(settings.path(DATABASE_NAME), now)
    from queryrun.db.postgres.database import open_postgres

    return open_postgres(database_url(settings))

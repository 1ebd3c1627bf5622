"""Bring a PostgreSQL database to the newest schema while other nodes, old ones too, go on.

Expand, then contract. A migration must leave the database usable by the program before it: it
adds tables, and columns that are empty or have a default; what nobody reads any more is removed by
a later migration. Each file says in its first line which program may still use the database after
it (`-- oldest program: N`: one that knows migration N). A program that is older than that, and only
such a one, is refused.
"""

from __future__ import annotations

import re

from queryrun.db.migrate import Migration, migrations
from queryrun.db.postgres.connect import Connection
from queryrun.errors import ConfigurationError

_LOCK = 7100
"""The advisory lock under which migrations are applied: one node migrates, the others wait."""
LOCK_TIMEOUT_MS = 3_000
"""How long a change of a table waits for statements in progress; a queue of waiting readers
behind it would be an outage. Then it gives way, and the node tries again when it next starts."""
_OLDEST = re.compile(r"^-- oldest program: (\d+)$", re.MULTILINE)
_TABLE = (
    "CREATE TABLE IF NOT EXISTS schema_version (number bigint PRIMARY KEY, name text NOT NULL,"
    " oldest_program bigint NOT NULL)"
)
_PRESENT = (
    # Not to_regclass: inside a transaction it may remember that the table was not there before
    # another node made it, whose lock we waited for.
    "SELECT count(*) FROM pg_catalog.pg_class WHERE relname = 'schema_version'"
    " AND relnamespace = current_schema()::regnamespace"
)
_VERSION = "SELECT coalesce(max(number), 0), coalesce(max(oldest_program), 0) FROM schema_version"


def migrate_postgres(connection: Connection) -> None:
    """Apply what is missing, all of it or nothing.

    The connection must be in autocommit. `ConfigurationError` when a migration that this program
    does not know has made the database unusable for it; psycopg's errors when it cannot be
    changed now.
    """
    known = migrations("postgres")
    newest = known[-1].number
    if _check(connection, newest) >= newest:
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s::bigint)", (_LOCK,))
        connection.execute("SELECT set_config('lock_timeout', %s, true)", (str(LOCK_TIMEOUT_MS),))
        connection.execute("SELECT set_config('statement_timeout', '0', true)")
        done = _check(connection, newest)
        if done == 0:
            connection.execute(_TABLE)
        for migration in known:
            if migration.number > done:
                _apply(connection, migration)


def _check(connection: Connection, newest: int) -> int:
    """The last migration that was applied, 0 for none, if this program may use the database."""
    [(present,)] = connection.execute(_PRESENT).fetchall()
    if not present:
        return 0
    [(number, oldest_program)] = connection.execute(_VERSION).fetchall()
    if oldest_program > newest:
        raise ConfigurationError(
            f"the database has schema {number}, for programs that know {oldest_program};"
            f" this one knows {newest}"
        )
    return int(number)


def _apply(connection: Connection, migration: Migration) -> None:
    connection.execute(migration.sql.encode(), prepare=False)
    connection.execute(
        "INSERT INTO schema_version (number, name, oldest_program) VALUES (%s, %s, %s)",
        (migration.number, migration.name, oldest_program_of(migration)),
    )


def oldest_program_of(migration: Migration) -> int:
    """What the file's first line says; a file without it is a mistake of ours."""
    found = _OLDEST.match(migration.sql)
    if found is None:
        raise ValueError(f"{migration.name} does not say which programs it leaves working")
    return int(found[1])

"""Bring a PostgreSQL database to the newest schema while other nodes, old ones too, keep running.

Expand, then contract. A migration must leave the database usable by the program before it: it
adds tables, and columns that are empty or have a default; a later migration removes what is no
longer read. The first line of each file names the oldest program that may use the database after
it (`-- oldest program: N`: one that knows migration N). Only programs older than that are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from queryrun.db.migrate import (
    MigrateOnOpen,
    Migration,
    check_allowed,
    migrations,
    not_ours,
    too_new,
    version_row,
)
from queryrun.db.postgres.connect import Connection

LOCK_TIMEOUT_MS = 3_000
"""How long a change of a table waits for statements in progress; a queue of waiting readers
behind it would be an outage. Then it is aborted, and the migration can be retried."""
_OLDEST = re.compile(r"^-- oldest program: (\d+)$", re.MULTILINE)
_LOCK = "SELECT pg_advisory_xact_lock(7100::bigint);"
"""One node migrates, the others wait."""
_TIMEOUTS = (
    f"SELECT set_config('lock_timeout', '{LOCK_TIMEOUT_MS}', true);",
    "SELECT set_config('statement_timeout', '0', true);",
)
_VERSION_TABLE = (
    "CREATE TABLE IF NOT EXISTS schema_version (number bigint PRIMARY KEY, name text NOT NULL,"
    " oldest_program bigint NOT NULL);"
)
_IS_PRESENT = (
    # Not to_regclass: inside a transaction it may still miss a table that another node created
    # while we waited for its lock.
    "SELECT count(*) FROM pg_catalog.pg_class WHERE relname = 'schema_version'"
    " AND relnamespace = current_schema()::regnamespace"
)
_NAME_TAKEN = (
    "SELECT relname::text FROM pg_catalog.pg_class WHERE relname IN ('runs', 'attempts', 'clients')"
    " AND relnamespace = current_schema()::regnamespace LIMIT 1"
)
_VERSION = "SELECT coalesce(max(number), 0), coalesce(max(oldest_program), 0) FROM schema_version"


def migrate_postgres(
    connection: Connection, on_open: MigrateOnOpen = MigrateOnOpen.ALWAYS
) -> list[Migration]:
    """Apply what is missing, all of it or nothing; returns what was applied.

    The connection must be in autocommit. `ConfigurationError` when a migration that this program
    does not know has made the database unusable for it, or when `on_open` forbids to apply what is
    missing; psycopg's errors when it cannot be changed now.
    """
    missing = pending(connection)
    check_allowed(on_open, _version(connection), missing)
    if not missing:
        return []
    with connection.transaction():
        for statement in (_LOCK, *_TIMEOUTS):
            connection.execute(statement.encode(), prepare=False)
        missing = pending(connection)  # another node may have been first
        for statement in script(missing):
            connection.execute(statement.encode(), prepare=False)
    return missing


def pending(connection: Connection) -> list[Migration]:
    """What is missing. `ConfigurationError` when the database is for newer programs alone.

    Nothing is missing in a newer database that this program may still use: a rolling upgrade is
    in progress.
    """
    known, version = migrations("postgres"), _version(connection)
    return [migration for migration in known if migration.number > version]


def dry_run(missing: Sequence[Migration]) -> Iterator[str]:
    """Every statement that `migrate_postgres` executes for these migrations, except reads."""
    if missing:
        yield from ("BEGIN;", _LOCK, *_TIMEOUTS, *script(missing), "COMMIT;")


def script(missing: Sequence[Migration]) -> Iterator[str]:
    """The statements that apply these migrations; those of one file together."""
    if missing:
        yield _VERSION_TABLE
    for migration in missing:
        yield migration.sql.strip()
        oldest = oldest_program_of(migration)
        yield version_row(number=migration.number, name=migration.name, oldest_program=oldest)


def _version(connection: Connection) -> int:
    """The last migration that was applied, 0 for none, if this program may use the database.

    Other programs may have tables in it, but none with the names of ours.
    """
    [(present,)] = connection.execute(_IS_PRESENT).fetchall()
    if not present:
        if taken := connection.execute(_NAME_TAKEN).fetchall():
            raise not_ours(taken[0][0])
        return 0
    [(number, oldest_program)] = connection.execute(_VERSION).fetchall()
    newest = migrations("postgres")[-1].number
    if oldest_program > newest:
        raise too_new(number, oldest_program, newest)
    return int(number)


def oldest_program_of(migration: Migration) -> int:
    """The number in the file's first line; a file without it is a bug."""
    found = _OLDEST.match(migration.sql)
    if found is None:
        raise ValueError(f"{migration.name} does not say which programs it leaves working")
    return int(found[1])

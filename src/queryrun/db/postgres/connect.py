"""Connections to PostgreSQL: how they are opened, what bounds them, which errors are `Unavailable`.

The URL contains a password: nothing here logs it or puts it into an error.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import StrDumper

from queryrun.causes import chain_of
from queryrun.db.postgres.long_statements import LongStatements
from queryrun.errors import ConfigurationError, Unavailable

Connection = psycopg.Connection[tuple[Any, ...]]

CONNECT_TIMEOUT_S = 5
"""How long opening a connection may take, the server's greeting included."""
STATEMENT_TIMEOUT_MS = 10_000
"""How long the server works on one statement of ours, waiting for locks included."""
IDLE_TIMEOUT_MS = 10_000
"""How long a transaction may wait for its node: a frozen node must not hold a lock forever."""
USER_TIMEOUT_MS = 10_000
"""How long sent bytes may stay unacknowledged before the kernel closes the connection."""

_NETWORK: dict[str, Any] = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "tcp_user_timeout": USER_TIMEOUT_MS,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "application_name": "queryrun",
}
_SESSION = {
    "statement_timeout": str(STATEMENT_TIMEOUT_MS),
    "idle_in_transaction_session_timeout": str(IDLE_TIMEOUT_MS),
    "default_transaction_isolation": "read committed",
    "client_min_messages": "warning",
    # Every statement of ours is served by an index, and a plan that was made while the tables
    # were empty must still be right when they are full.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    # The server closes the connection of a node that died: its locks and slots are released.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "3",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": str(USER_TIMEOUT_MS),
}
_SET = "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) s (name, value)"

_UNAVAILABLE = (
    psycopg.OperationalError,  # the connection, resources, timeouts, disk full, shutting down
    psycopg.InterfaceError,  # used after it broke
    psycopg.errors.ReadOnlySqlTransaction,  # a standby, or a primary that was demoted
    psycopg.errors.IdleInTransactionSessionTimeout,
)


class _KeepableText(StrDumper):
    """Text that PostgreSQL can store: without NUL and without unpaired surrogates.

    Requests with such characters are refused earlier. An error message of an engine, or a path
    with such characters, must not make a statement fail.
    """

    def dump(self, obj: str) -> Buffer | None:
        return obj.replace("\x00", "\ufffd").encode("utf-8", "replace")


def conninfo_of(url: str) -> str:
    """`url` (`postgresql://…`, or libpq's `key=value` form) with the bounds it does not set itself.

    `ConfigurationError` when it cannot be read; the text of the URL is not in it.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error:
        raise ConfigurationError("the database's URL cannot be read") from None
    return make_conninfo("", **{**_NETWORK, **given})


def connect(conninfo: str, *, durable: bool) -> Connection:
    """A connection in autocommit; psycopg's errors are not translated.

    With `durable`, a commit has been flushed to disk (and to synchronous standbys) when it
    returns; without, it survives a killed server process but perhaps not a power cut.
    """
    connection = LongStatements.connect(conninfo, autocommit=True)
    try:
        session = {**_SESSION, "synchronous_commit": "on" if durable else "off"}
        connection.execute(_SET, (list(session), list(session.values())))
        prepare_adapters(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def prepare_adapters(connection: Connection) -> None:
    """One type per Python type, so that a statement is prepared once and not per size of number."""
    connection.adapters.register_dumper(int, Int8Dumper)
    connection.adapters.register_dumper(str, _KeepableText)
    connection.prepare_threshold = 0


_TOO_MANY = ("too many clients", "too many connections", "remaining connection slots")
_AT_START = (
    ("password authentication failed", "put the right password into database.url"),
    ("no password supplied", "put the password into database.url, or name a file in url_file"),
    ("role ", "create the role, or name another in database.url"),
    ("database ", "create it (`createdb`), or name another in database.url"),
    ("no pg_hba.conf entry", "allow this host, role and database in pg_hba.conf"),
    ("permission denied", "grant the role CREATE and USAGE on its schema, and on its tables"),
    ("read-only", "name the primary in database.url: this server is a standby, or set read-only"),
    ("Connection refused", "start PostgreSQL, or correct host and port in database.url"),
    ("resolve host", "correct the host in database.url"),
    ("translate host name", "correct the host in database.url"),
    ("timeout", "check host, port and firewall: nothing answers there"),
    ("starting up", "wait until PostgreSQL has started"),
)
"""What PostgreSQL and its library say, and what to do about it."""


def is_connection_limit(error: BaseException) -> bool:
    """Whether the server refused the connection because it has too many."""
    if isinstance(error, psycopg.errors.TooManyConnections):
        return True
    return isinstance(error, psycopg.OperationalError) and any(w in str(error) for w in _TOO_MANY)


def server_words(error: BaseException) -> str | None:
    """The first line of what the server or its library said. None: an error of something else.

    They name host, role and database, never a password and never a statement: errors that
    quote values have other types.
    """
    cause = next((one for one in chain_of(error) if isinstance(one, _UNAVAILABLE)), None)
    text = "" if cause is None else str(cause).strip()
    return text.splitlines()[0][:300] if text else None


def start_error(error: psycopg.Error) -> BaseException:
    """An error at start as a sentence that says what to do. Others are translated as usual."""
    words = str(error).strip().splitlines()[0][:300] if str(error).strip() else ""
    advice = next((advice for part, advice in _AT_START if part in words), None)
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        advice = _AT_START[5][1]
    if advice is None and not isinstance(error, _UNAVAILABLE):
        return error
    advice = advice or "check database.url"
    return Unavailable(f"PostgreSQL: {words}. What to do: {advice}")


def translated(error: BaseException) -> BaseException:
    """`Unavailable` for a database that cannot be used now; any other error unchanged."""
    if not isinstance(error, _UNAVAILABLE):
        return error
    unavailable = Unavailable("the store cannot be used at the moment")
    unavailable.__cause__ = error
    return unavailable

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
    connection: Connection = psycopg.connect(conninfo, autocommit=True)
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


def translated(error: BaseException) -> BaseException:
    """`Unavailable` for a database that cannot be used now; any other error unchanged."""
    if not isinstance(error, _UNAVAILABLE):
        return error
    unavailable = Unavailable("the store cannot be used at the moment")
    unavailable.__cause__ = error
    return unavailable

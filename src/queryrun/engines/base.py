"""The protocols that every engine implements. Sessions run in the worker process."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol, runtime_checkable

from msgspec import Meta

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from queryrun.sql.trino.markers import Value
    from queryrun.tables.text.requests import CopiesRequest, RequestCopies


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """What one statement may use. `spill_dir` exists and is this session's own."""

    memory_bytes: int
    threads: int
    spill_dir: str
    spill_bytes: int


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a result, named as the client sees it; `type` as DuckDB names it.

    `zone` is the time zone of its instants, where they have another one than the session's.
    """

    name: str
    type: str
    zone: str = ""


def result_columns(names: Iterable[str], types: Iterable[str]) -> list[Column]:
    """The columns of a result: a name that comes again gets a number (contract F2).

    Names that differ by case are different. `names` are those of the statement, `types` DuckDB's.
    """
    given = list(names)
    taken, found = set(given), []
    seen: set[str] = set()
    for name in given:
        own, number = name, 0
        while own in seen or (number and own in taken):
            number += 1
            own = f"{name}_{number}"
        seen.add(own)
        found.append(own)
    return [Column(name, kind) for name, kind in zip(found, types, strict=True)]


@dataclass(frozen=True, slots=True)
class Rows:
    """A result that is ready to be copied out: the encoder's connection and what to read there.

    `relation` is SQL that is put in parentheses (`COPY (SELECT … FROM (relation)) TO …`) and runs
    on `connection`. For DuckDB it is the statement itself; other engines register their Arrow
    batches there, so that one encoder serves all engines. Its columns are `columns` in order; where
    two of these differ by case only, DuckDB calls them otherwise.
    """

    connection: DuckDBPyConnection
    relation: str = field(repr=False)
    columns: Sequence[Column]


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Which rows a statement sees of the tables that it names.

    `deleted_rows` (contract F3): `exclude`, `include` or `only`, for tables that mark theirs.
    `marks_deleted`: whether a boolean column `deleted` does so in every table of the source.
    `org_ids` (contract C10): of tables that have the column `org_column`, only rows with one of
    these ids; with no ids or no column there is no restriction by org.
    """

    deleted_rows: str = "exclude"
    org_column: str = ""
    org_ids: tuple[str, ...] = ()
    marks_deleted: bool = True

    @property
    def deleted_rows_of_source(self) -> str:
        """`deleted_rows`, for engines that know of no table with a mark of its own."""
        return self.deleted_rows if self.marks_deleted else "include"

    @property
    def is_by_org(self) -> bool:
        """Whether rows of other orgs must be kept out."""
        return bool(self.org_column and self.org_ids)


MAX_FIGURE = 2**50
"""More than any attempt reads, writes or takes: what says more is broken. The database adds
thousands of them up."""
Count = Annotated[int, Meta(ge=0, le=MAX_FIGURE)]
MAX_TABLE_NAME_CHARS = 4096


@dataclass(frozen=True, slots=True)
class TableRead:
    """What was read of one table. None: the engine does not say it by table."""

    name: Annotated[str, Meta(max_length=MAX_TABLE_NAME_CHARS)]
    read_bytes: Count | None = None
    read_rows: Count | None = None


@dataclass(frozen=True, slots=True)
class EngineUsage:
    """What an engine counted of one statement. None: it does not say.

    `read_bytes` are those of the columns and parts of files that it read, as stored. `cpu_ms` and
    `peak_memory_bytes` are of a remote engine, in addition to the worker's own; 0 of an embedded
    one, which is the worker. `tables`: of those that were read, as far as the engine tells them
    apart.
    """

    read_bytes: int | None = None
    read_rows: int | None = None
    spilled_bytes: int | None = None
    cpu_ms: int = 0
    peak_memory_bytes: int = 0
    tables: tuple[TableRead, ...] = ()


@dataclass(frozen=True, slots=True)
class EngineProgress:
    """How far a statement is: 0 to 100, or None while the engine cannot say.

    `used` is what a remote engine has counted of it so far, which bounds what it will have used at
    the end from below. An embedded engine says nothing: its process is measured.
    """

    percent: float | None
    used: EngineUsage = EngineUsage()


WORK_PREFIX = "queryrun-"
"""The prefix of the names of all our work in remote engines."""


def work_name(run_id: str, attempt: int) -> str:
    """The name of an attempt's work in a remote engine. It is never used again.

    It is known before anything starts, so the work of an attempt can be found and stopped even
    when the id that the engine gave it has not been received.
    """
    return f"{WORK_PREFIX}{run_id}-{attempt}"


@dataclass(frozen=True, slots=True)
class RemoteEndpoint:
    """The address and credentials of a remote engine, for one entity of one source.

    `options` are the engine's own (`url`, `catalog`, `schema`, `user`, …); `secret` is the
    password or token, and None when there is none.
    """

    options: Mapping[str, str]
    secret: str | None = field(default=None, repr=False)


class RemoteEngine(Protocol):
    """A remote engine as the remote-stop process sees it (`services/remote_stop`): no statements.

    Blocking, and callable from several threads at once. Every call is bounded by the engine
    module's own timeouts (at most `REMOTE_BOUND_S`) and opens what it needs: nothing is kept.
    """

    def stop(self, endpoint: RemoteEndpoint, name: str) -> None:
        """Stop all work of this name. Returns when the engine itself reports that none is left.

        Also for a name that never started anything. The caller has already stopped every process
        that could start work under the name. Raises `RunFailed` (`engine_unavailable`) when the
        engine does not respond or still reports the work after `REMOTE_BOUND_S`: then the stop is
        unconfirmed, and the caller tries again.
        """
        ...

    def names(self, endpoint: RemoteEndpoint) -> list[str]:
        """The names (`WORK_PREFIX`…) of all our work that the engine runs or has queued now.

        Used to find orphaned work. Raises `RunFailed` when the engine does not respond.
        """
        ...

    def check(self, endpoint: RemoteEndpoint) -> None:
        """Return when the engine accepts statements; `RunFailed` says why it does not."""
        ...


REMOTE_BOUND_S = 5.0
"""The maximum duration of one call of a `RemoteEngine`."""


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """A column of a table as metadata statements list it; `type` as Trino names it."""

    name: str
    type: str
    extra: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What is known of a table's data besides its columns; nothing of a remote engine's.

    `files` and `size_bytes` are those of the files that are read, `rows` their number where it is
    known without reading them. `version` differs when the data may. `warnings` say what is passed
    over.
    """

    format: str = ""
    files: int | None = None
    size_bytes: int | None = None
    rows: int | None = None
    version: str = ""
    warnings: tuple[str, ...] = ()


class Catalog(Protocol):
    """Which tables a source has for one entity. Runs in the catalog process; reads no rows."""

    def tables(self) -> list[str]:
        """Their names, in lower case: first those that are quick to describe.

        Raises `RunFailed` if the source is away.
        """
        ...

    def facts(self, name: str) -> TableFacts:
        """What is known of a table that `columns` has been asked for. Never raises `RunFailed`."""
        ...

    def columns(self, name: str) -> list[ColumnInfo] | None:
        """A table's columns in order; None when there is no table of this name (in any case).

        Raises `RunFailed` (`data_unreadable`) for a table whose data cannot be read.
        """
        ...

    def close(self) -> None:
        """Release all resources. Idempotent."""
        ...


class CatalogOpener(Protocol):
    """Opens the catalog of one entity's source (`registry.EngineKind.catalog`)."""

    def __call__(self, options: Mapping[str, str], secret: str | None) -> Catalog:
        """`options` and `secret` as in `SessionOpener`. Raises `RunFailed` when it cannot."""
        ...


@dataclass(frozen=True, slots=True)
class CheckedTable:
    """What reading the whole of a table has shown. `faults`: one sentence each; none is good."""

    name: str
    rows: int | None
    faults: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListedTable:
    """A table of files, without reading its values. `problem` says why it cannot be read."""

    name: str
    facts: TableFacts
    problem: str = ""


class Inspector(Protocol):
    """Reads an entity's files for the operator, without a server. Blocking."""

    def tables(self) -> Iterator[ListedTable]:
        """What every table consists of."""
        ...

    def ignored(self) -> Mapping[str, str]:
        """Entries of the directory that are no table, and what to do about each."""
        ...

    def check(self, names: Sequence[str]) -> Iterator[CheckedTable]:
        """Read all values of these tables, or of all. `ConfigurationError` for no such table."""
        ...

    def draft(self, name: str) -> str:
        """A section for tables.toml. `RunFailed` for a fault that leaves nothing to find out."""
        ...


class InspectorOpener(Protocol):
    """Makes an `Inspector` (`registry.EngineKind.inspector`)."""

    def __call__(self, data_dir: Path) -> Inspector:
        """Reads nothing yet."""
        ...


class RemoteOpener(Protocol):
    """Opens an engine for the remote-stop service (`registry.EngineKind.remote`)."""

    def __call__(self) -> RemoteEngine:
        """Connects to nothing yet."""
        ...


class SessionOpener(Protocol):
    """Opens a session for one entity's source (`registry.EngineKind.session`)."""

    def __call__(
        self,
        options: Mapping[str, str],
        limits: EngineLimits,
        time_zone: str,
        secret: str | None,
    ) -> EngineSession:
        """`options` are the source's settings with the entity's name filled in.

        An embedded engine gets `data_dir` or `database` (a path) and `dialect`; a remote one
        `url`, `catalog`, `schema`, `user`, `auth`, `ui_url`, `name_scope` and `dialect`, and as
        `secret` the password or token. Raises `RunFailed` when the source cannot be opened.
        """
        ...


GiveSocket = Callable[[str], socket.socket]
"""A connected socket, by the name of a connection (`EngineKind.connections`). Raises `OSError`."""


class RelayedSessionOpener(Protocol):
    """A `SessionOpener` of an engine that is reached through a relay."""

    def __call__(
        self,
        options: Mapping[str, str],
        limits: EngineLimits,
        time_zone: str = "UTC",
        secret: str | None = None,
        *,
        give: GiveSocket | None = None,
    ) -> EngineSession:
        """`give` is where every connection comes from; None: it makes them itself."""
        ...


class RelayConnection(Protocol):
    """Passes on what a worker says to its engine (`registry.EngineKind.relay`)."""

    def __call__(
        self, connection: socket.socket, options: Mapping[str, str], secret: str | None
    ) -> None:
        """Serve until either side closes, and close it. Blocking; in a thread of its own."""
        ...


@runtime_checkable
class TracedSession(Protocol):
    """An `EngineSession` that can tell its engine which trace the work belongs to."""

    def set_traceparent(self, traceparent: str) -> None:
        """The span (W3C Trace Context) of the next statement; empty: none. Before `plan`."""
        ...


@runtime_checkable
class CopyingSession(Protocol):
    """An `EngineSession` or an estimator that reads copies of text files and writes none."""

    def set_copies(self, request: RequestCopies) -> None:
        """Where copies are made that are missing. Before `plan`."""
        ...


class CopiesWriter(Protocol):
    """Makes the copies of a table's text files (`registry.EngineKind.copies`)."""

    def __call__(
        self, options: Mapping[str, str], limits: EngineLimits, request: CopiesRequest
    ) -> None:
        """Returns when they are there, or when there is nothing to convert: then whoever asked
        finds out. Raises `RunFailed`."""
        ...


class EngineSession(Protocol):
    """One opened source, good for one statement, and for another after each `renew`."""

    @property
    def output_path(self) -> str:
        """The one path that the encoder may write to on the connection: a named pipe of ours.

        Nothing exists there yet. It is chosen when the session opens, because afterwards the
        configuration is locked, and no path can be added to those that the connection may access.
        """
        ...

    def plan(
        self,
        statement: str,
        row_filter: RowFilter | None = None,
        name: str = "",
        values: Sequence[Value] = (),
    ) -> Rows:
        """Bind the statement and return its columns and rows. Embedded engines compute later.

        `row_filter` says which rows the statement may see; None is `RowFilter()`. `name`
        (`work_name`) is the name of the work in a remote engine, set before it starts; embedded
        engines ignore it. `values` are those of `?` and `:name` in Trino's SQL.

        Raises `RunFailed` with line and column for a statement the engine refuses.
        """
        ...

    def failure_of(self, error: BaseException, relation_at: int = 0) -> BaseException:
        """Translate the engine's own error into `RunFailed`; other errors come back as they are.

        `relation_at` is where `Rows.relation` began, in bytes, in the SQL that raised the error;
        line and column are counted from there.
        """
        ...

    def verify_rows(self) -> None:
        """Return when the rows may be told: they are of one version of the data, and none of them
        hides what is not supported. Called once all have been read, before a result counts.

        Raises `RunFailed`: `data_changed` when files were written while the statement read them,
        `not_supported` when TRY made NULL of a value that the engine has no result for, and Trino
        may have one. Remote engines promise what their tables do, and return.
        """
        ...

    def interrupt(self) -> None:
        """Ask the running statement to stop. Callable from another thread, any number of times.

        Promises nothing: a statement may ignore it, and an interrupt between two steps is lost.
        A caller that needs certainty repeats it, and then kills the process.
        """
        ...

    def progress(self) -> EngineProgress:
        """How far the running statement is. Callable from another thread; never raises."""
        ...

    def usage(self) -> EngineUsage:
        """What the engine counted of the statement that ended last. Called before `renew`.

        Of a statement that failed it may know nothing. Never raises.
        """
        ...

    def renew(self) -> bool:
        """Reset the session for another statement, which is much faster than opening one.

        False when the session cannot be reset: close it, and open another.
        """
        ...

    def close(self) -> None:
        """Release memory, spill files and connections. Idempotent."""
        ...

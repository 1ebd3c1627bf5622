"""The Engine protocol: what anything that executes SQL must offer. Runs in the worker process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """What one statement may use. `spill_dir` exists and is this session's own."""

    memory_bytes: int
    threads: int
    spill_dir: str
    spill_bytes: int


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a result, named as the client sees it; `type` in DuckDB's words."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Rows:
    """A result that is ready to be copied out: the encoder's connection and what to read there.

    `relation` is SQL that stands in parentheses (`COPY (SELECT … FROM (relation)) TO …`) on
    `connection`. For DuckDB that is the statement itself; other engines register their Arrow
    batches there. So one encoder serves them all.
    """

    connection: DuckDBPyConnection
    relation: str = field(repr=False)
    columns: Sequence[Column]


@dataclass(frozen=True, slots=True)
class Visible:
    """Which rows a statement sees of the tables that it names.

    `deleted_rows` (contract F3): `exclude`, `include` or `only`, for tables that mark theirs.
    `org_ids` (contract C10): of tables that have the column `org_column`, only rows with one of
    these ids; with no ids or no column there is no restriction by org.
    """

    deleted_rows: str = "exclude"
    org_column: str = ""
    org_ids: tuple[str, ...] = ()

    @property
    def is_by_org(self) -> bool:
        """Whether rows of other orgs must be kept out."""
        return bool(self.org_column and self.org_ids)


@dataclass(frozen=True, slots=True)
class EngineProgress:
    """How far a statement is: 0 to 100, or None while the engine cannot say."""

    percent: float | None


class EngineSession(Protocol):
    """One opened source, good for one statement, and for another after each `renew`."""

    @property
    def handle(self) -> str:
        """What any process needs to stop this session's work; opaque outside its engine."""
        ...

    @property
    def output_path(self) -> str:
        """The one path that the encoder may write to on the connection: a named pipe of ours.

        Nothing is there yet. It is chosen when the session opens, because afterwards nobody,
        we included, can widen what the connection may touch.
        """
        ...

    def plan(self, statement: str, visible: Visible | None = None) -> Rows:
        """Bind the statement and say what it returns. Nothing has been computed yet.

        `visible` says which rows the statement may see; None is `Visible()`.

        Raises `RunFailed` with line and column for a statement the engine refuses.
        """
        ...

    def failure_of(self, error: BaseException, relation_at: int = 0) -> BaseException:
        """Translate the engine's own error into `RunFailed`; other errors come back as they are.

        `relation_at` is where `Rows.relation` began, in bytes, in the SQL that raised the error;
        line and column are counted from there.
        """
        ...

    def interrupt(self) -> None:
        """Ask the running statement to stop. Callable from another thread, any number of times.

        Promises nothing: a statement may ignore it, and one that lands between two steps is
        lost. Whoever needs certainty repeats it, and then kills.
        """
        ...

    def progress(self) -> EngineProgress:
        """How far the running statement is. Callable from another thread; never raises."""
        ...

    def renew(self) -> bool:
        """Forget the last statement and be as good as newly opened, in much less time.

        False when that cannot be promised any more: close, and open another.
        """
        ...

    def close(self) -> None:
        """Give everything back: memory, spill files, connections. Idempotent."""
        ...

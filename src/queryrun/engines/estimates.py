"""What a statement would read, before it runs: the records, and what an engine offers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from queryrun.engines.base import RowFilter

if TYPE_CHECKING:  # a node has these records, and no compiler
    from queryrun.sql.trino.markers import Value


class Certainty(StrEnum):
    """How far an estimate can be trusted."""

    EXACT = "exact"
    """What the run reads, unless the data changes."""
    UPPER_BOUND = "upper_bound"
    """The run may read less: a filter may rule out whole parts, a LIMIT may be reached."""
    ESTIMATED = "estimated"
    """The engine's own statistics say so."""
    UNKNOWN = "unknown"
    """Nobody knows without reading."""


@dataclass(frozen=True, slots=True)
class TableEstimate:
    """What a statement would read of one table. None: unknown.

    `files` and `partitions` are those left after pruning, of `all_files` and `all_partitions`;
    `partitions` is None for a table without any. `read_bytes` are those of columns and row groups
    as stored, which is what usage counts; of a remote engine, what its statistics say.
    """

    name: str
    columns: tuple[str, ...] | None = None
    files: int | None = None
    all_files: int | None = None
    partitions: int | None = None
    all_partitions: int | None = None
    read_rows: int | None = None
    read_bytes: int | None = None
    certainty: Certainty = Certainty.UNKNOWN


@dataclass(frozen=True, slots=True)
class StatementEstimate:
    """A statement that could be planned: its columns (names and Trino's types), its tables."""

    columns: tuple[tuple[str, str], ...]
    tables: tuple[TableEstimate, ...]

    @property
    def certainty(self) -> Certainty:
        """Of the whole: that of its least certain table."""
        return max((one.certainty for one in self.tables), key=_ORDER.index, default=_ORDER[0])

    @property
    def read_bytes(self) -> int | None:
        """Of all tables; None when one of them is unknown."""
        return _sum(one.read_bytes for one in self.tables)

    @property
    def read_rows(self) -> int | None:
        """Of all tables; None when one of them is unknown."""
        return _sum(one.read_rows for one in self.tables)


def unknown_tables(names: Iterable[str]) -> tuple[TableEstimate, ...]:
    """Tables that are read, and nobody says how much of them."""
    return tuple(TableEstimate(name) for name in sorted(names))


_ORDER = (Certainty.EXACT, Certainty.UPPER_BOUND, Certainty.ESTIMATED, Certainty.UNKNOWN)


def _sum(values: Iterable[int | None]) -> int | None:
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total


class Estimator(Protocol):
    """Estimates statements on one entity's source. Runs in a process of its own; reads no rows."""

    def estimate(
        self, statement: str, row_filter: RowFilter, values: Sequence[Value] = ()
    ) -> StatementEstimate:
        """Plan the statement; `values` are those of `?` and `:name`.

        Raises `RunFailed` as the run would before it reads anything.
        """
        ...

    def prepare(self) -> None:
        """Get ready for another statement. Nobody waits: the response is sent."""
        ...

    def release_files(self) -> None:
        """Close files that are kept for a further statement: none has come for a while."""
        ...

    def close(self) -> None:
        """Release all resources. Idempotent."""
        ...


class EstimatorOpener(Protocol):
    """Opens an estimator (`registry.EngineKind.estimator`)."""

    def __call__(
        self, options: Mapping[str, str], secret: str | None, work_dir: str, time_zone: str
    ) -> Estimator:
        """`options` and `secret` as in `SessionOpener`; `work_dir` is an empty directory of the
        process's own. Raises `RunFailed` when the source cannot be opened."""
        ...

"""The outcome of one statement of the suite: equal, refused, or (never) different."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from queryrun.errors import FailureCode
from tests.differential.compare import (
    APPROXIMATE_TOLERANCE,
    TOLERANCE,
    differences,
    same_names,
    same_type,
)
from tests.differential.engine_harness import DuckDBSide, OurResult, write_tables
from tests.differential.suite import TPCDS, Case, Recorded
from tests.differential.tpcds_tables import FILES as TPCDS_FILES

EQUAL, REFUSED, DIFFERENT = "equal", "refused", "different"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`note` is why a statement was refused, or what differs."""

    verdict: str
    note: str = ""


class Side(Protocol):
    """One side: runs statements over one schema."""

    def run(self, statement: str) -> OurResult:
        """Run one statement to its end."""
        ...


@contextmanager
def our_sides(directory: Path) -> Iterator[dict[str, DuckDBSide]]:
    """A session over the suite's tables for each schema; made in a new directory."""
    write_tables(directory / "data")
    sides = {
        "default": DuckDBSide(directory / "data", directory / "spill"),
        TPCDS: DuckDBSide(TPCDS_FILES, directory / "spill-tpcds"),
    }
    try:
        yield sides
    finally:
        for side in sides.values():
            side.close()


def outcome(
    case: Case, recorded_results: Mapping[str, Recorded], sides: Mapping[str, Side]
) -> Outcome:
    """Run the statement on our side, and compare with Trino's result.

    Where Trino fails we must fail or refuse; otherwise we must return the same result or refuse.
    """
    trino, ours = recorded_results[case.sql], sides[case.schema].run(case.sql)
    failure = ours.failure
    if failure and (failure.code is FailureCode.NOT_SUPPORTED or _refused_late(failure.message)):
        return Outcome(REFUSED, failure.message)
    if trino.error:
        return Outcome(EQUAL if failure else DIFFERENT, f"Trino: {trino.error}")
    if failure:
        return Outcome(DIFFERENT, f"we fail: {failure.message}")
    note = _shape(trino, ours) or differences(
        trino.rows,
        ours.rows,
        ours.kinds,
        is_ordered=case.is_ordered,
        tolerance=APPROXIMATE_TOLERANCE if case.is_approximate else TOLERANCE,
    )
    return Outcome(DIFFERENT if note else EQUAL, note)


def _refused_late(message: str) -> bool:
    """Some values can only be refused once they are seen."""
    return "is not supported" in message


def _shape(trino: Recorded, ours: OurResult) -> str:
    """What differs in the columns; the type of a column that is all nulls does not count."""
    if len(trino.columns) != len(ours.kinds):
        return f"{len(trino.columns)} columns from Trino, {len(ours.kinds)} from us"
    if not same_names([name for name, _ in trino.columns], ours.names):
        return f"Trino names {trino.columns}, we {ours.names}"
    for number, ((_, kind), our_type) in enumerate(zip(trino.columns, ours.kinds, strict=True)):
        has_values = any(row[number] is not None for row in trino.rows)
        if has_values and not same_type(kind, our_type):
            return f"Trino has the type {kind}, we {our_type}"
    return ""

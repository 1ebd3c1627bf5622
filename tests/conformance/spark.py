"""Samples of Trino's own statements on a Spark: `python -m tests.conformance.spark --url sc://…`.

Two samples, each drawn by the statements' digests: the first is what the translation was built
with, the second one was not looked at. What Trino makes of them is recorded already (`record`).
A verdict is kept as long as the translation is the same text; a wrong error, which may be that of a
busy machine, is asked again. `--figures` writes what is committed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any
from uuid import uuid4

from queryrun.errors import Failure, FailureCode, RunFailed
from queryrun.sql.compile.scope import Location
from queryrun.sql.spark.translate import SparkTables, Translated, to_spark
from tests.conformance.extract import Statement, is_beyond, statements
from tests.conformance.fetch import CACHE, found
from tests.conformance.recorded import read_recorded
from tests.conformance.report import causes, full, table
from tests.conformance.sides import write_tables
from tests.conformance.verdicts import DIFFERENT, ONLY_WE, REFUSED, WRONG_ERROR, Verdict, verdict
from tests.differential.engine_harness import OurResult
from tests.differential.spark_side import SparkSide, spark_side
from tests.differential.suite import Recorded

FIGURES = Path(__file__).parent / "spark_figures.json"
_VERDICTS = CACHE / "spark_verdicts.jsonl"
SAMPLES = ("built with", "not looked at")
_RANGES = {
    "built with": {"queries": (0, 150), "functions": (0, 350), "documentation": (0, 100)},
    "not looked at": {"queries": (300, 350), "functions": (500, 620), "documentation": (200, 240)},
}
"""In the order of a digest. Between the two are statements that were looked at on the way."""
_LOCATION = Location("tpch", "tiny")
_AT_ONCE = 4
_TOGETHER = 12
"""A statement costs Spark as much as a dozen values in one."""
_BOUND_S = 120.0
"""What one statement may take."""


class _BoundedSide(SparkSide):
    """Stops a statement that takes too long."""

    def _alone(self, made: Translated) -> OurResult:
        tag = f"conformance-{uuid4().hex}"
        is_late = threading.Event()

        def stop() -> None:
            is_late.set()
            self._session.interruptTag(tag)

        timer = threading.Timer(_BOUND_S, stop)
        self._session.addTag(tag)
        timer.start()
        try:
            found = super()._alone(made)
        finally:
            timer.cancel()
            self._session.removeTag(tag)
        if is_late.is_set():
            late = Failure(FailureCode.TIME_LIMIT_EXCEEDED, "It takes too long")
            return OurResult([], [], [], late)
        return found


def sample(everything: Sequence[Statement], name: str) -> list[Statement]:
    """The statements of one sample; no statement is in both."""
    chosen: list[Statement] = []
    for kind, (start, end) in _RANGES[name].items():
        chosen += sorted((s for s in everything if s.kind == kind), key=_order)[start:end]
    return chosen


def _order(statement: Statement) -> str:
    return hashlib.sha256(f"spark {statement.key}".encode()).hexdigest()


def judged(side: SparkSide, requested: Sequence[Statement]) -> dict[str, Verdict]:
    """The verdicts by the statements' keys; asked of Spark only where the translation is new."""
    recorded, known = read_recorded(), _read()
    digests = {one.key: f"{one.key} {_digest(one, side.tables())}" for one in requested}
    missing = [one for one in requested if digests[one.key] not in known]
    scalars = [one for one in missing if _is_scalar(recorded[one.key])]
    batches = [scalars[start : start + _TOGETHER] for start in range(0, len(scalars), _TOGETHER)]
    batches += [[one] for one in missing if not _is_scalar(recorded[one.key])]
    with ThreadPoolExecutor(_AT_ONCE) as pool, _VERDICTS.open("a") as file:
        tasks = [pool.submit(_verdicts, side, batch, recorded) for batch in batches]
        for task in as_completed(tasks):
            for key, result in task.result():
                known[digests[key]] = result
                file.write(json.dumps([digests[key], result.verdict, result.note]) + "\n")
            file.flush()
    return {key: known[digest] for key, digest in digests.items()}


def _is_scalar(trino: Recorded) -> bool:
    """Whether it came to one value, and can be one column of many."""
    return not trino.error and len(trino.columns) == len(trino.rows) == 1


def _verdicts(
    side: SparkSide, batch: Sequence[Statement], recorded: Mapping[str, Recorded]
) -> list[tuple[str, Verdict]]:
    results = side.run_together([one.sql for one in batch])
    return [
        (one.key, verdict(one.sql, recorded[one.key], ours))
        for one, ours in zip(batch, results, strict=True)
    ]


def _digest(statement: Statement, tables: SparkTables) -> str:
    """Of the translation over tables called by their own names, and of its columns."""
    try:
        made = to_spark(statement.sql, lambda _: SparkTables(tables.columns, {}, tables.location))
        text = f"{made.sql} {made.columns}"
    except RunFailed as failed:
        text = f"{failed.failure.code} {failed.failure.message}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _read() -> dict[str, Verdict]:
    if not _VERDICTS.is_file():
        return {}
    entries = map(json.loads, _VERDICTS.read_text().splitlines())
    return {digest: Verdict(kind, note) for digest, kind, note in entries if kind != WRONG_ERROR}


def _figures(requested: Sequence[Statement], verdicts: Mapping[str, Verdict]) -> dict[str, Any]:
    return {
        "table": table(requested, verdicts),
        "left": {
            kind: [[what, len(one)] for what, one in causes(requested, verdicts, kind)]
            for kind in (DIFFERENT, WRONG_ERROR, ONLY_WE, REFUSED)
        },
    }


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="a Spark Connect server that runs already")
    parser.add_argument("--sample", choices=SAMPLES, action="append")
    parser.add_argument("--figures", action="store_true", help="write what is committed")
    options = parser.parse_args()
    recorded = read_recorded()
    everything = [s for s in statements(found()) if s.key in recorded and not is_beyond(s)]
    figures = json.loads(FIGURES.read_text("utf-8")) if FIGURES.is_file() else {}
    with spark_side(options.url, write_tables(), _LOCATION, _BoundedSide) as side:
        for name in options.sample or SAMPLES:
            requested = sample(everything, name)
            verdicts = judged(side, requested)
            figures[name] = _figures(requested, verdicts)
            print(f"# {name}\n{full(requested, verdicts)}")
    if options.figures:
        FIGURES.write_text(json.dumps(figures, indent=0, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()

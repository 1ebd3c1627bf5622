"""Every recorded statement requested of us: a stop loses nothing, a change of ours starts anew."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

from tests.conformance.extract import Statement, is_beyond
from tests.conformance.fetch import CACHE
from tests.conformance.recorded import read_recorded
from tests.conformance.sides import BoundedSide, write_tables
from tests.conformance.verdicts import Verdict, verdict
from tests.differential.suite import Recorded

_SOURCE = Path(__file__).parents[2] / "src" / "queryrun"
_HERE = Path(__file__).parent
_JUDGE = [
    *(_HERE / f"{name}.py" for name in ("extract", "java_text", "sides", "verdicts")),
    *(_HERE.parent / "differential" / f"{name}.py" for name in ("compare", "engine_harness")),
]
"""What a verdict depends on, beside our sources."""
_AT_ONCE = 200
_PROCESSES = 2


@contextmanager
def our_side() -> Iterator[BoundedSide]:
    """A session over the tables of Trino's tests."""
    with tempfile.TemporaryDirectory() as spill:
        side = BoundedSide(write_tables(), Path(spill), ("tpch", "tiny"))
        try:
            yield side
        finally:
            side.close()


def judged(
    statements: Sequence[Statement], progress: Callable[[int], None] = lambda _: None
) -> dict[str, Verdict]:
    """The verdicts by the statements' keys, as far as Trino's responses are recorded."""
    recorded = read_recorded()
    known = _read(_file())
    requested = [s for s in statements if s.key in recorded and not is_beyond(s)]
    missing = [(s.key, s.sql, recorded[s.key]) for s in requested if s.key not in known]
    batches = [missing[start : start + _AT_ONCE] for start in range(0, len(missing), _AT_ONCE)]
    write_tables()
    with _file().open("a") as file, get_context("spawn").Pool(_PROCESSES) as pool:
        for done, batch in enumerate(pool.imap_unordered(_batch, batches), 1):
            file.writelines(json.dumps([k, v.verdict, v.note]) + "\n" for k, v in batch)
            file.flush()
            known.update(batch)
            progress(done * _AT_ONCE)
    return {s.key: known[s.key] for s in requested}


def _batch(requested: Sequence[tuple[str, str, Recorded]]) -> list[tuple[str, Verdict]]:
    with our_side() as side:
        return [(key, verdict(sql, trino, side.run(sql))) for key, sql, trino in requested]


def _read(path: Path) -> dict[str, Verdict]:
    if not path.is_file():
        return {}
    entries = map(json.loads, path.read_text().splitlines())
    return {key: Verdict(kind, note) for key, kind, note in entries}


def _file() -> Path:
    """One for each state of our sources and of the judge."""
    digest = hashlib.sha256()
    files = [*_SOURCE.glob("sql/**/*.py"), *_SOURCE.glob("engines/duckdb/**/*.py")]
    for path in sorted([*files, *_JUDGE]):
        digest.update(path.read_bytes())
    directory = CACHE / "verdicts"
    directory.mkdir(exist_ok=True)
    return directory / f"{digest.hexdigest()[:16]}.jsonl"

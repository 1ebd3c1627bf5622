"""Generated expressions: what a real Trino makes of them, recorded, and compared with ours.

A recording goes on where it stopped, and is compared anew after each change of ours.
"""

from __future__ import annotations

import json
import math
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from threading import Lock, local
from typing import Any

from queryrun.errors import FailureCode
from tests.conformance.edges import create_tables, write_tables
from tests.conformance.fetch import CACHE
from tests.conformance.generate import Generated, statements
from tests.conformance.sides import BoundedSide
from tests.differential import compare
from tests.differential.engine_harness import OurResult
from tests.differential.trino_client import TrinoClient, TrinoResult

_AGGREGATED = re.compile(r"avg|sum|stddev|var|corr|covar|regr|geometric|skew|kurt|entropy", re.I)
_TOLERANCE, _AGGREGATED_TOLERANCE = 1e-13, 1e-7
_THREADS = 3
_PROCESSES = 2
_CONSTANT = re.compile(r"CAST\((?:[^()']|'[^']*'|\([^()]*\))* AS ([^()]*(?:\([^()]*\))?[^()]*)\)")
_LINE = re.compile(r"line (\d+):\d+: ")
_SESSION = "query_max_execution_time=60s"


def recording(seed: int) -> Path:
    """Where Trino's responses to the statements of one seed are kept."""
    return CACHE / f"generated-{seed}.jsonl"


def record(url: str, seed: int, count: int, progress: Callable[[int], None]) -> None:
    """Ask Trino what is not recorded yet, several statements at a time."""
    create_tables(TrinoClient(url))
    file = recording(seed)
    known = _numbers(file)
    missing = [(n, one) for n, one in enumerate(statements(seed, count)) if n not in known]
    lock, own, failing = Lock(), local(), Failing()
    with file.open("a", encoding="utf-8") as written, ThreadPoolExecutor(_THREADS) as threads:

        def query(numbered: tuple[int, Generated]) -> int:
            number, one = numbered
            if not hasattr(own, "client"):
                own.client = TrinoClient(url, session=_SESSION)
            parts = list(_responses(own.client, one, failing))
            with lock:
                written.write(json.dumps({"number": number, "parts": parts}) + "\n")
                written.flush()
            return len(one.items)

        done = 0
        for items in threads.map(query, missing):
            done += items
            progress(done)


def _numbers(file: Path) -> set[int]:
    if not file.is_file():
        return set()
    with file.open(encoding="utf-8") as lines:
        return {json.loads(line)["number"] for line in lines}


class Failing:
    """Expressions that are not asked again, because one like them fails a whole statement.

    What is refused is like what has the same types; what fails despite TRY is like what calls the
    same function.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def refused(self, item: str) -> None:
        """Trino refuses its types."""
        self._counts[_shape(item)] += 1

    def failed(self, item: str) -> None:
        """It fails with values, in a way that TRY does not catch."""
        self._counts[_called(item)] += 1

    def __contains__(self, item: str) -> bool:
        return self._counts[_shape(item)] > 1 or self._counts[_called(item)] > 1


def _shape(item: str) -> str:
    return _CONSTANT.sub(r"\1", item)


def _called(item: str) -> str:
    """The function that an expression calls first; the whole of it if there is none."""
    match = re.match(r'(?:TRY\()?"?(\w+)"?\(', item)
    return match[1] if match else _shape(item)


def _responses(client: TrinoClient, one: Generated, failing: Failing) -> Iterator[dict[str, Any]]:
    """What Trino makes of one statement: in parts, because one failure fails all of it."""
    items = [item for item in one.items if item not in failing]
    while items:
        result = client.query(one.sql(items))
        if not result.error:
            yield _part(one, items, result)
            return
        match = _LINE.match(result.message)
        number = Generated.item_at(int(match[1])) if match else -1
        if 0 <= number < len(items):
            failing.refused(items[number])
            yield _part(one, [items.pop(number)], result)
        elif len(items) == 1:
            failing.failed(items[0])
            yield _part(one, items, result)
            return
        else:
            middle = len(items) // 2
            for half in (items[:middle], items[middle:]):
                yield from _responses(client, Generated(one.head, half, one.tail), failing)
            return


def _part(one: Generated, items: Sequence[str], result: TrinoResult) -> dict[str, Any]:
    requested = {"head": one.head, "items": list(items), "tail": one.tail}
    if result.error:
        return requested | {"error": result.error, "message": result.message[:300]}
    return requested | {"columns": result.columns, "rows": result.rows}


@dataclass(slots=True)
class Found:
    """What came out: `both` were compared, one by one; `differences` have expression and cause."""

    both: int = 0
    both_fail: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    differences: list[tuple[str, str]] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    only_we: list[tuple[str, str]] = field(default_factory=list)
    """What comes out here and fails in Trino."""
    contradictions: Counter[str] = field(default_factory=Counter)
    """What has no one result in Trino itself, by the reason."""

    @property
    def count(self) -> int:
        """Expressions in all."""
        others = len(self.failures) + len(self.only_we)
        return self.both + self.both_fail + self.refused.total() + others

    def add(self, other: Found) -> None:
        """What came out of others, too."""
        self.both += other.both
        self.both_fail += other.both_fail
        self.refused += other.refused
        self.differences += other.differences
        self.failures += other.failures
        self.only_we += other.only_we
        self.contradictions += other.contradictions


def judge(files: Sequence[Path], progress: Callable[[Found], None]) -> Found:
    """Compare everything recorded with what comes out here."""
    found = Found()
    write_tables()
    lines = (line for file in files for line in file.read_text("utf-8").splitlines())
    with get_context("spawn").Pool(_PROCESSES, _open) as pool:
        for one in pool.imap_unordered(_judged, lines):
            found.add(one)
            progress(found)
    return found


_sides: list[BoundedSide] = []
"""The one session of a process."""


def _open() -> None:
    _sides.append(BoundedSide(write_tables(), Path(tempfile.mkdtemp())))


def _judged(line: str) -> Found:
    found = Found()
    for part in json.loads(line)["parts"]:
        one = Generated(part["head"], part["items"], part["tail"])
        if "error" in part:
            _judge_failure(found, one, f"{part['error']}: {part['message']}")
        else:
            columns = [(name, kind) for name, kind in part["columns"]]
            _compare(found, one, TrinoResult(columns, part["rows"]))
    return found


def _judge_failure(found: Found, one: Generated, message: str) -> None:
    ours = _sides[0].run(one.sql(one.items))
    if ours.failure is None:
        found.only_we.append((one.items[0], message))
    elif _is_refused(ours):
        found.refused[_cause(ours)] += 1
    else:
        found.both_fail += 1


def _compare(found: Found, one: Generated, trino: TrinoResult) -> None:
    """All at once; where some fail here, without those that do."""
    if not one.items:
        return
    keys = len(trino.columns) - len(one.items)
    ours = _sides[0].run(one.sql(one.items))
    if ours.failure is None:
        _compare_values(found, one.items, trino, ours, keys)
        return
    number = Generated.item_at(ours.failure.line or 0)
    if len(one.items) == 1 or 0 <= number < len(one.items):
        number = max(number, 0) if len(one.items) > 1 else 0
        _note_failure(found, one.items[number], ours)
        rest = [n for n in range(len(one.items)) if n != number]
        _compare(found, _some(one, rest), _columns(trino, keys, rest))
        return
    middle = len(one.items) // 2
    for half in (range(middle), range(middle, len(one.items))):
        _compare(found, _some(one, half), _columns(trino, keys, half))


def _note_failure(found: Found, item: str, ours: OurResult) -> None:
    if _is_refused(ours):
        found.refused[_cause(ours)] += 1
    elif ours.failure:
        found.failures.append((item, f"{ours.failure.code}: {ours.failure.message}"))


def _is_refused(ours: OurResult) -> bool:
    failure = ours.failure
    return failure is not None and (
        failure.code is FailureCode.NOT_SUPPORTED or "is not supported" in failure.message
    )


def _cause(ours: OurResult) -> str:
    assert ours.failure
    return re.sub(r"'[^']*'|\d+", "…", ours.failure.message)[:120]


def _some(one: Generated, numbers: Sequence[int]) -> Generated:
    return Generated(one.head, [one.items[n] for n in numbers], one.tail)


def _columns(trino: TrinoResult, keys: int, numbers: Sequence[int]) -> TrinoResult:
    """The keys and some of the columns of a result."""
    chosen = [*range(keys), *(keys + n for n in numbers)]
    rows = [[row[n] for n in chosen] for row in trino.rows]
    return TrinoResult([trino.columns[n] for n in chosen], rows)


def _compare_values(
    found: Found, items: Sequence[str], trino: TrinoResult, ours: OurResult, keys: int
) -> None:
    for number, item in enumerate(items, keys):
        found.both += 1
        kind, our_kind = trino.columns[number][1], ours.kinds[number]
        note = "" if compare.same_type(kind, our_kind) else f"type: Trino {kind}, we {our_kind}"
        note = note or _difference(trino.rows, ours, number, item)
        if note and (reason := _contradiction(item, trino.rows, ours, number)):
            found.contradictions[reason] += 1
        elif note:
            found.differences.append((item, note))


_CONTRADICTIONS = (
    (
        re.compile(r"c_real (?:NOT )?IN \(.*nan\(\)"),
        "a REAL that is NaN is IN a list with NaN of a table's rows, and is not of VALUES",
    ),
    (
        re.compile(r"c_timestamp_3__with_time_zone (?:NOT )?IN \(.*NULL"),
        "a moment is IN a list, and is not once the list has a NULL too",
    ),
    (
        re.compile(r"\(c_decimal_38_10 / "),
        "a quotient of more than 38 digits wraps around: 1234567890123456789012345678.9 / 0.05 is "
        "below zero",
    ),
    (
        re.compile(r"to_ieee754_64.*-0e0"),
        "-0e0 is 0e0 where a statement has both",
    ),
)
"""Questions to which Trino 476 has two answers, or one that cannot be: each was asked by itself."""
_BY_CHANCE = {
    re.compile(r'"avg"\((?:DISTINCT )?c_bigint'): (
        2.0**11,
        "a sum of numbers up to 2^63 as doubles depends on the order of the rows",
    ),
    re.compile(r'"(?:stddev|var|covar)\w*"\(.*c_double'): (
        0.0,
        "whether a sum that is no number is infinite depends on the order of the rows",
    ),
}
"""Aggregates by what they may differ in, beside two numbers that are not finite."""


def _contradiction(item: str, rows: list[list[Any]], ours: OurResult, number: int) -> str:
    """Why there is no one result; empty where there is."""
    for pattern, reason in _CONTRADICTIONS:
        if pattern.search(item):
            return reason
    for pattern, (allowed, reason) in _BY_CHANCE.items():
        if pattern.search(item) and all(
            _is_near(row[number], our[number], allowed)
            for row, our in zip(rows, ours.rows, strict=True)
        ):
            return reason
    return ""


def _is_near(trino: Any, ours: Any, allowed: float) -> bool:
    if trino is None or ours is None:
        return trino is ours
    a, b = float(trino), float(ours)
    are_finite = math.isfinite(a) and math.isfinite(b)
    if not are_finite:
        return not math.isfinite(a) and not math.isfinite(b)
    return math.isclose(a, b, rel_tol=_AGGREGATED_TOLERANCE, abs_tol=allowed)


def _difference(rows: list[list[Any]], ours: OurResult, number: int, item: str) -> str:
    try:
        return compare.differences(
            [[row[number]] for row in rows],
            [[row[number]] for row in ours.rows],
            [ours.kinds[number]],
            is_ordered=True,
            tolerance=_AGGREGATED_TOLERANCE if _AGGREGATED.search(item) else _TOLERANCE,
        )
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        return f"not comparable: {type(error).__name__} {error}"


def report(found: Found) -> str:
    """Everything that is not as in Trino."""
    lines = [
        f"{found.count:,} expressions: {found.both:,} compared, {len(found.differences):,} "
        f"different; {found.refused.total():,} refused, {len(found.failures):,} failed here alone, "
        f"{len(found.only_we):,} failed in Trino alone, {found.both_fail:,} in both, "
        f"{found.contradictions.total():,} without one result in Trino"
    ]
    for what, some in (
        ("different", found.differences),
        ("failed here", found.failures),
        ("failed in Trino", found.only_we),
    ):
        lines += [f"{what}: {item}\n    {note[:300]}" for item, note in some]
    lines += [f"{count:6} in Trino: {why}" for why, count in found.contradictions.most_common()]
    lines += [f"{count:6} refused: {what}" for what, count in found.refused.most_common()]
    return "\n".join(lines) + "\n"

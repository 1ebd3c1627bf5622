"""Row pattern recognition: which rows of a partition match, and what measures look at.

A program (`sql/duckdb/patterns/program.py`) runs over a partition's rows with a stack of what is
left to try. Conditions that depend on their row alone come as columns of booleans. Others, which
look at labels or at rows far away, are trees of numbers (`row_pattern_conditions.py`), or SQL with
parameters, evaluated by a DuckDB of this module's own, which reads no files and has no data.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import duckdb

from queryrun.engines.duckdb.functions.registry import (
    InputError,
    UnsupportedError,
    register_on,
    used_by,
    worker_function,
)
from queryrun.engines.duckdb.functions.row_pattern_conditions import (
    Match,
    Number,
    Path,
    Positions,
    decided,
)

MAX_STEPS = 20_000_000
"""What the search in one partition may take."""
MAX_ENTRIES = 10_000_000
"""The rows that all aggregates of all measures of one partition may look at, added up."""
_MEMORY = "64MB"
_RESULT = "STRUCT(i BIGINT, m BIGINT, n BIGINT[], c VARCHAR[], a STRUCT(i BIGINT, k VARCHAR)[][])[]"

_AHEAD = 256
_ROUNDS_AHEAD = 4
"""How many rows ahead is searched, and for how many questions of one search."""

Texts = Sequence[Sequence[str | None]]


@worker_function(
    f"qr_match(VARCHAR, BIGINT, BOOLEAN[][], VARCHAR[][]) -> {_RESULT}", is_volatile=True
)
def _match(
    program: str, count: int, conditions: list[list[bool | None]], texts: list[list[str | None]]
) -> list[dict[str, Any]]:
    """One entry per row that is returned. `i`: which one, `m`: the number of its match."""
    return _Search(_read(program), count, conditions, texts).rows()


@lru_cache(maxsize=16)
def _read(program: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(program)
    return found


Question = tuple[Any, ...]
"""A condition's SQL and what its parameters are."""


class _UnansweredError(Exception):
    """A search needs to know whether a condition holds."""

    def __init__(self, question: Question) -> None:
        super().__init__()
        self.question = question


class _Search:
    """The matches in one partition."""

    def __init__(
        self,
        program: dict[str, Any],
        count: int,
        conditions: Sequence[Sequence[bool | None]],
        texts: Texts,
    ) -> None:
        self._code: list[list[Any]] = program["code"]
        self._labels: list[str] = program["labels"]
        self._tests: list[Any] = program["tests"]
        self._program = program
        self._count, self._conditions = count, conditions
        self._engine = _Engine(self._labels, texts, count)
        self._is_local = not any(isinstance(test, dict) for test in self._tests)
        self._steps = self._entries = 0
        self._number = 1

    def rows(self) -> list[dict[str, Any]]:
        """What is returned, in the order of the rows."""
        found: list[dict[str, Any]] = []
        skipped = matched = -1
        mode = self._program["rows"]
        for position in range(self._count):
            if position <= skipped:
                continue
            match = self._at(position)
            if match is None:
                if mode == "unmatched" and position > matched:
                    found.append(self._nothing(position, None))
                skipped = position
                continue
            if not match.labels:
                if mode in {"one", "all", "unmatched"}:
                    found.append(self._nothing(position, self._number))
                skipped = position
            else:
                found += self._matched(match, mode)
                matched = max(matched, position + len(match.labels) - 1)
                skipped = self._skipped(match)
            self._number += 1
        return found

    def _skipped(self, match: Match) -> int:
        """The last row that no match begins with."""
        skip = self._program["skip"]
        end = match.start + len(match.labels) - 1
        if skip["where"] == "past":
            return end
        if skip["where"] == "next":
            return match.start
        positions = [n for n, label in enumerate(match.labels) if label in skip["labels"]]
        if not positions:
            raise InputError("AFTER MATCH SKIP failed: pattern variable is not present in match")
        target = positions[-1 if skip["where"] == "last" else 0]
        if target == 0:
            raise InputError("AFTER MATCH SKIP failed: cannot skip to first row of match")
        return match.start + target - 1

    # --- the search -------------------------------------------------------------------------

    def _at(self, start: int) -> Match | None:
        """The match that begins at a row.

        What it needs to know is looked up for the rows behind it as well: one lookup costs as much
        as hundreds.
        """
        rounds = 0
        while True:
            others = _AHEAD if rounds < _ROUNDS_AHEAD else 1
            requested: dict[Question, None] = {}
            for position in range(start, min(start + others, self._count)):
                try:
                    found = self._search(position)
                except _UnansweredError as unanswered:
                    requested[unanswered.question] = None
                    continue
                if position == start:
                    return found
            if not requested:
                return self._search(start)
            self._engine.learn(list(requested))
            rounds += 1

    def _search(self, start: int) -> Match | None:
        """The match that begins at a row.

        Who comes to an instruction where another was before, with the same row next, would fare as
        that one did, and is dropped; this ends rounds that match no row as well. Where conditions
        look at labels, they must be the same too.
        """
        code, so_far = self._code, Path(start, self._count)
        labels, left_out = so_far.match.labels, so_far.match.left_out
        stack: list[tuple[int, int, int, int]] = [(0, 0, 0, 0)]
        seen: set[tuple[int, int, int]] = set()
        while stack:
            at, size, outs, path = stack.pop()
            so_far.cut(size)
            del left_out[outs:]
            while True:
                self._steps += 1
                if self._steps > MAX_STEPS:
                    raise UnsupportedError(f"A pattern whose search takes {MAX_STEPS} steps")
                position = start + len(labels)
                if (at, position, path) in seen:
                    break
                seen.add((at, position, path))
                word, *args = code[at]
                at += 1
                if word == "m":
                    if position >= self._count or not self._holds(args[0], so_far):
                        break
                    so_far.append(args[0])
                    path = 0 if self._is_local else hash((path, args[0]))
                elif word == "s":
                    stack.append((args[1], len(labels), len(left_out), path))
                    at = args[0]
                elif word == "j":
                    at = args[0]
                elif word == "x":
                    left_out.append(len(labels))
                elif word == "e":
                    return so_far.match
                elif position != (0 if word == "^" else self._count):
                    break
        return None

    def _holds(self, label: int, so_far: Path) -> bool:
        """Whether the next row can have the label."""
        test, size = self._tests[label], len(so_far.match.labels)
        if test is None:
            return True
        if isinstance(test, int):
            return bool(self._conditions[test][so_far.match.start + size])
        local = test["local"]
        if local is not None and not self._conditions[local][so_far.match.start + size]:
            return False
        so_far.append(label)
        try:
            return self._engine.holds(test, so_far, self._number)
        finally:
            so_far.cut(size)

    # --- measures ---------------------------------------------------------------------------

    def _nothing(self, position: int, number: int | None) -> dict[str, Any]:
        """A row of no match, or of one without rows."""
        return {
            "i": position,
            "m": number,
            "n": [None] * len(self._program["rows_of"]),
            "c": [None] * len(self._program["classifiers"]),
            "a": [[] for _ in self._program["aggregates"]],
        }

    def _matched(self, match: Match, mode: str) -> list[dict[str, Any]]:
        positions = Positions(match, self._count)
        if mode == "one":
            return [self._row(positions, len(match.labels) - 1)]
        hidden: set[int] = set()
        for begin, end in zip(match.left_out[::2], match.left_out[1::2], strict=True):
            hidden |= set(range(begin, end))
        return [self._row(positions, n) for n in range(len(match.labels)) if n not in hidden]

    def _row(self, positions: Positions, current: int) -> dict[str, Any]:
        labels, program = self._labels, self._program
        aggregates = []
        for one in program["aggregates"]:
            rows = positions.rows(one, current)
            self._entries += len(rows)
            if self._entries > MAX_ENTRIES:
                raise UnsupportedError(f"Aggregates of more than {MAX_ENTRIES} rows of matches")
            aggregates.append([{"i": positions.match.start + n, "k": labels[k]} for n, k in rows])
        classifiers = [positions.label(one, current) for one in program["classifiers"]]
        return {
            "i": positions.match.start + current,
            "m": self._number,
            "n": [positions.row(one, current) for one in program["rows_of"]],
            "c": [None if label is None else labels[label] for label in classifiers],
            "a": aggregates,
        }


class _Engine:
    """Evaluates conditions that depend on more than their row."""

    def __init__(self, labels: list[str], texts: Texts, count: int) -> None:
        self._labels, self._texts, self._count = labels, texts, count
        self._known: dict[Question, bool] = {}
        self._columns: dict[int, list[Number]] = {}

    def holds(self, test: dict[str, Any], so_far: Path, number: int) -> bool:
        """Whether the last of the labels fits its row. Raises `_UnansweredError`."""
        current = len(so_far.match.labels) - 1
        if "tree" in test:
            numbers = [self._number(slot, so_far, current, number) for slot in test["slots"]]
            return bool(decided(test["tree"], numbers))
        values = [self._value(slot, so_far, current, number) for slot in test["slots"]]
        question = (test["sql"], *values)
        if question not in self._known:
            raise _UnansweredError(question)
        return self._known[question]

    def _number(self, slot: dict[str, Any], so_far: Path, current: int, number: int) -> Number:
        if slot["kind"] == "number":
            return number
        values = None if slot["text"] is None else self._numbers(slot["text"], slot["type"])
        if slot["kind"] == "running":
            return so_far.total(slot, values)
        row = so_far.row(slot, current)
        return None if row is None or values is None else values[row]

    def _numbers(self, text: int, kind: str) -> list[Number]:
        """A column's values as numbers, read once."""
        if text not in self._columns:
            self._columns[text] = [
                None if value is None else float(value) if kind == "double" else int(value)
                for value in self._texts[text]
            ]
        return self._columns[text]

    def learn(self, questions: list[Question]) -> None:
        """Learn the results; the first question's at least, whatever becomes of the others."""
        sql = questions[0][0]
        alike = [question for question in questions if question[0] == sql]
        try:
            results = _evaluated(sql, alike)
        except InputError:
            if len(alike) == 1:
                raise
            alike = alike[:1]
            results = _evaluated(sql, alike)
        self._known.update(zip(alike, results, strict=True))

    def _value(self, slot: dict[str, Any], positions: Positions, current: int, number: int) -> Any:
        match slot["kind"]:
            case "number":
                return number
            case "row":
                row = positions.row(slot, current)
                return None if row is None else self._texts[slot["text"]][row]
            case "classifier":
                label = positions.label(slot, current)
                return None if label is None else self._labels[label]
            case "labels":
                return tuple(self._labels[label] for _, label in positions.rows(slot, current))
        start = positions.match.start
        return tuple(self._texts[slot["text"]][start + n] for n, _ in positions.rows(slot, current))


_connections: list[duckdb.DuckDBPyConnection] = []
_installed: set[str] = set()
_lock = threading.Lock()
"""DuckDB's threads call functions side by side."""


def _evaluated(sql: str, questions: list[Question]) -> list[bool]:
    """The condition for each question; its parameters are columns of text."""
    columns = [
        [list(value) if isinstance(value, tuple) else value for value in column]
        for column in list(zip(*questions, strict=True))[1:]
    ]
    with _lock:
        connection = _connection()
        for function in used_by(sql):
            if function.name not in _installed:
                register_on(connection, function)
                _installed.add(function.name)
        try:
            found = connection.execute(sql, columns).fetchall()
        except duckdb.Error as error:
            raise InputError(str(error).split(": ", 1)[-1].split("\n")[0]) from None
    return [bool(row[0]) for row in found]


def _connection() -> duckdb.DuckDBPyConnection:
    """One per process, of its own: it evaluates expressions of parameters and no more."""
    if not _connections:
        config: dict[str, str | bool | int | float | list[str]] = {
            "threads": "1",
            "memory_limit": _MEMORY,
            "temp_directory": "",
            "autoload_known_extensions": "false",
            "autoinstall_known_extensions": "false",
            "allow_community_extensions": "false",
            "allow_persistent_secrets": "false",
            "python_enable_replacements": "false",
        }
        connection = duckdb.connect(":memory:", config=config)
        connection.execute("SET enable_external_access=false; SET lock_configuration=true")
        _connections.append(connection)
    return _connections[0]

"""Trino's response to a statement and ours, compared: names, types, values, errors."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from queryrun.errors import FailureCode
from queryrun.sql.compile.types import Type
from tests.conformance.extract import key_of
from tests.conformance.recorded import MAX_ROWS
from tests.differential import compare
from tests.differential.engine_harness import OurResult
from tests.differential.suite import Recorded

EQUAL, BOTH_FAIL, REFUSED = "equal", "both fail", "refused"
WRONG_ERROR, DIFFERENT, ONLY_WE = "wrong error", "different", "answers where Trino fails"
VERDICTS = (EQUAL, BOTH_FAIL, REFUSED, WRONG_ERROR, DIFFERENT, ONLY_WE)

_BY_CHANCE = re.compile(
    r"\b(random|rand|uuid|shuffle|now|current_(date|time|timestamp)|localtime(stamp)?|tablesample"
    r"|arbitrary|any_value|version)\b|\brow_number\(\)\s*over\s*\((\s*partition by [\w., ]+)?\s*\)",
    re.I,
)
_OF_TODAY = re.compile(r"\bCAST\(TIME\b.*\bAS TIMESTAMP\b", re.I | re.S)
"""A time as a timestamp is of the day on which it is asked, and Trino was asked on another."""
_DAY = re.compile(r"^\d{4}-\d\d-\d\d(?= )")
_SOME_DAY = date(2001, 2, 3)
_ESTIMATES = re.compile(r"\bapprox_", re.I)
_METADATA = re.compile(
    r"\s*(EXPLAIN|SHOW\s+(FUNCTIONS|CATALOGS|SCHEMAS|SESSION|STATS|TABLES))\b"
    r"|.*\binformation_schema\b|.*\bsystem\.(runtime|jdbc|metadata)\b",
    re.I | re.S,
)
_COLUMNS = re.compile(r"\s*(SHOW\s+(COLUMNS|CREATE)|DESC|DESCRIBE)\b", re.I)
_LENGTH = re.compile(r"(?<=varchar)\(\d+\)|(?<=[\w)]) NOT NULL(?=,?$)", re.M)
_TIES = frozenset(
    [
        "7a8b72a104b571a166b4bbb9",
        "093043e9c055649d4c090a86",
        "8e9d096286cc66a7cc49d788",
        "a561b045f886789596bba27e",
        "9462f0ffa965e3cf6f3d4f91",
    ]
)
"""Statements with several right results: a tie, or values collected without an order."""
_INEXACT = re.compile(
    r"\b(avg|sum|stddev\w*|var\w*|corr|covar\w*|regr\w*|geometric_mean|skewness|kurtosis|sin|cos"
    r"|tan|a?sin|a?cos|atan2?|\w+_cdf|exp|pow(er)?|log\w*|ln|cbrt|degrees|radians|real|tanh|sinh"
    r"|cosh|e\(\)|cosine\w+|dot_product|euclidean\w+|wilson\w+|\w+histogram|entropy|distance)\b",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`note` is why: the refusal, the error, or the first difference."""

    verdict: str
    note: str = ""


def verdict(sql: str, trino: Recorded, ours: OurResult) -> Verdict:
    """What the two make of one statement."""
    failure = ours.failure
    if trino.error == "TOO_MANY_ROWS" and failure is None:
        is_sampled = re.search(r"\btablesample\b", sql, re.I) is not None
        is_long = (is_sampled or len(ours.rows) > MAX_ROWS) and len(ours.kinds) == len(
            trino.columns or ours.kinds
        )
        return Verdict(EQUAL if is_long else DIFFERENT, "" if is_long else "fewer rows than Trino")
    if trino.error and trino.error != "TOO_MANY_ROWS":
        if failure is None:
            return Verdict(ONLY_WE, f"{trino.error}: {trino.message[:150]}")
        return Verdict(BOTH_FAIL, f"{trino.error} / {failure.code}: {failure.message}")
    if failure is None:
        note = _difference(sql, trino, ours)
        return Verdict(DIFFERENT if note else EQUAL, note)
    is_refusal = failure.code is FailureCode.NOT_SUPPORTED or "is not supported" in failure.message
    return Verdict(REFUSED if is_refusal else WRONG_ERROR, f"{failure.code}: {failure.message}")


def _difference(sql: str, trino: Recorded, ours: OurResult) -> str:
    if len(trino.columns) != len(ours.kinds):
        return f"{len(trino.columns)} columns from Trino, {len(ours.kinds)} from us"
    if not compare.same_names([name for name, _ in trino.columns], ours.names):
        return f"names: Trino {[name for name, _ in trino.columns]}, we {ours.names}"
    for number, ((_, kind), our_type) in enumerate(zip(trino.columns, ours.kinds, strict=True)):
        has_values = any(row[number] is not None for row in trino.rows)
        if has_values and not compare.same_type(kind, our_type):
            return f"type: Trino {kind}, we {our_type}"
    if _METADATA.match(sql):
        return ""
    if _BY_CHANCE.search(sql) or key_of(sql) in _TIES:
        return ""
    if len(trino.rows) != len(ours.rows):
        is_sampled = re.search(r"\btablesample\b", sql, re.I) or _ESTIMATES.search(sql)
        return "" if is_sampled else f"{len(trino.rows)} rows from Trino, {len(ours.rows)} from us"
    if _BY_CHANCE.search(sql) or key_of(sql) in _TIES:
        return ""
    rows = trino.rows
    if _COLUMNS.match(sql):  # our tables are files, which know no lengths and no NOT NULL
        rows = [[_LENGTH.sub("", str(value)) for value in row] for row in rows]
    if _OF_TODAY.search(sql):
        rows = [[_on_some_day(value) for value in row] for row in rows]
        found = [tuple(_on_some_day(value) for value in row) for row in ours.rows]
        ours = replace(ours, rows=found)
    try:
        return _values(sql, rows, ours)
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        return f"not comparable: {type(error).__name__} {error}: {trino.rows[:1]} {ours.rows[:1]}"


def _on_some_day(value: Any) -> Any:
    """A moment with its date replaced by one that is the same for all."""
    if isinstance(value, datetime):
        return datetime.combine(_SOME_DAY, value.timetz())
    return _DAY.sub(_SOME_DAY.isoformat(), value) if isinstance(value, str) else value


def _values(sql: str, rows: list[list[Any]], ours: OurResult) -> str:
    tolerance = 1e-9 if _INEXACT.search(sql) else 1e-15
    if _ESTIMATES.search(sql):
        tolerance = 0.1

    def note(keys: list[int], *, is_ordered: bool) -> str:
        kinds: list[Type] = [ours.kinds[key] for key in keys]
        return compare.differences(
            [[row[key] for key in keys] for row in rows],
            [[row[key] for key in keys] for row in ours.rows],
            kinds,
            is_ordered=is_ordered,
            tolerance=tolerance,
        )

    everything = list(range(len(ours.kinds)))
    keys = _order_keys(sql, ours.names)
    found = note(keys, is_ordered=True) if keys else ""
    if not found and not _is_limited(sql):
        found = note(everything, is_ordered=False)
    return found


def _order_keys(sql: str, names: list[str]) -> list[int]:
    """The columns that the outermost ORDER BY names; rows that tie in them have no order."""
    depth, last = 0, -1
    for match in re.finditer(r"'[^']*'|[()]|\bORDER\s+BY\b", sql, re.I):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth == 0 and match[0][0] in "oO":
            last = match.end()
    if last < 0:
        return []
    found = []
    rest = re.split(r"\b(?:LIMIT|OFFSET|FETCH)\b", sql[last:], flags=re.I)[0]
    for item in rest.split(","):
        path = item.split()[0].split(".") if item.split() else [""]
        word = path[-1].strip('"').lower()
        lowered = [name.lower() for name in names]
        if word.isdigit() and 0 < int(word) <= len(names):
            found.append(int(word) - 1)
        elif len(path) > 1 and any(re.fullmatch(rf"{re.escape(word)}_\d+", one) for one in lowered):
            return found  # of several columns with one name
        elif lowered.count(word) == 1:
            found.append(lowered.index(word))
        else:
            return found
    return found


def _is_limited(sql: str) -> bool:
    return bool(re.search(r"\b(LIMIT\s+[1-9]|FETCH\s+(FIRST|NEXT)|OFFSET\s+\d)", sql, re.I))

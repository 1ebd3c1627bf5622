"""The scans in a plan of DuckDB's, and what else decides how much of them is read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from queryrun.engines.duckdb.parquet_calls import MARK

_PARQUET = {"READ_PARQUET", "PARQUET_SCAN"}
_READS_NOTHING = {
    "DUMMY_SCAN",
    "EMPTY_RESULT",
    "COLUMN_DATA_SCAN",
    "CHUNK_SCAN",
    "CTE_SCAN",
    "DELIM_SCAN",
    "REC_CTE_SCAN",
    "RECURSIVE_CTE_SCAN",
    "EXPRESSION_SCAN",
    "INOUT_FUNCTION",
    "UNNEST",
    "RANGE",
    "GENERATE_SERIES",
    "REPEAT",
}
_ENDS_EARLY = {"LIMIT", "STREAMING_LIMIT", "TOP_N", "LIMIT_PERCENT"}
_REPEATS = {"REC_CTE", "RECURSIVE_CTE", "RECURSIVE_KEY_CTE"}
_FEEDS_FILTERS = re.compile(r"JOIN")
_DYNAMIC = "Dynamic Filter"
_OPTIONAL = "optional: "
_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[()]""")
_STARTS = re.compile(r"""[(\w"']""")
_FILES = re.compile(r"(\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan of Parquet files, as the plan has it."""

    columns: tuple[str, ...]
    filters: tuple[str, ...]
    """On values; without what only the run knows."""
    file_filters: tuple[str, ...]
    scanned_files: tuple[int, int] | None
    """How many of how many are left, where the plan says it."""
    mark: int | None
    is_bounded: bool
    """Whether the run may read less than its filters say."""
    is_repeated: bool
    """Whether it may be read more than once."""

    @property
    def key(self) -> tuple[frozenset[str], frozenset[str]]:
        """What two plans of one statement have in common of it."""
        own = frozenset(name for name in self.columns if not name.startswith("queryrun_p"))
        return own, frozenset(self.filters)


@dataclass(frozen=True, slots=True)
class PlanScans:
    """All scans of a plan. `others` reads something whose size is unknown."""

    scans: tuple[Scan, ...]
    others: bool


def scans_of(plan: Sequence[Mapping[str, Any]]) -> PlanScans:
    """Read a plan of `EXPLAIN (FORMAT json)`."""
    scans: list[Scan] = []
    others = False
    for operator, above in _leaves(plan, ()):
        name = str(operator.get("name", "")).strip()
        if name in _PARQUET:
            scans.append(_scan(operator.get("extra_info") or {}, above))
        elif name not in _READS_NOTHING:
            others = True
    return PlanScans(tuple(scans), others)


def _leaves(
    operators: Sequence[Mapping[str, Any]], above: tuple[str, ...]
) -> Iterator[tuple[Mapping[str, Any], tuple[str, ...]]]:
    for operator in operators:
        children = operator.get("children") or []
        name = str(operator.get("name", "")).strip()
        if children:
            yield from _leaves(children, (*above, name))
        else:
            yield operator, above


def _scan(info: Mapping[str, Any], above: Sequence[str]) -> Scan:
    filters, mark, is_dynamic = [], None, False
    for text in _list(info.get("Filters")):
        if found := MARK.match(text):
            mark = int(found.group(1))
        elif _DYNAMIC in text:
            is_dynamic = True
        else:
            filters.append(text.removeprefix(_OPTIONAL))
    counted = _FILES.fullmatch(str(info.get("Scanning Files", "")))
    return Scan(
        tuple(_list(info.get("Projections"))),
        tuple(filters),
        tuple(one for text in _list(info.get("File Filters")) for one in _conditions(text)),
        (int(counted.group(1)), int(counted.group(2))) if counted else None,
        mark,
        is_bounded=is_dynamic
        or bool(filters)
        or any(name in _ENDS_EARLY or _FEEDS_FILTERS.search(name) for name in above),
        is_repeated=any(name in _REPEATS for name in above),
    )


def _conditions(text: str) -> list[str]:
    """The plan writes conditions on partitions one behind the other, with nothing between them:
    `(year = 2024)(month = 3)`, `(year = 2024)prefix(name, 'a')`."""
    found, begin, depth = [], 0, 0
    for token in _TOKEN.finditer(text):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if token[0] == ")" and depth == 0 and _STARTS.match(text, token.end()):
            found.append(text[begin : token.end()])
            begin = token.end()
    return [*found, text[begin:]] if text[begin:] else found


def _list(value: object) -> list[str]:
    if isinstance(value, list):
        return [str(one) for one in value if str(one)]
    return [str(value)] if value else []

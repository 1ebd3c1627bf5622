"""Spark's plan with its statistics (`EXPLAIN COST`) as text: what each table's scans read."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from queryrun.engines.estimates import Certainty, TableEstimate

_OPTIMIZED = "== Optimized Logical Plan =="
_PHYSICAL = "== Physical Plan =="
_TREE = re.compile(r"^[ :+\-]*")
_READ = re.compile(r"^(?:Relation|RelationV2|HiveTableRelation|DataSourceV2ScanRelation)\b")
_NAME = re.compile(r"[ \[](`?[^ \[\]`]+`?(?:\.`?[^ \[\]`]+`?)+)(?:\[|,|\])")
_STATISTICS = re.compile(r"Statistics\((.*)\)$")
_SIZE = re.compile(r"sizeInBytes=([\d.]+(?:E[+-]?\d+)?) ?([KMGTPE]?i?B)")
_ROWS = re.compile(r"rowCount=([\d.]+(?:E[+-]?\d+)?)")
_UNITS = {"B": 0, "KiB": 1, "MiB": 2, "GiB": 3, "TiB": 4, "PiB": 5, "EiB": 6}
_UNKNOWN_BYTES = 7 * 1024**6
"""Spark takes a table without statistics for 8 EiB (`spark.sql.defaultSizeInBytes`)."""
_NO_TABLES = ("OneRowRelation", "LocalRelation", "Range", "CommandResult", "LogicalRDD")


def tables_of(explained: str) -> tuple[TableEstimate, ...]:
    """The tables of the plan, with the sum of their scans; a scan that we cannot read is one of
    unknown size. Empty for a plan that reads no table."""
    sizes: dict[str, list[tuple[int | None, int | None]]] = defaultdict(list)
    for line in _leaves(explained):
        found = _NAME.search(line)
        name = found[1].rsplit(".", 1)[-1].strip("`").lower() if found else line.split(" ", 1)[0]
        sizes[name].append(_size(line))
    columns = _columns(explained)
    return tuple(_table(name, scans, columns.get(name)) for name, scans in sizes.items())


def _leaves(explained: str) -> Iterator[str]:
    """The lines of the optimized plan that read a table: in a tree, those without a child."""
    _, _, rest = explained.partition(_OPTIMIZED)
    lines = [one for one in rest.partition(_PHYSICAL)[0].splitlines() if one.strip()]
    depths = [len(_TREE.match(one)[0]) for one in lines]  # type: ignore[index]  # matches nothing too
    for line, depth, below in zip(lines, depths, [*depths[1:], 0], strict=True):
        text = line[depth:]
        is_leaf = below <= depth
        if _READ.match(text) or (is_leaf and not text.startswith(_NO_TABLES)):
            yield text


def _size(line: str) -> tuple[int | None, int | None]:
    """Rows and bytes; None for what Spark does not know."""
    found = _STATISTICS.search(line)
    if not found:
        return None, None
    rows, size = _ROWS.search(found[1]), _SIZE.search(found[1])
    size_bytes = round(float(size[1]) * 1024 ** _UNITS.get(size[2], 0)) if size else None
    if size_bytes is not None and size_bytes >= _UNKNOWN_BYTES:
        size_bytes = None
    return round(float(rows[1])) if rows else None, size_bytes


def _columns(explained: str) -> dict[str, tuple[str, ...]]:
    """The columns that file scans of the physical plan read, by table."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for table, listed in re.findall(r"FileScan \w+ (\S+?)\[([^\]]*)\]", explained):
        name = table.rsplit(".", 1)[-1].strip("`").lower()
        found[name].update(dict.fromkeys(re.findall(r"([^,#]+)#\d+L?", listed)))
    return {name: tuple(columns) for name, columns in found.items()}


def _table(
    name: str, scans: list[tuple[int | None, int | None]], columns: tuple[str, ...] | None
) -> TableEstimate:
    rows = [one for one, _ in scans if one is not None]
    size_bytes = [one for _, one in scans if one is not None]
    read_rows = sum(rows) if len(rows) == len(scans) else None
    read_bytes = sum(size_bytes) if len(size_bytes) == len(scans) else None
    is_known = read_rows is not None or read_bytes is not None
    certainty = Certainty.ESTIMATED if is_known else Certainty.UNKNOWN
    return TableEstimate(
        name, columns, read_rows=read_rows, read_bytes=read_bytes, certainty=certainty
    )

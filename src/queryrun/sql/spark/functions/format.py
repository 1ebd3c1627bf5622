"""`format`: Java's Formatter, which both Trino and Spark have, over values it takes alike."""

from __future__ import annotations

import re

from queryrun.sql.compile import types as t
from queryrun.sql.compile.typed import Typed
from queryrun.sql.spark import clocks, fine, moments
from queryrun.sql.spark.compiler import SparkCompiler
from queryrun.sql.spark.functions.table import special
from queryrun.sql.spark.functions.time import offset
from queryrun.sql.spark.types import text
from queryrun.sql.trino.records import ast

_SPECIFIER = re.compile(
    r"%(?:(?P<index>\d+)\$)?(?P<flags>[-#+ 0,(]*)(?P<width>\d{1,4})?(?:\.(?P<digits>\d{1,2}))?"
    r"(?P<letter>[a-zA-Z%])"
)
_LETTERS = {
    "boolean": "sb", "tinyint": "sdxXo", "smallint": "sdxXo", "integer": "sdxXo",
    "bigint": "sdxXo", "double": "fe", "varchar": "sS", "unknown": "s", "decimal": "sf",
    "date": "s", "timestamp": "s", t.TSTZ: "s", "time": "s", t.TIMETZ: "s",
}  # fmt: skip
"""Which conversions of a type come out alike: Spark's Java may be older than Trino's."""


@special("format")
def _format(c: SparkCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2, 101)
    pattern, values = c.constant_text(node, args[0], "a format"), args[1:]
    if len(values) == 1 and values[0].type.name == "row" and values[0].fields:
        values = list(values[0].fields)
    parts: list[str] = []
    given: list[str] = []
    at = ordinary = 0
    for match in _SPECIFIER.finditer(pattern):
        parts.append(pattern[at : match.start()])
        at = match.end()
        if match["letter"] in {"n", "%"}:
            parts.append(match[0])
            continue
        number = int(match["index"]) - 1 if match["index"] else ordinary
        ordinary += not match["index"]
        if not 0 <= number < len(values):
            c.invalid(f"Invalid format string: {pattern} (MissingFormatArgument)", node.at)
        specifier, value = _converted(c, node, match, values[number])
        parts.append(specifier)
        given.append(value)
    parts.append(pattern[at:])
    if any("%" in part for part in [*parts[:-1:2], parts[-1]] if not _SPECIFIER.search(part)):
        c.refuse(f"format with the pattern {pattern}", node.at)
    listed = "".join(f", {value}" for value in given)
    return Typed(f"format_string({text(''.join(parts))}{listed})", t.VARCHAR)


def _converted(
    c: SparkCompiler, node: ast.Call, match: re.Match[str], value: Typed
) -> tuple[str, str]:
    """The specifier without an index, and its argument."""
    letter, kind = match["letter"], value.type
    if letter not in _LETTERS.get(kind.name, ""):
        c.refuse(f"format with %{letter} of {kind}", node.at)
    flags, width = match["flags"], match["width"] or ""
    digits = "" if match["digits"] is None else f".{match['digits']}"
    if kind.name == "decimal":
        return _decimal(c, node, match, value)
    if t.is_integer(kind):
        return f"%{flags}{width}{digits}{letter}", f"CAST({value.sql} AS BIGINT)"
    if kind.name in _CLOCKED:
        return f"%{flags}{width}{digits}{letter}", _java_time(c, value)
    sql = f"CAST({value.sql} AS STRING)" if kind == t.DATE else c.exact(value)
    if kind == t.UNKNOWN:
        sql = "CAST(NULL AS STRING)"
    return f"%{flags}{width}{digits}{letter}", sql


_CLOCKED = frozenset(["timestamp", t.TSTZ, "time", t.TIMETZ])
_NANOS = 9
"""Digits of a second that java.time has."""


def _java_time(c: SparkCompiler, value: Typed) -> str:
    """As java.time prints it: no seconds where there are none, digits of a second by threes."""
    kind = value.type
    if kind.name == t.TIMETZ:
        return clocks.printed(value)
    digits = next(n for n in (3, 6, _NANOS, _NANOS + 3) if kind.params[0] <= n)
    if kind.name == "time":
        printed = clocks.printed(clocks.to_precision(value, min(digits, _NANOS)))
    else:
        local = fine.to_precision(moments.local(value, c.zone), min(digits, _NANOS))
        printed = moments.printed(local, "T")
    by_threes = f"regexp_replace({printed}, '([.](?:[0-9]{{3}})*?)(?:000)*$', '$1')"
    found = f"regexp_replace({by_threes}, '(?:(?<=:[0-9]{{2}}):00)?[.]$', '')"
    if kind.name == t.TSTZ:
        zone = kind.zone or c.zone
        named = "" if zone[:1] in {"+", "-"} else f"[{zone}]"
        found = f"concat({found}, {offset(c, value, with_seconds=True)}, {text(named)})"
    return found


def _decimal(
    c: SparkCompiler, node: ast.Call, match: re.Match[str], value: Typed
) -> tuple[str, str]:
    """Spelled beforehand: Spark hands over a class of its own."""
    precision, scale = value.type.params
    flags, width = match["flags"], match["width"] or ""
    if set(flags) - {"-", ","} or (match["letter"] == "s" and ("," in flags or scale > 6)):
        c.refuse(f"format with %{flags}{match['letter']} of {value.type}", node.at)
    plain = f"%{flags.replace(',', '')}{width}s"
    if match["letter"] == "s":
        digits = "" if match["digits"] is None else f".{match['digits']}"
        return f"%{flags}{width}{digits}s", f"CAST({value.sql} AS STRING)"
    count = int(match["digits"] or 6)
    if precision - scale + count > 37:
        c.refuse(f"format with %{match['letter']} of {value.type}", node.at)
    kind = f"DECIMAL({max(precision - scale, 0) + count + 1},{count})"
    rounded = f"CAST(round({value.sql}, {count}) AS {kind})"
    return (
        plain,
        f"format_number({rounded}, {count})" if "," in flags else f"CAST({rounded} AS STRING)",
    )

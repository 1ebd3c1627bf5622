"""Over Trino's whole list: a translation has each argument once, and grows with the statement."""

from __future__ import annotations

import re
from collections.abc import Iterator

from queryrun.errors import RunFailed
from queryrun.sql.compile.catalog import trino_functions
from queryrun.sql.compile.overloads import split
from queryrun.sql.duckdb.functions.table import DUCKDB
from tests.unit.sql.trino.translation import translated

_VALUES = {
    "bigint": "BIGINT '3'", "double": "2e0", "varchar": "'abc'", "integer": "3", "real": "REAL '1'",
    "smallint": "SMALLINT '3'", "tinyint": "TINYINT '3'", "varbinary": "X'00'", "boolean": "true",
    "date": "DATE '2020-01-01'", "timestamp": "TIMESTAMP '2020-01-01 00:00:00'",
    "timestamp with time zone": "TIMESTAMP '2020-01-01 00:00:00 UTC'", "time": "TIME '01:02:03'",
    "time with time zone": "TIME '01:02:03+01:00'", "decimal": "DECIMAL '1.5'", "char": "CHAR 'a'",
    "interval day to second": "INTERVAL '2' DAY", "json": "JSON '1'", "joniregexp": "'a'",
    "interval year to month": "INTERVAL '2' MONTH", "jsonpath": "'$.a'", "codepoints": "'a'",
    "array(varchar)": "ARRAY['a']", "array(double)": "ARRAY[1e0]", "ipaddress": "IPADDRESS '::1'",
    "array(array)": "ARRAY[ARRAY[3]]", "array(row)": "ARRAY[ROW(3, 4)]", "array": "ARRAY[3]",
    "map": "MAP(ARRAY[3], ARRAY[4])", "map(varchar)": "MAP(ARRAY['a'], ARRAY[1e0])",
    "function": "",
}  # fmt: skip
_DEPTH = 6
_GROWTH = 2.5
"""How many times as long six calls in each other may be as three: less than each level doubling."""


def _word(param: str) -> str:
    """The type of a parameter without its numbers; a type variable is an integer."""
    if re.fullmatch(r"[a-zA-Z]\d?", param):
        return "integer"
    inner = re.fullmatch(r"(array|map)\((\w+).*\)", param)
    if inner:
        word = f"{inner[1]}({inner[2]})"
        return word if word in _VALUES else inner[1]
    return re.sub(r"\(.*?\)", "", param).strip()


def _shapes() -> Iterator[tuple[str, str]]:
    """Each call of a listed function that we build, with `{}` for one argument, and its literal."""
    for name, rows in sorted(trino_functions().items()):
        if name not in {*DUCKDB.plain, *DUCKDB.special}:
            continue
        found: dict[str, str] = {}
        for words in ([_word(param) for param in split(row[1])] for row in rows):
            for at, word in enumerate(words):
                if word == "function" or any(one not in _VALUES for one in words):
                    continue
                args = ["x -> x > 0" if w == "function" else _VALUES[w] for w in words]
                args[at] = "{}"
                found[f"{name}({', '.join(args)})"] = _VALUES[word]
        yield from sorted(found.items())


_MORE = {
    "date_add('day', {}, DATE '2020-01-01')": "3",
    "date_add('hour', 3, {})": "TIMESTAMP '2020-01-01 00:00:00'",
    "date_diff('day', {}, DATE '2020-01-01')": "DATE '2020-01-01'",
    "date_diff('month', DATE '2020-01-01', {})": "DATE '2020-01-01'",
    "date_trunc('week', {})": "TIMESTAMP '2020-01-01 00:00:00 UTC'",
    "format_datetime({}, 'yyyy-MM')": "TIMESTAMP '2020-01-01 00:00:00'",
    "map_concat({}, MAP(ARRAY[1], ARRAY[2]))": "MAP(ARRAY[3], ARRAY[4])",
    "map_concat(MAP(ARRAY[1], ARRAY[2]), {})": "MAP(ARRAY[3], ARRAY[4])",
    "map_filter({}, (k, v) -> k > v)": "MAP(ARRAY[3], ARRAY[4])",
    "map_zip_with({}, MAP(ARRAY[3], ARRAY[4]), (k, v, w) -> v + w)": "MAP(ARRAY[3], ARRAY[4])",
    "transform_values({}, (k, v) -> k + v)": "MAP(ARRAY[3], ARRAY[4])",
    "transform_keys({}, (k, v) -> k + v)": "MAP(ARRAY[3], ARRAY[4])",
    "zip_with({}, ARRAY[3], (x, y) -> x + y)": "ARRAY[3]",
    "zip_with(ARRAY[3], {}, (x, y) -> x + y)": "ARRAY[3]",
    "reduce({}, 0, (s, x) -> s + x, s -> s)": "ARRAY[3]",
    "reduce(ARRAY[3], {}, (s, x) -> s + x, s -> s * s)": "3",
    "nullif({}, 3)": "3", "nullif(3, {})": "3", "coalesce({}, 3)": "3", "if({} > 2, 3)": "3",
    "try({})": "3", "typeof({})": "3", "({} BETWEEN 1 AND 5)": "3", "(2 BETWEEN {} AND 5)": "3",
    "({} IN (1, 2, 3))": "3", "({} LIKE 'a%')": "'abc'", "({} IS DISTINCT FROM 2e0)": "2e0",
    "({} + DECIMAL '10000000000000000000000000000.12345')": "DECIMAL '1.5'", "(- {})": "3",
    "({} / DECIMAL '1.5')": "DECIMAL '1.5'", "({} % DECIMAL '1.5')": "DECIMAL '1.5'",
    "({} || ARRAY[3])": "ARRAY[3]", "({} = ARRAY[3])": "ARRAY[3]", "({} < 2e0)": "2e0",
    "({})[1]": "ARRAY[3]", "EXTRACT(week FROM {})": "DATE '2020-01-01'",
    "({} AT TIME ZONE 'Asia/Tokyo')": "TIMESTAMP '2020-01-01 00:00:00 UTC'",
    "(CASE {} WHEN 1 THEN 2 WHEN 3 THEN 4 END)": "3", "({} = ROW(3, 4))": "ROW(3, 4)",
}  # fmt: skip
"""What needs a lambda of its own or a literal, and forms that are not called as functions."""
_TARGETS = (
    "boolean", "tinyint", "integer", "bigint", "real", "double", "decimal(9, 2)", "decimal(30, 5)",
    "varchar", "varchar(2)", "char(3)", "date", "time(3)", "time(3) with time zone",
    "timestamp(3)", "timestamp(6)", "timestamp(9)", "timestamp(3) with time zone", "json", "uuid",
    "varbinary", "ipaddress", "array(varchar)", "map(varchar, varchar)", "array(bigint)",
)  # fmt: skip


def _casts() -> Iterator[tuple[str, str]]:
    """Every literal to every type; most pairs have no cast."""
    for literal in dict.fromkeys(filter(None, _VALUES.values())):
        for target in _TARGETS:
            yield f"CAST({{}} AS {target})", literal
            yield f"TRY_CAST({{}} AS {target})", literal


def _length(shape: str, literal: str, depth: int) -> int | None:
    """Of the translation of so many calls in each other; None where there is none."""
    call = shape.replace("{}", "(CASE WHEN random() < 2e0 THEN " + literal + " END)")
    for _ in range(depth - 1):
        call = shape.replace("{}", f"(CASE WHEN {call} IS NULL THEN {literal} END)")
    found = _translated(f"SELECT {call}")
    return None if found is None else len(found)


def _translated(statement: str) -> str | None:
    try:
        return translated(statement)
    except RunFailed:
        return None


def test_every_function_and_cast_has_each_argument_once_and_grows_with_its_calls() -> None:
    """What is by chance must be drawn once. Of other values, the length tells."""
    repeated, grown, translations = [], [], 0
    for shape, literal in [*_shapes(), *_MORE.items(), *_casts()]:
        argument = f"(CASE WHEN random() < 2e0 THEN {literal} END)"
        once = _translated("SELECT " + shape.replace("{}", argument))
        if once is None:
            continue
        translations += 1
        if once.count("random()") > 1:
            repeated.append(shape)
        short, long = (_length(shape, literal, depth) for depth in (_DEPTH // 2, _DEPTH))
        if short and (long is None or long > _GROWTH * short):
            grown.append(shape)
    assert (repeated, grown) == ([], [])
    assert translations > 900

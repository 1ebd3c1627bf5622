"""Expressions out of types, functions and edge values: the same for the same dice."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from queryrun.sql.compile.catalog import trino_functions
from queryrun.sql.compile.overloads import split
from queryrun.sql.duckdb.functions.table import known_functions
from tests.conformance.edges import EDGES, column

_CHANCE = {
    "random", "rand", "uuid", "now", "current_timestamp", "current_date", "localtime", "shuffle",
    "localtimestamp", "current_time", "arbitrary", "any_value", "version", "current_timezone",
    "approx_distinct", "approx_percentile", "approx_most_frequent", "fail", "current_user",
    "current_catalog", "current_schema", "merge",
}  # fmt: skip
"""What depends on chance, the clock or the server."""
_OPERATORS = ("+", "-", "*", "/", "%", "=", "<>", "<", ">=", "IS DISTINCT FROM", "||")
_COMPARISONS = {"=", "<>", "<", ">=", "IS DISTINCT FROM"}
_DECIMALS = ("decimal(5,2)", "decimal(18,6)", "decimal(38,10)")
_NUMBERS = ("tinyint", "smallint", "integer", "bigint", "real", "double", *_DECIMALS)
_STAMPS = ("timestamp(3)", "timestamp(6)")
_ZONED = "timestamp(3) with time zone"
_MOMENTS = ("date", *_STAMPS, _ZONED, "time(3)")
_INTERVALS = ("interval day to second", "interval year to month")
_CASTS = (
    *_NUMBERS, "varchar", "boolean", *_MOMENTS, "char(5)", "json", "varchar(3)", *_INTERVALS,
)  # fmt: skip
_LIKE = {
    "varchar(x)": ("varchar",),
    "char(x)": ("char(5)",),
    "decimal(p,s)": _DECIMALS,
    "timestamp(p)": _STAMPS,
    "timestamp(p) with time zone": (_ZONED,),
    "time(p)": ("time(3)",),
    "map(K,V)": ("map(varchar,bigint)",),
    "K": ("varchar",),
    "V": ("bigint",),
}
_ANY_TYPE = ("bigint", "varchar", "double")
_OF_SEVERAL = {"concat", "map_concat", "array_concat"}
"""Functions that take two arguments or more of the one type that their signature has."""
_UNITS = (
    "millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year",
)  # fmt: skip
_FIELDS = (
    "YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "DAY_OF_WEEK", "DAY_OF_YEAR", "YEAR_OF_WEEK", "HOUR",
    "MINUTE", "SECOND",
)  # fmt: skip
_ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "+05:45", "UTC")
_FORMATS = ("%Y-%m-%d %H:%i:%s.%f", "%x-%v %a %b", "%e %M %y %W %j", "%h:%I %p %r %T", "%k|%l|%c")
_PATTERNS = ("[a-c]", "(\\w+)", "\\d+", "^.*$", "", "(?i)Ä", ",", "(a)|(b)", "\\s")
_LIKES = ("%", "a%", "%,b%", "_", "%ß%", "", "1_", "%\\_%")
_PATHS = ("$", "$.a", "$.a[1]", "$.b.c", "$[0]", "$[1]", "$.nosuch", '$["b"]')
_AGGREGATE_KINDS = (*_NUMBERS, "varchar", "date", "boolean", *_STAMPS, _ZONED)


@dataclass(frozen=True, slots=True)
class Signature:
    """One overload: the types of its parameters as Trino writes them."""

    name: str
    params: tuple[str, ...]

    def bound(self, dice: random.Random) -> tuple[str, ...]:
        """Its parameters as types of `EDGES`; empty when there are none for it."""
        any_type = dice.choice(_ANY_TYPE)
        is_alone = self.name in _OF_SEVERAL and len(self.params) == 1
        kinds = tuple(_bound(param, any_type, dice) for param in self.params) * (1 + is_alone)
        return kinds if all(kind in EDGES for kind in kinds) else ()


def _bound(param: str, any_type: str, dice: random.Random) -> str:
    param = param.replace(", ", ",")
    if param in {"T", "E"}:
        return any_type
    if param in {"array(T)", "array(E)"}:
        return f"array({any_type})"
    return dice.choice(_LIKE.get(param, (param,)))


@cache
def signatures(kind: str) -> tuple[Signature, ...]:
    """The overloads of the functions that we have, of one kind, over types that we make."""
    found = []
    dice = random.Random(0)  # noqa: S311 - whether there are such types depends on no chance
    for name in sorted((known_functions() & set(trino_functions())) - _CHANCE):
        for row in trino_functions()[name]:
            one = Signature(name, tuple(split(row[1])))
            if row[2] == kind and one.params and one.bound(dice):
                found.append(one)
    return tuple(found)


class Expressions:
    """Makes expressions; the same for the same dice."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    def value(self, kind: str) -> str:
        """A column mostly, a constant, or either of the two by row."""
        roll = self._dice.random()
        if roll < 0.6:
            return column(kind)
        constant = f"CAST({self._dice.choice(EDGES[kind])} AS {kind})"
        return constant if roll < 0.92 else f"if(h = 0, {column(kind)}, {constant})"

    def scalar(self) -> str:
        """One expression."""
        makers = (
            self._call, self._call, self._call, self._call, self._operator, self._cast,
            self._choice, self._moment, self._lambda, self._text,
        )  # fmt: skip
        return self._dice.choice(makers)()

    def _call(self) -> str:
        one = self._one_of("scalar")
        return f'"{one.name}"({", ".join(map(self.value, one.bound(self._dice)))})'

    def _one_of(self, kind: str) -> Signature:
        """Each function as often as any other, however many overloads it has."""
        found = signatures(kind)
        name = self._dice.choice(sorted({one.name for one in found}))
        return self._dice.choice([one for one in found if one.name == name])

    def _operator(self) -> str:
        op = self._dice.choice(_OPERATORS)
        if op == "||":
            kind = self._dice.choice(("varchar", "array(bigint)", "varbinary", "char(5)"))
            return f"({self.value(kind)} || {self.value(kind)})"
        if self._dice.random() < 0.3 and op in _COMPARISONS:
            kind = self._dice.choice(("varchar", *_MOMENTS, "boolean", "char(5)", *_INTERVALS))
            return f"({self.value(kind)} {op} {self.value(kind)})"
        left, right = self._dice.choice(_NUMBERS), self._dice.choice(_NUMBERS)
        return f"({self.value(left)} {op} {self.value(right)})"

    def _cast(self) -> str:
        given, target = self._dice.choice(_CASTS), self._dice.choice(_CASTS)
        given = "varchar" if given == "varchar(3)" else given
        if target not in _allowed(given):
            target = "varchar"
        return f"CAST({self.value(given)} AS {target})"

    def _choice(self) -> str:
        kind = self._dice.choice((*_NUMBERS, "varchar", "date", *_STAMPS, _ZONED))
        constants = self._dice.sample(EDGES[kind], 2)
        a, b = column(kind), f"CAST({constants[0]} AS {kind})"  # Trino takes x = x for true
        other = f"CAST({constants[1]} AS {kind})"
        forms = (
            f"coalesce({a}, {b})", f"nullif({a}, {b})", f"greatest({a}, {b})", f"least({a}, {b})",
            f"({a} IN ({b}, {other}))", f"({a} NOT IN ({b}, NULL))",
            f"({a} BETWEEN {b} AND {other})", f"if({a} < {b}, {a}, {b})",
            f"CASE {a} WHEN {b} THEN 1 WHEN {other} THEN 2 ELSE 3 END",
        )  # fmt: skip
        return self._dice.choice(forms)

    def _moment(self) -> str:
        dice = self._dice
        kind = dice.choice(_MOMENTS)
        a, b, unit = self.value(kind), self.value(kind), dice.choice(_UNITS)
        zoned = self.value(dice.choice((*_STAMPS, _ZONED)))
        interval = self.value(dice.choice(_INTERVALS))
        forms = (
            f"date_add('{unit}', {dice.choice((1, -1, 13, 400))}, {a})",
            f"date_diff('{unit}', {a}, {b})", f"date_trunc('{unit}', {a})",
            f"extract({dice.choice(_FIELDS)} FROM {a})", f"({a} + {interval})",
            f"({a} - {interval})", f"({zoned} AT TIME ZONE '{dice.choice(_ZONES)}')",
            f"date_format({zoned}, '{dice.choice(_FORMATS)}')",
            f"format_datetime({zoned}, 'yyyy-MM-dd''T''HH:mm:ss.SSS EEE ZZ')",
            f"({interval} * {self.value('tinyint')})", f"({a} - {b})", f"to_iso8601({a})",
        )  # fmt: skip
        return dice.choice(forms)

    def _lambda(self) -> str:
        dice = self._dice
        kind = dice.choice(("bigint", "varchar", "double"))
        a, b, one = self.value(f"array({kind})"), self.value(f"array({kind})"), self.value(kind)
        forms = (
            f"transform({a}, x -> nullif(x, {one}))", f"filter({a}, x -> x >= {one})",
            f"any_match({a}, x -> x = {one})", f"all_match({a}, x -> x <> {one})",
            f"none_match({a}, x -> x < {one})", f"zip_with({a}, {b}, (x, y) -> coalesce(x, y))",
            f"reduce({a}, {one}, (s, x) -> greatest(s, x), s -> s)", f"zip({a}, {b})",
            f"array_sort({a}, (x, y) -> if(x < y, 1, if(x > y, -1, 0)))",
            f"transform_values({self.value('map(varchar,bigint)')}, (k, v) -> coalesce(v, 7))",
            f"map_filter({self.value('map(varchar,bigint)')}, (k, v) -> k > 'a' OR v > 0)",
            f"{a}[{dice.choice((1, 2, 5))}]",
        )  # fmt: skip
        return dice.choice(forms)

    def _text(self) -> str:
        dice = self._dice
        a, pattern = self.value("varchar"), dice.choice(_PATTERNS)
        path, document = dice.choice(_PATHS), self.value("json")
        forms = (
            f"({a} LIKE '{dice.choice(_LIKES)}')", f"regexp_like({a}, '{pattern}')",
            f"regexp_extract({a}, '{pattern}')", f"regexp_replace({a}, '{pattern}', '<$0>')",
            f"regexp_extract_all({a}, '{pattern}')", f"regexp_split({a}, '{pattern}')",
            f"regexp_count({a}, '{pattern}')", f"regexp_position({a}, '{pattern}')",
            f"split({a}, ',')", f"json_extract_scalar({document}, '{path}')",
            f"json_extract({document}, '{path}')", f"json_size({document}, '{path}')",
            f"format('%s|%10s|', {a}, {self.value(dice.choice(('bigint', 'boolean', 'varchar')))})",
            f"CAST({document} AS {dice.choice(('varchar', 'double', 'array(json)', 'bigint'))})",
            f"json_value(json_format({document}), 'lax {path}')", f"substr({a}, {self._bounds()})",
            f"lpad({a}, {dice.choice((0, 3, 9))}, 'xy')", f"trim({a})", f"upper({a})",
        )  # fmt: skip
        return dice.choice(forms)

    def _bounds(self) -> str:
        return self._dice.choice(("1", "2, 3", "-2", "0", "-9, 3", "2, 0"))

    def aggregate(self) -> str:
        """One aggregate, with what may follow it."""
        dice = self._dice
        one = self._one_of("aggregate")
        kinds = one.bound(dice)
        if one.params in {("T",), ("E",)}:
            kinds = (dice.choice(_AGGREGATE_KINDS),)
        distinct = "DISTINCT " if dice.random() < 0.15 and len(kinds) == 1 else ""
        args = ", ".join(column(kind) for kind in kinds)
        order = " ORDER BY id" if not distinct and one.name in {"array_agg", "listagg"} else ""
        where = " FILTER (WHERE h = 0)" if dice.random() < 0.3 else ""
        return f'"{one.name}"({distinct}{args}{order}){where}'

    def window(self) -> str:
        """One aggregate or window function over a frame."""
        dice = self._dice
        kind = dice.choice((*_NUMBERS, "varchar", "date", *_STAMPS, _ZONED))
        functions = [
            f"{name}({column(kind)})"
            for name in ("first_value", "last_value", "lag", "lead", "min", "max", "count")
        ]
        functions += [f"nth_value({column(kind)}, 2)", f"min_by(id, {column(kind)})"]
        if kind in _NUMBERS and kind != "real":
            functions += [f"sum({column(kind)})"] if "38" not in kind else []
        one = dice.choice(
            [*functions, "row_number()", "rank()", "dense_rank()", "ntile(3)", "cume_dist()"]
        )
        order = dice.choice(("id", "id DESC", f"{column(kind)}, id", f"{column(kind)} DESC, id"))
        return f"{one} OVER (PARTITION BY g ORDER BY {order}{self._frame(one, order)})"

    def _frame(self, function: str, order: str) -> str:
        frames = [
            "", " ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING", " ROWS 1 PRECEDING",
            " GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW",
            " ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
            " ROWS BETWEEN 1 FOLLOWING AND 3 FOLLOWING",
        ]  # fmt: skip
        if order in {"id", "id DESC"}:
            frames.append(" RANGE BETWEEN 4 PRECEDING AND 2 FOLLOWING")
        has_none = function[:4] in {"row_", "rank", "dens", "ntil", "lag(", "lead", "cume"}
        return "" if has_none else self._dice.choice(frames)

    def subquery(self) -> str:
        """A correlated one, of the kinds that Trino takes."""
        name = column(self._dice.choice((*_NUMBERS, "varchar", "date")))
        forms = (
            f"(SELECT count(*) FROM t u WHERE u.g = t.g AND u.{name} < t.{name})",
            f"(SELECT max(u.{name}) FROM t u WHERE u.h = t.h AND u.id <> t.id)",
            f"EXISTS (SELECT 1 FROM t u WHERE u.{name} = t.{name} AND u.id < t.id)",
            f"({name} IN (SELECT u.{name} FROM t u WHERE u.id > 3))",
            f"({name} > ALL (SELECT u.{name} FROM t u WHERE u.id < 2))",
            f"({name} NOT IN (SELECT u.{name} FROM t u WHERE u.{name} IS NOT NULL))",
            f"(SELECT array_agg(u.{name} ORDER BY u.id) FROM t u WHERE u.g = t.g AND u.h <> t.h)",
        )
        return self._dice.choice(forms)


def _allowed(given: str) -> Sequence[str]:
    if given in _NUMBERS or given == "boolean":
        return (*_NUMBERS, "varchar", "boolean", "json")
    if given == "varchar":
        return tuple(kind for kind in _CASTS if kind not in _INTERVALS)
    if given == "json":
        return (*_NUMBERS, "varchar", "boolean")
    if given == "time(3)":
        return ("varchar",)
    return ("date", *_STAMPS, _ZONED, "time(3)", "varchar") if given in _MOMENTS else ("varchar",)

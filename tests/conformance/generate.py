"""Expressions out of types, functions and edge values, for a real Trino and for us.

`python -m tests.conformance generate --count N --seed S`: each expression is one of many columns
over a small table of edge values, so one statement asks hundreds of questions. TRY makes of a
failure a NULL on both sides; what is refused here is counted, never compared.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from queryrun.sql.trino.catalog import trino_functions
from queryrun.sql.trino.compile_calls import known_functions
from queryrun.sql.trino.overloads import split

EDGES: dict[str, tuple[str, ...]] = {
    "boolean": ("true", "false", "NULL"),
    "tinyint": ("0", "1", "-1", "127", "-128", "NULL", "7"),
    "smallint": ("0", "-3", "32767", "-32768", "NULL", "12"),
    "integer": ("0", "1", "-7", "2147483647", "-2147483648", "NULL", "100", "3"),
    "bigint": ("0", "2", "-1", "9223372036854775807", "-9223372036854775808", "NULL", "5", "64"),
    "real": ("0", "-1.5", "3.4028235e38", "nan()", "infinity()", "NULL", "0.1", "2.5"),
    "double": (
        "0e0", "-0e0", "1.115e0", "-2.5e0", "1e308", "nan()", "infinity()", "-infinity()", "NULL",
        "1234567890.0e0", "0.5e0",
    ),
    "decimal(5,2)": ("0", "-1.25", "999.99", "-999.99", "NULL", "0.05", "2.50"),
    "decimal(18,6)": ("0", "123456789012.345678", "-0.000001", "NULL", "1.115", "7.5"),
    "decimal(38,10)": ("0", "1234567890123456789012345678.9", "-1e-10", "NULL", "2.5", "-3"),
    "varchar": ("''", "'a'", "'Äß ü'", "'12'", "' 1.5 '", "'2020-02-29'", "NULL", "'a,b,,c'"),
    "varbinary": ("X''", "X'00ff'", "to_utf8('abc')", "NULL"),
    "date": (
        "DATE '2020-02-29'", "DATE '1969-12-31'", "DATE '0001-01-01'", "DATE '9999-12-31'", "NULL",
        "DATE '2021-03-28'",
    ),
    "timestamp(3)": (
        "TIMESTAMP '2020-02-29 23:59:59.999'", "TIMESTAMP '1969-12-31 12:00:00.500'", "NULL",
        "TIMESTAMP '2021-03-28 02:30:00'", "TIMESTAMP '1600-01-01 00:00:00.001'",
    ),
    "timestamp(6)": (
        "TIMESTAMP '2020-02-29 23:59:59.999999'", "TIMESTAMP '1970-01-01 00:00:00.000001'", "NULL",
    ),
    "time(3)": ("TIME '00:00:00'", "TIME '23:59:59.999'", "NULL"),
    "array(bigint)": ("ARRAY[]", "ARRAY[1,2,3]", "ARRAY[3,NULL,1,3]", "NULL", "ARRAY[-1]"),
    "array(varchar)": ("ARRAY['a','b']", "ARRAY[NULL,'','a']", "NULL", "ARRAY[]"),
    "array(double)": ("ARRAY[1e0,nan(),NULL]", "ARRAY[2.5e0,-1e0]", "NULL"),
    "map(varchar,bigint)": ("MAP(ARRAY['a','b'],ARRAY[1,NULL])", "MAP()", "NULL"),
}  # fmt: skip
ROWS = 24
_CHANCE = {
    "random", "rand", "uuid", "now", "current_timestamp", "current_date", "localtime", "shuffle",
    "localtimestamp", "current_time", "arbitrary", "any_value", "version", "current_timezone",
    "approx_distinct", "approx_percentile", "approx_most_frequent", "numeric_histogram", "fail",
    "hmac_md5", "hmac_sha1", "hmac_sha256", "hmac_sha512", "current_user", "current_catalog",
    "current_schema", "checksum", "merge",
}  # fmt: skip
_WORDS = {"varchar(x)": "varchar", "decimal(p,s)": "decimal(18,6)", "timestamp(p)": "timestamp(3)"}
_OPERATORS = ("+", "-", "*", "/", "%", "=", "<>", "<", ">=", "IS DISTINCT FROM", "||")
_NUMBERS = (
    "tinyint", "smallint", "integer", "bigint", "real", "double", "decimal(5,2)", "decimal(18,6)",
    "decimal(38,10)",
)  # fmt: skip
_CASTS = (*_NUMBERS, "varchar", "boolean", "date", "timestamp(3)", "timestamp(6)", "time(3)")


def column(kind: str) -> str:
    """The name of the table's column of this type."""
    return "c_" + "".join(ch if ch.isalnum() else "_" for ch in kind).strip("_")


def table(dice: random.Random) -> str:
    """Rows of edge values, each column in an order of its own."""
    cells = {kind: [dice.choice(values) for _ in range(ROWS)] for kind, values in EDGES.items()}
    rows = (
        f"SELECT {n} AS id, {n % 3} AS g, {n % 2} AS h, "
        + ", ".join(f"CAST({cells[kind][n]} AS {kind}) AS {column(kind)}" for kind in EDGES)
        for n in range(ROWS)
    )
    return " UNION ALL ".join(rows)


EMPTY = "SELECT 0 AS id, 0 AS g, 0 AS h, " + ", ".join(
    f"CAST(NULL AS {kind}) AS {column(kind)}" for kind in EDGES
)
"""A table of the same columns, quick to read."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One overload: the types of its parameters, all of them in `EDGES`."""

    name: str
    params: tuple[str, ...]


def signatures(kind: str) -> list[Signature]:
    """The overloads of the functions that we have, of one kind, over types that we make."""
    found = []
    for name in sorted((known_functions() & set(trino_functions())) - _CHANCE):
        for row in trino_functions()[name]:
            params = [_base(one) for one in split(row[1])]
            if row[2] == kind and params and all(one in EDGES for one in params):
                found.append(Signature(name, tuple(params)))
    return found


def _base(param: str) -> str:
    param = param.replace(" ", "")
    for any_type in ("array(T)", "array(E)"):
        if param == any_type:
            return "array(bigint)"
    if param in {"T", "E"}:
        return "bigint"
    return {"map(K,V)": "map(varchar,bigint)", "K": "varchar", "V": "bigint"}.get(
        param, _WORDS.get(param, param)
    )


class Expressions:
    """Makes expressions; the same for the same dice."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._scalars = signatures("scalar")
        self._aggregates = signatures("aggregate")

    def value(self, kind: str) -> str:
        """A column mostly, or a constant."""
        if self._dice.random() < 0.65:
            return column(kind)
        return f"CAST({self._dice.choice(EDGES[kind])} AS {kind})"

    def scalar(self) -> str:
        """One expression."""
        makers = (self._call, self._call, self._call, self._operator, self._cast, self._choice)
        return self._dice.choice(makers)()

    def _call(self) -> str:
        one = self._dice.choice(self._scalars)
        return f'"{one.name}"({", ".join(self.value(kind) for kind in one.params)})'

    def _operator(self) -> str:
        op = self._dice.choice(_OPERATORS)
        if op == "||":
            kind = self._dice.choice(("varchar", "array(bigint)", "varbinary"))
            return f"({self.value(kind)} || {self.value(kind)})"
        if self._dice.random() < 0.2 and op in {"=", "<>", "<", ">=", "IS DISTINCT FROM"}:
            kind = self._dice.choice(("varchar", "date", "timestamp(3)", "time(3)", "boolean"))
            return f"({self.value(kind)} {op} {self.value(kind)})"
        left, right = self._dice.choice(_NUMBERS), self._dice.choice(_NUMBERS)
        return f"({self.value(left)} {op} {self.value(right)})"

    def _cast(self) -> str:
        given, target = self._dice.choice(_CASTS), self._dice.choice(_CASTS)
        if target not in _allowed(given):
            target = "varchar"
        return f"CAST({self.value(given)} AS {target})"

    def _choice(self) -> str:
        kind = self._dice.choice((*_NUMBERS, "varchar", "date"))
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

    def aggregate(self) -> str:
        """One aggregate, with what may follow it."""
        one = self._dice.choice(self._aggregates)
        distinct = "DISTINCT " if self._dice.random() < 0.15 and len(one.params) == 1 else ""
        args = ", ".join(column(kind) for kind in one.params)
        order = " ORDER BY id" if not distinct and one.name == "array_agg" else ""
        where = " FILTER (WHERE h = 0)" if self._dice.random() < 0.3 else ""
        return f'"{one.name}"({distinct}{args}{order}){where}'

    def window(self) -> str:
        """One aggregate or window function over a frame."""
        dice = self._dice
        kind = dice.choice((*_NUMBERS, "varchar", "date"))
        functions = [
            f"{name}({column(kind)})"
            for name in ("first_value", "last_value", "lag", "lead", "min", "max", "count")
        ]
        if kind in _NUMBERS and kind != "real":
            functions += [f"sum({column(kind)})"] if "38" not in kind else []
        one = dice.choice([*functions, "row_number()", "rank()", "dense_rank()", "ntile(3)"])
        order = dice.choice(("id", "id DESC", f"{column(kind)}, id"))
        frame = dice.choice(("", " ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING", " ROWS 1 PRECEDING"))
        frame = "" if one[:4] in {"row_", "rank", "dens", "ntil", "lag(", "lead"} else frame
        return f"{one} OVER (PARTITION BY g ORDER BY {order}{frame})"


def _allowed(given: str) -> Sequence[str]:
    if given in _NUMBERS or given == "boolean":
        return (*_NUMBERS, "varchar", "boolean")
    if given == "varchar":
        return _CASTS
    moments = ("date", "timestamp(3)", "timestamp(6)", "varchar")
    return ("time(3)", "varchar") if given == "time(3)" else moments


def statements(seed: int, count: int, at_once: int = 150) -> Iterator[tuple[str, list[str], str]]:
    """Statements as what comes before their columns, the columns, and what comes after."""
    dice = random.Random(seed)  # noqa: S311 - reproducible statements, no secrets
    made = Expressions(dice)
    while count > 0:
        prefix = f"WITH t AS ({table(dice)}) SELECT "
        shape = dice.random()
        if shape < 0.7:
            items = [f"TRY({made.scalar()})" for _ in range(at_once)]
            yield prefix + "id", items, " FROM t ORDER BY id"
        elif shape < 0.85:
            items = [made.aggregate() for _ in range(at_once // 3)]
            group = dice.choice(
                ("g", "g, h", "ROLLUP(g, h)", "CUBE(g, h)", "GROUPING SETS ((g), (h), ())")
            )
            keys = "g" if group == "g" else "g, h"
            yield prefix + keys, items, f" FROM t GROUP BY {group} ORDER BY {keys}"
        elif shape < 0.95:
            items = [made.window() for _ in range(at_once // 3)]
            yield prefix + "id", items, " FROM t ORDER BY id"
        else:
            items = [_subquery(made, dice) for _ in range(at_once // 10)]
            yield prefix + "id", items, " FROM t ORDER BY id"
        count -= len(items)


def _subquery(made: Expressions, dice: random.Random) -> str:
    """A correlated one, of the kinds that Trino takes."""
    kind = dice.choice(_NUMBERS)
    name = column(kind)
    forms = (
        f"(SELECT count(*) FROM t u WHERE u.g = t.g AND u.{name} < t.{name})",
        f"(SELECT max(u.{name}) FROM t u WHERE u.h = t.h AND u.id <> t.id)",
        f"EXISTS (SELECT 1 FROM t u WHERE u.{name} = t.{name} AND u.id < t.id)",
        f"({name} IN (SELECT u.{name} FROM t u WHERE u.id > 3))",
        f"({name} > ALL (SELECT u.{name} FROM t u WHERE u.id < 2))",
        f"({name} NOT IN (SELECT u.{name} FROM t u WHERE u.{name} IS NOT NULL))",
    )
    return dice.choice(forms)

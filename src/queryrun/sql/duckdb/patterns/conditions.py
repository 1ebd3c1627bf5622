"""DEFINE: the conditions of a row pattern, as columns of a row or as questions of a match."""

from __future__ import annotations

from typing import Any

from queryrun.sql.compile import types as t
from queryrun.sql.compile.typed import Typed
from queryrun.sql.duckdb.calls import DuckDBCalls
from queryrun.sql.duckdb.patterns.direct import DirectConditions
from queryrun.sql.duckdb.patterns.expressions import (
    Input,
    Labels,
    PatternExpressions,
    Target,
    added,
)
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.records import patterns as ap

_AS_TEXT = {
    "boolean", "tinyint", "smallint", "integer", "bigint", "real", "double", "decimal", "varchar",
    "char", "date", "timestamp", "uuid",
}  # fmt: skip
"""Types of values that come back from text as they went in."""


class Conditions(PatternExpressions):
    """Conditions of DEFINE. `locals`: SQL of those that a row decides alone, with a `{window}`;
    `texts`: SQL of the values that the others look at, as text."""

    def __init__(self, c: DuckDBCalls, rows: Input, labels: Labels) -> None:
        super().__init__(c, rows, labels)
        self.locals: list[str] = []
        self.texts: list[str] = []
        self._direct = DirectConditions(c, rows, labels, self._text)
        self._own_label = -1
        self._slots: list[dict[str, Any]] = []
        self._is_local = True

    def test(self, definition: ap.Definition | None) -> int | dict[str, Any] | None:
        """For the program: a column of booleans, or SQL and what its parameters are."""
        if definition is None:
            return None
        self._own_label = self._labels.names.index(definition.label)
        here: list[ast.Expr] = []
        remote: list[ast.Expr] = []
        for term in _terms(definition.condition):
            (here if self._is_of_row(term) else remote).append(term)
        local = self._local(_all_of(here, definition)) if here else None
        if not remote:
            return local
        condition = _all_of(remote, definition)
        question = self._question(condition)
        return {"local": local, **(self._direct.question(condition) or question)}

    def _is_of_row(self, term: ast.Expr) -> bool:
        """Whether its row alone decides it."""
        self._is_local = True
        try:
            self.value(term)
        except _NotLocalError:
            return False
        return True

    def _local(self, condition: ast.Expr) -> int:
        self._is_local = True
        sql = self._boolean(condition)
        self.locals.append(sql.replace("{", "{{").replace("}", "}}").replace("\0", "{window}"))
        return len(self.locals) - 1

    def _question(self, condition: ast.Expr) -> dict[str, Any]:
        self._is_local, self._slots = False, []
        sql = self._boolean(condition)
        if "SELECT " in sql:
            what = "A query in a condition that looks at other rows of the match"
            self._c.refuse(what, condition.at)
        slots = self._slots or [{"kind": "number"}]
        columns = ", ".join(
            f"unnest(CAST(${n} AS {_column_type(slot)})) AS v{n}" for n, slot in enumerate(slots, 1)
        )
        return {"sql": f"SELECT {sql} FROM (SELECT {columns})", "slots": slots}

    def _boolean(self, condition: ast.Expr) -> str:
        value = self.value(condition)
        if value.type not in {t.BOOLEAN, t.UNKNOWN}:
            message = "Expression defining a label must be boolean (actual type: "
            self._c.mismatch(f"{message}{value.type})", condition.at)
        return f"CAST({value.sql} AS BOOLEAN)"

    def final(self, node: ap.Mode) -> bool:
        if node.word == "FINAL":
            self._c.mismatch("FINAL semantics is not supported in DEFINE clause", node.at)
        return False

    def row_value(self, target: Target, inner: ast.Expr, at: int) -> Typed:
        with self._c.inside(self._rows.scope()):
            value = self._c.expr(inner)
        is_here = target.labels is None or self._own_label in target.labels
        if not self._is_local:
            slot = {"kind": "row", "text": self._text(value, at), **target.spec()}
            return self._parameter(slot, value.type)
        if not (is_here and target.last and target.logical == 0):
            raise _NotLocalError
        if target.physical == 0:
            return value
        function = "lead" if target.physical > 0 else "lag"
        distance = abs(target.physical)
        return Typed(f"{function}({self._c.exact(value)}, {distance}) OVER \0", value.type)

    def label_value(self, target: Target) -> Typed:
        self._leave()
        return self._parameter({"kind": "classifier", **target.spec()}, t.VARCHAR)

    def number_value(self) -> Typed:
        self._leave()
        return self._parameter({"kind": "number"}, t.BIGINT)

    def aggregate_value(self, node: ast.Call, labels: list[int] | None, running: bool) -> Typed:
        self._leave()
        spec = {"labels": labels, "running": running}
        entries = _Entries(self, spec, node.at)
        return self.aggregated(node, entries.placeholder, entries)

    def _leave(self) -> None:
        if self._is_local:
            raise _NotLocalError

    def _text(self, value: Typed, at: int) -> int:
        kind = value.type.name
        if kind not in _AS_TEXT or t.is_fine(value.type):
            what = f"A condition that looks at a value of {value.type} in another row of the match"
            self._c.refuse(what, at)
        sql = f"CAST({self._c.exact(value)} AS VARCHAR)"
        if sql not in self.texts:
            self.texts.append(sql)
        return self.texts.index(sql)

    def _parameter(self, slot: dict[str, Any], kind: t.Type, suffix: str = "") -> Typed:
        number = added(self._slots, slot) + 1
        return Typed(f"CAST(v{number} AS {self._c.type_name(kind)}{suffix})", kind)

    def entry_column(self, spec: dict[str, Any], number: int, at: int) -> str:
        """The list of a column's values, of the rows that an aggregate is of."""
        column = self._rows.columns[number]
        value = Typed(f"{self._rows.alias}.x{number}", column.type)
        slot = {"kind": "values", "text": self._text(value, at), **spec}
        return self._parameter(slot, column.type, "[]").sql

    def entry_labels(self, spec: dict[str, Any]) -> str:
        """The list of those rows' labels."""
        return self._parameter({"kind": "labels", **spec}, t.VARCHAR, "[]").sql


class _Entries:
    """What an aggregate in a condition is of: a range of positions in lists."""

    def __init__(self, own: Conditions, spec: dict[str, Any], at: int) -> None:
        self._own, self._spec, self._at = own, spec, at
        self.placeholder = f"range(1, len({own.entry_labels(spec)}) + 1)"

    def column(self, number: int, item: str) -> str:
        return f"({self._own.entry_column(self._spec, number, self._at)})[{item}]"

    def label(self, item: str) -> str:
        return f"({self._own.entry_labels(self._spec)})[{item}]"


def _terms(condition: ast.Expr) -> list[ast.Expr]:
    is_chain = isinstance(condition, ast.Logical) and condition.op == "AND"
    return condition.terms if isinstance(condition, ast.Logical) and is_chain else [condition]


def _all_of(terms: list[ast.Expr], definition: ap.Definition) -> ast.Expr:
    return terms[0] if len(terms) == 1 else ast.Logical("AND", terms, definition.condition.at)


def _column_type(slot: dict[str, Any]) -> str:
    """What the values of a parameter are sent as: one for each question."""
    if slot["kind"] == "number":
        return "BIGINT[]"
    return "VARCHAR[][]" if slot["kind"] in {"labels", "values"} else "VARCHAR[]"


class _NotLocalError(Exception):
    """A condition looks at more than its row."""

"""FROM in DuckDB's SQL: tables, subqueries, UNNEST, joins, and which rows of a table are seen."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from queryrun.errors import FailureCode
from queryrun.sql.compile import information
from queryrun.sql.compile import types as t
from queryrun.sql.compile.calls import CallCompiler
from queryrun.sql.compile.correlated import REFUSAL, Correlation, Use
from queryrun.sql.compile.scope import (
    LOCATION,
    Column,
    Location,
    Output,
    Schema,
    Scope,
    TableColumn,
    did_you_mean,
    repeated,
)
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.duckdb import sql_json
from queryrun.sql.duckdb.patterns import relation as patterns
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.records import json as ast_json
from queryrun.sql.trino.records import patterns as ast_patterns
from queryrun.sql.trino.records.samples import Sampled
from queryrun.sql.trino.tokens import failure_at


@dataclass(slots=True)
class Joined:
    """What a FROM clause has become: its SQL and its columns, merged ones of USING first."""

    sql: str
    columns: list[Column]
    hidden: list[Column] = field(default_factory=list)
    """The sides of a merged column: findable with a qualifier, not part of `*`."""


class RelationCompiler(CallCompiler):
    """Compiles relations against a schema. `deleted`: exclude, include or only."""

    def __init__(
        self,
        statement: str,
        zone: str,
        schema: Schema,
        deleted: str,
        location: Location | None = None,
    ) -> None:
        super().__init__(statement, zone)
        self.location = location
        """What the names of a catalog and a schema must be; None: whatever they are."""
        self.schema = schema
        self.deleted = deleted
        self._limit_of_ties: int | None = None
        """Of the SELECT that comes next: FETCH FIRST … WITH TIES."""
        self._selected: list[set[tuple[str | None, str]]] = []
        self._selects_all: list[bool] = []
        """Of each SELECT around: whether it selects every column of its FROM clause."""

    def relation(self, node: ast.Relation, outer: Scope) -> Joined:
        """A relation, for which `outer` is around its FROM clause."""
        match node:
            case ast.Table():
                return self._table(node, outer, "")
            case ast.Derived():
                return self._derived(node, outer, "", [])
            case ast.Unnest():
                return self._unnest(node, outer, Joined("", []), "", [])
            case ast_json.JsonTable():
                return self._json_table(node, outer, Joined("", []), "", [])
            case ast.Aliased():
                return self._aliased(node, outer, Joined("", []))
            case ast.Join():
                return self._join(node, outer)
            case ast_patterns.Matched():
                return self.matched(node, outer, "", [])
            case Sampled():
                return self._sampled(node, outer)
            case _:
                self.refuse("Such a relation", node.at)

    def _aliased(self, node: ast.Aliased, outer: Scope, left: Joined) -> Joined:
        alias = node.alias.key
        inner = node.relation
        match inner:
            case ast.Table():
                found = self._table(inner, outer, alias)
            case ast.Derived():
                scope = Scope(left.columns + left.hidden, outer) if inner.is_lateral else outer
                return self._derived(inner, scope, alias, node.columns)
            case ast.Unnest():
                return self._unnest(inner, outer, left, alias, node.columns)
            case ast_json.JsonTable():
                return self._json_table(inner, outer, left, alias, node.columns)
            case ast_patterns.Matched():
                return self.matched(inner, outer, alias, node.columns)
            case _:
                found = self.relation(inner, outer)
                columns = [replace(c, relation=alias, location=()) for c in found.columns]
                found = Joined(found.sql, columns)
        if node.columns:
            outputs = [Output(c.heading, c.type) for c in found.columns]
            for column, output in zip(
                found.columns, self._renamed(outputs, node.columns, node.at), strict=True
            ):
                column.key, column.heading = output.heading.lower(), output.heading
        return found

    def _table(self, node: ast.Table, outer: Scope, alias: str) -> Joined:
        key = node.parts[-1].key
        entry = outer.cte(key) if len(node.parts) == 1 else None
        sql_alias = self.fresh("r")
        if entry is not None:
            columns = columns_of(entry.outputs, sql_alias, alias or key)
            return Joined(f"{entry.sql} AS {sql_alias}", columns)
        if self.location and (wrong := information.misplaced(node, self.location)):
            self.not_found(wrong, node.at)
        if information.is_information(node):
            return self._information(node, outer, alias)
        table = self.schema.get(key)
        if table is None:
            path = ".".join(part.text for part in node.parts)
            guess = did_you_mean(node.parts[-1].text, self.schema)
            self.not_found(f"Table '{path}' does not exist{guess}", node.at)
        sql = self._scan(key, table, alias)
        columns = [
            Column(
                c.name.lower(), c.name.lower(), f"{sql_alias}.{self.quoted(c.name)}",
                c.type or Type(t.UNSUPPORTED, names=(c.engine_type,)), alias or key,
                () if alias else tuple(part.key for part in node.parts[:-1]),
            )
            for c in table
        ]  # fmt: skip
        return Joined(f"{sql} AS {sql_alias}", columns)

    def _information(self, node: ast.Table, outer: Scope, alias: str) -> Joined:
        key = node.parts[-1].key
        known = information.tables_of(node.parts[-2].key)
        if key not in known:
            path = ".".join(part.text for part in node.parts)
            guess = did_you_mean(node.parts[-1].text, known)
            self.not_found(f"Table '{path}' does not exist{guess}", node.at)
        query = information.query_of(node, self.schema, self.location or LOCATION)
        return self._derived(ast.Derived(query, False, node.at), outer, alias or key, [])

    def _scan(self, key: str, table: Sequence[TableColumn], alias: str) -> str:
        """The table, without the rows that are not to be seen and with Trino's types."""
        converted = [c for c in table if c.is_converted and c.type is not None]
        condition = self._visible_rows(table, alias or key)
        if not converted and not condition:
            return self.quoted(key)
        items = "*"
        if converted:
            casts = ", ".join(
                f"CAST({self.quoted(c.name)} AS {self.type_name(c.type)}) AS {self.quoted(c.name)}"
                for c in converted
                if c.type is not None
            )
            items = f"* REPLACE ({casts})"
        return f"(SELECT {items} FROM {self.quoted(key)}{condition})"

    def _visible_rows(self, table: Sequence[TableColumn], known_as: str) -> str:
        """Selecting the mark of a table shows both kinds of its rows (contract F3)."""
        mark = next((c.name for c in table if c.marks_deleted and c.type == t.BOOLEAN), None)
        if mark is None or self.deleted == "include":
            return ""
        selected = self._selected[-1] if self._selected else set()
        if selected & {(None, mark.lower()), (known_as, mark.lower())}:
            return ""
        negation = "" if self.deleted == "only" else "NOT "
        return f" WHERE {negation}coalesce({self.quoted(mark)}, false)"

    def _derived(
        self, node: ast.Derived, scope: Scope, alias: str, columns: Sequence[ast.Ident]
    ) -> Joined:
        sql, outputs = self.query(node.query, scope)
        if node.is_lateral and self._selects_all[-1:] == [True]:
            self.refuse_correlated(node.query, Use.LATERAL, scope, node.at)
        renamed = self._renamed(outputs, columns, node.at)
        sql_alias = self.fresh("r")
        lateral = "LATERAL " if node.is_lateral else ""
        found = columns_of(renamed, sql_alias, alias)
        return Joined(f"{lateral}({sql}) AS {sql_alias}({numbered(renamed)})", found)

    def subquery(self, node: ast.Query, use: Use, at: int) -> tuple[str, list[Output]]:
        found = self.query(node, self.scope)
        self.refuse_correlated(node, use, self.scope, at)
        return found

    def refuse_correlated(self, node: ast.Query, use: Use, around: Scope, at: int) -> None:
        """Refuse what Trino cannot turn into a join. The names in there have been looked up."""
        outer = frozenset(id(scope) for scope in around.outward())
        if Correlation(self.names, outer, self.functions.aggregates).refuses(node, use):
            raise failure_at(FailureCode.NOT_SUPPORTED, REFUSAL, self.statement, at)

    def _sampled(self, node: Sampled, outer: Scope) -> Joined:
        """Each row, or with SYSTEM each block of rows, by chance."""
        found = self.relation(node.relation, outer)
        if isinstance(node.relation, ast.Join):
            self.refuse("TABLESAMPLE of a join", node.at)
        share = self._percentage(node.percentage)
        found.sql += f" TABLESAMPLE {node.kind}({share} PERCENT)"
        return found

    def _percentage(self, node: ast.Expr) -> str:
        negated = isinstance(node, ast.Unary) and node.op == "-"
        literal = node.operand if isinstance(node, ast.Unary) else node
        if not isinstance(literal, ast.Literal):
            self.refuse("A sample's percentage that is no literal", node.at)
        if literal.kind == "null":
            self.mismatch("Sample percentage cannot be NULL", node.at)
        if literal.kind not in {"integer", "decimal", "double"}:
            self.mismatch("Sample percentage should be a numeric expression", node.at)
        if negated and float(literal.text) != 0:
            self.invalid("Sample percentage must be greater than or equal to 0", node.at)
        if float(literal.text) > 100:
            self.invalid("Sample percentage must be less than or equal to 100", node.at)
        return literal.text

    def matched(
        self,
        node: ast_patterns.Matched,
        outer: Scope,
        alias: str,
        columns: Sequence[ast.Ident],
    ) -> Joined:
        """MATCH_RECOGNIZE."""
        source = self.relation(node.relation, outer)
        sql, outputs = patterns.compiled(self, node, source.sql, source.columns)
        renamed = self._renamed(outputs, columns, node.at)
        sql_alias = self.fresh("r")
        found = columns_of(renamed, sql_alias, alias)
        return Joined(f"({sql}) AS {sql_alias}({numbered(renamed)})", found)

    def _json_table(
        self,
        node: ast_json.JsonTable,
        outer: Scope,
        left: Joined,
        alias: str,
        columns: Sequence[ast.Ident],
    ) -> Joined:
        with self.inside(Scope(left.columns + left.hidden, outer)):
            sql, outputs = sql_json.table(self, node)
        outputs = self._renamed(outputs, columns, node.at)
        sql_alias = self.fresh("r")
        found = columns_of(outputs, sql_alias, alias)
        return Joined(f"LATERAL ({sql}) AS {sql_alias}({numbered(outputs)})", found)

    def _unnest(
        self,
        node: ast.Unnest,
        outer: Scope,
        left: Joined,
        alias: str,
        columns: Sequence[ast.Ident],
    ) -> Joined:
        with self.inside(Scope(left.columns + left.hidden, outer)):
            values = [self.expr(arg) for arg in node.args]
        inner: list[str] = []
        items: list[str] = []
        outputs: list[Output] = []
        for number, value in enumerate(values, 1):
            self._unnest_one(node, value, number, inner, items, outputs)
        if node.with_ordinality:
            lengths = ", ".join(f"coalesce({_length(value)}, 0)" for value in values)
            longest = f"greatest({lengths})" if len(values) > 1 else lengths
            inner.append(f"unnest(range(1, {longest} + 1)) AS o")
            items.append("o")
            outputs.append(Output("", t.BIGINT))
        sql_alias, rows = self.fresh("r"), self.fresh("u")
        outputs = self._renamed(outputs, columns, node.at)
        sql = (
            f"LATERAL (SELECT {', '.join(items)} FROM (SELECT {', '.join(inner)}) AS {rows}) "
            f"AS {sql_alias}({numbered(outputs)})"
        )
        return Joined(sql, columns_of(outputs, sql_alias, alias))

    def _unnest_one(
        self, node: ast.Unnest, value: Typed, number: int,
        inner: list[str], items: list[str], outputs: list[Output],
    ) -> None:  # fmt: skip
        here = f"v{number}"
        if value.type.name == "map":
            inner += [
                f"unnest(map_keys({value.sql})) AS {here}k",
                f"unnest(map_values({value.sql})) AS {here}v",
            ]
            items += [f"{here}k", f"{here}v"]
            outputs += [Output("", part) for part in value.type.parts]
            return
        if value.type.name != "array":
            self.mismatch(f"Cannot unnest type: {value.type}", node.at)
        element = value.type.parts[0]
        inner.append(f"unnest({value.sql}) AS {here}")
        if element.name != "row":
            items.append(here)
            outputs.append(Output("", element))
            return
        for index, (part, field_name) in enumerate(
            zip(element.parts, t.field_names(element), strict=True), 1
        ):
            items.append(
                f"{here}.{self.quoted(field_name)}" if any(element.names) else f"{here}[{index}]"
            )
            outputs.append(Output(element.names[index - 1], part))

    def _join(self, node: ast.Join, outer: Scope) -> Joined:
        left = self.relation(node.left, outer)
        if _is_unnest(node.right) and node.kind != "CROSS" and not _is_true(node.on):
            what = f"{node.kind} JOIN with UNNEST, but ON TRUE,"
            self.refuse(what, node.at)
        if _is_lateral(node.right) and node.kind in {"RIGHT", "FULL"}:
            self.refuse(f"{node.kind} JOIN LATERAL", node.at)  # Trino has rules of its own
        seen = left if node.kind in {"CROSS", "INNER", "LEFT"} else Joined("", [])
        right = self._right(node.right, outer, seen)
        columns, hidden = left.columns + right.columns, left.hidden + right.hidden
        if node.kind == "CROSS":
            return Joined(f"({left.sql} CROSS JOIN {right.sql})", columns, hidden)
        if node.using:
            return self._join_using(node, left, right)
        joined = Scope(columns + hidden, outer)
        if node.kind != "INNER":
            self.closed.add(id(joined))
        with self.inside(joined):
            condition = self.condition(node.on, "JOIN ON clause") if node.on else "true"
        self.closed.discard(id(joined))
        sql = f"({left.sql} {node.kind} JOIN {right.sql} ON {condition})"
        return Joined(sql, columns, hidden)

    def _right(self, node: ast.Relation, outer: Scope, left: Joined) -> Joined:
        """The right side of a join; UNNEST and LATERAL see the left one."""
        if isinstance(node, ast.Unnest):
            return self._unnest(node, outer, left, "", [])
        if isinstance(node, ast_json.JsonTable):
            return self._json_table(node, outer, left, "", [])
        if isinstance(node, ast.Derived) and node.is_lateral:
            return self._derived(node, Scope(left.columns + left.hidden, outer), "", [])
        if isinstance(node, ast.Aliased):
            return self._aliased(node, outer, left)
        return self.relation(node, outer)

    def _join_using(self, node: ast.Join, left: Joined, right: Joined) -> Joined:
        merged, hidden, conditions = [], left.hidden + right.hidden, []
        keys = {ident.key for ident in node.using}
        if name := repeated(node.using):
            message = f"Column '{name.text}' appears multiple times in USING clause"
            self.mismatch(message, name.at)
        for ident in node.using:
            a, b = self._side(ident, left, "left"), self._side(ident, right, "right")
            x, y = Typed(a.sql, a.type), Typed(b.sql, b.type)
            conditions.append(self.compare("=", x, y, ident.at))
            kind = t.common(a.type, b.type) or a.type
            value = {
                "RIGHT": self.cast_to(y, kind).sql,
                "FULL": f"coalesce({self.cast_to(x, kind).sql}, {self.cast_to(y, kind).sql})",
            }
            merged.append(
                Column(ident.key, ident.text, value.get(node.kind, self.cast_to(x, kind).sql), kind)
            )
        rest = [c for side in (left, right) for c in side.columns if c.key not in keys]
        sql = f"({left.sql} {node.kind} JOIN {right.sql} ON {' AND '.join(conditions)})"
        return Joined(sql, merged + rest, [c for c in hidden if c.key not in keys])

    def _side(self, ident: ast.Ident, side: Joined, word: str) -> Column:
        found = [column for column in side.columns if column.key == ident.key]
        if len(found) > 1:
            self.ambiguous(f"Column '{ident.text}' is ambiguous", ident.at)
        if not found:
            message = f"Column '{ident.text}' is missing from {word} side of join"
            self.not_found(message, ident.at)
        return found[0]

    def _renamed(
        self, outputs: Sequence[Output], columns: Sequence[ast.Ident], at: int
    ) -> list[Output]:
        if not columns:
            return list(outputs)
        if len(columns) != len(outputs):
            count = f"{len(columns)} entries but the relation has {len(outputs)} columns"
            self.mismatch(f"Column alias list has {count}", at)
        pairs = zip(columns, outputs, strict=True)
        return [Output(ident.text, output.type) for ident, output in pairs]


def _is_unnest(node: ast.Relation) -> bool:
    return isinstance(node.relation if isinstance(node, ast.Aliased) else node, ast.Unnest)


def _is_lateral(node: ast.Relation) -> bool:
    inner = node.relation if isinstance(node, ast.Aliased) else node
    return isinstance(inner, ast.Derived) and inner.is_lateral


def _is_true(node: ast.Expr | None) -> bool:
    return isinstance(node, ast.Literal) and node.text.lower() == "true"


def columns_of(outputs: Sequence[Output], sql_alias: str, relation: str) -> list[Column]:
    """The columns of a subquery that is called `sql_alias` and has columns `c1`, `c2`, …"""
    return [
        Column(o.heading.lower(), o.heading, f"{sql_alias}.c{n}", o.type, relation)
        for n, o in enumerate(outputs, 1)
    ]


def numbered(outputs: Sequence[Output]) -> str:
    """`c1, c2, …`: what the columns of a subquery are called."""
    return ", ".join(f"c{number}" for number in range(1, len(outputs) + 1))


def _length(value: Typed) -> str:
    function = "cardinality" if value.type.name == "map" else "len"
    return f"CAST({function}({value.sql}) AS BIGINT)"

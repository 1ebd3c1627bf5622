"""Trino's queries as DuckDB's SQL: FROM, SELECT, grouping, set operations, WITH."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from queryrun.errors import FailureCode
from queryrun.sql.trino import (
    ast,
    functions_aggregate,
    functions_special,
    functions_time,
    information,
)
from queryrun.sql.trino import types as t
from queryrun.sql.trino.compile_calls import CallCompiler
from queryrun.sql.trino.scope import (
    Column,
    CteEntry,
    Output,
    Schema,
    Scope,
    TableColumn,
    did_you_mean,
)
from queryrun.sql.trino.tokens import failure_at
from queryrun.sql.trino.typed import Typed
from queryrun.sql.trino.types import Type

REGISTERED = (functions_aggregate, functions_special, functions_time)
"""Importing them is what makes their functions known."""
_NOT_SELECTED = "For SELECT DISTINCT, ORDER BY expressions must appear in select list"
DELETED = "deleted"
"""The column that marks deleted rows (contract F3)."""


@dataclass(slots=True)
class Joined:
    """What a FROM clause has become: its SQL and its columns, merged ones of USING first."""

    sql: str
    columns: list[Column]
    hidden: list[Column] = field(default_factory=list)
    """The sides of a merged column: findable with a qualifier, not part of `*`."""


class QueryCompiler(CallCompiler):
    """Compiles one statement against a schema. `deleted`: exclude, include or only."""

    def __init__(self, statement: str, zone: str, schema: Schema, deleted: str) -> None:
        super().__init__(statement, zone)
        self.schema = schema
        self.deleted = deleted
        self._showing: list[set[str | None]] = []

    # --- queries ----------------------------------------------------------------------------

    def query(self, node: ast.Query, scope: Scope) -> tuple[str, list[Output]]:
        inner = Scope(parent=scope)
        ctes = [self._cte(cte, inner, node.is_recursive) for cte in node.ctes]
        sql, outputs = self._ordered(node, inner)
        if node.limit is not None:
            sql += f" LIMIT {node.limit}"
        if node.offset is not None:
            sql += f" OFFSET {node.offset}"
        if ctes:
            recursive = "RECURSIVE " if node.is_recursive else ""
            sql = f"WITH {recursive}{', '.join(ctes)} {sql}"
        return sql, outputs

    def _cte(self, cte: ast.Cte, scope: Scope, is_recursive: bool) -> str:
        sql_name = self.fresh("w")
        if is_recursive and _names_table(cte.query.body, cte.name.key):
            return self._recursive_cte(cte, scope, sql_name)
        sql, outputs = self.query(cte.query, scope)
        outputs = self._renamed(outputs, cte.columns, cte.at)
        scope.ctes[cte.name.key] = CteEntry(sql_name, outputs)
        return f"{sql_name}({numbered(outputs)}) AS ({sql})"

    def _recursive_cte(self, cte: ast.Cte, scope: Scope, sql_name: str) -> str:
        body = cte.query.body
        if not isinstance(body, ast.SetOperation) or body.op != "UNION" or len(body.terms) != 2:
            self.refuse("A recursive query that is no UNION of two", cte.at)
        first, outputs = self._body(body.terms[0], scope)
        outputs = self._renamed(outputs, cte.columns, cte.at)
        scope.ctes[cte.name.key] = CteEntry(sql_name, outputs)
        second, later = self._body(body.terms[1], scope)
        second = self._brought_to(second, later, [output.type for output in outputs], cte.at)
        word = "UNION ALL" if body.is_all else "UNION"
        return f"{sql_name}({numbered(outputs)}) AS (({first}) {word} ({second}))"

    def _renamed(
        self, outputs: Sequence[Output], columns: Sequence[ast.Ident], at: int
    ) -> list[Output]:
        if not columns:
            return list(outputs)
        if len(columns) != len(outputs):
            count = f"{len(columns)} entries but the relation has {len(outputs)} columns"
            self.mismatch(f"Column alias list has {count}", at)
        pairs = zip(columns, outputs, strict=True)
        return [Output(ident.heading, output.type) for ident, output in pairs]

    def _ordered(self, node: ast.Query, scope: Scope) -> tuple[str, list[Output]]:
        if isinstance(node.body, ast.Select):
            return self.select(node.body, node.order, scope)
        sql, outputs = self._body(node.body, scope)
        if not node.order:
            return f"({sql})" if node.limit is not None or node.offset is not None else sql, outputs
        alias = self.fresh("r")
        columns = columns_of(outputs, alias, "")
        with self.inside(Scope(columns, scope)):
            order = ", ".join(self._sort(item, columns) for item in node.order)
        headings = ", ".join(
            f"{column.sql} AS {self.quoted(output.heading)}"
            for column, output in zip(columns, outputs, strict=True)
        )
        listed = numbered(outputs)
        return f"SELECT {headings} FROM ({sql}) AS {alias}({listed}) ORDER BY {order}", outputs

    def _sort(self, item: ast.SortItem, columns: Sequence[Column]) -> str:
        if isinstance(item.expr, ast.Literal) and item.expr.kind == "integer":
            return self.sorted(self._by_number(item.expr, columns), item)
        return self.sorted(self.expr(item.expr), item)

    def _by_number(self, literal: ast.Literal, columns: Sequence[Column]) -> Typed:
        number = int(literal.text)
        if not 1 <= number <= len(columns):
            self.mismatch(f"ORDER BY position {number} is not in select list", literal.at)
        return Typed(columns[number - 1].sql, columns[number - 1].type)

    def _body(self, body: ast.Body, scope: Scope) -> tuple[str, list[Output]]:
        match body:
            case ast.Select():
                return self.select(body, [], scope)
            case ast.Query():
                return self.query(body, scope)
            case ast.SetOperation():
                return self._set_operation(body, scope)
            case ast.Values():
                return self._values(body, scope)
            case ast.Table():
                star = ast.SelectItem(ast.Star(None, body.at), None)
                select = ast.Select(False, [star], body, None, None, None, {}, body.at)
                return self.select(select, [], scope)

    def _set_operation(self, node: ast.SetOperation, scope: Scope) -> tuple[str, list[Output]]:
        terms = [self._body(term, scope) for term in node.terms]
        count = len(terms[0][1])
        if any(len(outputs) != count for _, outputs in terms):
            self.mismatch(f"{node.op} query has different number of fields", node.at)
        kinds = []
        for column in zip(*(outputs for _, outputs in terms), strict=True):
            values = [Typed("", output.type) for output in column]
            kinds.append(self.unified(values, node.at, node.op))
        parts = [self._brought_to(sql, outputs, kinds, node.at) for sql, outputs in terms]
        word = f" {node.op}{' ALL' if node.is_all else ''} "
        outputs = [Output(o.heading, k) for o, k in zip(terms[0][1], kinds, strict=True)]
        return word.join(f"({part})" for part in parts), outputs

    def _brought_to(
        self, sql: str, outputs: Sequence[Output], kinds: Sequence[Type], at: int
    ) -> str:
        """The query with its columns in these types."""
        pairs = list(zip(outputs, kinds, strict=True))
        if all(t.bare(output.type) == t.bare(kind) for output, kind in pairs):
            return sql
        if not all(t.can_become(output.type, kind) for output, kind in pairs):
            self.mismatch("The parts of the query have different types", at)
        alias = self.fresh("r")
        cells = [
            self._cell(Typed(f"{alias}.c{number}", output.type), kind)
            for number, (output, kind) in enumerate(pairs, 1)
        ]
        named = zip(cells, outputs, strict=True)
        items = ", ".join(f"{cell} AS {self.quoted(output.heading)}" for cell, output in named)
        return f"SELECT {items} FROM ({sql}) AS {alias}({numbered(outputs)})"

    def _values(self, node: ast.Values, scope: Scope) -> tuple[str, list[Output]]:
        width = len(node.rows[0])
        if any(len(row) != width for row in node.rows):
            self.mismatch("Values rows have mismatched sizes", node.at)
        with self.inside(scope):
            rows = [[self.expr(item) for item in row] for row in node.rows]
        kinds = [self.unified(column, node.at, "VALUES") for column in zip(*rows, strict=True)]
        lines = []
        for row in rows:
            cells = [self._cell(cell, kind) for cell, kind in zip(row, kinds, strict=True)]
            lines.append(f"({', '.join(cells)})")
        outputs = [Output(f"_col{n}", kind, has_name=False) for n, kind in enumerate(kinds)]
        alias = self.fresh("r")
        items = ", ".join(f'c{n + 1} AS "_col{n}"' for n in range(width))
        return (
            f"SELECT {items} FROM (VALUES {', '.join(lines)}) AS {alias}({numbered(outputs)})",
            outputs,
        )

    def _cell(self, cell: Typed, kind: Type) -> str:
        if cell.type == t.UNKNOWN:
            return f"CAST(NULL AS {self.type_name(kind)})"
        return self.exact(self.cast_to(cell, kind))

    # --- SELECT -----------------------------------------------------------------------------

    def select(
        self, node: ast.Select, order: Sequence[ast.SortItem], outer: Scope
    ) -> tuple[str, list[Output]]:
        """One SELECT with the ORDER BY that belongs to it."""
        windows, self.windows = self.windows, self.windows | node.windows
        self._showing.append(_qualifiers_of_deleted(node.items))
        joined = Joined("", [])
        if node.source is not None:
            joined = self.relation(node.source, outer)
        self._showing.pop()
        scope = Scope(joined.columns + joined.hidden, outer)
        with self.inside(scope):
            found = self._select_in(node, order, joined)
        self.windows = windows
        return found

    def _select_in(
        self, node: ast.Select, order: Sequence[ast.SortItem], joined: Joined
    ) -> tuple[str, list[Output]]:
        items = self._items(node.items, joined)
        outputs = [output for output, _ in items]
        listed = ", ".join(f"{self.exact(v)} AS {self.quoted(o.heading)}" for o, v in items)
        sql = f"SELECT {'DISTINCT ' if node.is_distinct else ''}{listed}"
        if joined.sql:
            sql += f" FROM {joined.sql}"
        if node.where is not None:
            sql += f" WHERE {self.condition(node.where, 'WHERE clause')}"
        if node.group is not None:
            sql += f" GROUP BY {self._group_by(node.group, items)}"
        if node.having is not None:
            sql += f" HAVING {self.condition(node.having, 'HAVING clause')}"
        if order:
            sql += f" ORDER BY {self._order_by(order, items, is_distinct=node.is_distinct)}"
        return sql, outputs

    def _items(self, items: Sequence[ast.SelectItem], joined: Joined) -> list[tuple[Output, Typed]]:
        found: list[tuple[Output, Typed]] = []
        for item in items:
            if isinstance(item.expr, ast.Star):
                found += self._star(item.expr, joined)
                continue
            value = self.expr(item.expr)
            heading = _heading(item)
            found.append((Output(heading or f"_col{len(found)}", value.type, bool(heading)), value))
        return found

    def _star(self, star: ast.Star, joined: Joined) -> list[tuple[Output, Typed]]:
        columns = joined.columns
        if star.qualifier is not None:
            key = star.qualifier.key
            columns = [c for c in joined.columns + joined.hidden if c.relation == key]
            if not columns:
                self.not_found(f"Unable to resolve reference {star.qualifier.text}", star.at)
        if not columns:
            self.mismatch("SELECT * not allowed in queries without FROM clause", star.at)
        return [(Output(c.heading, c.type), self.usable(c, star.at)) for c in columns]

    def _group_by(
        self, groups: Sequence[ast.Grouping], items: Sequence[tuple[Output, Typed]]
    ) -> str:
        parts = []
        for group in groups:
            sets = [self._grouping_set(keys, items) for keys in group.sets]
            if group.kind == "simple":
                parts.append(", ".join(sets[0]) if len(sets[0]) == 1 else _bracketed(sets[0]))
            else:
                word = "GROUPING SETS" if group.kind == "sets" else group.kind.upper()
                listed = ", ".join(
                    s[0] if len(s) == 1 and group.kind != "sets" else _bracketed(s) for s in sets
                )
                parts.append(f"{word} ({listed})")
        return ", ".join(parts)

    def _grouping_set(
        self, keys: Sequence[ast.Expr], items: Sequence[tuple[Output, Typed]]
    ) -> list[str]:
        found = []
        for key in keys:
            if isinstance(key, ast.Literal) and key.kind == "integer":
                number = int(key.text)
                if not 1 <= number <= len(items):
                    self.mismatch(f"GROUP BY position {number} is not in select list", key.at)
                found.append(self.exact(items[number - 1][1]))
            else:
                found.append(self.exact(self.expr(key)))
        return found

    def _order_by(
        self,
        order: Sequence[ast.SortItem],
        items: Sequence[tuple[Output, Typed]],
        *,
        is_distinct: bool,
    ) -> str:
        """Output columns go before the source's, in an expression too."""
        named = [
            Column(output.heading.lower(), output.heading, value.sql, value.type)
            for output, value in items
            if output.has_name
        ]
        parts = []
        for item in order:
            number = self._output_number(item.expr, items)
            if number is not None:
                parts.append(self.sorted(Typed(str(number), items[number - 1][1].type), item))
                continue
            shadowed = {column.key for column in named}
            rest = [c for c in self.scope.columns if c.relation or c.key not in shadowed]
            only_source = [c for c in rest if c.key not in shadowed] + [
                c for c in rest if c.key in shadowed
            ]
            own = {column.key: column for column in named}
            unique = [c for c in only_source if c.key not in own]
            scope = Scope(unique + list(own.values()), Scope(rest, self.scope.parent))
            with self.inside(scope):
                value = self.expr(item.expr)
                if is_distinct and value.sql not in {shown.sql for _, shown in items}:
                    self.mismatch(_NOT_SELECTED, item.at)
                parts.append(self.sorted(value, item))
        return ", ".join(parts)

    def _output_number(self, expr: ast.Expr, items: Sequence[tuple[Output, Typed]]) -> int | None:
        if isinstance(expr, ast.Literal) and expr.kind == "integer":
            number = int(expr.text)
            if not 1 <= number <= len(items):
                self.mismatch(f"ORDER BY position {number} is not in select list", expr.at)
            return number
        if not isinstance(expr, ast.Name) or len(expr.parts) != 1:
            return None
        key = expr.parts[0].key
        numbers = [
            n for n, (o, _) in enumerate(items, 1) if o.has_name and o.heading.lower() == key
        ]
        if len(numbers) > 1:
            self.mismatch(f"Column '{expr.parts[0].text}' is ambiguous", expr.at)
        return numbers[0] if numbers else None

    # --- FROM -------------------------------------------------------------------------------

    def relation(self, node: ast.Relation, outer: Scope) -> Joined:
        """A relation, for which `outer` is around its FROM clause."""
        match node:
            case ast.Table():
                return self._table(node, outer, "")
            case ast.Derived():
                return self._derived(node, outer, "", [])
            case ast.Unnest():
                return self._unnest(node, outer, Joined("", []), "", [])
            case ast.Aliased():
                return self._aliased(node, outer, Joined("", []))
            case ast.Join():
                return self._join(node, outer)

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
            case _:
                self.refuse("An alias for a join in brackets", node.at)
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
        if information.is_information(node):
            return self._information(node, outer, alias)
        table = self.schema.get(key)
        if table is None:
            shown = ".".join(part.text for part in node.parts)
            guess = did_you_mean(node.parts[-1].text, self.schema)
            self.not_found(f"Table '{shown}' does not exist{guess}", node.at)
        sql = self._scan(key, table, alias)
        columns = [
            Column(
                c.name.lower(), c.name.lower(), f"{sql_alias}.{self.quoted(c.name)}",
                c.type or Type(t.UNSUPPORTED, names=(c.engine_type,)), alias or key,
            )
            for c in table
        ]  # fmt: skip
        return Joined(f"{sql} AS {sql_alias}", columns)

    def _information(self, node: ast.Table, outer: Scope, alias: str) -> Joined:
        key = node.parts[-1].key
        if key not in information.TABLES:
            shown = ".".join(part.text for part in node.parts)
            guess = did_you_mean(node.parts[-1].text, information.TABLES)
            self.not_found(f"Table '{shown}' does not exist{guess}", node.at)
        query = information.query_of(key, self.schema)
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

    def _visible_rows(self, table: Sequence[TableColumn], shown_as: str) -> str:
        """Contract F3: selecting `deleted` of a table shows both kinds of its rows."""
        marks = any(c.name.lower() == DELETED and c.type == t.BOOLEAN for c in table)
        if not marks or self.deleted == "include":
            return ""
        if self._showing and self._showing[-1] & {None, shown_as}:
            return ""
        return (
            f" WHERE coalesce({DELETED}, false)"
            if self.deleted == "only"
            else (f" WHERE NOT coalesce({DELETED}, false)")
        )

    def _derived(
        self, node: ast.Derived, scope: Scope, alias: str, columns: Sequence[ast.Ident]
    ) -> Joined:
        sql, outputs = self.query(node.query, scope)
        renamed = self._renamed(outputs, columns, node.at)
        sql_alias = self.fresh("r")
        lateral = "LATERAL " if node.is_lateral else ""
        found = columns_of(renamed, sql_alias, alias)
        return Joined(f"{lateral}({sql}) AS {sql_alias}({numbered(renamed)})", found)

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
            outputs.append(Output("ordinality", t.BIGINT))
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
            outputs += [Output("key", value.type.parts[0]), Output("value", value.type.parts[1])]
            return
        if value.type.name != "array":
            self.mismatch(f"Cannot unnest type: {value.type}", node.at)
        element = value.type.parts[0]
        inner.append(f"unnest({value.sql}) AS {here}")
        if element.name != "row":
            items.append(here)
            outputs.append(Output(f"_col{number}", element, has_name=False))
            return
        for index, (part, field_name) in enumerate(
            zip(element.parts, t.field_names(element), strict=True), 1
        ):
            items.append(
                f"{here}.{self.quoted(field_name)}" if any(element.names) else f"{here}[{index}]"
            )
            outputs.append(Output(element.names[index - 1] or f"_col{index}", part))

    def _join(self, node: ast.Join, outer: Scope) -> Joined:
        left = self.relation(node.left, outer)
        right = self._right(node.right, outer, left)
        columns, hidden = left.columns + right.columns, left.hidden + right.hidden
        if node.kind == "CROSS":
            return Joined(f"({left.sql} CROSS JOIN {right.sql})", columns, hidden)
        if node.using:
            return self._join_using(node, left, right)
        with self.inside(Scope(columns + hidden, outer)):
            condition = self.condition(node.on, "JOIN ON clause") if node.on else "true"
        sql = f"({left.sql} {node.kind} JOIN {right.sql} ON {condition})"
        return Joined(sql, columns, hidden)

    def _right(self, node: ast.Relation, outer: Scope, left: Joined) -> Joined:
        """The right side of a join; UNNEST and LATERAL see the left one."""
        if isinstance(node, ast.Unnest):
            return self._unnest(node, outer, left, "", [])
        if isinstance(node, ast.Derived) and node.is_lateral:
            return self._derived(node, Scope(left.columns + left.hidden, outer), "", [])
        if isinstance(node, ast.Aliased):
            return self._aliased(node, outer, left)
        return self.relation(node, outer)

    def _join_using(self, node: ast.Join, left: Joined, right: Joined) -> Joined:
        merged, hidden, conditions = [], left.hidden + right.hidden, []
        keys = {ident.key for ident in node.using}
        for ident in node.using:
            a, b = self._side(ident, left), self._side(ident, right)
            x, y = Typed(a.sql, a.type), Typed(b.sql, b.type)
            conditions.append(self.compare("=", x, y, ident.at))
            kind = t.common(a.type, b.type) or a.type
            value = {
                "RIGHT": self.cast_to(y, kind).sql,
                "FULL": f"coalesce({self.cast_to(x, kind).sql}, {self.cast_to(y, kind).sql})",
            }
            merged.append(
                Column(ident.key, a.heading, value.get(node.kind, self.cast_to(x, kind).sql), kind)
            )
        rest = [c for side in (left, right) for c in side.columns if c.key not in keys]
        sql = f"({left.sql} {node.kind} JOIN {right.sql} ON {' AND '.join(conditions)})"
        return Joined(sql, merged + rest, [c for c in hidden if c.key not in keys])

    def _side(self, ident: ast.Ident, side: Joined) -> Column:
        found = [column for column in side.columns if column.key == ident.key]
        if len(found) != 1:
            raise failure_at(
                FailureCode.NAME_NOT_FOUND,
                f"Column '{ident.text}' is missing from a side of the join, or ambiguous there",
                self.statement,
                ident.at,
            )
        return found[0]


def columns_of(outputs: Sequence[Output], sql_alias: str, relation: str) -> list[Column]:
    """The columns of a subquery that is called `sql_alias` and has columns `c1`, `c2`, …"""
    return [
        Column(o.heading.lower(), o.heading, f"{sql_alias}.c{n}", o.type, relation)
        for n, o in enumerate(outputs, 1)
    ]


def numbered(outputs: Sequence[Output]) -> str:
    """`c1, c2, …`: what the columns of a subquery are called."""
    return ", ".join(f"c{number}" for number in range(1, len(outputs) + 1))


def _bracketed(keys: Sequence[str]) -> str:
    return f"({', '.join(keys)})"


def _length(value: Typed) -> str:
    function = "cardinality" if value.type.name == "map" else "len"
    return f"CAST({function}({value.sql}) AS BIGINT)"


def _heading(item: ast.SelectItem) -> str:
    if item.alias is not None:
        return item.alias.heading
    if isinstance(item.expr, ast.Name):
        return item.expr.parts[-1].heading
    return ""


def _qualifiers_of_deleted(items: Sequence[ast.SelectItem]) -> set[str | None]:
    """What `deleted` is selected of: a relation's name, or None when it is not said."""
    found: set[str | None] = set()
    for item in items:
        if isinstance(item.expr, ast.Name) and item.expr.parts[-1].key == DELETED:
            parts = item.expr.parts
            found.add(parts[-2].key if len(parts) > 1 else None)
    return found


def _names_table(body: ast.Body, key: str) -> bool:
    """Whether a recursive query names itself (in the second part of its UNION)."""
    return isinstance(body, ast.SetOperation) and any(_reads(term, key) for term in body.terms)


def _reads(node: object, key: str) -> bool:
    if isinstance(node, ast.Table):
        return len(node.parts) == 1 and node.parts[0].key == key
    if isinstance(node, list | tuple):
        return any(_reads(item, key) for item in node)
    slots = getattr(node, "__slots__", ())
    return any(_reads(getattr(node, slot), key) for slot in slots if slot != "at")

"""Queries: SELECT, grouping, ordering, WITH."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from queryrun.sql.compile import routines, set_operations
from queryrun.sql.compile import types as t
from queryrun.sql.compile.calls import CallCompiler
from queryrun.sql.compile.compiler import BY_CHANCE as _BY_CHANCE
from queryrun.sql.compile.correlated import Resolved
from queryrun.sql.compile.grouping import aggregates_in
from queryrun.sql.compile.grouping_sets import distinct_sets
from queryrun.sql.compile.joined import Joined, columns_of, numbered
from queryrun.sql.compile.recursion import flaw_of, reads_itself
from queryrun.sql.compile.relations import RelationCompiler
from queryrun.sql.compile.scope import Column, CteEntry, Output, Scope, is_of, repeated
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.trino.records import ast

_OF_A_RELATION = re.compile(r"(r[0-9]+)\..+", re.S)
_NOT_SELECTED = "For SELECT DISTINCT, ORDER BY expressions must appear in select list"


class QueryCompiler(CallCompiler, RelationCompiler):
    """Compiles whole queries."""

    # --- queries ----------------------------------------------------------------------------

    def query(self, node: ast.Query, scope: Scope) -> tuple[str, list[Output]]:
        inner = Scope(parent=scope)
        if node.functions:
            routines.define(self, node.functions)
        if name := repeated(cte.name for cte in node.ctes):
            self.mismatch(f"WITH query name '{name.text}' specified more than once", name.at)
        ctes = [self._cte(cte, inner, node.is_recursive) for cte in node.ctes]
        if node.with_ties:
            sql, outputs = self._with_ties(node, inner)
        else:
            sql, outputs = self._ordered(node, inner)
        if node.limit is not None and not node.with_ties:
            sql += f" LIMIT {node.limit}"
        if node.offset is not None and not node.with_ties:
            sql += f" OFFSET {node.offset}"
        if ctes:
            recursive = "RECURSIVE " if node.is_recursive else ""
            sql = f"WITH {recursive}{', '.join(ctes)} {sql}"
        return sql, outputs

    def _cte(self, cte: ast.Cte, scope: Scope, is_recursive: bool) -> str:
        sql_name = self.fresh("w")
        if is_recursive and not cte.columns:
            self.mismatch("missing column aliases in recursive WITH query", cte.at)
        if is_recursive and reads_itself(cte):
            return self._recursive_cte(cte, scope, sql_name)
        sql, outputs = self.query(cte.query, scope)
        outputs = self._renamed(outputs, cte.columns, cte.at)
        scope.ctes[cte.name.key] = CteEntry(sql_name, outputs)
        return f"{sql_name}({numbered(outputs)}) AS ({sql})"

    def _recursive_cte(self, cte: ast.Cte, scope: Scope, sql_name: str) -> str:
        body = cte.query.body
        if not isinstance(body, ast.SetOperation) or body.op != "UNION" or len(body.terms) != 2:
            self.refuse("A recursive query that is no UNION of two", cte.at)
        if flaw := flaw_of(cte.query, body.terms[1], cte.name.key):
            self.mismatch(*flaw)
        first, outputs = self._body(body.terms[0], scope)
        outputs = self._renamed(outputs, cte.columns, cte.at)
        scope.ctes[cte.name.key] = CteEntry(sql_name, outputs)
        second, later = self._body(body.terms[1], scope)
        kinds = [output.type for output in outputs]
        if not body.is_all and any(map(t.has_map, kinds)):
            self.refuse("UNION of maps in a recursive query", cte.at)
        second = self._brought_to(second, later, kinds, cte.at, is_compared=False)
        word = "UNION ALL" if body.is_all else "UNION"
        return f"{sql_name}({numbered(outputs)}) AS (({first}) {word} ({second}))"

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
            f"{column.sql} AS {self.quoted(output.name_at(index))}"
            for index, (column, output) in enumerate(zip(columns, outputs, strict=True))
        )
        listed = numbered(outputs)
        return f"SELECT {headings} FROM ({sql}) AS {alias}({listed}) ORDER BY {order}", outputs

    def _with_ties(self, node: ast.Query, scope: Scope) -> tuple[str, list[Output]]:
        """The rows up to the last one, with those that ORDER BY cannot tell from it."""
        if node.offset:
            self.refuse("OFFSET with FETCH FIRST … WITH TIES", node.at)
        if not isinstance(node.body, ast.Select) or node.body.is_distinct:
            return self._ties_of_outputs(node, scope)
        before, self._limit_of_ties = self._limit_of_ties, node.limit
        found = self.select(node.body, node.order, scope)
        self._limit_of_ties = before
        return found

    def _ties_of_outputs(self, node: ast.Query, scope: Scope) -> tuple[str, list[Output]]:
        sql, outputs = self._body(node.body, scope)
        alias = self.fresh("r")
        columns = columns_of(outputs, alias, "")
        with self.inside(Scope(columns, scope)):
            order = ", ".join(self._sort(item, columns) for item in node.order)
        headings = ", ".join(
            f"{column.sql} AS {self.quoted(output.name_at(index))}"
            for index, (column, output) in enumerate(zip(columns, outputs, strict=True))
        )
        rows = f"({sql}) AS {alias}({numbered(outputs)})"
        return f"SELECT {headings} FROM {rows}{_ties(order, node.limit)}", outputs

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
                star = ast.SelectItem(ast.Star(None, [], body.at), None)
                select = ast.Select(False, [star], body, None, None, None, {}, body.at)
                return self.select(select, [], scope)

    def _set_operation(self, node: ast.SetOperation, scope: Scope) -> tuple[str, list[Output]]:
        terms = [self._body(term, scope) for term in node.terms]
        terms, kinds = set_operations.aligned(self, node, terms)
        parts = [
            self._brought_to(sql, outputs, kinds, node.at, is_compared=not node.is_all)
            for sql, outputs in terms
        ]
        word = f" {node.op}{' ALL' if node.is_all else ''} "
        outputs = [Output(o.heading, k) for o, k in zip(terms[0][1], kinds, strict=True)]
        return word.join(f"({part})" for part in parts), outputs

    def _brought_to(
        self,
        sql: str,
        outputs: Sequence[Output],
        kinds: Sequence[Type],
        at: int,
        *,
        is_compared: bool,
    ) -> str:
        """The query with its columns in these types, and such that equal rows are alike."""
        pairs = list(zip(outputs, kinds, strict=True))
        is_changed = is_compared and any(map(t.has_map, kinds))
        if not is_changed and all(t.bare(output.type) == t.bare(kind) for output, kind in pairs):
            return sql
        if not all(t.can_become(output.type, kind) for output, kind in pairs):
            self.mismatch("The parts of the query have different types", at)
        alias = self.fresh("r")
        cells = [
            self._cell(Typed(f"{alias}.c{number}", output.type), kind)
            for number, (output, kind) in enumerate(pairs, 1)
        ]
        if is_changed:
            cells = [
                self.canonical(Typed(cell, kind)).sql
                for cell, kind in zip(cells, kinds, strict=True)
            ]
        named = enumerate(zip(cells, outputs, strict=True))
        items = ", ".join(f"{cell} AS {self.quoted(o.name_at(n))}" for n, (cell, o) in named)
        return f"SELECT {items} FROM ({sql}) AS {alias}({numbered(outputs)})"

    def _values(self, node: ast.Values, scope: Scope) -> tuple[str, list[Output]]:
        with self.inside(scope):
            rows = [[self.expr(item) for item in row] for row in node.rows]
        rows = [self._fields_of(r[0]) if n in node.lone else r for n, r in enumerate(rows)]
        width = len(rows[0])
        if any(len(row) != width for row in rows):
            self.mismatch("Values rows have mismatched sizes", node.at)
        kinds = [self.unified(column, node.at, "VALUES") for column in zip(*rows, strict=True)]
        lines = []
        for row in rows:
            cells = [self._cell(cell, kind) for cell, kind in zip(row, kinds, strict=True)]
            lines.append(f"({', '.join(cells)})")
        outputs = [Output("", kind) for kind in kinds]
        alias = self.fresh("r")
        items = ", ".join(f"c{n + 1} AS {self.quoted(f'_col{n}')}" for n in range(width))
        return (
            f"SELECT {items} FROM ({self.inline_rows(lines)}) AS {alias}({numbered(outputs)})",
            outputs,
        )

    def inline_rows(self, lines: Sequence[str]) -> str:
        """Rows that are written out, each in brackets."""
        return f"VALUES {', '.join(lines)}"

    def _fields_of(self, value: Typed) -> list[Typed]:
        """A lone value that is a row is one of the rows of VALUES."""
        if value.type.name != "row":
            return [value]
        if _BY_CHANCE.search(value.sql):
            self.refuse("A row by chance in VALUES", 0)
        return [self.row_field(value, number) for number in range(len(value.type.parts))]

    def _cell(self, cell: Typed, kind: Type) -> str:
        if cell.type == t.UNKNOWN:
            return f"CAST(NULL AS {self.type_name(kind)})"
        return self.exact(self.cast_to(cell, kind))

    # --- SELECT -----------------------------------------------------------------------------

    def select(
        self, node: ast.Select, order: Sequence[ast.SortItem], outer: Scope
    ) -> tuple[str, list[Output]]:
        """One SELECT with the ORDER BY that belongs to it."""
        windows, self.windows = self.windows, self.defined(node.windows)
        ties, self._limit_of_ties = self._limit_of_ties, None
        self._selected.append(_selected_columns(node.items))
        self._selects_all.append(any(map(_is_whole_star, node.items)))
        joined = Joined("", [])
        if node.source is not None:
            joined = self.relation(node.source, outer)
        self._selects_all.pop()
        self._selected.pop()
        if node.group is not None:
            joined = self._with_alike_maps(joined, _grouped_names(node))
        scope = Scope(joined.columns + joined.hidden, outer)
        alike, self.alike = self.alike, {} if node.is_distinct or node.group else None
        guard, self.guard = self.guard, ""
        with self.inside(scope):
            if ties is None:
                found = self._select_in(node, order, joined)
            else:
                found = self._tied(node, order, joined, ties)
        self.windows, self.alike, self.guard = windows, alike, guard
        return found

    def _with_alike_maps(self, joined: Joined, names: set[str]) -> Joined:
        """The source of a SELECT that groups: what it groups by is also what it selects."""

        def alike(column: Column) -> Column:
            if column.key not in names:
                return column
            return replace(column, sql=self.canonical(Typed(column.sql, column.type)).sql)

        columns, hidden = (list(map(alike, one)) for one in (joined.columns, joined.hidden))
        return replace(joined, columns=columns, hidden=hidden)

    def _tied(
        self, node: ast.Select, order: Sequence[ast.SortItem], joined: Joined, limit: int
    ) -> tuple[str, list[Output]]:
        """The query whose ORDER BY is a window's as well."""
        items = self._items(node.items, joined)
        keys = self._order_by(order, items, is_distinct=False, by_value=True)
        sql, outputs = self._select_in(node, [], joined)
        return sql + _ties(keys, limit), outputs

    def _select_in(
        self, node: ast.Select, order: Sequence[ast.SortItem], joined: Joined
    ) -> tuple[str, list[Output]]:
        items = self._items(node.items, joined)
        if node.is_distinct:
            items = [(output, self.canonical(value)) for output, value in items]
        if node.group and any(group.kind == "auto" for group in node.group):
            node = replace(node, group=self._automatic(node, joined, node.group))
        outputs = [output for output, _ in items]
        listed = ", ".join(
            f"{self.exact(value)} AS {self.quoted(output.name_at(index))}"
            for index, (output, value) in enumerate(items)
        )
        sql = f"SELECT {'DISTINCT ' if node.is_distinct else ''}{listed}"
        if joined.sql:
            sql += f" FROM {joined.sql}"
        if node.where is not None:
            sql += f" WHERE {self._where(node.where, joined)}"
        if node.group is not None:
            sql += f" GROUP BY {self._group_by(node.group, items)}"
        if having := self._having(node, items):
            sql += f" HAVING {having}"
        if order:
            sql += f" ORDER BY {self._order_by(order, items, is_distinct=node.is_distinct)}"
        return sql, outputs

    def _where(self, node: ast.Expr, joined: Joined) -> str:
        self.guard = _guard(joined.columns)
        found = self.condition(node, "WHERE clause")
        if not isinstance(node, ast.Logical):
            found = self.after_joins(found)
        self.guard = ""
        return found

    def _automatic(
        self, node: ast.Select, joined: Joined, groups: Sequence[ast.Grouping]
    ) -> list[ast.Grouping]:
        """GROUP BY AUTO: by the position of whatever is selected and is no aggregate."""
        keys: list[ast.Expr] = []
        number = 0
        for item in node.items:
            is_key = isinstance(item.expr, ast.Star) or not self._is_aggregated(item.expr)
            count = len(self._items([item], joined)) if isinstance(item.expr, ast.Star) else 1
            for _ in range(count):
                number += 1
                if is_key:
                    at = groups[0].at
                    keys.append(ast.Literal("integer", str(number), at))
        found = [ast.Grouping("simple", [keys], g.at) if g.kind == "auto" else g for g in groups]
        found[0].is_distinct = groups[0].is_distinct
        return found

    def _is_aggregated(self, expr: ast.Expr) -> bool:
        """Whether it is an aggregate or a window function; in what else has one, it is wrong."""
        found = next(aggregates_in(expr, self.functions.aggregates), None)
        if found is not None and found is not expr and found.over is None:
            message = "GROUP BY clause cannot contain aggregations, window functions or grouping "
            self.mismatch(f"{message}operations: [{found.name}]", found.at)
        return found is not None

    def _having(self, node: ast.Select, items: Sequence[tuple[Output, Typed]]) -> str:  # noqa: ARG002 - another engine's looks at them
        """The condition of HAVING; empty without one."""
        return self.condition(node.having, "HAVING clause") if node.having is not None else ""

    def _items(self, items: Sequence[ast.SelectItem], joined: Joined) -> list[tuple[Output, Typed]]:
        found: list[tuple[Output, Typed]] = []
        for item in items:
            if isinstance(item.expr, ast.Star):
                found += self._star(item.expr, joined)
                continue
            value = self.expr(item.expr)
            found.append((Output(_heading(item), value.type), value))
        return found

    def _star(self, star: ast.Star, joined: Joined) -> list[tuple[Output, Typed]]:
        if star.base is not None:
            return self._renamed_star(star, self._star_of(star.base, star.at))
        if not joined.columns:
            self.mismatch("SELECT * not allowed in queries without FROM clause", star.at)
        return self._columns_as_they_are(joined.columns, star.at)

    def _columns_as_they_are(
        self, columns: Sequence[Column], at: int
    ) -> list[tuple[Output, Typed]]:
        return [(Output(c.heading, c.type), self.usable(c, at)) for c in columns]

    def _star_of(self, base: ast.Expr, at: int) -> list[tuple[Output, Typed]]:
        """A relation's columns, here or around, or the fields of a row."""
        if isinstance(base, ast.Name):
            qualifier = [part.key for part in base.parts]
            for scope in self.scope.outward():
                if columns := [c for c in scope.columns if is_of(c, qualifier)]:
                    self.names[id(base)] = Resolved(base, scope, None)
                    return self._columns_as_they_are(columns, at)
            if len(qualifier) == 1:
                path = ".".join(part.text for part in base.parts)
                self.not_found(f"Unable to resolve reference {path}", at)
        value = self.expr(base)
        if value.type.name != "row":
            self.mismatch("expected row type, not " + str(value.type), at)
        return [
            (Output(heading, kind), self.row_field(value, number))
            for number, (heading, kind) in enumerate(
                zip(value.type.names, value.type.parts, strict=True)
            )
        ]

    def _renamed_star(
        self, star: ast.Star, items: list[tuple[Output, Typed]]
    ) -> list[tuple[Output, Typed]]:
        if not star.aliases:
            return items
        if len(star.aliases) != len(items):
            count = f"{len(star.aliases)} entries but relation has {len(items)} columns"
            self.mismatch(f"Column alias list has {count}", star.at)
        pairs = zip(star.aliases, items, strict=True)
        return [(Output(ident.text, output.type), value) for ident, (output, value) in pairs]

    def _group_by(
        self, groups: Sequence[ast.Grouping], items: Sequence[tuple[Output, Typed]]
    ) -> str:
        parts = []
        for group in groups:
            self._require_columns(group)
        if groups[0].is_distinct:
            groups = distinct_sets(groups, lambda key: self._grouping_set([key], items)[0])
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

    def _require_columns(self, group: ast.Grouping) -> None:
        """Sets of keys have columns; a plain GROUP BY has expressions and positions too."""
        if group.kind == "simple":
            return
        for key in (key for keys in group.sets for key in keys):
            if not isinstance(key, ast.Name):
                self.mismatch("GROUP BY expression must be a column reference", key.at)

    def _grouping_set(
        self, keys: Sequence[ast.Expr], items: Sequence[tuple[Output, Typed]]
    ) -> list[str]:
        found = []
        for key in keys:
            if isinstance(key, ast.Literal) and key.kind == "integer":
                number = int(key.text)
                if not 1 <= number <= len(items):
                    self.mismatch(f"GROUP BY position {number} is not in select list", key.at)
                value = items[number - 1][1]
            else:
                value = self.expr(key)
            if t.has_map(value.type) and all(c.sql != value.sql for c in self.scope.columns):
                self.refuse(f"GROUP BY a {value.type} that is no column", key.at)
            found.append(self.exact(value))
        return found

    def _order_by(
        self,
        order: Sequence[ast.SortItem],
        items: Sequence[tuple[Output, Typed]],
        *,
        is_distinct: bool,
        by_value: bool = False,
    ) -> str:
        """Output columns go before the source's, in an expression too."""
        named = [
            Column(output.heading.lower(), output.heading, value.sql, value.type)
            for output, value in items
            if output.heading
        ]
        parts = []
        for item in order:
            number = self._output_number(item.expr, items)
            if number is not None:
                value = items[number - 1][1]
                sql = self.exact(value) if by_value else str(number)
                parts.append(self.sorted(Typed(sql, value.type), item))
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
                if is_distinct:
                    outputs = [one.sql for _, one in items]
                    if value.sql not in outputs:
                        self.mismatch(_NOT_SELECTED, item.at)
                    value = Typed(str(outputs.index(value.sql) + 1), value.type)
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
        numbers = [n for n, (o, _) in enumerate(items, 1) if o.heading and o.heading.lower() == key]
        if len(numbers) > 1:
            self.ambiguous(f"Column '{expr.parts[0].text}' is ambiguous", expr.at)
        return numbers[0] if numbers else None


def _guard(columns: Sequence[Column]) -> str:
    """What is always true, and looks at a column of each relation; empty for one relation."""
    found = (_OF_A_RELATION.match(column.sql) for column in columns)
    first = {match[1]: match[0] for match in found if match}
    if len(first) < 2:
        return ""
    nulls = " OR ".join(f"{column} IS NULL" for column in first.values())
    return f"(CASE WHEN {nulls} THEN 1 ELSE 2 END) > 0"


def _is_whole_star(item: ast.SelectItem) -> bool:
    return isinstance(item.expr, ast.Star) and item.expr.base is None


def _ties(order: str, limit: int | None) -> str:
    return f" QUALIFY rank() OVER (ORDER BY {order}) <= {limit} ORDER BY {order}"


def _bracketed(keys: Sequence[str]) -> str:
    return f"({', '.join(keys)})"


def _heading(item: ast.SelectItem) -> str:
    if item.alias is not None:
        return item.alias.text
    if isinstance(item.expr, ast.Name):
        return item.expr.parts[-1].text
    return ""


def _grouped_names(node: ast.Select) -> set[str]:
    """The last words of the names that it groups by, directly or by their position."""
    keys: list[object] = [k for group in node.group or [] for keys in group.sets for k in keys]
    exprs = [item.expr for item in node.items]
    is_by_number = any(isinstance(key, ast.Literal) for key in keys) or not keys
    if is_by_number:  # positions behind a star move
        keys += exprs
    return {key.parts[-1].key for key in keys if isinstance(key, ast.Name)}


def _selected_columns(items: Sequence[ast.SelectItem]) -> set[tuple[str | None, str]]:
    """The columns that are selected as they are: a relation's name, or None when it is not said."""
    found: set[tuple[str | None, str]] = set()
    for item in items:
        if isinstance(item.expr, ast.Name):
            parts = item.expr.parts
            found.add((parts[-2].key if len(parts) > 1 else None, parts[-1].key))
    return found

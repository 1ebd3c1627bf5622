"""Function calls: finds the function, and attaches what may follow one (FILTER, OVER, …)."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NoReturn

from queryrun.sql.compile import routines
from queryrun.sql.compile import types as t
from queryrun.sql.compile.compiler import BY_CHANCE, needs_a_name
from queryrun.sql.compile.defined import Defined
from queryrun.sql.compile.expressions import ExpressionCompiler
from queryrun.sql.compile.given import Given
from queryrun.sql.compile.grouping import names_in
from queryrun.sql.compile.scope import Column, Scope, did_you_mean
from queryrun.sql.compile.signatures import Signature, apply, duckdb_coarse, repeats
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.duckdb import sql_json
from queryrun.sql.duckdb.formats import UntranslatableError
from queryrun.sql.duckdb.functions.plain import PLAIN
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.records import json as ast_json
from queryrun.sql.trino.records import patterns as ast_patterns

Handler = Callable[[Any, ast.Call], Typed]
"""Given the compiler (`CallCompiler`, or another engine's) and the call."""

_FORMS = {
    "format", "json_query", "json_value", "json_object", "current_time", "localtime",
    "current_user", "current_catalog", "current_schema", "current_path", "current_role",
}  # fmt: skip
"""What Trino has besides the functions that it lists."""

_COMPUTED = (ast.Call, ast.Cast, ast.Binary, ast.Case, ast.Subscript)
"""Arguments that can be long, or by chance."""
_READ_AS_WRITTEN = frozenset(["try", "if", "coalesce", "typeof", "codepoint", "cardinality"])
"""Forms that do not evaluate their arguments as a function does, or read how they are written."""

SPECIAL: dict[str, Handler] = {}
"""Scalar functions whose translation depends on more than their arguments' types."""
AGGREGATES: dict[str, Handler] = {}
WINDOWS: dict[str, Handler] = {}


@dataclass(frozen=True, slots=True)
class Functions:
    """The functions that one engine has a form for. All aggregates are window functions too."""

    plain: Mapping[str, Sequence[Signature]]
    special: Mapping[str, Handler]
    aggregates: Mapping[str, Handler]
    windows: Mapping[str, Handler]

    def names(self) -> set[str]:
        """Every function that can be called."""
        return {*self.plain, *self.special, *self.aggregates, *self.windows}


DUCKDB = Functions(PLAIN, SPECIAL, AGGREGATES, WINDOWS)


def special(*names: str) -> Callable[[Handler], Handler]:
    """Register a scalar function."""
    return _register(SPECIAL, names)


def aggregate(*names: str) -> Callable[[Handler], Handler]:
    """Register an aggregate function; all of them are window functions too."""
    return _register(AGGREGATES, names)


def window(*names: str) -> Callable[[Handler], Handler]:
    """Register a function that needs OVER."""
    return _register(WINDOWS, names)


def _register(table: dict[str, Handler], names: Sequence[str]) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        table.update(dict.fromkeys(names, handler))
        return handler

    return register


def known_functions() -> set[str]:
    """Every function that can be called."""
    return DUCKDB.names()


MAX_ROWS = 2**63 - 1
"""No window has more."""


_COMPARING = frozenset(
    [
        "histogram", "map_agg", "multimap_agg", "map_union", "approx_distinct", "map",
        "approx_most_frequent", "array_distinct", "array_union", "array_intersect", "array_except",
        "arrays_overlap", "array_frequency", "array_histogram", "map_from_entries",
        "multimap_from_entries",
    ]
)  # fmt: skip
"""Functions that DuckDB lets compare values as they are stored."""

_HIDDEN = {"fail"}
"""Functions of Trino that SHOW FUNCTIONS does not list."""


class CallCompiler(ExpressionCompiler):
    """Compiles calls."""

    functions: ClassVar[Functions] = DUCKDB

    def __init__(self, statement: str, zone: str) -> None:
        super().__init__(statement, zone)
        self.windows: dict[str, ast.Window] = {}
        self._list: tuple[str, str] | None = None
        self._before: tuple[Scope, list[tuple[str, str]]] | None = None

    def call(self, node: ast.Call) -> Typed:
        if self.routines and (found := self._own(node)) is not None:
            return found
        return self._known_call(node)

    def _own(self, node: ast.Call) -> Typed | None:
        """A function that the statement defines goes before those there are."""
        if not any(one.node.name.key == node.name for one in self.routines):
            return None
        if any(isinstance(arg, ast.Lambda) for arg in node.args):
            return None
        args = [self.expr(arg) for arg in node.args]
        found = routines.call(self, node, args)
        if found is None and node.name not in self.functions.names():
            types = ", ".join(str(arg.type) for arg in args)
            listed = ", ".join(
                f"{node.name}({', '.join(map(str, one.params))})"
                for one in self.routines
                if one.node.name.key == node.name
            )
            message = f"Unexpected parameters ({types}) for function {node.name}"
            self.mismatch(f"{message}. Expected: {listed}", node.at)
        return found

    def is_aggregate(self, node: ast.Call) -> bool:
        """Whether it is a function of several rows."""
        return bool(node.over) or node.name in self.functions.aggregates

    def is_known(self, name: str, routines: Sequence[Defined]) -> bool:
        """Whether there is such a function, built in or among these."""
        return name in self.functions.names() or any(o.node.name.key == name for o in routines)

    def _known_call(self, node: ast.Call) -> Typed:
        name, known = node.name, self.functions
        try:
            if name in known.aggregates or (name in known.windows and node.over):
                return (known.aggregates.get(name) or known.windows[name])(self, node)
            if name in known.windows:
                self.mismatch(f"Window function {name} needs OVER", node.at)
            self._nothing_but_arguments(node)
            if name in known.special:
                return self.with_arguments_once(node, known.special[name])
        except UntranslatableError as error:
            self.refuse(str(error), node.at)
        if name in known.plain:
            return self.plain(node, self._values_of(node))
        self._unknown(node)

    def with_arguments_once(self, node: ast.Call, handler: Handler) -> Typed:
        """What the handler makes of the call; an argument that it repeats has got a name.

        Arguments are compiled before it, so that none is compiled again, and stand for themselves
        where the handler has them once. One that is short is repeated as it is (`once`).
        """
        if node.name in _READ_AS_WRITTEN:
            return handler(self, node)
        named: list[tuple[str, Typed]] = []
        found = handler(self, replace(node, args=[self._argument(a, named) for a in node.args]))
        for name, value in reversed(named):
            found = replace(found, sql=self._bound_if_repeated(name, value, found.sql))
        return found

    def _argument(self, node: ast.Expr, named: list[tuple[str, Typed]]) -> ast.Expr:
        if not isinstance(node, _COMPUTED):
            return node
        value = self.expr(node)
        if not needs_a_name(value) or value.constant is not None or value.type == t.UNKNOWN:
            return Given(value, node.at)
        name = self.fresh("once_")
        named.append((name, value))
        return Given(Typed(name, value.type), node.at)

    def _bound_if_repeated(self, name: str, value: Typed, sql: str) -> str:
        uses = re.compile(rf"\b{name}\b")
        count = len(uses.findall(sql))
        if count > 1 and "SELECT " not in sql:
            return self.bound(name, self.exact(value), sql)
        if count > 1 and BY_CHANCE.search(value.sql):
            self.refuse("A subquery beside a value by chance that is used twice", 0)
        return uses.sub(lambda _: value.sql, sql)

    def plain(self, node: ast.Call, args: Sequence[Typed]) -> Typed:
        """A function out of the table of templates."""
        overloads = self.functions.plain[node.name]
        found = self._applied(overloads, list(args), 0)
        if found is None:
            self.wrong_arguments(node, args)
        return found

    def _applied(
        self, overloads: Sequence[Signature], args: list[Typed], index: int
    ) -> Typed | None:
        """The template with its arguments, each evaluated once from `index` on."""
        if index == len(args):
            return self._filled(overloads, args)
        if self._filled(overloads, args) is None:
            return None
        if not repeats(overloads, args, index):
            return self._applied(overloads, args, index + 1)

        def use(value: Typed) -> Typed:
            found = self._applied(overloads, [*args[:index], value, *args[index + 1 :]], index + 1)
            return found or Typed("NULL", t.UNKNOWN)

        return self.once(args[index], use)

    def _filled(self, overloads: Sequence[Signature], args: list[Typed]) -> Typed | None:
        return apply(
            overloads, args, in_try=self.in_try, argument=self.argument, coarse=self.coarse
        )

    def coarse(self, value: Typed, target: Type) -> Typed:
        """A moment finer than a microsecond, without what is finer."""
        return duckdb_coarse(value, target)

    def argument(self, value: Typed, target: Type) -> str:
        """An argument in the type that a parameter has."""
        return self.exact(self.cast_to(value, target))

    def wrong_arguments(self, node: ast.Call, args: Sequence[Typed]) -> NoReturn:
        """There is such a function, but not for these types: not here, or not in Trino either."""
        from queryrun.sql.compile import overloads

        types = overloads.given(node, [arg.type for arg in args])
        listed = ", ".join("function" if kind is None else str(kind) for kind in types)
        if overloads.may_take(node.name, types):
            self.refuse(f"Function {node.name}({listed})", node.at)
        expected = ", ".join(overloads.expected(node.name))
        message = f"Unexpected parameters ({listed}) for function {node.name}"
        self.mismatch(f"{message}. Expected: {expected}" if expected else message, node.at)

    def _nothing_but_arguments(self, node: ast.Call) -> None:
        extra = node.is_star or node.is_distinct or node.order or node.filter or node.over
        if (extra or node.nulls) and (
            node.name in self.functions.plain or node.name in self.functions.special
        ):
            self.mismatch(f"{node.name} is no aggregate function", node.at)

    def _unknown(self, node: ast.Call) -> NoReturn:
        from queryrun.sql.compile.catalog import trino_functions

        is_trinos = node.name in trino_functions() or node.name in _FORMS | _HIDDEN
        if is_trinos or node.name.startswith("$"):
            self.refuse(f"Function {node.name}", node.at)
        guess = did_you_mean(node.name, self.functions.names())
        self.not_found(f"Function '{node.name}' not registered{guess}", node.at)

    # --- SQL/JSON ---------------------------------------------------------------------------

    def json_exists(self, node: ast_json.JsonExists) -> Typed:
        return sql_json.exists(self, node)

    def json_value(self, node: ast_json.JsonValue) -> Typed:
        return sql_json.value(self, node)

    def json_query(self, node: ast_json.JsonQuery) -> Typed:
        return sql_json.query(self, node)

    def json_made(self, node: ast_json.JsonMade) -> Typed:
        return sql_json.made(self, node)

    def given(self, node: Given) -> Typed:
        return node.value

    def lone_mode(self, node: ast_patterns.Mode) -> Typed:
        message = f"{node.word} semantics is supported only in row pattern recognition"
        self.mismatch(message, node.at)

    def lone_label(self, node: ast_patterns.LabelRows) -> Typed:
        message = "label.* syntax is only supported as the only argument of row pattern count"
        self.mismatch(f"{message} function", node.at)

    def usable_column(self, column: Column, at: int) -> Column:
        """The column, if Trino has a type for it."""
        self.usable(column, at)
        return column

    def json_item(self, node: ast_json.JsonItem) -> Typed:
        return Typed(node.sql, t.VARCHAR)

    # --- arguments --------------------------------------------------------------------------

    def args(self, node: ast.Call, min_count: int, max_count: int | None = None) -> list[Typed]:
        """The arguments, if there are as many as there may be."""
        if not min_count <= len(node.args) <= (max_count or min_count):
            given = [self.expr(arg) for arg in node.args if not isinstance(arg, ast.Lambda)]
            self.wrong_arguments(node, given)
        return self._values_of(node)

    def _values_of(self, node: ast.Call) -> list[Typed]:
        found = [self.expr(arg) for arg in node.args]
        return list(map(self.canonical, found)) if _compares(node) else found

    def as_type(self, node: ast.Call, value: Typed, target: Type) -> Typed:
        """An argument in the type that the function takes."""
        if not t.can_become(value.type, target):
            self.wrong_arguments(node, [value])
        return self.cast_to(value, target)

    def constant_text(self, node: ast.Call, value: Typed, what: str) -> str:
        """An argument that we have to read ourselves."""
        value = self.cast_to(value, t.VARCHAR) if value.type.name == "char" else value
        if not isinstance(value.constant, str) or value.type != t.VARCHAR:
            self.refuse(f"{node.name}: {what} that is no literal", node.at)
        return value.constant

    def lambda_of(self, node: ast.Call, arg: ast.Expr, params: Sequence[Typed]) -> Typed:
        """A lambda's body with its parameters standing for these values."""
        if not isinstance(arg, ast.Lambda):
            self.mismatch(f"{node.name} takes a lambda here", arg.at)
        if len(arg.params) != len(params):
            self.mismatch(f"The lambda of {node.name} has {len(params)} parameters", arg.at)
        named = zip(arg.params, params, strict=True)
        self.lambdas.append({param.key: value for param, value in named})
        body = self.expr(arg.body)
        self.lambdas.pop()
        return body

    # --- aggregates and windows -------------------------------------------------------------

    def aggregated(
        self, node: ast.Call, function: str, args: Sequence[str], also_where: str = ""
    ) -> str:
        """The aggregate with its DISTINCT, ORDER BY, FILTER and OVER."""
        if self._list is not None:
            return self._of_list(node, function, args, also_where)
        if node.over and node.filter is not None:
            self.refuse("FILTER together with OVER", node.at)
        args = self._of_this_query(node, args)
        distinct = "DISTINCT " if node.is_distinct else ""
        inner = distinct + ", ".join(args)
        if node.order:
            inner += f" ORDER BY {self.order(node.order)}"
        if node.nulls:
            inner += f" {node.nulls.upper()} NULLS"
        sql = f"{function}({inner})"
        conditions = [also_where] if also_where else []
        if node.filter is not None:
            conditions.append(self.condition(node.filter, "FILTER"))
        if conditions:
            sql += f" FILTER (WHERE {' AND '.join(conditions)})"
        return self._named(sql + (f" OVER ({self.over(node.over)})" if node.over else ""))

    def _named(self, sql: str) -> str:
        """An aggregate, or its name where it is computed before."""
        if self._before is None or self._before[0] is not self.scope:
            return sql
        name = self.state_name(sql)
        if (name, sql) not in self._before[1]:
            self._before[1].append((name, sql))
        return name

    def _of_this_query(self, node: ast.Call, args: Sequence[str]) -> Sequence[str]:
        """An aggregate belongs to the query where it stands, even of outer columns alone.

        DuckDB takes one for an aggregate of the outer query, unless a column of this one is in it.
        """
        named = [self.names.get(id(name)) for name in names_in(node.args)]
        own = self.scope.columns
        if not args or not named or not own:
            return args
        if any(one is None or one.scope is self.scope for one in named):
            return args
        first = f"(CASE WHEN {own[0].sql} IS NULL OR true THEN {args[0]} END)"
        return [first, *args[1:]]

    @contextmanager
    def aggregates_before(self) -> Iterator[list[tuple[str, str]]]:
        """Aggregates of this scope get names for a while, which are yielded: TRY has none in it."""
        before, self._before = self._before, (self.scope, [])
        try:
            yield self._before[1]
        finally:
            self._before = before

    @contextmanager
    def over_list(self, base: str, item: str) -> Iterator[None]:
        """Aggregates are of a list for a while, each of whose entries is called `item`."""
        before, self._list = self._list, (base, item)
        try:
            yield
        finally:
            self._list = before

    def _of_list(self, node: ast.Call, function: str, args: Sequence[str], also_where: str) -> str:
        base, item = self._list or ("", "")
        if also_where:
            base = f"list_filter({base}, lambda {item}: {also_where})"
        if list(args) == ["*"]:
            return f"len({base})"
        if function.startswith("arg_m"):
            side, rank = ("max", "-n") if "max" in function else ("min", "n")
            keyed = f"row({args[1]}, {rank}, {args[0]})"  # of equal ones the first
            keys = f"list_transform({base}, lambda {item}, n: {keyed})"
            known = f"list_filter({keys}, lambda {item}: {item}[1] IS NOT NULL)"
            return f"(list_{side}({known}))[3]"
        if len(args) > 1:
            self.refuse(f"{node.name} with several arguments in MATCH_RECOGNIZE", node.at)
        values = f"list_transform({base}, lambda {item}: {args[0]})"
        if function == "list":
            return f"CASE WHEN len({base}) > 0 THEN {values} END"
        return f"list_aggregate({values}, '{function}')"

    def order(self, items: Sequence[ast.SortItem]) -> str:
        """The entries of an ORDER BY that sorts rows of the source."""
        return ", ".join(self.sorted(self.expr(item.expr), item) for item in items)

    def sorted(self, value: Typed, item: ast.SortItem) -> str:
        """One entry, with Trino's default order of nulls written out."""
        if value.type.name in {"map", "json"}:
            self.mismatch(f"Type {value.type} is not orderable", item.at)
        direction = "DESC" if item.is_descending else "ASC"
        return f"{self.exact(value)} {direction} NULLS {'FIRST' if item.nulls_first else 'LAST'}"

    def over(self, window: ast.Window) -> str:
        """What stands between the brackets of OVER."""
        window = self._with_base(window)
        parts = []
        if window.partition:
            keys = [self.expr(key) for key in window.partition]
            for key, value in zip(window.partition, keys, strict=True):
                if t.has_map(value.type):  # Trino fails too
                    self.refuse(f"PARTITION BY {value.type}", key.at)
            parts.append(f"PARTITION BY {', '.join(map(self.exact, keys))}")
        if window.order:
            parts.append(f"ORDER BY {self.order(window.order)}")
        if window.start:
            parts.append(self._frame(window, window.start))
        return " ".join(parts)

    def defined(self, windows: Mapping[str, ast.Window]) -> dict[str, ast.Window]:
        """These windows beside those outside; each may be based on one before it."""
        found: dict[str, ast.Window] = {}
        for name, window in windows.items():
            if window.name and window.name not in found:
                self.not_found(f"Cannot resolve WINDOW name {window.name}", window.at)
            found[name] = window
        return self.windows | found

    def _with_base(self, window: ast.Window) -> ast.Window:
        if not window.name:
            return window
        base = self.windows.get(window.name)
        if base is None:
            self.not_found(f"Window '{window.name}' does not exist", window.at)
        self._check_base(window, base)
        base = self._with_base(base)
        return ast.Window(
            "",
            window.partition or base.partition,
            window.order or base.order,
            window.unit or base.unit,
            window.start or base.start,
            window.end or base.end,
            window.at,
        )

    def _check_base(self, window: ast.Window, base: ast.Window) -> None:
        """What is added to a named window may not be in it, or in what it is based on, already."""
        adds_more = window.partition or window.order or window.unit
        if window.partition:
            self.mismatch(
                "WINDOW clause with PARTITION BY cannot reference another WINDOW", window.at
            )
        whole = self._with_base(base)
        if window.order and whole.order:
            message = "Cannot specify ORDER BY if referenced named WINDOW specifies ORDER BY"
            self.mismatch(message, window.at)
        if adds_more and whole.unit:
            message = "Cannot reference named WINDOW containing frame specification"
            self.mismatch(message, window.at)

    def _frame(self, window: ast.Window, first: ast.Bound) -> str:
        start = self._bound(first, window.unit)
        end = self._bound(window.end, window.unit) if window.end else "CURRENT ROW"
        return f"{window.unit} BETWEEN {start} AND {end}"

    def _bound(self, bound: ast.Bound, unit: str) -> str:
        if bound.direction == "CURRENT ROW":
            return bound.direction
        if bound.offset is None:
            return f"UNBOUNDED {bound.direction}"
        offset = self.expr(bound.offset)
        if unit != "RANGE" and offset.type.name == "decimal":
            whole = str(offset.constant).partition(".")[0]
            if offset.constant is not None and int(whole) > MAX_ROWS:
                return f"UNBOUNDED {bound.direction}"
        return f"{self._checked_offset(offset)} {bound.direction}"

    def _checked_offset(self, offset: Typed) -> str:
        """A number that is no constant may be one that Trino refuses when it comes to the row."""
        if offset.constant is not None or not t.is_number(offset.type):
            return offset.sql
        failing = self.failing("Window frame offset value must not be negative or null")
        return f"(CASE WHEN {offset.sql} >= 0 THEN {offset.sql} ELSE {failing} END)"


def _compares(node: ast.Call) -> bool:
    """Whether equal values among its arguments count as one."""
    return node.is_distinct or node.name in _COMPARING


def type_name(c: CallCompiler, node: ast.Call) -> str:
    """What `typeof` says of its argument, on every engine. Lengths of varchars are not tracked, so
    of these only what was written out has a type; others are refused."""
    (value,) = c.args(node, 1)
    kind = str(value.type)
    if "varchar" not in kind:
        return kind
    arg = node.args[0]
    if isinstance(arg, ast.Literal) and arg.kind == "string":
        return f"varchar({len(arg.text)})"
    if not (isinstance(arg, ast.Cast) and not arg.type.arguments):
        c.refuse(f"typeof of {kind}", node.at)
    return kind

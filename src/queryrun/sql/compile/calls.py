"""Function calls: finds the function, and attaches what may follow one (FILTER, OVER, …)."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

from queryrun.sql.compile import routines
from queryrun.sql.compile import types as t
from queryrun.sql.compile.compiler import Compiler
from queryrun.sql.compile.defined import Defined
from queryrun.sql.compile.pattern_texts import UntranslatableError
from queryrun.sql.compile.scope import Column, did_you_mean
from queryrun.sql.compile.signatures import Signature, apply, repeats
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.records import patterns as ast_patterns

_FORMS = {
    "format", "json_query", "json_value", "json_object", "current_time", "localtime",
    "current_user", "current_catalog", "current_schema", "current_path", "current_role",
}  # fmt: skip
"""What Trino has besides the functions that it lists."""


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


class CallCompiler(Compiler):
    """Compiles calls."""

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

    # --- what stands where it may not -------------------------------------------------------

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

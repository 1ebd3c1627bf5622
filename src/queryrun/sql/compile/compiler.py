"""What every part of the compiler uses: spelling, refusals, where names are looked up, dispatch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NoReturn
from zlib import crc32

from queryrun.errors import FailureCode
from queryrun.sql.compile import types as t
from queryrun.sql.compile.correlated import Resolved, Use
from queryrun.sql.compile.defined import Defined
from queryrun.sql.compile.given import Given
from queryrun.sql.compile.scope import Output, Scope
from queryrun.sql.compile.typed import Typed, UnsupportedCastError, cast, exact
from queryrun.sql.compile.types import Type
from queryrun.sql.duckdb import casts, fine
from queryrun.sql.duckdb.cast_checks import CastSite
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.records import json as ast_json
from queryrun.sql.trino.records import patterns as ast_patterns
from queryrun.sql.trino.spelling import name, text
from queryrun.sql.trino.tokens import failure_at

MAX_SQL_CHARS = 4_000_000
"""An expression in DuckDB's SQL. Templates repeat their arguments, so nested calls grow fast."""

MAX_REPEATED_CHARS = 300
"""A longer value is given a name where it is needed more than once."""
_NAMES = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\b(?:once_|[a-z])[0-9]+\b""")
"""In DuckDB's SQL: what may be a fresh name, and texts and quoted names, which are none."""
BY_CHANCE = re.compile(r"\b(?:random|uuid|rand|qr_random|qr_random_below)\(")

_SELECTING = {"WHERE clause", "HAVING clause", "JOIN ON clause", "CASE WHEN"}
"""Where the engine passes by rows as soon as a term of AND or OR decides."""


class Compiler:
    """Compiles expressions of one statement. `scope` is where names are looked up at the moment."""

    def __init__(self, statement: str, zone: str) -> None:
        self.statement = statement
        self.zone = zone
        self.scope = Scope()
        self.lambdas: list[dict[str, Typed]] = []
        self.in_try = False
        self.in_number_cast = False
        """What is compiled at the moment becomes a number at once: its spelling is no matter."""
        self.filtering: set[int] = set()
        """The terms (by `id`) that a row of a WHERE or HAVING must all pass."""
        self.selecting: set[int] = set()
        """The conditions (by `id`) that the engine computes for the rows that need it alone."""
        self.guard = ""
        """In the WHERE of a join: what is true of each row, and known after the join alone."""
        self.closed: set[int] = set()
        """The scopes (by `id`) that no subquery may look into: those of outer joins' conditions."""
        self.names: dict[int, Resolved] = {}
        """Where the names of the statement (by `id`) were found."""
        self.routines: list[Defined] = []
        """The functions that the statement defines, as far as they may be called here."""
        self.decides = False
        """Whether AND and OR are decided by a constant term here: no optimizer of the engine does.
        """
        self.alike: dict[str, str] | None = None
        """Within a SELECT whose expressions are compared: what is the same but for fresh names."""
        self._made: list[str] = []
        """The fresh names, in the order in which they were made."""

    # --- how DuckDB spells things; the compiler for another engine has its own ---------------

    def text(self, value: str) -> str:
        """A string literal."""
        return text(value)

    def quoted(self, value: str) -> str:
        """A quoted name."""
        return name(value)

    def type_name(self, kind: Type) -> str:
        """The engine's type that carries it."""
        return t.duckdb_name(kind)

    def cast_to(self, value: Typed, target: Type) -> Typed:
        """The value in another type that Trino brings it to without being told."""
        if value.type.name == "time" and target.name == t.TIMETZ:
            return cast(fine.zoned(value, self.zone), target)
        return cast(value, target)

    def exact(self, value: Typed) -> str:
        """The SQL of a value whose type must be the Trino type's even if it is a literal."""
        return exact(value)

    def compared(self, value: Typed, kind: Type) -> str:
        """A value to compare as `kind`."""
        if value.type.name == "time" and kind.name == t.TIMETZ:
            value = fine.zoned(value, self.zone)
        return _compared(value, kind)

    # --- saying no --------------------------------------------------------------------------

    def compare(self, op: str, left: Typed, right: Typed, at: int) -> str:
        """A comparison, as SQL; `OperatorCompiler` knows how."""
        raise NotImplementedError

    def canonical(self, value: Typed) -> Typed:
        """A value to group by or to look up, which the engine compares as it is stored."""
        raise NotImplementedError

    def mismatch(self, message: str, at: int) -> NoReturn:
        """Types that do not go together."""
        raise failure_at(FailureCode.TYPE_MISMATCH, message, self.statement, at)

    def refuse(self, what: str, at: int) -> NoReturn:
        """A construct that has no faithful form in DuckDB's SQL, or not yet."""
        raise failure_at(FailureCode.NOT_SUPPORTED, f"{what} is not supported", self.statement, at)

    def not_found(self, message: str, at: int) -> NoReturn:
        """A name that means nothing here."""
        raise failure_at(FailureCode.NAME_NOT_FOUND, message, self.statement, at)

    def ambiguous(self, message: str, at: int) -> NoReturn:
        """A name that means several things here."""
        raise failure_at(FailureCode.AMBIGUOUS_NAME, message, self.statement, at)

    def invalid(self, message: str, at: int) -> NoReturn:
        """A literal that cannot be."""
        raise failure_at(FailureCode.INVALID_VALUE, message, self.statement, at)

    def failing(self, message: str) -> str:
        """SQL that fails when it is reached. TRY takes no volatile function, which error() is."""
        if self.in_try:
            return f"CASE WHEN CAST({self.text(message)} AS INTEGER) = 0 THEN NULL END"
        return f"error({self.text(message)})"

    def fresh(self, prefix: str) -> str:
        """A name that nothing else in the translated statement has."""
        self._made.append(f"{prefix}{len(self._made) + 1}")
        return self._made[-1]

    # --- evaluated once ---------------------------------------------------------------------

    def once(self, value: Typed, use: Callable[[Typed], Typed]) -> Typed:
        """What `use` makes of a value that it may repeat.

        A short value is repeated as it stands, and DuckDB computes it once. A long one would grow
        with every level of nesting, and one by chance would be another each time: these get a name.
        """
        if not needs_a_name(value):
            return use(value)
        name = self.fresh("once_")
        found = use(Typed(name, value.type, value.constant))
        if "SELECT " in found.sql:  # no engine takes a subquery in a lambda
            if BY_CHANCE.search(value.sql):
                self.refuse("A subquery beside a value by chance that is used twice", 0)
            return use(value)
        return Typed(self.bound(name, self.exact(value), found.sql), found.type)

    def once_each(self, values: Sequence[Typed], use: Callable[[list[Typed]], Typed]) -> Typed:
        """The same for several values."""

        def rest(done: list[Typed], left: Sequence[Typed]) -> Typed:
            if not left:
                return use(done)
            return self.once(left[0], lambda value: rest([*done, value], left[1:]))

        return rest([], values)

    def bound(self, name: str, value: str, body: str) -> str:
        """SQL of `body`, in which the value has a name."""
        return f"list_transform([{value}], lambda {name}: {body})[1]"

    # --- states of a function's variables -----------------------------------------------------

    def state_name(self, call: str) -> str:
        """What the state of a call is named: the same for the same call, so that what is grouped
        by it is known again."""
        return f"s{crc32(call.encode()):08x}"

    def state(self, parts: Sequence[tuple[str, str]]) -> str:
        """A value with these named parts."""
        return f"struct_pack({', '.join(f'{name} := {sql}' for name, sql in parts)})"

    def folded(self, steps: int, state: str, next_state: str, first: str) -> str:
        """The state after so many steps; `next_state` makes of the one called `state` the next."""
        body = f"lambda {state}, {state}_n: {next_state}"
        return f"list_reduce(range({steps}), {body}, {first})"

    def walked(self, state: str, next_state: str, first: str, limit: int, at: int) -> str:  # noqa: ARG002 - another engine refuses with it
        """The result of the state that is done, after as many steps as it takes."""
        rows = f"{state}_w"
        over = self.failing(f"A function took more than {limit} steps")
        step = f"CASE WHEN n >= {limit} THEN {over} ELSE n + 1 END"
        return (
            f"(WITH RECURSIVE {rows}({state}, n) AS (SELECT {first}, 0 UNION ALL "
            f"SELECT {next_state}, {step} FROM {rows} WHERE {state}.pc >= 0) "
            f"SELECT any_value({state}.r) FROM {rows} WHERE {state}.pc < 0)"
        )

    # --- entry ------------------------------------------------------------------------------

    def expr(self, node: ast.Expr) -> Typed:
        """Any expression."""
        before = len(self._made)
        try:
            found: Typed = getattr(self, _METHODS[type(node)])(node)
        except UnsupportedCastError as error:
            self._cannot(error, node.at)
        if len(found.sql) > MAX_SQL_CHARS:
            self.refuse("So complex an expression", node.at)
        if self.alike is not None and len(self._made) > before:
            return replace(found, sql=self.named_alike(found.sql, before, self.alike))
        return found

    def named_alike(self, sql: str, before: int, alike: dict[str, str]) -> str:
        """A grouping key is known again by its text, so the same expression has the same names.

        Only names made within the expression (after the first `before`) are told apart by their
        order alone; all others mean what is outside of it.
        """
        own = dict.fromkeys(self._made[before:], "")
        found = 0

        def anonymous(match: re.Match[str]) -> str:
            nonlocal found
            if match[0] not in own:
                return match[0]
            if not own[match[0]]:
                found += 1
                own[match[0]] = f"#{found}"
            return own[match[0]]

        return alike.setdefault(_NAMES.sub(anonymous, sql), sql)

    def query(self, node: ast.Query, scope: Scope) -> tuple[str, list[Output]]:
        """A subquery; `QueryCompiler` knows how."""
        raise NotImplementedError

    def subquery(self, node: ast.Query, use: Use, at: int) -> tuple[str, list[Output]]:
        """A subquery of an expression; refused where Trino refuses it."""
        raise NotImplementedError

    def call(self, node: ast.Call) -> Typed:
        """A function call; `CallCompiler` knows how."""
        raise NotImplementedError

    def is_aggregate(self, node: ast.Call) -> bool:
        """Whether it is a function of several rows; `CallCompiler` knows."""
        raise NotImplementedError

    def is_known(self, name: str, routines: Sequence[Defined]) -> bool:
        """Whether there is such a function, built in or among these; `CallCompiler` knows."""
        raise NotImplementedError

    def after_joins(self, term: str) -> str:
        """A term of WHERE that can fail must not see rows that a join leaves out.

        DuckDB computes a term before the join unless it looks at columns of all relations.
        """
        if not self.guard or "error(" not in term:
            return term
        return f"(CASE WHEN {self.guard} THEN {term} END)"

    def condition(self, node: ast.Expr, clause: str) -> str:
        """A boolean expression."""
        if clause in {"WHERE clause", "HAVING clause"}:
            self.filtering.update(id(term) for term in _terms(node))
        if clause in _SELECTING:
            self.selecting.add(id(node))
        value = self.expr(node)
        if value.type not in {t.BOOLEAN, t.UNKNOWN}:
            self.mismatch(f"{clause} must be a boolean, not {value.type}", node.at)
        return value.sql if value.type == t.BOOLEAN else "CAST(NULL AS BOOLEAN)"

    # --- types ------------------------------------------------------------------------------

    def unified(self, values: Sequence[Typed], at: int, what: str) -> Type:
        """The one type that all these values can have."""
        kind = t.UNKNOWN
        for value in values:
            both = t.common(kind, value.type)
            if both is None:
                self.mismatch(f"{what}: all values must have one type: {kind}, {value.type}", at)
            kind = both
        return kind

    def _cast(self, value: Typed, kind: Type, length: int | None, site: CastSite, at: int) -> Typed:
        try:
            return casts.explicit(value, kind, length, site)
        except UnsupportedCastError as error:
            self._cannot(error, at)

    def _cannot(self, error: UnsupportedCastError, at: int) -> NoReturn:
        if error.is_mismatch:
            self.mismatch(f"{error}: not possible", at)
        self.refuse(str(error), at)

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """AND with false is false and OR with true is true for a while, whatever else fails."""
        before, self.decides = self.decides, True
        try:
            yield
        finally:
            self.decides = before

    @contextmanager
    def inside(self, scope: Scope) -> Iterator[None]:
        """Look names up in `scope` for a while."""
        before, self.scope = self.scope, scope
        try:
            yield
        finally:
            self.scope = before


def needs_a_name(value: Typed) -> bool:
    """Whether it must not be repeated as it stands: it is long, or by chance."""
    return len(value.sql) > MAX_REPEATED_CHARS or BY_CHANCE.search(value.sql) is not None


def _terms(node: ast.Expr) -> Iterator[ast.Expr]:
    """What AND connects."""
    pending = [node]
    while pending:
        one = pending.pop()
        if isinstance(one, ast.Logical) and one.op == "AND":
            pending.extend(one.terms)
        else:
            yield one


def _compared(value: Typed, kind: Type) -> str:
    """A value to compare as `kind`. DuckDB fits integer literals by itself, many of them faster."""
    if isinstance(value.constant, int) and t.is_integer(value.type) and t.is_integer(kind):
        return value.sql
    return cast(value, kind).sql


_METHODS: dict[type, str] = {
    ast.Literal: "literal",
    ast.TypedLiteral: "typed_literal",
    ast.IntervalLiteral: "interval_literal",
    ast.Name: "name",
    ast.FieldOf: "field_of",
    ast.Subscript: "subscript",
    ast.Unary: "unary",
    ast.Binary: "binary",
    ast.Logical: "logical",
    ast.Not: "negation",
    ast.Between: "between",
    ast.InList: "in_list",
    ast.InQuery: "in_query",
    ast.Like: "like",
    ast.IsNull: "is_null",
    ast.IsDistinct: "is_distinct",
    ast.Quantified: "quantified",
    ast.Exists: "exists",
    ast.ScalarQuery: "scalar_query",
    ast.Case: "case",
    ast.Cast: "cast",
    ast.Call: "call",
    ast.Extract: "extract",
    ast.AtZone: "at_zone",
    ast.RowOf: "row_of",
    ast.ArrayOf: "array_literal",
    ast.Lambda: "lone_lambda",
    ast_json.JsonExists: "json_exists",
    ast_json.JsonValue: "json_value",
    ast_json.JsonQuery: "json_query",
    ast_json.JsonMade: "json_made",
    ast_json.JsonItem: "json_item",
    Given: "given",
    ast_patterns.Mode: "lone_mode",
    ast_patterns.LabelRows: "lone_label",
}

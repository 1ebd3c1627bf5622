"""What every part of the compiler uses: the statement, refusals, fresh names, conditions."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import ClassVar, NoReturn

from queryrun.errors import FailureCode
from queryrun.sql.compile import types as t
from queryrun.sql.compile.correlated import Resolved, Use
from queryrun.sql.compile.defined import Defined
from queryrun.sql.compile.functions import Functions
from queryrun.sql.compile.scope import Column, Location, Output, Schema, Scope
from queryrun.sql.compile.target import Target
from queryrun.sql.compile.typed import Typed, UnsupportedCastError
from queryrun.sql.compile.types import Type
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.tokens import failure_at

MAX_SQL_CHARS = 4_000_000
"""An expression in an engine's SQL. Templates repeat their arguments, so nested calls grow fast."""

MAX_REPEATED_CHARS = 300
"""A longer value is given a name where it is needed more than once."""
BY_CHANCE = re.compile(r"\b(?:random|uuid|rand|qr_random|qr_random_below)\(")

_SELECTING = {"WHERE clause", "HAVING clause", "JOIN ON clause", "CASE WHEN"}
"""Where the engine passes by rows as soon as a term of AND or OR decides."""


class Compiler(Target):
    """What the parts of the compiler share: one statement, against a schema.

    `scope` is where names are looked up at the moment. `deleted`: exclude, include or only.
    """

    functions: ClassVar[Functions]
    """Those that the engine has a form for."""

    def __init__(
        self,
        statement: str,
        zone: str,
        schema: Schema,
        deleted: str,
        location: Location | None = None,
    ) -> None:
        self.statement = statement
        self.zone = zone
        self.scope = Scope()
        self.lambdas: list[dict[str, Typed]] = []
        self.in_try = False
        self.try_at = 0
        """Where the innermost TRY is in the statement."""
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
        self.location = location
        """What the names of a catalog and a schema must be; None: whatever they are."""
        self.schema = schema
        self.deleted = deleted
        self._limit_of_ties: int | None = None
        """Of the SELECT that comes next: FETCH FIRST … WITH TIES."""
        self._selected: list[set[tuple[str | None, str]]] = []
        self._selects_all: list[bool] = []
        """Of each SELECT around: whether it selects every column of its FROM clause."""
        self.windows: dict[str, ast.Window] = {}
        """Those that have a name here."""
        self._made: list[str] = []
        """The fresh names, in the order in which they were made."""

    # --- saying no --------------------------------------------------------------------------

    def mismatch(self, message: str, at: int) -> NoReturn:
        """Types that do not go together."""
        raise failure_at(FailureCode.TYPE_MISMATCH, message, self.statement, at)

    def refuse(self, what: str, at: int) -> NoReturn:
        """A construct that has no faithful form in the engine's SQL, or not yet."""
        raise failure_at(FailureCode.NOT_SUPPORTED, f"{what} is not supported", self.statement, at)

    def unsupported(self, what: str) -> str:
        """SQL that refuses when a row comes to it. TRY would make NULL of that, and in Trino there
        may be a result, so inside of TRY the statement is refused as it is."""
        if self.in_try:
            self.refuse(f"{what} (in TRY)", self.try_at)
        return self.failing(f"{what} is not supported")

    def not_found(self, message: str, at: int) -> NoReturn:
        """A name that means nothing here."""
        raise failure_at(FailureCode.NAME_NOT_FOUND, message, self.statement, at)

    def ambiguous(self, message: str, at: int) -> NoReturn:
        """A name that means several things here."""
        raise failure_at(FailureCode.AMBIGUOUS_NAME, message, self.statement, at)

    def invalid(self, message: str, at: int) -> NoReturn:
        """A literal that cannot be."""
        raise failure_at(FailureCode.INVALID_VALUE, message, self.statement, at)

    def fails(self, message: str, kind: Type, args: Sequence[Typed]) -> Typed:
        """What fails for any values of these arguments: as in Trino when a row comes to it.

        A row for which one of them is NULL, a branch that is not taken and TRY keep it from that.
        """
        failing = self.failing_as(message, kind)
        given = " AND ".join(f"{arg.sql} IS NOT NULL" for arg in args if arg.constant is None)
        return Typed(f"(CASE WHEN {given} THEN {failing} END)" if given else failing, kind)

    def fresh(self, prefix: str) -> str:
        """A name that nothing else in the translated statement has."""
        self._made.append(f"{prefix}{len(self._made) + 1}")
        return self._made[-1]

    # --- evaluated once ---------------------------------------------------------------------

    def once(self, value: Typed, use: Callable[[Typed], Typed]) -> Typed:
        """What `use` makes of a value that it may repeat.

        A short value is repeated as it stands, and engines compute it once. A long one would grow
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

    # --- entry ------------------------------------------------------------------------------

    def expr(self, node: ast.Expr) -> Typed:
        """Any expression."""
        before = len(self._made)
        try:
            found = self.compiled(node)
        except UnsupportedCastError as error:
            self._cannot(error, node.at)
        if len(found.sql) > MAX_SQL_CHARS:
            self.refuse("So complex an expression", node.at)
        if self.alike is not None and len(self._made) > before:
            return replace(found, sql=self.named_alike(found.sql, before, self.alike))
        return found

    # --- what its parts need of each other --------------------------------------------------

    @abstractmethod
    def compiled(self, node: ast.Expr) -> Typed:
        """An expression by its kind."""

    @abstractmethod
    def compare(self, op: str, left: Typed, right: Typed, at: int) -> str:
        """A comparison, as SQL."""

    @abstractmethod
    def query(self, node: ast.Query, scope: Scope) -> tuple[str, list[Output]]:
        """A subquery."""

    @abstractmethod
    def subquery(self, node: ast.Query, use: Use, at: int) -> tuple[str, list[Output]]:
        """A subquery of an expression; refused where Trino refuses it."""

    @abstractmethod
    def call(self, node: ast.Call) -> Typed:
        """A function call."""

    @abstractmethod
    def is_aggregate(self, node: ast.Call) -> bool:
        """Whether it is a function of several rows."""

    @abstractmethod
    def is_known(self, name: str, routines: Sequence[Defined]) -> bool:
        """Whether there is such a function, built in or among these."""

    def usable(self, column: Column, at: int) -> Typed:
        """A column's value, if Trino has a type for it."""
        if column.type.name == t.UNSUPPORTED:
            self.refuse(f"Column '{column.heading}' of type {column.type.names[0]}", at)
        return Typed(column.sql, column.type)

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

    def _cannot(self, error: UnsupportedCastError, at: int) -> NoReturn:
        if error.is_mismatch:
            self.mismatch(str(error).replace("A cast from", "Cannot cast"), at)  # Trino's words
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

"""What an engine's SQL must have a form for: the compiler asks for these, and knows no engine.

mypy refuses a target that lacks one. Whatever is not here is written alike for every engine.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from queryrun.sql.compile.cast_site import CastSite
from queryrun.sql.compile.functions import Handler
from queryrun.sql.compile.joined import Joined
from queryrun.sql.compile.scope import Output, Scope, TableColumn
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.records import json as ast_json
from queryrun.sql.trino.records import patterns as ast_patterns
from queryrun.sql.trino.records.samples import Sampled


class Target(ABC):
    """The forms of one engine. Each returns SQL that needs no brackets around it."""

    # --- spelling --------------------------------------------------------------------------------

    @abstractmethod
    def text(self, value: str) -> str:
        """A string literal."""

    @abstractmethod
    def quoted(self, value: str) -> str:
        """A quoted name."""

    @abstractmethod
    def type_name(self, kind: Type) -> str:
        """The engine's type that carries it."""

    @abstractmethod
    def cast_to(self, value: Typed, target: Type) -> Typed:
        """The value in another type that Trino brings it to without being told."""

    @abstractmethod
    def exact(self, value: Typed) -> str:
        """The SQL of a value whose type must be the Trino type's even if it is a literal."""

    @abstractmethod
    def compared(self, value: Typed, kind: Type) -> str:
        """A value to compare as `kind`."""

    @abstractmethod
    def coarse(self, value: Typed, target: Type) -> Typed:
        """A moment finer than a microsecond, without what is finer."""

    @abstractmethod
    def cast_as(
        self, value: Typed, kind: Type, length: int | None, site: CastSite, at: int
    ) -> Typed:
        """A cast that the statement asks for."""

    @abstractmethod
    def failing(self, message: str) -> str:
        """SQL that fails when it is reached: one branch of a value, beside others with a type."""

    @abstractmethod
    def failing_as(self, message: str, kind: Type) -> str:
        """The same where there is no other branch, with the type that the value would have."""

    @abstractmethod
    def without_spaces(self, sql: str) -> str:
        """A text without the spaces at its end, as a char is carried."""

    # --- evaluated once, or not at all -----------------------------------------------------------

    @abstractmethod
    def bound(self, name: str, value: str, body: str) -> str:
        """SQL of `body`, in which the value has a name."""

    @abstractmethod
    def with_arguments_once(self, node: ast.Call, handler: Handler) -> Typed:
        """What the handler makes of the call, whose arguments are evaluated once each."""

    @abstractmethod
    def named_alike(self, sql: str, before: int, alike: dict[str, str]) -> str:
        """SQL in which fresh names are as in `alike`: a grouping key is known again by its text."""

    @abstractmethod
    def after_joins(self, term: str) -> str:
        """A term of WHERE that can fail, which must not see rows that a join leaves out."""

    @abstractmethod
    def decided(self, op: str, terms: Sequence[str]) -> Typed:
        """The terms from the left: what comes after a decisive one is not computed."""

    @abstractmethod
    def state_name(self, call: str) -> str:
        """What the state of a call is named."""

    @abstractmethod
    def state(self, parts: Sequence[tuple[str, str]]) -> str:
        """A value with these named parts."""

    @abstractmethod
    def folded(self, steps: int, state: str, next_state: str, first: str) -> str:
        """The state after so many steps; `next_state` makes of the one called `state` the next."""

    @abstractmethod
    def walked(self, state: str, next_state: str, first: str, limit: int, at: int) -> str:
        """The result of the state that is done, after as many steps as it takes."""

    # --- literals and constructors ---------------------------------------------------------------

    @abstractmethod
    def timestamp_literal(self, node: ast.TypedLiteral) -> Typed:
        """`TIMESTAMP '…'`."""

    @abstractmethod
    def time_literal(self, node: ast.TypedLiteral) -> Typed:
        """`TIME '…'`."""

    @abstractmethod
    def json_literal(self, node: ast.TypedLiteral) -> Typed:
        """`JSON '…'`."""

    @abstractmethod
    def interval_literal(self, node: ast.IntervalLiteral) -> Typed:
        """`INTERVAL '…' DAY` and the like."""

    @abstractmethod
    def subscript(self, node: ast.Subscript) -> Typed:
        """`base[index]`: fails beyond an array's end, for a missing key, and so on."""

    @abstractmethod
    def row_field(self, base: Typed, number: int) -> Typed:
        """One field of a row by its position, from 0."""

    @abstractmethod
    def row_item(self, value: Typed, number: int) -> Typed:
        """The same of a row that may have been made where it stands."""

    @abstractmethod
    def row_of(self, node: ast.RowOf) -> Typed:
        """`ROW(…)`."""

    @abstractmethod
    def array_of(self, items: Sequence[Typed], at: int = 0) -> Typed:
        """An array of these values."""

    # --- arithmetic ------------------------------------------------------------------------------

    @abstractmethod
    def signed(self, op: str, value: Typed) -> Typed:
        """A number with a sign in front."""

    @abstractmethod
    def calculate(self, op: str, left: Typed, right: Typed) -> Typed:
        """`+ - * / %` of two numbers."""

    @abstractmethod
    def divide_decimals(self, left: Typed, right: Typed) -> Typed:
        """Trino's division of decimals, rounded half away from zero."""

    @abstractmethod
    def concat_arrays(self, left: Typed, right: Typed, at: int) -> Typed:
        """`||` of arrays, or of an array and an item."""

    @abstractmethod
    def moved(self, moment: Typed, shift: str) -> Typed:
        """A date or time moved by an interval. With a zone the wall clock of that zone counts."""

    @abstractmethod
    def shifted_by_days(self, moment: Typed, op: str, interval: Typed) -> Typed:
        """A timestamp and an interval of days and seconds."""

    @abstractmethod
    def shift_clock(self, op: str, left: Typed, right: Typed, at: int) -> Typed:
        """A time and an interval, which wraps around midnight; or two times."""

    @abstractmethod
    def scaled_span(self, op: str, span: Typed, factor: Typed) -> Typed:
        """An interval times or by a number."""

    @abstractmethod
    def days_apart(self, left: Typed, right: Typed) -> Typed:
        """A date minus a date."""

    @abstractmethod
    def moments_apart(self, left: Typed, right: Typed) -> Typed:
        """A timestamp minus a timestamp, both with a zone or both without."""

    # --- comparisons and predicates --------------------------------------------------------------

    @abstractmethod
    def canonical(self, value: Typed) -> Typed:
        """A value to group by or to look up: equal ones become alike, as the engine stores them."""

    @abstractmethod
    def compare_nested(self, op: str, left: Typed, right: Typed, at: int) -> str:
        """A comparison of arrays, rows, maps or JSON."""

    @abstractmethod
    def row_in_query(self, value: Typed, op: str, query: ast.Query, at: int) -> str:
        """A row compared with the rows of a subquery."""

    @abstractmethod
    def row_query(self, sql: str, outputs: Sequence[Output], at: int) -> Typed:
        """A subquery of several columns as one row."""

    @abstractmethod
    def quantified(self, node: ast.Quantified) -> Typed:
        """`op ALL (…)` and `op ANY (…)`."""

    @abstractmethod
    def like(self, node: ast.Like) -> Typed:
        """LIKE, and NOT LIKE."""

    # --- functions -------------------------------------------------------------------------------

    @abstractmethod
    def json_exists(self, node: ast_json.JsonExists) -> Typed:
        """JSON_EXISTS."""

    @abstractmethod
    def json_value(self, node: ast_json.JsonValue) -> Typed:
        """JSON_VALUE."""

    @abstractmethod
    def json_query(self, node: ast_json.JsonQuery) -> Typed:
        """JSON_QUERY."""

    @abstractmethod
    def json_made(self, node: ast_json.JsonMade) -> Typed:
        """JSON_OBJECT and JSON_ARRAY."""

    @abstractmethod
    def aggregated(
        self, node: ast.Call, function: str, args: Sequence[str], also_where: str = ""
    ) -> str:
        """The aggregate with its DISTINCT, ORDER BY, FILTER and OVER."""

    # --- FROM ------------------------------------------------------------------------------------

    @abstractmethod
    def scan(self, key: str, table: Sequence[TableColumn], alias: str) -> str:
        """A table to read from, without the rows that are not to be seen and with Trino's types."""

    @abstractmethod
    def sampled(self, node: Sampled, outer: Scope) -> Joined:
        """TABLESAMPLE."""

    @abstractmethod
    def matched(
        self,
        node: ast_patterns.Matched,
        outer: Scope,
        alias: str,
        columns: Sequence[ast.Ident],
    ) -> Joined:
        """MATCH_RECOGNIZE."""

    @abstractmethod
    def unnest(
        self,
        node: ast.Unnest,
        outer: Scope,
        left: Joined,
        alias: str,
        columns: Sequence[ast.Ident],
    ) -> Joined:
        """UNNEST, which sees the relations to its left."""

    @abstractmethod
    def json_table(
        self,
        node: ast_json.JsonTable,
        outer: Scope,
        left: Joined,
        alias: str,
        columns: Sequence[ast.Ident],
    ) -> Joined:
        """JSON_TABLE, which sees the relations to its left."""

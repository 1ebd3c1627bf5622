"""What a statement consists of, as plain records. `at`: the character where each begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from queryrun.sql.trino.records.extra import ExtraExpr, ExtraRelation, ExtraRoutine


@dataclass(slots=True)
class Ident:
    """A name as written, without its quotes. Results call columns by it (contract F2)."""

    text: str
    is_quoted: bool
    at: int

    @property
    def key(self) -> str:
        """What it is compared by: Trino's names have no case, quoted or not."""
        return self.text.lower()


@dataclass(slots=True)
class Literal:
    """`kind`: integer, decimal, double, string, binary, boolean or null."""

    kind: str
    text: str
    at: int


@dataclass(slots=True)
class TypedLiteral:
    """`DATE '2020-01-01'` and its like; `type` as Trino writes it."""

    type: str
    text: str
    at: int


@dataclass(slots=True)
class IntervalLiteral:
    """`INTERVAL '1' DAY`, `INTERVAL '1-2' YEAR TO MONTH`."""

    text: str
    is_negative: bool
    unit: str
    to_unit: str
    at: int


@dataclass(slots=True)
class Name:
    """`a`, `t.a`, `t.a.field`."""

    parts: list[Ident]
    at: int


@dataclass(slots=True)
class FieldOf:
    """`(expression).field`."""

    base: Expr
    name: Ident
    at: int


@dataclass(slots=True)
class Subscript:
    """`base[index]`."""

    base: Expr
    index: Expr
    at: int


@dataclass(slots=True)
class Unary:
    """`-x`, `+x`."""

    op: str
    operand: Expr
    at: int


@dataclass(slots=True)
class Binary:
    """Arithmetic, comparison, `||`; `at` is the operator's offset."""

    op: str
    left: Expr
    right: Expr
    at: int


@dataclass(slots=True)
class Logical:
    """A chain of ANDs or ORs."""

    op: str
    terms: list[Expr]
    at: int


@dataclass(slots=True)
class Not:
    """NOT x."""

    operand: Expr
    at: int


@dataclass(slots=True)
class Between:
    """x [NOT] BETWEEN low AND high."""

    operand: Expr
    low: Expr
    high: Expr
    is_negated: bool
    at: int


@dataclass(slots=True)
class InList:
    """x [NOT] IN (a, b)."""

    operand: Expr
    items: list[Expr]
    is_negated: bool
    at: int


@dataclass(slots=True)
class InQuery:
    """x [NOT] IN (SELECT …)."""

    operand: Expr
    query: Query
    is_negated: bool
    at: int


@dataclass(slots=True)
class Like:
    """x [NOT] LIKE pattern [ESCAPE e]."""

    operand: Expr
    pattern: Expr
    escape: Expr | None
    is_negated: bool
    at: int


@dataclass(slots=True)
class IsNull:
    """x IS [NOT] NULL."""

    operand: Expr
    is_negated: bool
    at: int


@dataclass(slots=True)
class IsDistinct:
    """x IS [NOT] DISTINCT FROM y."""

    left: Expr
    right: Expr
    is_negated: bool
    at: int


@dataclass(slots=True)
class Quantified:
    """x = ANY (SELECT …)."""

    op: str
    operand: Expr
    quantifier: str
    query: Query
    at: int


@dataclass(slots=True)
class Exists:
    """EXISTS (SELECT …)."""

    query: Query
    at: int


@dataclass(slots=True)
class ScalarQuery:
    """(SELECT …) as a value."""

    query: Query
    at: int


@dataclass(slots=True)
class Case:
    """CASE, with an operand or searched."""

    operand: Expr | None
    whens: list[tuple[Expr, Expr]]
    otherwise: Expr | None
    at: int


@dataclass(slots=True)
class TypeName:
    """A type as written: `decimal(10, 2)`, `row(a bigint)`, `timestamp(3) with time zone`."""

    name: str
    arguments: list[TypeName | int]
    fields: list[str]
    at: int


@dataclass(slots=True)
class Cast:
    """CAST and TRY_CAST."""

    operand: Expr
    type: TypeName
    is_safe: bool
    at: int


@dataclass(slots=True)
class SortItem:
    """One entry of an ORDER BY; Trino sorts nulls last unless told otherwise, either way."""

    expr: Expr
    is_descending: bool
    nulls_first: bool
    at: int


@dataclass(slots=True)
class Bound:
    """An end of a window frame: unbounded, current or n rows away."""

    direction: str
    offset: Expr | None


@dataclass(slots=True)
class Window:
    """OVER (…), or a window's name."""

    name: str
    partition: list[Expr]
    order: list[SortItem]
    unit: str
    start: Bound | None
    end: Bound | None
    at: int


@dataclass(slots=True)
class Call:
    """A function call; what may follow one is here too."""

    name: str
    args: list[Expr]
    at: int
    is_star: bool = False
    is_distinct: bool = False
    order: list[SortItem] | None = None
    filter: Expr | None = None
    over: Window | None = None
    nulls: str = ""
    overflow: str = ""
    """`truncate` if LISTAGG cuts off what is too long."""


@dataclass(slots=True)
class Extract:
    """EXTRACT(field FROM x)."""

    field: str
    operand: Expr
    at: int


@dataclass(slots=True)
class AtZone:
    """x AT TIME ZONE zone."""

    operand: Expr
    zone: Expr
    at: int


@dataclass(slots=True)
class RowOf:
    """ROW(a, b) or (a, b)."""

    items: list[Expr]
    at: int


@dataclass(slots=True)
class ArrayOf:
    """ARRAY[a, b]."""

    items: list[Expr]
    at: int


@dataclass(slots=True)
class Lambda:
    """x -> body."""

    params: list[Ident]
    body: Expr
    at: int


Expr: TypeAlias = (
    Literal | TypedLiteral | IntervalLiteral | Name | FieldOf | Subscript | Unary | Binary
    | Logical | Not | Between | InList | InQuery | Like | IsNull | IsDistinct | Quantified
    | Exists | ScalarQuery | Case | Cast | Call | Extract | AtZone | RowOf | ArrayOf | Lambda
    | ExtraExpr
)  # fmt: skip


# --- relations ------------------------------------------------------------------------------


@dataclass(slots=True)
class Table:
    """A table or a common table expression by name."""

    parts: list[Ident]
    at: int


@dataclass(slots=True)
class Derived:
    """(SELECT …) in FROM; `is_lateral` when it may see what stands before it."""

    query: Query
    is_lateral: bool
    at: int


@dataclass(slots=True)
class Unnest:
    """UNNEST(a, b) [WITH ORDINALITY]."""

    args: list[Expr]
    with_ordinality: bool
    at: int


@dataclass(slots=True)
class Aliased:
    """relation AS alias (columns)."""

    relation: Relation
    alias: Ident
    columns: list[Ident]
    at: int


@dataclass(slots=True)
class Join:
    """`kind`: INNER, LEFT, RIGHT, FULL or CROSS."""

    kind: str
    left: Relation
    right: Relation
    on: Expr | None
    using: list[Ident]
    at: int


Relation: TypeAlias = Table | Derived | Unnest | Aliased | Join | ExtraRelation


@dataclass(slots=True)
class Star:
    """`*`, `t.*`, `(row).*`; `aliases` are the names that the columns get instead."""

    base: Expr | None
    aliases: list[Ident]
    at: int


@dataclass(slots=True)
class SelectItem:
    """One output of a SELECT."""

    expr: Expr | Star
    alias: Ident | None


@dataclass(slots=True)
class Grouping:
    """One element of GROUP BY: `simple`, `rollup`, `cube`, `sets` or `auto`; a set is a list."""

    kind: str
    sets: list[list[Expr]]
    at: int
    is_distinct: bool = False
    """Of the first element: GROUP BY DISTINCT."""


@dataclass(slots=True)
class Select:
    """One SELECT."""

    is_distinct: bool
    items: list[SelectItem]
    source: Relation | None
    where: Expr | None
    group: list[Grouping] | None
    having: Expr | None
    windows: dict[str, Window]
    at: int


@dataclass(slots=True)
class SetOperation:
    """UNION, INTERSECT, EXCEPT of two or more, all of the same kind, from left to right."""

    op: str
    is_all: bool
    terms: list[Body]
    at: int
    is_corresponding: bool = False
    """Only the columns whose names all terms have."""


@dataclass(slots=True)
class Values:
    """VALUES (1, 2), (3, 4). `lone`: the rows that are one value, not in brackets."""

    rows: list[list[Expr]]
    at: int
    lone: frozenset[int] = frozenset()


@dataclass(slots=True)
class Cte:
    """One WITH entry."""

    name: Ident
    columns: list[Ident]
    query: Query
    at: int


@dataclass(slots=True)
class Query:
    """A whole query: WITH, body, ORDER BY, OFFSET, LIMIT."""

    ctes: list[Cte]
    is_recursive: bool
    body: Body
    order: list[SortItem]
    offset: int | None
    limit: int | None
    at: int
    functions: tuple[ExtraRoutine, ...] = ()
    """Of a whole statement: WITH FUNCTION."""
    with_ties: bool = False


Body: TypeAlias = Select | SetOperation | Values | Table | Query


@dataclass(slots=True)
class Show:
    """`what`: one of `metadata.HEADINGS`."""

    what: str
    table: Table | None
    like: str | None
    escape: str | None
    at: int
    of: Table | None = None
    """The schema or catalog that was named, as a table would be."""


@dataclass(slots=True)
class Stats:
    """SHOW STATS FOR a table or a query."""

    query: Query
    at: int


@dataclass(slots=True)
class Explain:
    """EXPLAIN of a query. `what`: plan, analyze, validate, json, io or graphviz."""

    what: str
    query: Query
    at: int


Statement: TypeAlias = Query | Show | Stats | Explain

"""What SQL/JSON consists of, as plain records."""

from __future__ import annotations

from dataclasses import dataclass

from queryrun.sql.trino.records.ast import Expr, Ident, TypeName
from queryrun.sql.trino.records.extra import ExtraExpr, ExtraRelation


@dataclass(slots=True)
class JsonInput:
    """A value; `is_json` where FORMAT JSON says so, `encoding` where ENCODING does."""

    value: Expr
    is_json: bool
    encoding: str


@dataclass(slots=True)
class JsonPath:
    """A document, a path in it, and what the path's variables are."""

    input: JsonInput
    path: str
    passing: list[tuple[Ident, JsonInput]]
    at: int


@dataclass(slots=True)
class JsonOutput:
    """RETURNING a type, in an encoding; None and empty where nothing is said."""

    type: TypeName | None
    encoding: str


@dataclass(slots=True)
class JsonBehavior:
    """ON EMPTY or ON ERROR: NULL, ERROR, or DEFAULT and its value; empty: nothing is said."""

    what: str
    default: Expr | None


@dataclass(slots=True)
class JsonExists(ExtraExpr):
    """JSON_EXISTS."""

    path: JsonPath
    on_error: str
    at: int


@dataclass(slots=True)
class JsonValue(ExtraExpr):
    """JSON_VALUE."""

    path: JsonPath
    output: JsonOutput
    on_empty: JsonBehavior
    on_error: JsonBehavior
    at: int


@dataclass(slots=True)
class JsonQuery(ExtraExpr):
    """JSON_QUERY. `wrapper`: WITHOUT, CONDITIONAL or UNCONDITIONAL; `quotes`: KEEP or OMIT."""

    path: JsonPath
    output: JsonOutput
    wrapper: str
    quotes: str
    on_empty: str
    on_error: str
    at: int


@dataclass(slots=True)
class JsonMade(ExtraExpr):
    """JSON_ARRAY (without keys) and JSON_OBJECT."""

    name: str
    keys: list[Expr]
    values: list[JsonInput]
    keeps_null: bool
    is_unique: bool
    output: JsonOutput
    at: int


@dataclass(slots=True)
class JsonColumn:
    """A column of JSON_TABLE. `made`: how, from the item of a row; None: its number."""

    name: Ident
    made: JsonExists | JsonValue | JsonQuery | None


@dataclass(slots=True)
class JsonColumns:
    """COLUMNS of JSON_TABLE, and of a NESTED PATH in it."""

    columns: list[JsonColumn | JsonNested]


@dataclass(slots=True)
class JsonNested:
    """NESTED PATH of JSON_TABLE."""

    path: str
    columns: JsonColumns
    at: int


@dataclass(slots=True)
class JsonTable(ExtraRelation):
    """JSON_TABLE in FROM. `fails`: ERROR ON ERROR."""

    path: JsonPath
    columns: JsonColumns
    fails: bool
    at: int


@dataclass(slots=True)
class JsonItem(ExtraExpr):
    """The document of a JSON_TABLE's row, as its columns see it: `sql` of the engine."""

    sql: str
    at: int


JsonExpr = JsonExists | JsonValue | JsonQuery | JsonMade | JsonItem

"""SQL/JSON in DuckDB's SQL: the worker follows the paths and makes the documents."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from queryrun.errors import FailureCode
from queryrun.sql.compile import type_names
from queryrun.sql.compile import types as t
from queryrun.sql.compile.cast_site import CastSite
from queryrun.sql.compile.scope import Output
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.duckdb import casts, json_casts, types
from queryrun.sql.duckdb.values import exact
from queryrun.sql.trino.json_path import PathError, read_path
from queryrun.sql.trino.records import json as ast_json
from queryrun.sql.trino.spelling import text
from queryrun.sql.trino.tokens import failure_at

if TYPE_CHECKING:
    from queryrun.sql.compile.compiler import Compiler

_DOCUMENTS = ast_json.JsonMade | ast_json.JsonQuery | ast_json.JsonItem
"""Values that are JSON without being said to be."""
_KINDS = {
    "tinyint": "i", "smallint": "i", "integer": "i", "bigint": "i", "decimal": "m", "double": "d",
    "real": "d", "boolean": "b", "varchar": "s", "char": "s", "unknown": "s",
}  # fmt: skip
_VALUES = frozenset([*_KINDS]) - {"unknown"}
"""Types that JSON_VALUE makes of an item as it is."""
_MOMENTS = frozenset(["date", "timestamp", "time"])
"""Types that it makes of a string."""


def exists(c: Compiler, node: ast_json.JsonExists) -> Typed:
    """JSON_EXISTS."""
    _refuse_error_in_try(c, [node.on_error], node.at)
    return Typed(f"qr_json_exists({_arguments(c, node.path)}, {text(node.on_error)})", t.BOOLEAN)


def _refuse_error_in_try(c: Compiler, behaviors: Sequence[str], at: int) -> None:
    """Trino's TRY does not catch what these raise, DuckDB's would."""
    if c.in_try and "ERROR" in behaviors:
        c.refuse("TRY around ERROR ON ERROR or ERROR ON EMPTY", at)


def query(c: Compiler, node: ast_json.JsonQuery) -> Typed:
    """JSON_QUERY."""
    if node.quotes == "OMIT" and node.wrapper != "WITHOUT":
        c.mismatch("OMIT QUOTES behavior specified with WITH WRAPPER behavior", node.at)
    behaviors = (node.on_empty or "NULL", node.on_error or "NULL")
    _refuse_error_in_try(c, behaviors, node.at)
    options = ",".join([node.wrapper, node.quotes, *behaviors])
    document = f"qr_json_query({_arguments(c, node.path)}, {text(options)})"
    return _output(c, document, node.output, node.at)


def value(c: Compiler, node: ast_json.JsonValue) -> Typed:
    """JSON_VALUE."""
    kind, length = t.VARCHAR, None
    if node.output.type is not None:
        kind, length = type_names.type_of(node.output.type)
    if kind.name not in _VALUES | _MOMENTS:
        c.refuse(f"JSON_VALUE returning {kind}", node.at)
    read_as = t.VARCHAR if kind.name in _MOMENTS else kind
    call = f"qr_json_value({_arguments(c, node.path)}, {text(str(read_as))})"
    found = Typed(call, t.array(t.VARCHAR))

    def chosen(found: Typed) -> Typed:
        item = Typed(f"{found.sql}[2]", t.VARCHAR)
        made = _item_as(c, item, kind, length)
        outcome, problem = f"{found.sql}[1]", item.sql
        if kind.name in _MOMENTS:
            outcome, problem = _or_no_moment(outcome, item, made, kind)
        no_items = text("cannot extract SQL scalar from JSON: JSON path found no items")
        empty = _instead(c, node.on_empty, no_items, kind, node.at)
        error = _instead(c, node.on_error, problem, kind, node.at)
        sql = (
            f"CASE {outcome} WHEN 'value' THEN {made} WHEN 'empty' THEN {empty} "
            f"WHEN 'error' THEN {error} END"
        )
        return Typed(f"({sql})", kind)

    return c.once(found, chosen)


def _item_as(c: Compiler, item: Typed, kind: Type, length: int | None) -> str:
    if kind.name in _MOMENTS:
        return casts.explicit(item, kind, None, CastSite(is_safe=True, zone=c.zone)).sql
    if kind.name in {"varchar", "char"}:
        return casts.explicit(item, kind, length, CastSite()).sql
    return f"CAST({item.sql} AS {types.duckdb_name(kind)})"


def _or_no_moment(outcome: str, item: Typed, made: str, kind: Type) -> tuple[str, str]:
    """How it came out, and what is wrong, when an item may be no date: then that is the error."""
    is_none = f"{outcome} = 'value' AND {item.sql} IS NOT NULL AND {made} IS NULL"
    wrong = text(
        "cannot extract SQL scalar from JSON: Cannot cast value to declared return type of "
        f"function JSON_VALUE: {kind}"
    )
    problem = f"CASE {outcome} WHEN 'error' THEN {item.sql} ELSE {wrong} END"
    return f"CASE WHEN {is_none} THEN 'error' ELSE {outcome} END", problem


def _instead(
    c: Compiler, behavior: ast_json.JsonBehavior, message: str, kind: Type, at: int
) -> str:
    if behavior.what == "ERROR":
        return f"CAST(error({message}) AS {types.duckdb_name(kind)})"
    if behavior.default is None:
        return "NULL"
    default = c.expr(behavior.default)
    if not t.can_become(default.type, kind):
        c.mismatch(f"Type {kind} expected for the default, not {default.type}", at)
    return exact(c.cast_to(default, kind))


def made(c: Compiler, node: ast_json.JsonMade) -> Typed:
    """JSON_ARRAY and JSON_OBJECT."""
    if node.is_unique and any(one.is_json for one in node.values):
        what = "WITH UNIQUE KEYS behavior is not supported for JSON_OBJECT function"
        c.invalid(f"{what} when input expression has FORMAT", node.at)
    documents = ", ".join(_document(c, one, node) for one in node.values)
    listed = f"CAST([{documents}] AS VARCHAR[])"
    keeps = str(node.keeps_null).lower()
    if node.name == "JSON_ARRAY":
        return _output(c, f"qr_json_array({listed}, {keeps})", node.output, node.at)
    keys = []
    for key in node.keys:
        name = c.expr(key)
        if name.type.name not in {"varchar", "char"}:
            c.mismatch(f"Invalid type of JSON object key: {name.type}", node.at)
        keys.append(c.cast_to(name, t.VARCHAR).sql)
    names = f"CAST([{', '.join(keys)}] AS VARCHAR[])"
    unique = str(node.is_unique).lower()
    sql = f"qr_json_object({names}, {listed}, {keeps}, {unique})"
    return _output(c, sql, node.output, node.at)


def _document(c: Compiler, one: ast_json.JsonInput, node: ast_json.JsonMade) -> str:
    given = c.expr(one.value)
    if one.is_json or isinstance(one.value, _DOCUMENTS):
        return f"qr_json_checked({_text_of(c, given, one, node.at)})"
    if given.type == t.UNKNOWN:
        return "NULL"
    if given.type == t.BOOLEAN or t.is_number(given.type):
        return json_casts.to_json(Typed(exact(given), given.type), lambda value: value.sql)
    return f"qr_json_text({_as_text(c, given, node)})"


def _as_text(c: Compiler, given: Typed, node: ast_json.JsonMade) -> str:
    if given.type.parts or given.type.name in {"json", "varbinary"}:
        c.refuse(f"A value of type {given.type} in {node.name}", node.at)
    return casts.explicit(given, t.VARCHAR, None, CastSite(zone=c.zone)).sql


def _text_of(c: Compiler, given: Typed, one: ast_json.JsonInput, at: int) -> str:
    """A document as text."""
    if given.type == t.VARBINARY:
        return f"qr_json_decoded({given.sql}, {text(one.encoding or 'UTF8')})"
    if given.type.name not in {"varchar", "char", "unknown"} or one.encoding:
        encoding = f" ENCODING {one.encoding}" if one.encoding else ""
        form = f"JSON{encoding}"
        c.mismatch(f"Cannot read input of type {given.type} as JSON using formatting {form}", at)
    if given.type == t.UNKNOWN:
        return "CAST(NULL AS VARCHAR)"
    return c.cast_to(given, t.VARCHAR).sql


def _arguments(c: Compiler, path: ast_json.JsonPath) -> str:
    """The document, the path, and what its variables are."""
    given = c.expr(path.input.value)
    document = _text_of(c, given, path.input, path.at)
    names: dict[str, str] = {}
    values = []
    for name, one in path.passing:
        passed = c.expr(one.value)
        is_json = one.is_json or isinstance(one.value, _DOCUMENTS)
        names[name.text] = "j" if is_json else _kind(passed.type)
        values.append(_passed(c, passed, one, path.at, is_json=is_json))
    _check(c, path, set(names))
    listed = f"CAST([{', '.join(values)}] AS VARCHAR[])"
    passing = text(json.dumps(names, ensure_ascii=False))
    return f"{document}, {text(path.path)}, {passing}, {listed}"


def _kind(kind: Type) -> str:
    """Dates and times are values that JSON has not; what is no number either is a string."""
    is_moment = t.is_moment(kind) or kind.name in {"time", t.TIMETZ}
    return "o" if is_moment else _KINDS.get(kind.name, "s")


def _passed(c: Compiler, given: Typed, one: ast_json.JsonInput, at: int, *, is_json: bool) -> str:
    if is_json:
        return _text_of(c, given, one, at)
    if given.type == t.UNKNOWN:
        return "NULL"
    if t.is_number(given.type) or given.type == t.BOOLEAN:
        return f"CAST({exact(given)} AS VARCHAR)"
    if given.type.parts or given.type.name in {"json", "varbinary"}:
        c.refuse(f"A value of type {given.type} in PASSING", at)
    return casts.explicit(given, t.VARCHAR, None, CastSite(zone=c.zone)).sql


def _check(c: Compiler, path: ast_json.JsonPath, names: set[str]) -> None:
    try:
        found = read_path(path.path)
    except PathError as error:
        if not error.is_supported:
            c.refuse(str(error), path.at)
        raise failure_at(FailureCode.SYNTAX_ERROR, str(error), c.statement, path.at) from error
    for missing in sorted(found.variables - names):
        hint = f'Try quoting "{missing}" in the PASSING clause to match case'
        c.mismatch(f"no value passed for parameter {missing}. {hint}", path.at)


def _output(c: Compiler, document: str, output: ast_json.JsonOutput, at: int) -> Typed:
    """A document in the type that RETURNING names."""
    if output.type is None:
        return Typed(document, t.VARCHAR)
    kind, length = type_names.type_of(output.type)
    if kind == t.VARBINARY:
        return Typed(f"qr_json_encoded({document}, {text(output.encoding or 'UTF8')})", kind)
    if kind.name not in {"varchar", "char"} or output.encoding:
        encoding = f" ENCODING {output.encoding}" if output.encoding else ""
        form = f"JSON{encoding}"
        c.mismatch(f"Cannot output JSON value as {kind} using formatting {form}", at)
    return casts.explicit(Typed(document, t.VARCHAR), kind, length, CastSite())


# --- JSON_TABLE -----------------------------------------------------------------------------


def table(c: Compiler, node: ast_json.JsonTable) -> tuple[str, list[Output]]:
    """A query that returns the rows; it may see what stands before it in FROM."""
    items = f"qr_json_items_at({_arguments(c, node.path)}, {str(node.fails).lower()})"
    return _rows(c, items, node.columns, node)


def _rows(
    c: Compiler, items: str, columns: ast_json.JsonColumns, node: ast_json.JsonTable
) -> tuple[str, list[Output]]:
    """The rows of one level: each item's columns, beside those of what is nested in it."""
    found, row = c.fresh("j"), c.fresh("j")
    nested = [one for one in columns.columns if isinstance(one, ast_json.JsonNested)]
    inner_sql, inner = _nested_rows(c, f"{row}.item", nested, node)
    cells, outputs = [], []
    taken = 0
    for one in columns.columns:
        if isinstance(one, ast_json.JsonColumn):
            cell = _cell(c, one, row, node)
            cells.append(cell.sql)
            outputs.append(Output(one.name.text, cell.type))
            continue
        group = inner[nested.index(one)]
        cells += [f"{found}n.n{taken + number}" for number in range(len(group))]
        taken += len(group)
        outputs += group
    listed = ", ".join(f"{cell} AS c{n}" for n, cell in enumerate(cells, 1))
    unnested = f"SELECT unnest({found}.x) AS item, unnest(range(1, len({found}.x) + 1)) AS number"
    sql = f"SELECT {listed} FROM (SELECT {items} AS x) AS {found}, LATERAL ({unnested}) AS {row}"
    if inner_sql:
        sql += f" LEFT JOIN LATERAL ({inner_sql}) AS {found}n ON true"
    return sql, outputs


def _nested_rows(
    c: Compiler, item: str, nested: list[ast_json.JsonNested], node: ast_json.JsonTable
) -> tuple[str, list[list[Output]]]:
    """Siblings one after the other, each beside NULLs of the others."""
    parts = []
    for one in nested:
        path = ast_json.JsonPath(_item(item, one.at), one.path, node.path.passing, one.at)
        items = f"qr_json_items_at({_arguments(c, path)}, {str(node.fails).lower()})"
        parts.append(_rows(c, items, one.columns, node))
    outputs = [own for _, own in parts]
    queries = []
    for number, (sql, own) in enumerate(parts):
        cells: list[str] = []
        for other, kinds in enumerate(outputs):
            for position, output in enumerate(kinds, 1):
                kind = types.duckdb_name(output.type)
                cell = f"n.c{position}" if other == number else f"CAST(NULL AS {kind})"
                cells.append(f"{cell} AS n{len(cells)}")
        if own:
            queries.append(f"SELECT {', '.join(cells)} FROM ({sql}) AS n")
    return " UNION ALL ".join(queries), outputs


def _item(sql: str, at: int) -> ast_json.JsonInput:
    return ast_json.JsonInput(ast_json.JsonItem(sql, at), True, "")


def _cell(c: Compiler, column: ast_json.JsonColumn, row: str, node: ast_json.JsonTable) -> Typed:
    made_by = column.made
    if made_by is None:
        return Typed(f"CAST({row}.number AS BIGINT)", t.BIGINT)
    own = made_by.path
    made_by.path = ast_json.JsonPath(
        _item(f"{row}.item", own.at), own.path, node.path.passing, own.at
    )
    if node.fails and isinstance(made_by, ast_json.JsonQuery):
        made_by.on_error = made_by.on_error or "ERROR"
    if node.fails and isinstance(made_by, ast_json.JsonValue):
        made_by.on_error.what = made_by.on_error.what or "ERROR"
    return c.expr(made_by)

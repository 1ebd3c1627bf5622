"""SQL/JSON in Trino's grammar: JSON_VALUE, JSON_QUERY, JSON_EXISTS, JSON_OBJECT, JSON_TABLE, …"""

from __future__ import annotations

from collections.abc import Callable

from queryrun.sql.trino.grammar.parts import PartParser
from queryrun.sql.trino.records import json as ast_json
from queryrun.sql.trino.records.ast import Ident, Literal

_ENCODINGS = ("UTF8", "UTF16", "UTF32")


def json_exists(p: PartParser) -> ast_json.JsonExists:
    """`JSON_EXISTS(…)`."""
    at = p.advance().at
    p.expect_op("(")
    path = _path(p)
    on_error = "FALSE"
    if p.at_word("TRUE", "FALSE", "UNKNOWN", "ERROR"):
        on_error = p.advance().text
        p.expect_word("ON")
        p.expect_word("ERROR")
    p.expect_op(")")
    return ast_json.JsonExists(path, on_error, at)


def json_value(p: PartParser) -> ast_json.JsonValue:
    """`JSON_VALUE(…)`."""
    at = p.advance().at
    p.expect_op("(")
    path = _path(p)
    output = _returning(p)
    on_empty, on_error = _value_behaviors(p)
    p.expect_op(")")
    return ast_json.JsonValue(path, output, on_empty, on_error, at)


def json_query(p: PartParser) -> ast_json.JsonQuery:
    """`JSON_QUERY(…)`."""
    at = p.advance().at
    p.expect_op("(")
    path = _path(p)
    output = _returning(p)
    wrapper, quotes = _wrapper(p), _quotes(p)
    on_empty, on_error = _query_behaviors(p)
    p.expect_op(")")
    return ast_json.JsonQuery(path, output, wrapper, quotes, on_empty, on_error, at)


def json_array(p: PartParser) -> ast_json.JsonMade:
    """`JSON_ARRAY(…)`."""
    at = p.advance().at
    p.expect_op("(")
    values = []
    if not p.at_op(")") and not p.at_word("RETURNING"):
        values.append(_input(p))
        while p.take_op(","):
            values.append(_input(p))
    keeps_null = _keeps_null(p, default=False)
    output = _returning(p)
    p.expect_op(")")
    return ast_json.JsonMade("JSON_ARRAY", [], values, keeps_null, False, output, at)


def json_object(p: PartParser) -> ast_json.JsonMade:
    """`JSON_OBJECT(…)`."""
    at = p.advance().at
    p.expect_op("(")
    keys, values = [], []
    if not p.at_op(")") and not p.at_word("RETURNING"):
        while True:
            if p.at_word("KEY") and p.lookahead().text not in {":", "VALUE", ".", ","}:
                p.advance()
            keys.append(p.expression())
            if not p.take_op(":"):
                p.expect_word("VALUE")
            values.append(_input(p))
            if not p.take_op(","):
                break
    keeps_null = _keeps_null(p, default=True)
    is_unique = False
    if p.at_word("WITH", "WITHOUT"):
        is_unique = p.advance().text == "WITH"
        p.expect_word("UNIQUE")
        p.take_word("KEYS")
    output = _returning(p)
    p.expect_op(")")
    return ast_json.JsonMade("JSON_OBJECT", keys, values, keeps_null, is_unique, output, at)


READERS: dict[str, Callable[[PartParser], ast_json.JsonExpr]] = {
    "JSON_EXISTS": json_exists,
    "JSON_VALUE": json_value,
    "JSON_QUERY": json_query,
    "JSON_ARRAY": json_array,
    "JSON_OBJECT": json_object,
}

# --- parts ----------------------------------------------------------------------------------


def _path(p: PartParser) -> ast_json.JsonPath:
    value = _input(p)
    p.expect_op(",")
    at = p.token.at
    path = p.text()
    if p.take_word("AS"):
        p.name()
    passing = []
    if p.take_word("PASSING"):
        passing.append(_passed(p))
        while p.take_op(","):
            passing.append(_passed(p))
    return ast_json.JsonPath(value, path, passing, at)


def _passed(p: PartParser) -> tuple[Ident, ast_json.JsonInput]:
    value = _input(p)
    p.expect_word("AS")
    name = p.name()
    return (name if name.is_quoted else Ident(name.text.upper(), False, name.at)), value


def _input(p: PartParser) -> ast_json.JsonInput:
    value = p.expression()
    is_json = p.take_words("FORMAT", "JSON")
    return ast_json.JsonInput(value, is_json, _encoding(p) if is_json else "")


def _encoding(p: PartParser) -> str:
    return p.expect_word(*_ENCODINGS).text if p.take_word("ENCODING") else ""


def _returning(p: PartParser) -> ast_json.JsonOutput:
    if not p.take_word("RETURNING"):
        return ast_json.JsonOutput(None, "")
    kind = p.type_name()
    encoding = _encoding(p) if p.take_words("FORMAT", "JSON") else ""
    return ast_json.JsonOutput(kind, encoding)


def _keeps_null(p: PartParser, *, default: bool) -> bool:
    if p.take_words("NULL", "ON", "NULL"):
        return True
    return False if p.take_words("ABSENT", "ON", "NULL") else default


def _value_behaviors(p: PartParser) -> tuple[ast_json.JsonBehavior, ast_json.JsonBehavior]:
    found = {word: ast_json.JsonBehavior("", None) for word in ("EMPTY", "ERROR")}
    while p.at_word("NULL", "ERROR", "DEFAULT"):
        what = p.advance().text
        default = p.expression() if what == "DEFAULT" else None
        p.expect_word("ON")
        found[p.expect_word("EMPTY", "ERROR").text] = ast_json.JsonBehavior(what, default)
    return found["EMPTY"], found["ERROR"]


def _query_behaviors(p: PartParser) -> tuple[str, str]:
    found = {"EMPTY": "", "ERROR": ""}
    while p.at_word("NULL", "ERROR", "EMPTY"):
        what = p.advance().text
        if what == "EMPTY":
            what = f"EMPTY {p.expect_word('ARRAY', 'OBJECT').text}"
        p.expect_word("ON")
        found[p.expect_word("EMPTY", "ERROR").text] = what
    return found["EMPTY"], found["ERROR"]


def _wrapper(p: PartParser) -> str:
    if p.take_word("WITHOUT"):
        found = "WITHOUT"
    elif p.take_word("WITH"):
        found = "CONDITIONAL" if p.take_word("CONDITIONAL") else "UNCONDITIONAL"
        p.take_word("UNCONDITIONAL")
    else:
        return "WITHOUT"
    p.take_word("ARRAY")
    p.expect_word("WRAPPER")
    return found


def _quotes(p: PartParser) -> str:
    if not p.at_word("KEEP", "OMIT"):
        return "KEEP"
    found = p.advance().text
    p.expect_word("QUOTES")
    p.take_words("ON", "SCALAR", "STRING")
    return found


# --- JSON_TABLE -----------------------------------------------------------------------------


def json_table(p: PartParser) -> ast_json.JsonTable:
    """`JSON_TABLE(…)` in FROM."""
    at = p.advance().at
    p.expect_op("(")
    path = _path(p)
    columns = _columns(p)
    if p.at_word("PLAN"):
        p.refuse("PLAN in JSON_TABLE is not supported", p.token.at)
    fails = False
    if p.at_word("ERROR", "EMPTY"):
        fails = p.advance().text == "ERROR"
        p.expect_word("ON")
        p.expect_word("ERROR")
    p.expect_op(")")
    return ast_json.JsonTable(path, columns, fails, at)


def _columns(p: PartParser) -> ast_json.JsonColumns:
    p.expect_word("COLUMNS")
    p.expect_op("(")
    found = [_column(p)]
    while p.take_op(","):
        found.append(_column(p))
    p.expect_op(")")
    return ast_json.JsonColumns(found)


def _column(p: PartParser) -> ast_json.JsonColumn | ast_json.JsonNested:
    if p.at_word("NESTED") and (p.lookahead().kind == "string" or p.lookahead().text == "PATH"):
        return _nested(p)
    name = p.name()
    if not name.is_quoted:
        name = Ident(name.text.upper(), False, name.at)
    if p.take_words("FOR", "ORDINALITY"):
        return ast_json.JsonColumn(name, None)
    kind = p.type_name()
    is_query = p.take_words("FORMAT", "JSON")
    encoding = _encoding(p) if is_query else ""
    at = p.token.at
    written = p.text() if p.take_word("PATH") else f'lax $."{name.text}"'
    item = ast_json.JsonInput(Literal("null", "null", at), True, "")
    path = ast_json.JsonPath(item, written, [], at)
    output = ast_json.JsonOutput(kind, encoding)
    if not is_query:
        value = ast_json.JsonValue(path, output, *_value_behaviors(p), name.at)
        return ast_json.JsonColumn(name, value)
    wrapper, quotes = _wrapper(p), _quotes(p)
    query = ast_json.JsonQuery(path, output, wrapper, quotes, *_query_behaviors(p), name.at)
    return ast_json.JsonColumn(name, query)


def _nested(p: PartParser) -> ast_json.JsonNested:
    at = p.advance().at
    p.take_word("PATH")
    path = p.text()
    if p.take_word("AS"):
        p.name()
    return ast_json.JsonNested(path, _columns(p), at)

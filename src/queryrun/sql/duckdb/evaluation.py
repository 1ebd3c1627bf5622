"""Errors of evaluation: DuckDB's refusal of a value in Trino's words, with the place it came from.

DuckDB tells what failed, not where in the statement as submitted. What can have failed is looked
for in the statement: where only one expression can, or only one with these very values, that is the
place; otherwise there is none. Nothing is decided here, and nothing costs before a failure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from queryrun.sql.json_text import formatted_double
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.walk import records

_Match = re.Match[str]
_INTEGERS = {"8": "tinyint", "16": "smallint", "32": "integer", "64": "bigint", "128": "decimal"}
_CAST_TO = {"8": "TINYINT", "16": "SMALLINT", "32": "INT", "64": "BIGINT"}
_WORDS = {"addition": "+", "subtraction": "-", "multiplication": "*"}
_OPERATORS = {"//": "/", "%": "%"}
_COUNTING = ("date_add", "date_diff", "date_trunc")
_ISO = ("from_iso8601_date", "from_iso8601_timestamp", "from_iso8601_timestamp_nanos")


@dataclass(frozen=True, slots=True)
class Explained:
    """What failed. `at`: the character where, None when several expressions can have."""

    message: str
    at: int | None


@dataclass(frozen=True, slots=True)
class _Rule:
    """`can_fail` says of an expression whether it can have failed so."""

    pattern: re.Pattern[str]
    message: Callable[[_Match], str]
    can_fail: Callable[[_Match, object], bool]


def explained(query: ast.Query | ast.Show, refusal: str) -> Explained | None:
    """The error in Trino's words; None when DuckDB's message is none of these."""
    for rule in _RULES:
        if match := rule.pattern.match(refusal):
            found = [node for node in records(query) if rule.can_fail(match, node)]
            return Explained(rule.message(match), _position(found, match.groupdict()))
    return None


def _position(found: list[object], values: dict[str, str | None]) -> int | None:
    if len(found) > 1:
        given = [values.get("a"), values.get("b")]
        found = [node for node in found if _literals(node) == [v for v in given if v is not None]]
        if any(_literals(node) != _literals(found[0]) for node in found):
            return None
    positions: list[int] = sorted(node.at for node in found if isinstance(node, _PLACED))
    return positions[0] if positions else None


def _literals(node: object) -> list[str]:
    """The constants that an expression is applied to, as written."""
    match node:
        case ast.Binary():
            operands = [node.left, node.right]
        case ast.Call():
            operands = node.args
        case ast.Cast():
            operands = [node.operand]
        case _:
            return []
    return [text for text in map(_constant, operands) if text is not None]


def _constant(node: ast.Expr) -> str | None:
    if isinstance(node, ast.Unary) and isinstance(node.operand, ast.Literal):
        return f"{node.op}{node.operand.text}"
    return node.text if isinstance(node, ast.Literal) else None


def _divides(match: _Match, node: object) -> bool:
    operator = _OPERATORS.get(match["op"] or "")
    if isinstance(node, ast.Call):
        return node.name == "mod" and operator != "/"
    return isinstance(node, ast.Binary) and node.op in ({operator} if operator else {"/", "%"})


def _calculates(match: _Match, node: object) -> bool:
    return isinstance(node, ast.Binary) and node.op == _WORDS[match["word"]]


def _casts(_: _Match, node: object) -> bool:
    return isinstance(node, ast.Cast)


def _casts_to_integer(match: _Match, node: object) -> bool:
    """A cast that nobody wrote fails so, too: it has another target."""
    target = _INTEGERS[match["bits"]]
    return isinstance(node, ast.Cast) and target.startswith(node.type.name)


def _subscripts(_: _Match, node: object) -> bool:
    return isinstance(node, ast.Subscript) or (
        isinstance(node, ast.Call) and node.name == "element_at"
    )


def _calls(*names: str) -> Callable[[_Match, object], bool]:
    return lambda _, node: isinstance(node, ast.Call) and node.name in names


def _is_like(_: _Match, node: object) -> bool:
    return isinstance(node, ast.Like)


def _moves(_: _Match, node: object) -> bool:
    return isinstance(node, ast.Binary) and node.op in {"+", "-"}


def _names_zone(_: _Match, node: object) -> bool:
    zoned = {"at_timezone", "with_timezone", "from_unixtime"}
    return isinstance(node, ast.AtZone) or (isinstance(node, ast.Call) and node.name in zoned)


def _overflow(match: _Match) -> str:
    kind = _INTEGERS[match["bits"]]
    if kind == "decimal":
        return "Decimal overflow"
    return f"{kind} {match['word']} overflow: {match['a']} {_WORDS[match['word']]} {match['b']}"


def _out_of_range(match: _Match) -> str:
    target = _INTEGERS[match["bits"]]
    if match["source"] in {"DOUBLE", "FLOAT"}:
        return f"Unable to cast {formatted_double(float(match['a']))} to {target}"
    return f"Out of range for {target}: {match['a']}"


def _decimal(match: _Match) -> str:
    return f"Cannot cast '{match['a']}' to DECIMAL({match['p']}, {match['s']})"


def _rule(
    pattern: str, message: str | Callable[[_Match], str], can_fail: Callable[[_Match, object], bool]
) -> _Rule:
    words = message if callable(message) else lambda match: str(message).format(**match.groupdict())
    return _Rule(re.compile(pattern, re.S), words, can_fail)


_PLACED = ast.Binary | ast.Cast | ast.Call | ast.Subscript | ast.ScalarQuery | ast.Like | ast.AtZone
_IN_TRINO_WORDS = (
    (r"'.*' is not a valid (?:DATE|TIME|TIMESTAMP) field", _calls(*_COUNTING)),
    (r"Cannot (?:add|subtract) hour, minutes or seconds", _moves),
    (r"Invalid pattern specification|format_datetime for TIMESTAMP", _calls("format_datetime")),
    (r"'.*' is not a valid time zone|Time zone not supported|Invalid offset minutes", _names_zone),
    (r"Invalid JSON path", _calls("json_extract", "json_extract_scalar")),
    (r"Pattern has \d+ groups", _calls("regexp_extract", "regexp_extract_all")),
    (r"Index must be greater than zero", _calls("split_part")),
    (r'Invalid format: "', _calls(*_ISO)),
    (r"Escape (?:string|character) must", _is_like),
)
"""What fails for any value (`Compiler.fails`) is said in Trino's words already."""
_RULES = (
    *(_rule(f"(?P<text>(?:{begin}).*)", "{text}", can_fail) for begin, can_fail in _IN_TRINO_WORDS),
    _rule(
        r"Division by zero(?: in expression \((?P<a>\S+) (?P<op>//|%) (?P<b>\S+)\)\.| in expression"
        r".* (?:// |% ).*\.)?",
        "Division by zero",
        _divides,
    ),
    _rule(
        r"Overflow in (?P<word>addition|subtraction|multiplication) of U?INT(?P<bits>\d+) "
        r"\((?P<a>\S+) \S (?P<b>\S+)\)",
        _overflow,
        _calculates,
    ),
    _rule(
        r"Overflow in (?P<word>addition|subtraction|multiplication) of DECIMAL",
        "Decimal overflow",
        _calculates,
    ),
    _rule(
        r"Type INT128 with value (?P<a>\S+) can't be cast .* INT64 when casting from source column "
        r"sum\(",
        "bigint addition overflow",
        _calls("sum"),
    ),
    _rule(
        r"Type (?P<source>\w+) with value (?P<a>\S+) can't be cast .* type INT(?P<bits>\d+)",
        _out_of_range,
        _casts_to_integer,
    ),
    _rule(
        r'Casting value "(?P<a>[^"]*)" to type DECIMAL\((?P<p>\d+),(?P<s>\d+)\) failed',
        _decimal,
        _casts,
    ),
    _rule(
        r'Could not convert string "(?P<a>.*)" to DECIMAL\((?P<p>\d+),(?P<s>\d+)\)',
        _decimal,
        _casts,
    ),
    _rule(
        r"Could not convert string '(?P<a>.*)' to INT(?P<bits>8|16|32|64)\b",
        lambda match: f"Cannot cast '{match['a']}' to {_CAST_TO[match['bits']]}",
        _casts,
    ),
    _rule(
        r'(?:invalid )?date field (?:value out of range|format): "(?P<a>.*?)"',
        "Value cannot be cast to date: {a}",
        _casts,
    ),
    _rule(
        r'(?:invalid )?timestamp field (?:value out of range|format): "(?P<a>.*?)"',
        "Value cannot be cast to timestamp: {a}",
        _casts,
    ),
    _rule(r"(?P<text>Cannot cast '(?P<a>.*)' to [A-Z].*)", "{text}", _casts),
    _rule(r"(?P<text>Value cannot be cast to \w+: (?P<a>.*))", "{text}", _casts),
    _rule(
        r"Overflow on abs\((?P<a>\S+)\)",
        "Value {a} is out of range for abs",
        _calls("abs"),
    ),
    _rule(
        r"(?P<text>Array subscript .*|SQL array indices start at 1|Key not present in map.*)",
        "{text}",
        _subscripts,
    ),
    _rule(
        r"Map keys must be unique",
        "Duplicate map keys are not allowed",
        _calls("map", "map_from_entries", "map_agg"),
    ),
    _rule(
        r"More than one row returned by a subquery",
        "Scalar sub-query has returned multiple rows",
        lambda _, node: isinstance(node, ast.ScalarQuery),
    ),
    _rule(
        r'Could not parse string "(?P<a>.*)" according to format specifier',
        'Invalid format: "{a}"',
        _calls("date_parse", "parse_datetime"),
    ),
    _rule(
        r"Malformed JSON.*Input: (?P<text>.*)",
        "Cannot convert value to JSON: {text}",
        _calls("json_parse"),
    ),
    _rule(
        r"Unknown TimeZone '(?P<a>[^']*)'",
        "'{a}' is not a valid time zone",
        _calls(),
    ),
    _rule(
        r"Invalid UTF8 Codepoint (?P<a>\S+)",
        "Not a valid Unicode code point: {a}",
        _calls("chr"),
    ),
)

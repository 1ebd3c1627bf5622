"""`?` and `:name` in a statement, and the literals that stand there in the syntax tree.

A value never becomes part of the text that is parsed: the parser takes it where an expression may
be, so it can be nothing but a value.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from queryrun.errors import Failure, FailureCode, RunFailed
from queryrun.sql.parameters import Parameter, ParameterType, array_items, parsed_type
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.spelling import text as quoted

HOW = "give its value in `parameters`"


class ParameterMismatchError(RunFailed):
    """The statement's markers and the values given are not the same ones."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One marker: where it stands, how long it is, and what stands there instead.

    A number is a number of rows, behind LIMIT and its like."""

    at: int
    length: int
    value: ast.Expr | int


@dataclass(frozen=True, slots=True)
class Value:
    """A value as the syntax tree has it; `name` is empty for a `?`."""

    name: str
    expr: ast.Expr = field(repr=False)


def values_of(parameters: Sequence[Parameter]) -> tuple[Value, ...]:
    """The values that a request has given, once `parameters.check` has accepted them."""
    return tuple(Value(one.name, literal_of(one)) for one in parameters)


@dataclass(slots=True)
class Markers:
    """The values of one statement while it is parsed, and the markers that were met."""

    values: Sequence[Value] = ()
    found: list[Mark] = field(default_factory=list)
    _used: set[int] = field(default_factory=set)

    def value(self, name: str, statement: str, at: int, length: int) -> ast.Expr:
        """The literal for the marker here; an empty name is a `?`.

        Raises `ParameterMismatchError` when there is no value for it.
        """
        number = self._number(name)
        if number is None:
            marker = f":{name}" if name else "?"
            raise mismatch(f"The statement has the parameter {marker}: {HOW}", statement, at)
        self._used.add(number)
        expr = moved_to(self.values[number].expr, at)
        self.found.append(Mark(at, length, expr))
        return expr

    def count(self, name: str, statement: str, at: int, length: int) -> int:
        """The number of rows for the marker here, behind LIMIT, OFFSET and FETCH."""
        number = _whole_number(self.value(name, statement, at, length))
        if number is None:
            message = "A number of rows must be a whole number that is not negative"
            raise mismatch(message, statement, at)
        self.found[-1] = Mark(at, length, number)
        return number

    def is_mark(self, expr: ast.Expr) -> bool:
        """Whether the expression is nothing but a parameter's value."""
        return any(mark.value is expr for mark in self.found)

    def check_all_used(self, statement: str) -> None:
        """Raises `ParameterMismatchError` for values that the statement has no marker for."""
        for number, one in enumerate(self.values):
            if number in self._used:
                continue
            if one.name:
                raise mismatch(f"The statement has no parameter :{one.name}", statement, 0)
            message = f"The statement has {len(self._used)} of ?, and {len(self.values)} values"
            raise mismatch(message, statement, 0)

    def _number(self, name: str) -> int | None:
        """Which of the values it is; None when there is none."""
        if not name:
            number = sum(1 for mark in self.found if mark.length == 1)
            return number if number < len(self.values) and not self.values[number].name else None
        key = name.lower()
        return next((n for n, one in enumerate(self.values) if one.name.lower() == key), None)


_WHOLE = frozenset({"tinyint", "smallint", "integer", "int", "bigint"})


def _whole_number(expr: ast.Expr) -> int | None:
    is_whole = isinstance(expr, ast.Literal) and expr.kind == "integer"
    is_whole = is_whole or (isinstance(expr, ast.TypedLiteral) and expr.type in _WHOLE)
    if not is_whole or not isinstance(expr, ast.Literal | ast.TypedLiteral):
        return None
    number = int(expr.text)
    return number if number >= 0 else None


def mismatch(message: str, statement: str, at: int) -> ParameterMismatchError:
    """The failure, with the position of the character at `at`."""
    line_start = statement.rfind("\n", 0, at) + 1
    line = statement.count("\n", 0, at) + 1
    failure = Failure(FailureCode.INVALID_VALUE, message, line, at - line_start + 1)
    return ParameterMismatchError(failure)


# --- a value as a literal -------------------------------------------------------------------


LITERALS = (
    ast.Literal, ast.TypedLiteral, ast.IntervalLiteral, ast.Unary, ast.Cast, ast.ArrayOf, ast.RowOf,
)  # fmt: skip
"""What a value consists of."""


def moved_to(expr: ast.Expr, at: int) -> ast.Expr:
    """A copy that stands at this offset. Raises `TypeError` for what is no literal."""
    match expr:
        case ast.Literal() | ast.TypedLiteral() | ast.IntervalLiteral():
            return replace(expr, at=at)
        case ast.Unary() | ast.Cast():
            return replace(expr, operand=moved_to(expr.operand, at), at=at)
        case ast.ArrayOf() | ast.RowOf():
            return replace(expr, items=[moved_to(item, at) for item in expr.items], at=at)
        case _:
            raise TypeError(f"{type(expr).__name__} is no literal")


def literal_of(parameter: Parameter, at: int = 0) -> ast.Expr:
    """The value as a literal of its type. For a parameter that `parameters.check` has accepted."""
    if not parameter.type:
        return ast.Literal("null", "NULL", at)
    kind = parsed_type(parameter.type)
    if kind.element is None or parameter.value is None:
        return _literal(kind, parameter.value, at)
    return _array(kind, array_items(kind, parameter.value), at)


def _array(kind: ParameterType, items: Sequence[object], at: int) -> ast.Expr:
    element = kind.element or kind
    values = [
        _array(element, item, at)
        if isinstance(item, list)
        else _literal(element, None if item is None else str(item), at)
        for item in items
    ]
    return ast.Cast(ast.ArrayOf(values, at), type_name(kind, at), False, at)


def _literal(kind: ParameterType, value: str | None, at: int) -> ast.Expr:
    """A type with numbers in brackets has no literals of its own: it is cast to."""
    if value is None:
        return ast.Cast(ast.Literal("null", "NULL", at), type_name(kind, at), False, at)
    if kind.base == "varbinary":
        return ast.Literal("binary", base64.b64decode(value).hex(), at)
    if kind.base == "boolean":
        return ast.Literal("boolean", value.upper(), at)
    if kind.base == "varchar" and not kind.numbers:
        return ast.Literal("string", value, at)
    if kind.base.startswith("timestamp"):
        value = spaced_moment(value)
    if kind.numbers or kind.base == "char":
        return ast.Cast(ast.Literal("string", value, at), type_name(kind, at), False, at)
    return ast.TypedLiteral(kind.base.split()[0], value, at)


def spaced_moment(value: str) -> str:
    """`2024-01-31T10:00:00Z` as Trino writes it: with blanks, and UTC for Z."""
    match = _MOMENT.fullmatch(value)
    if match is None:
        return value
    zone = "UTC" if match[3] == "Z" else match[3]
    return f"{match[1]} {match[2]}{f' {zone}' if zone else ''}"


_MOMENT = re.compile(r"([0-9-]{10})[T ]([0-9:.]+)\s*(\S+)?")


def type_name(kind: ParameterType, at: int) -> ast.TypeName:
    """The type as the parser would have read it. Without digits, times have microseconds."""
    if kind.element is not None:
        return ast.TypeName("array", [type_name(kind.element, at)], [], at)
    numbers: list[ast.TypeName | int] = list(kind.numbers)
    if kind.base.startswith("time") and not numbers:
        numbers.append(6)
    return ast.TypeName(kind.base, numbers, [], at)


# --- a literal as Trino reads it ------------------------------------------------------------


def printed(value: ast.Expr | int) -> str:
    """What Trino is sent where the marker stood: a literal that is complete in itself."""
    match value:
        case int():
            return str(value)
        case ast.Literal(kind="string"):
            return quoted(value.text)
        case ast.Literal(kind="binary"):
            return f"X'{value.text}'"
        case ast.Literal():
            return value.text
        case ast.TypedLiteral():
            return f"{value.type.upper()} {quoted(value.text)}"
        case ast.IntervalLiteral():
            sign = "-" if value.is_negative else ""
            to_unit = f" TO {value.to_unit}" if value.to_unit else ""
            return f"INTERVAL {sign}{quoted(value.text)} {value.unit}{to_unit}"
        case ast.Unary(op=op, operand=operand):
            return f"({op} {printed(operand)})"
        case ast.RowOf(items=items):
            return f"ROW({', '.join(printed(item) for item in items)})"
        case ast.ArrayOf(items=items):
            return f"ARRAY[{', '.join(printed(item) for item in items)}]"
        case ast.Cast(operand=operand, type=kind):
            return f"CAST({printed(operand)} AS {_printed_type(kind)})"
        case _:
            raise TypeError(f"{type(value).__name__} is no literal")


def _printed_type(kind: ast.TypeName) -> str:
    inner = ", ".join(
        str(one) if isinstance(one, int) else _printed_type(one) for one in kind.arguments
    )
    if not inner:
        return kind.name
    first, _, rest = kind.name.partition(" ")
    return f"{first}({inner}){' ' if rest else ''}{rest}"

"""`filter[]`: clauses `field.OP:value` with eight operators (contract C3). Parsed here, applied in
`listing.py`; on the operations of a single run a well-formed clause has no effect.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from queryrun.errors import Problem
from queryrun.runs.fields import RUN_FIELDS, FieldKind

MAX_CLAUSE_CHARS = 4096
MAX_IN_VALUES = 100

CLAUSE = re.compile(
    r"(?P<field>[A-Za-z_][A-Za-z0-9_]*(?:\[[A-Za-z_][A-Za-z0-9_.-]*\])?)"
    r"\.(?P<operator>EQ|NE|LT|GT|LE|GE|SW|IN):(?P<value>.*)",
    re.DOTALL,
)
"""The field cannot hold a dot, so this splits at the first `.OP:`: values may hold both."""

EMPTY_STRING = "\x02\x03"
"""How the contract writes the empty string; a bare `.EQ:` is refused."""

NULL = "null"


class Operator(StrEnum):
    """The eight operators."""

    EQ = "EQ"
    NE = "NE"
    LT = "LT"
    GT = "GT"
    LE = "LE"
    GE = "GE"
    SW = "SW"
    IN = "IN"


ORDERING = frozenset({Operator.LT, Operator.GT, Operator.LE, Operator.GE})

FIELD_KINDS: dict[str, FieldKind] = {
    field.name: field.kind for field in RUN_FIELDS if field.filterable
}
"""Filterable fields of a run. Other names are those of related objects, compared as text."""

NUMERIC = frozenset({FieldKind.INTEGER, FieldKind.NUMBER})

Value = str | float | datetime | None


class BadClauseError(ValueError):
    """Why a clause is refused; becomes a problem that names the clause."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition. `values` has one entry except for `IN`; None stands for null."""

    field: str
    operator: Operator
    values: tuple[Value, ...]

    @property
    def value(self) -> Value:
        """The value of every operator but `IN`."""
        return self.values[0]

    def holds(self, actual: Value) -> bool:
        """Whether a field with this value passes. Null passes `EQ:null`, `NE` something and `IN`
        with null; never an ordering operator or `SW`. Text is compared case-sensitively."""
        if self.operator is Operator.EQ:
            return actual == self.value
        if self.operator is Operator.NE:
            return actual != self.value
        if self.operator is Operator.IN:
            return actual in self.values
        if actual is None or self.value is None:
            return False
        if self.operator is Operator.SW:
            return str(actual).startswith(str(self.value))
        return _ordered(self.operator, actual, self.value)


def _ordered(operator: Operator, actual: Value, value: Value) -> bool:
    """Values of different types have no order: the condition is false, not an error."""
    if isinstance(actual, datetime) and isinstance(value, datetime):
        left, right = actual.timestamp(), value.timestamp()
    elif isinstance(actual, float | int) and isinstance(value, float | int):
        left, right = float(actual), float(value)
    else:
        return False
    if operator is Operator.LT:
        return left < right
    if operator is Operator.GT:
        return left > right
    return left <= right if operator is Operator.LE else left >= right


def parse_filters(texts: Iterable[str], problems: list[Problem]) -> list[Clause]:
    """The well-formed clauses; every other one is a problem that quotes it."""
    clauses: list[Clause] = []
    for text in texts:
        try:
            clauses.append(parse_clause(text))
        except BadClauseError as error:
            message = f"'filter[]' clause {text[:100]!r}: {error}"
            problems.append(Problem("invalid_parameter", "filter[]", message))
    return clauses


def check_filters(texts: Iterable[str], problems: list[Problem]) -> None:
    """Validate clauses that have no effect here."""
    parse_filters(texts, problems)


def parse_clause(text: str) -> Clause:
    """One clause, or `BadClauseError` with the reason."""
    found = CLAUSE.fullmatch(text) if len(text) <= MAX_CLAUSE_CHARS else None
    if found is None:
        raise BadClauseError("expected field.OP:value with OP one of EQ NE LT GT LE GE SW IN")
    field, operator = found["field"], Operator(found["operator"])
    kind = FIELD_KINDS.get(field)
    _check_operator(kind, operator)
    texts = _in_list(found["value"]) if operator is Operator.IN else [found["value"]]
    values = tuple(_value(kind, one) for one in texts)
    if operator in ORDERING | {Operator.SW} and None in values:
        raise BadClauseError(f"{operator} does not take null")
    return Clause(field, operator, values)


def _check_operator(kind: FieldKind | None, operator: Operator) -> None:
    if kind is FieldKind.TEXT and operator in ORDERING:
        raise BadClauseError(f"{operator} needs a number or a date")
    if (kind in NUMERIC or kind is FieldKind.TIME) and operator is Operator.SW:
        raise BadClauseError("SW needs a text")


def _in_list(text: str) -> list[str]:
    if not (text.startswith("[") and text.endswith("]")):
        raise BadClauseError("IN takes a list: IN:[a,b]")
    values = [part.strip() for part in text[1:-1].split(",")]
    if len(values) > MAX_IN_VALUES:
        raise BadClauseError(f"IN takes at most {MAX_IN_VALUES} values")
    return values


def _value(kind: FieldKind | None, text: str) -> Value:
    """An empty value is refused, because the hosted system writes the empty string as two bytes."""
    if text == NULL:
        return None
    if text == EMPTY_STRING:
        return ""
    if not text:
        raise BadClauseError("the value is missing; the empty string is written %02%03")
    if kind in NUMERIC:
        return _number(text)
    return parse_time(text) if kind is FieldKind.TIME else text


NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?")


def _number(text: str) -> float:
    if NUMBER.fullmatch(text):
        return float(text)
    raise BadClauseError("the value must be a number")


TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)?)?")


def parse_time(text: str) -> datetime:
    """`YYYY-MM-DD` or ISO 8601; without an offset it is UTC."""
    try:
        if text.isascii() and TIME.fullmatch(text):
            time = datetime.fromisoformat(text)
            return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadClauseError("the value is not a date that exists") from error
    raise BadClauseError("the value must be a date (YYYY-MM-DD) or an ISO 8601 time")

"""`parameters` of a run in a body and in a response: typed values of a statement's markers."""

from __future__ import annotations

from collections.abc import Sequence

from queryrun.sql.parameters import MAX_VALUE_CHARS, NAME, TYPES, Parameter, parameters_problem

DEFAULT_TYPE = "varchar"
"""Of a value without a type."""
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {
        "name": {
            "type": "string",
            "pattern": f"^{NAME.pattern}$",
            "description": "Stands where the statement has `:name`; absent for a `?`.",
        },
        "type": {
            "type": "string",
            "minLength": 1,
            "description": f"Of Trino: {', '.join(TYPES)}, or an array of one of them "
            f"(`array(date)`). `{DEFAULT_TYPE}` when absent.",
        },
        "value": {
            "type": "string",
            "maxLength": MAX_VALUE_CHARS,
            "description": "The value as text, also of a number, so that no digit is lost; "
            "varbinary as Base64, an array as JSON. Absent for NULL.",
        },
    },
    "additionalProperties": False,
    "description": "The value of one parameter. An addition of this service.",
}
_KEYS = frozenset({"name", "type", "value"})


def parameters_fault(content: object) -> str | None:
    """What is wrong with `parameters` of a body, or None. Says which one, and never a value."""
    if not isinstance(content, list):
        return 'must be a list of objects: {"name": "day", "type": "date", "value": "2024-01-31"}'
    for number, one in enumerate(content, 1):
        if not isinstance(one, dict) or not all(isinstance(each, str) for each in one.values()):
            return (
                f"must have objects of texts, also for numbers, and number {number} is none; "
                "a NULL has no value"
            )
        if unknown := next((name for name in one if name not in _KEYS), None):
            return f"must have name, type and value; number {number} has {unknown[:64]!r}"
        if "type" in one and not one["type"]:
            return f"must have types that are not empty; number {number} has one"
    return parameters_problem(parsed_parameters(content))


def parsed_parameters(content: object) -> tuple[Parameter, ...]:
    """The values of a body that has passed `parameters_fault`, up to their own rules."""
    if not isinstance(content, list):
        return ()
    return tuple(_parsed(one) for one in content)


def _parsed(one: dict[str, str]) -> Parameter:
    """Without a type a value is a text, and NULL is of any type."""
    value = one.get("value")
    default = "" if value is None else DEFAULT_TYPE
    return Parameter(one.get("name", ""), one.get("type", default), value)


def rendered_parameters(parameters: Sequence[Parameter]) -> list[dict[str, str]] | None:
    """As they were submitted; None when there are none."""
    if not parameters:
        return None
    return [_rendered(one) for one in parameters]


def _rendered(one: Parameter) -> dict[str, str]:
    named = {"name": one.name, "type": one.type}
    content = {key: text for key, text in named.items() if text}
    return content if one.value is None else {**content, "value": one.value}

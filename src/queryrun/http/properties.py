"""What the request bodies of both APIs share: rules for properties.

Each API has a table of `Property`, which both checks its bodies and generates their documented
schema. All problems of a body are reported together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from queryrun.errors import MAX_PROBLEMS, Problem
from queryrun.results.separator import parse_separator
from queryrun.runs.model import Output
from queryrun.sql.guard.verdict import MAX_STATEMENT_CHARS

MAX_KEY_CHARS = 16_384

Check = Callable[[object], str | None]
"""What is wrong with a value, or None."""


@dataclass(frozen=True, slots=True)
class Property:
    """One property of a body: its rule, and the rule as a schema for readers."""

    name: str
    check: Check
    schema: dict[str, object]
    required: bool = False
    is_extension: bool = False
    """Whether the whole property is an addition of ours."""
    contract_values: tuple[str, ...] = ()
    """Those of an enumeration's values that are the contract's, when some are ours."""
    addition: str = ""
    """What its description says of our additions to it."""

    @property
    def full_schema(self) -> dict[str, object]:
        """The schema of what we accept."""
        if not self.addition:
            return self.schema
        return {**self.schema, "description": f"{self.schema['description']} {self.addition}"}

    @property
    def contract_schema(self) -> dict[str, object]:
        """The schema of what the contract has."""
        return self.schema | ({"enum": list(self.contract_values)} if self.contract_values else {})


def property_problems(
    content: dict[str, object], properties: Iterable[Property], known: frozenset[str]
) -> list[Problem]:
    """Unknown names, missing ones, and values against their rules; `MAX_PROBLEMS` at most."""
    faults = _faults(content, properties)
    unknown = (name for name in content if name not in known)
    room = max(MAX_PROBLEMS - len(faults), 1)
    strange = [problem(name, "is not a known property") for name in islice(unknown, room)]
    return [*strange, *faults]


def _faults(content: dict[str, object], properties: Iterable[Property]) -> list[Problem]:
    """The rules that the content breaks: fewer than there are rules."""
    problems: list[Problem] = []
    for rule in properties:
        if rule.name in content:
            fault = rule.check(content[rule.name])
        else:
            fault = "is required" if rule.required else None
        if fault is not None:
            problems.append(problem(rule.name, fault))
    return problems


def problem(name: str, fault: str) -> Problem:
    """One problem of one property."""
    parameter = name[:64]
    return Problem("invalid_parameter", parameter, f"'{parameter}' {fault}")


# --- checks ---------------------------------------------------------------------------------


def statement(value: object) -> str | None:
    """SQL: a text that is not blank and not too long (contract F7)."""
    if not isinstance(value, str):
        return "must be a string"
    if not value.strip():
        return "must not be blank"
    if len(value) > MAX_STATEMENT_CHARS:
        return f"must have at most {MAX_STATEMENT_CHARS} characters"
    return None


def text(value: object) -> str | None:
    """Any text."""
    return None if isinstance(value, str) else "must be a string"


def boolean(value: object) -> str | None:
    """A JSON boolean, not a text or number that resembles one."""
    return None if isinstance(value, bool) else "must be true or false"


def one_of(values: tuple[str, ...]) -> Check:
    """One of these values, in exactly this spelling."""
    fault = f"must be one of {', '.join(values)}"
    allowed = frozenset(values)

    def check(value: object) -> str | None:
        return None if isinstance(value, str) and value in allowed else fault

    return check


def encryption_key(value: object) -> str | None:
    """An RSA public key in a form that we read (contract F6), or a recipient of age."""
    if not isinstance(value, str):
        return "must be a string"
    if not 0 < len(value) <= MAX_KEY_CHARS:
        return f"must have 1 to {MAX_KEY_CHARS} characters"
    # Imported here: the cryptography package costs an idle server megabytes that few requests need.
    from queryrun.results.encrypt import parse_key
    from queryrun.results.framing import BadKeyError

    try:
        parse_key(value)
    except BadKeyError as error:
        return str(error)
    return None


def key_warning(output: Output) -> dict[str, str]:
    """A `Warning` header for a key that the contract accepts and that is too short today."""
    if output.encryption_key is None:
        return {}
    from queryrun.results.encrypt import GOOD_KEY_BITS, PublicKey, parse_key

    key = parse_key(output.encryption_key)
    if not isinstance(key, PublicKey) or not key.is_weak:
        return {}
    text = f"the encryption key has {key.bits} bits; use {GOOD_KEY_BITS} or more"
    return {"warning": f'299 queryrun "{text}"'}


def separator_problems(separator: object, name: str, condition: str) -> list[Problem]:
    """What is wrong with the separator of a format that needs one (contract A2, H7). `condition`
    explains why. A value of another type is already reported by its property's check."""
    if separator is None:
        return [problem(name, f"is required when {condition}")]
    if isinstance(separator, str) and not _is_separator(separator):
        fault = "must be exactly one character, not a quote or a line break; \\t is a tab"
        return [problem(name, fault)]
    return []


def _is_separator(text: str) -> bool:
    try:
        parse_separator(text)
    except ValueError:
        return False
    return True

"""The body of `POST /v2/query_runs`: one table of properties, which both checks bodies and makes
the documented schema. Everything wrong with a body is reported at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from queryrun.errors import Problem
from queryrun.runs.model import ContentEncoding, ContentType, DeletedRows, Output
from queryrun.sql.guard import MAX_STATEMENT_CHARS

MAX_TAGS = 50
MAX_TAG_VALUE_CHARS = 256
TAG_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
MAX_TIMEOUT_S = 7 * 24 * 3600
MAX_KEY_CHARS = 16_384
SEPARATOR_ESCAPES = {"\\t": "\t"}
SEPARATOR_FORBIDDEN = frozenset('"\r\n\0')
"""Contract H7."""

Check = Callable[[object], str | None]
"""What is wrong with a value, or None."""


@dataclass(frozen=True, slots=True)
class Property:
    """One property of the body: its rule, and the rule as a schema for readers."""

    name: str
    check: Check
    schema: dict[str, object]
    required: bool = False


@dataclass(frozen=True, slots=True)
class CreateBody:
    """A valid body, before it is known who sent it."""

    sql: str = field(repr=False)
    output: Output
    deleted: bool = False
    source: str | None = None
    timeout_s: float | None = None
    tags: tuple[tuple[str, str], ...] = ()

    def deleted_rows(self, *, means_only: bool) -> DeletedRows:
        """What `read_deleted` asks for under this face's reading (contract H3)."""
        if not self.deleted:
            return DeletedRows.EXCLUDE
        return DeletedRows.ONLY if means_only else DeletedRows.INCLUDE


def parse_create_body(content: dict[str, object], wrong: list[Problem]) -> CreateBody | None:
    """The body, or None with at least one problem added to `wrong`."""
    found = [*_property_problems(content), *_separator_problems(content)]
    wrong.extend(found)
    return None if found else _built(content)


def decode_object(raw: bytes, wrong: list[Problem]) -> dict[str, object] | None:
    """The JSON object in `raw`, or None and a problem."""
    try:
        content = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        wrong.append(Problem("invalid_parameter", "body", "the body is not valid JSON"))
        return None
    if isinstance(content, dict):
        return content
    wrong.append(Problem("invalid_parameter", "body", "the body must be a JSON object"))
    return None


def _property_problems(content: dict[str, object]) -> list[Problem]:
    problems = [
        _problem(name, "is not a known property") for name in content if name not in BY_NAME
    ]
    for rule in PROPERTIES:
        if rule.name in content:
            fault = rule.check(content[rule.name])
        else:
            fault = "is required" if rule.required else None
        if fault is not None:
            problems.append(_problem(rule.name, fault))
    return problems


def _problem(name: str, fault: str) -> Problem:
    shown = name[:64]
    return Problem("invalid_parameter", shown, f"'{shown}' {fault}")


def _separator_problems(content: dict[str, object]) -> list[Problem]:
    """A separator counts for dsv only: required there, ignored elsewhere (contract A2, H7)."""
    separator = content.get("column_separator")
    if content.get("content_type") != ContentType.DSV:
        return []
    if separator is None:
        return [_problem("column_separator", "is required when 'content_type' is dsv")]
    if isinstance(separator, str) and not _separator_fits(separator):
        fault = "must be exactly one character, not a quote or a line break; \\t is a tab"
        return [_problem("column_separator", fault)]
    return []


def _separator_fits(text: str) -> bool:
    character = SEPARATOR_ESCAPES.get(text, text)
    return len(character) == 1 and character not in SEPARATOR_FORBIDDEN


def _built(content: dict[str, object]) -> CreateBody:
    # Every value has passed its property's check; `str` and friends only tell mypy so.
    content_type = ContentType(str(content["content_type"]))
    separator = str(content["column_separator"]) if content_type is ContentType.DSV else None
    key = content.get("encryption_key")
    timeout = content.get("timeout_seconds")
    tags = content.get("tags")
    source = content.get("source")
    return CreateBody(
        sql=str(content["sql"]),
        output=Output(
            content_type,
            ContentEncoding(str(content.get("content_encoding", "none"))),
            SEPARATOR_ESCAPES.get(separator, separator) if separator else None,
            None if key is None else str(key),
        ),
        deleted=content.get("read_deleted") is True,
        source=None if source is None else str(source),
        timeout_s=float(timeout) if isinstance(timeout, int | float) else None,
        tags=tuple(sorted(tags.items())) if isinstance(tags, dict) else (),
    )


# --- the checks -----------------------------------------------------------------------------


def _sql(value: object) -> str | None:
    if not isinstance(value, str):
        return "must be a string"
    if not value.strip():
        return "must not be blank"
    if len(value) > MAX_STATEMENT_CHARS:
        return f"must have at most {MAX_STATEMENT_CHARS} characters"
    return None


def _text(value: object) -> str | None:
    return None if isinstance(value, str) else "must be a string"


def _boolean(value: object) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _one_of(words: tuple[str, ...]) -> Check:
    fault = f"must be one of {', '.join(words)}"
    allowed = frozenset(words)

    def check(value: object) -> str | None:
        return None if isinstance(value, str) and value in allowed else fault

    return check


def _timeout(value: object) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and isinstance(value, int | float) and 0 < value <= MAX_TIMEOUT_S:
        return None
    return f"must be a number of seconds above 0 and at most {MAX_TIMEOUT_S}"


def _tags(value: object) -> str | None:
    if not isinstance(value, dict) or len(value) > MAX_TAGS:
        return f"must be an object of at most {MAX_TAGS} texts"
    for name, text in value.items():
        if not TAG_NAME.fullmatch(name):
            return "must have names of letters, digits and _ . - that do not start with a digit"
        if not isinstance(text, str) or len(text) > MAX_TAG_VALUE_CHARS or "\0" in text:
            return f"must have texts of at most {MAX_TAG_VALUE_CHARS} characters as values"
    return None


def _encryption_key(value: object) -> str | None:
    if not isinstance(value, str):
        return "must be a string"
    if not 0 < len(value) <= MAX_KEY_CHARS:
        return f"must have 1 to {MAX_KEY_CHARS} characters"
    # Imported here: the cryptography package costs an idle server megabytes that few requests need.
    from queryrun.results.encrypt import BadKeyError, parse_public_key

    try:
        parse_public_key(value)
    except BadKeyError as error:
        return str(error)
    return None


def key_warning(output: Output) -> list[tuple[str, str]]:
    """A `Warning` header for a key that the contract accepts and nobody should use today."""
    if output.encryption_key is None:
        return []
    from queryrun.results.encrypt import GOOD_KEY_BITS, parse_public_key

    key = parse_public_key(output.encryption_key)
    text = f"the encryption key has {key.bits} bits; use {GOOD_KEY_BITS} or more"
    return [("warning", f'299 queryrun "{text}"')] if key.is_weak else []


CONTENT_TYPES = tuple(ContentType)
CONTENT_ENCODINGS = tuple(ContentEncoding)

PROPERTIES = (
    Property(
        "sql",
        _sql,
        {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_STATEMENT_CHARS,
            "pattern": r"\S",
            "description": "One read-only statement. A trailing semicolon is allowed.",
        },
        required=True,
    ),
    Property(
        "content_type",
        _one_of(CONTENT_TYPES),
        {
            "type": "string",
            "enum": list(CONTENT_TYPES),
            "description": "Format of the result file. `json` is JSON Lines; `parquet` and "
            "`arrow` are additions of this service.",
        },
        required=True,
    ),
    Property(
        "content_encoding",
        _one_of(CONTENT_ENCODINGS),
        {
            "type": "string",
            "enum": list(CONTENT_ENCODINGS),
            "default": "none",
            "description": "Compression of the result file. `zstd` is an addition of this service.",
        },
    ),
    Property(
        "column_separator",
        _text,
        {
            "type": "string",
            "description": "Exactly one character (or `\\t`), required for `dsv`, ignored "
            "for every other format.",
        },
    ),
    Property(
        "encryption_key",
        _encryption_key,
        {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_KEY_CHARS,
            "description": "Base64 of an RSA public key (SubjectPublicKeyInfo, or PEM) that the "
            "result file is encrypted to: at least 1024 bits, better 2048 or more.",
        },
    ),
    Property(
        "read_deleted",
        _boolean,
        {
            "type": "boolean",
            "default": False,
            "description": "Also read rows that are marked as deleted.",
        },
    ),
    Property(
        "source",
        _text,
        {
            "type": "string",
            "description": "Where to run it; the service's default source when absent. "
            "An addition of this service.",
        },
    ),
    Property(
        "timeout_seconds",
        _timeout,
        {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": MAX_TIMEOUT_S,
            "description": "Lowers the source's time limit for this run. "
            "An addition of this service.",
        },
    ),
    Property(
        "tags",
        _tags,
        {
            "type": "object",
            "maxProperties": MAX_TAGS,
            "propertyNames": {"pattern": f"^{TAG_NAME.pattern}$"},
            "additionalProperties": {
                "type": "string",
                "maxLength": MAX_TAG_VALUE_CHARS,
                "pattern": r"^[^\x00]*$",
            },
            "description": "Words of the caller's own, to find the run again in the list. "
            "An addition of this service.",
        },
    ),
)
BY_NAME = frozenset(rule.name for rule in PROPERTIES)


def create_body_schema() -> dict[str, object]:
    """The body's JSON Schema, for the OpenAPI document."""
    return {
        "type": "object",
        "required": [rule.name for rule in PROPERTIES if rule.required],
        "additionalProperties": False,
        "properties": {rule.name: rule.schema for rule in PROPERTIES},
        "if": {"required": ["content_type"], "properties": {"content_type": {"const": "dsv"}}},
        "then": {
            "required": ["column_separator"],
            "properties": {"column_separator": {"pattern": r'^([^"\r\n\x00]|\\t)$'}},
        },
    }

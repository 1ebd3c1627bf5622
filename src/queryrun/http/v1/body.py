"""The body of `POST /query/jobs` (contract A6): one table of properties, as v2 has one.

`null` counts as absent, because generated clients send it; an unknown property is refused, because
ignoring a misspelt one would change the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from queryrun.errors import Problem
from queryrun.http.properties import (
    MAX_KEY_CHARS,
    Check,
    Property,
    boolean,
    encryption_key,
    one_of,
    property_problems,
    separator_problems,
    statement,
    text,
)
from queryrun.results.formats import ContentEncoding, ContentType, names_of
from queryrun.results.separator import SEPARATOR_PATTERN, parse_separator
from queryrun.runs.model import (
    DeletedRows,
    Output,
)
from queryrun.sql.guard.verdict import MAX_STATEMENT_CHARS

FORMATS = {one.value.upper(): one for one in ContentType if not one.spec.is_extension}
COMPRESSIONS = {one.value.upper(): one for one in ContentEncoding if not one.spec.is_extension}
SEPARATED = [name for name, one in FORMATS.items() if one.spec.needs_separator]
SOURCES = ("LIVE", "WAREHOUSE", "DATAHUB")
"""`DATAHUB` is what an older client calls the warehouse (contract A6)."""
WAREHOUSE_SIZES = ("xsmall", "NULL")
TARGETS = ("S3",)


@dataclass(frozen=True, slots=True)
class JobBody:
    """A valid body, before it is known who sent it."""

    query: str = field(repr=False)
    output: Output
    deleted_rows: DeletedRows
    source_data: str
    use_index_join: bool


def parse_job_body(content: Mapping[str, object], problems: list[Problem]) -> JobBody | None:
    """The body, or None with at least one problem added to `problems`."""
    given = {name: value for name, value in content.items() if value is not None}
    found = [*property_problems(given, PROPERTIES, BY_NAME), *_separator_problems(given)]
    problems.extend(found)
    return None if found else _built(given)


def _separator_problems(given: Mapping[str, object]) -> list[Problem]:
    """Only some formats need a separator, so the property alone cannot be checked."""
    name = given.get("outputFormat")
    if name not in SEPARATED:
        return []
    separator = given.get("columnSeparator")
    return separator_problems(
        separator, "columnSeparator", f"'outputFormat' is {FORMATS[str(name)].value}"
    )


def _built(given: Mapping[str, object]) -> JobBody:
    # Every value has passed its property's check; `str` is for mypy only.
    name = str(given["outputFormat"])
    separator = str(given["columnSeparator"]) if name in SEPARATED else None
    key = given.get("encryptionKey")
    only_deleted = given.get("readDeleted") is True
    return JobBody(
        query=str(given["query"]),
        output=Output(
            FORMATS[name],
            COMPRESSIONS[str(given["compression"])],
            parse_separator(separator) if separator else None,
            None if key is None else str(key),
        ),
        deleted_rows=DeletedRows.ONLY if only_deleted else DeletedRows.EXCLUDE,
        source_data=str(given.get("sourceData", "LIVE")),
        use_index_join=given.get("useIndexJoin") is True,
    )


def _target(value: object) -> str | None:
    """`{"target": "S3"}`: the hosted system accepts no other value. Results go to this
    service's own store."""
    if isinstance(value, dict) and value.get("target") in TARGETS:
        return None
    return 'must be {"target": "S3"}'


def _enum(values: tuple[str, ...], description: str) -> tuple[Check, dict[str, object]]:
    schema: dict[str, object] = {"type": "string", "enum": list(values)}
    return one_of(values), schema | {"description": description}


def _nullable(schema: dict[str, object]) -> dict[str, object]:
    """The schema of an optional property: `null` means the same as omitting it."""
    nullable = {**schema, "type": [schema["type"], "null"]}
    if isinstance(values := schema.get("enum"), list):
        nullable["enum"] = [*values, None]
    return nullable


def _optional(name: str, check: Check, schema: dict[str, object]) -> Property:
    return Property(name, check, _nullable(schema))


PROPERTIES = (
    Property(
        "query",
        statement,
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
        "outputFormat",
        *_enum(tuple(FORMATS), "Format of the result file. `JSON` is JSON Lines."),
        required=True,
    ),
    Property("compression", *_enum(tuple(COMPRESSIONS), "Of the result file."), required=True),
    Property(
        "output",
        _target,
        {
            "type": "object",
            "required": ["target"],
            "properties": {"target": {"type": "string", "enum": list(TARGETS)}},
            "description": 'Always `{"target": "S3"}`.',
        },
        required=True,
    ),
    _optional(
        "columnSeparator",
        text,
        {
            "type": "string",
            "description": "Exactly one character (or `\\t`), required for "
            f"{names_of(SEPARATED)}, ignored for every other format.",
        },
    ),
    _optional(
        "encryptionKey",
        encryption_key,
        {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_KEY_CHARS,
            "description": "Base64 of an RSA public key that the result file is encrypted to.",
        },
    ),
    _optional(
        "readDeleted",
        boolean,
        {
            "type": "boolean",
            "default": False,
            "description": "Read only the rows that are marked as deleted.",
        },
    ),
    _optional(
        "sourceData",
        *_enum(
            SOURCES,
            "Where to run it: `LIVE` (the default) or `WAREHOUSE`, which `DATAHUB` is another "
            "name of.",
        ),
    ),
    _optional(
        "useIndexJoin",
        boolean,
        {"type": "boolean", "description": "Echoed; has no effect here."},
    ),
    _optional(
        "warehouseSize",
        *_enum(WAREHOUSE_SIZES, "Accepted; has no effect here."),
    ),
)
BY_NAME = frozenset(rule.name for rule in PROPERTIES)


def job_body_schema() -> dict[str, object]:
    """The body's JSON Schema, for the OpenAPI document."""
    return {
        "type": "object",
        "required": [rule.name for rule in PROPERTIES if rule.required],
        "additionalProperties": False,
        "properties": {rule.name: rule.schema for rule in PROPERTIES},
        "if": {"required": ["outputFormat"], "properties": {"outputFormat": {"enum": SEPARATED}}},
        "then": {
            "required": ["columnSeparator"],
            "properties": {"columnSeparator": {"type": "string", "pattern": SEPARATOR_PATTERN}},
        },
    }

"""The body of `POST /v2/query_runs`: one table of properties, which both checks bodies and
generates the documented schema."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from queryrun.auth.model import Principal
from queryrun.errors import Problem
from queryrun.http.properties import (
    MAX_KEY_CHARS,
    Property,
    boolean,
    encryption_key,
    one_of,
    property_problems,
    separator_problems,
    statement,
    text,
)
from queryrun.http.v2.parameters import parameters_fault, parsed_parameters
from queryrun.results.formats import ContentEncoding, ContentType, format_names, names_of
from queryrun.results.separator import SEPARATOR_PATTERN, parse_separator
from queryrun.runs.model import DeletedRows, Output, RunRequest
from queryrun.sql.guard.verdict import MAX_STATEMENT_CHARS
from queryrun.sql.parameters import MAX_PARAMETERS, Parameter
from queryrun.webhooks.target import MAX_URL_CHARS

MAX_TAGS = 50
MAX_TAG_VALUE_CHARS = 256
TAG_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
MAX_TIMEOUT_S = 7 * 24 * 3600
MAX_DISCONNECT_DELAY_S = 3600


@dataclass(frozen=True, slots=True)
class CreateBody:
    """A valid body, before it is known who sent it."""

    sql: str = field(repr=False)
    output: Output
    read_deleted: bool = False
    source: str | None = None
    timeout_s: float | None = None
    tags: tuple[tuple[str, str], ...] = ()
    notify_url: str | None = None
    cancel_on_disconnect_s: float | None = None
    parameters: tuple[Parameter, ...] = field(default=(), repr=False)

    def run_request(
        self,
        principal: Principal,
        org_ids: tuple[str, ...],
        default_source: str,
        read_deleted: DeletedRows,
        traceparent: str | None = None,
    ) -> RunRequest:
        """The body and who sent it, in the core's terms. `read_deleted` is what the service reads
        for `read_deleted: true` (contract H3)."""
        return RunRequest(
            tenant_id=principal.tenant_id,
            entity_id=principal.entity_id,
            client_id=principal.client_id,
            source=self.source or default_source,
            sql=self.sql,
            output=self.output,
            deleted_rows=read_deleted if self.read_deleted else DeletedRows.EXCLUDE,
            timeout_s=self.timeout_s,
            tags=self.tags,
            org_ids=org_ids,
            notify_url=self.notify_url,
            cancel_on_disconnect_s=self.cancel_on_disconnect_s,
            parameters=self.parameters,
            traceparent=traceparent,
        )


def parse_create_body(content: dict[str, object], problems: list[Problem]) -> CreateBody | None:
    """The body, or None with at least one problem added to `problems`."""
    found = [*property_problems(content, PROPERTIES, BY_NAME), *_separator_problems(content)]
    problems.extend(found)
    return None if found else _built(content)


def _separator_problems(content: dict[str, object]) -> list[Problem]:
    name = content.get("content_type")
    if name not in SEPARATED:
        return []
    separator = content.get("column_separator")
    return separator_problems(separator, "column_separator", f"'content_type' is {name}")


def _built(content: dict[str, object]) -> CreateBody:
    # Every value has passed its property's check; `str` and the like are for mypy only.
    content_type = ContentType(str(content["content_type"]))
    separator = str(content["column_separator"]) if content_type in SEPARATED else None
    key = content.get("encryption_key")
    timeout = content.get("timeout_seconds")
    tags = content.get("tags")
    source = content.get("source")
    notify_url, delay = content.get("notify_url"), content.get("cancel_on_disconnect")
    return CreateBody(
        sql=str(content["sql"]),
        output=Output(
            content_type,
            ContentEncoding(str(content.get("content_encoding", "none"))),
            parse_separator(separator) if separator else None,
            None if key is None else str(key),
        ),
        read_deleted=content.get("read_deleted") is True,
        source=None if source is None else str(source),
        timeout_s=float(timeout) if isinstance(timeout, int | float) else None,
        tags=tuple(sorted(tags.items())) if isinstance(tags, dict) else (),
        notify_url=None if notify_url is None else str(notify_url),
        cancel_on_disconnect_s=None
        if content.get("keep") is True or not isinstance(delay, int | float)
        else float(delay),
        parameters=parsed_parameters(content.get("parameters", [])),
    )


def _timeout(value: object) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and isinstance(value, int | float) and 0 < value <= MAX_TIMEOUT_S:
        return None
    return f"must be a number of seconds above 0 and at most {MAX_TIMEOUT_S}"


def _disconnect_delay(value: object) -> str | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and isinstance(value, int | float) and 0 <= value <= MAX_DISCONNECT_DELAY_S:
        return None
    return f"must be a number of seconds from 0 to {MAX_DISCONNECT_DELAY_S}"


def _tags(value: object) -> str | None:
    """Names are restricted so that `filter[]` can name a tag without quoting."""
    if not isinstance(value, dict) or len(value) > MAX_TAGS:
        return f"must be an object of at most {MAX_TAGS} texts"
    for name, tag in value.items():
        if not TAG_NAME.fullmatch(name):
            return "must have names of letters, digits and _ . - that do not start with a digit"
        if not isinstance(tag, str) or len(tag) > MAX_TAG_VALUE_CHARS or "\0" in tag:
            return f"must have texts of at most {MAX_TAG_VALUE_CHARS} characters as values"
    return None


CONTENT_TYPES = tuple(ContentType)
CONTENT_ENCODINGS = tuple(ContentEncoding)
SEPARATED = format_names(lambda spec: spec.needs_separator)
EXTENSIONS = names_of(one for one in ContentType if one.spec.is_extension)
COMPRESSION_EXTENSIONS = names_of(one for one in ContentEncoding if one.spec.is_extension)

PROPERTIES = (
    Property(
        "sql",
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
        "content_type",
        one_of(CONTENT_TYPES),
        {
            "type": "string",
            "enum": list(CONTENT_TYPES),
            "description": "Format of the result file. `json` is JSON Lines.",
        },
        required=True,
        contract_values=tuple(one for one in ContentType if not one.spec.is_extension),
        addition=f"Additions of this service: {EXTENSIONS}.",
    ),
    Property(
        "content_encoding",
        one_of(CONTENT_ENCODINGS),
        {
            "type": "string",
            "enum": list(CONTENT_ENCODINGS),
            "default": "none",
            "description": "Compression of the result file.",
        },
        contract_values=tuple(one for one in ContentEncoding if not one.spec.is_extension),
        addition=f"Additions of this service: {COMPRESSION_EXTENSIONS}.",
    ),
    Property(
        "column_separator",
        text,
        {
            "type": "string",
            "description": "Exactly one character (or `\\t`), required for "
            f"{names_of(SEPARATED)}, ignored for every other format.",
        },
    ),
    Property(
        "encryption_key",
        encryption_key,
        {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_KEY_CHARS,
            "description": "Base64 of an RSA public key (SubjectPublicKeyInfo, or PEM) that the "
            "result file is encrypted to: at least 1024 bits, better 2048 or more.",
        },
        addition="Or, an addition of this service, a recipient of age (`age1…`).",
    ),
    Property(
        "read_deleted",
        boolean,
        {
            "type": "boolean",
            "default": False,
            "description": "Also read rows that are marked as deleted.",
        },
    ),
    Property(
        "source",
        text,
        {
            "type": "string",
            "description": "Where to run it; the service's default source when absent. "
            "An addition of this service.",
        },
        is_extension=True,
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
        is_extension=True,
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
            "description": "Names and values of the caller's own, to find the run in the list. "
            "An addition of this service.",
        },
        is_extension=True,
    ),
    Property(
        "parameters",
        parameters_fault,
        {
            "type": "array",
            "maxItems": MAX_PARAMETERS,
            "items": {"$ref": "#/components/schemas/StatementParameter"},
            "description": "The values of `:name` in the statement, or of `?` in their order. "
            "They are bound, never put into its text. An addition of this service.",
        },
        is_extension=True,
    ),
    Property(
        "notify_url",
        text,
        {
            "type": "string",
            "maxLength": MAX_URL_CHARS,
            "description": "Where events of this run are sent, signed with the secret of the "
            "client's webhook of the kind `run`. An addition of this service.",
        },
        is_extension=True,
    ),
    Property(
        "cancel_on_disconnect",
        _disconnect_delay,
        {
            "type": "number",
            "minimum": 0,
            "maximum": MAX_DISCONNECT_DELAY_S,
            "description": "Cancel the run when nobody has waited for it (`Prefer: wait`), "
            "followed its events or read it for so many seconds. Absent: it is kept, whoever "
            "leaves. "
            "An addition of this service.",
        },
        is_extension=True,
    ),
    Property(
        "keep",
        boolean,
        {
            "type": "boolean",
            "description": "Keep the run whoever leaves: overrules `cancel_on_disconnect`. "
            "An addition of this service.",
        },
        is_extension=True,
    ),
)
BY_NAME = frozenset(rule.name for rule in PROPERTIES)


def create_body_schema() -> dict[str, object]:
    """The body's JSON Schema, for the OpenAPI document."""
    return {
        **body_schema({rule.name: rule.full_schema for rule in PROPERTIES}),
        "if": {"required": ["content_type"], "properties": {"content_type": {"enum": SEPARATED}}},
        "then": {
            "required": ["column_separator"],
            "properties": {"column_separator": {"pattern": SEPARATOR_PATTERN}},
        },
    }


def contract_body_schema() -> dict[str, object]:
    """The body as the contract has it, without our additions."""
    return body_schema(
        {rule.name: rule.contract_schema for rule in PROPERTIES if not rule.is_extension}
    )


def body_schema(properties: dict[str, dict[str, object]]) -> dict[str, object]:
    """A closed object with these properties and those that are required."""
    return {
        "type": "object",
        "required": [rule.name for rule in PROPERTIES if rule.required],
        "additionalProperties": False,
        "properties": properties,
    }

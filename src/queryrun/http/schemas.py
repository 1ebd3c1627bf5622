"""The document's schemas and headers: the shapes of responses (contract A5, C6, D1, E)."""

from __future__ import annotations

from queryrun.errors import FailureCode
from queryrun.http import failure_headers
from queryrun.http.admin.schemas import ADMIN_SCHEMAS
from queryrun.http.problems import TYPES
from queryrun.http.v1 import schemas as v1
from queryrun.http.v2.body import contract_body_schema, create_body_schema
from queryrun.http.v2.dry_run_schema import DRY_RUN
from queryrun.http.v2.fields import DEFAULT_FIELDS
from queryrun.http.v2.limits_schema import LIMITS_OF_CALLER
from queryrun.http.v2.parameters import SCHEMA as STATEMENT_PARAMETER
from queryrun.http.v2.render import FIELDS, PARTS
from queryrun.http.v2.webhook_routes import WEBHOOK_SCHEMAS
from queryrun.results.formats import ContentType
from queryrun.runs.model import (
    AttemptOutcome,
    EngineStop,
    Stage,
    StopReason,
    StopStep,
)
from queryrun.runs.statements import MAX_FOLDER_CHARS, MAX_NAME_CHARS, MAX_SQL_CHARS

Schema = dict[str, object]

TIME: Schema = {
    "type": "string",
    "format": "date-time",
    "description": "ISO 8601 in UTC with milliseconds.",
}


JSON_LINES = "jsonl"
"""A legal `content_type` of a file that this service does not use (contract H18)."""
CONTRACT_CONTENT_TYPES = [
    *(one.value for one in ContentType if not one.spec.is_extension),
    JSON_LINES,
]


def _text(description: str, **more: object) -> Schema:
    return {"type": "string", "description": description, **more}


def _whole(description: str, **more: object) -> Schema:
    return {"type": "integer", "description": description, **more}


def _whole_or_null(description: str) -> Schema:
    return {"type": ["integer", "null"], "description": description}


def _object(properties: Schema, description: str, required: tuple[str, ...] = ()) -> Schema:
    shape: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
    if required:
        shape["required"] = list(required)
    return {**shape, "description": description}


FILE_KEYS: dict[str, Schema] = {
    "id": _text("`<run id>_<digits>.<extension>`."),
    "url": _text(
        "The download link: signed, valid for four hours, no `Authorization` needed. Every "
        "read of the run makes a new one.",
        format="uri",
    ),
    "content_type": _text("The requested format.", enum=[*ContentType, JSON_LINES]),
    "type": _text("Always `query_run`.", enum=["query_run"]),
}
FILE_PARTS = {name.removeprefix("file."): part.schema for name, part in PARTS.items()}
FILE_MEANS = "The result file of a complete run."
FILE = _object({**FILE_KEYS, **FILE_PARTS}, FILE_MEANS)
ERROR = _object(
    {
        "code": _text("What went wrong.", enum=list(FailureCode)),
        "message": _text("The error, for people."),
        "retryable": {
            "type": "boolean",
            "description": "Whether submitting it again may help.",
        },
        "line": _whole("In the statement, from 1.", minimum=1),
        "column": _whole("In the line, from 1.", minimum=1),
    },
    "Why a run failed. On failed runs, when `fields[]` names it. An addition of this service.",
    ("code", "message", "retryable"),
)
CANCELLATION = _object(
    {
        "requested_time": TIME,
        "canceled_time": {
            **TIME,
            "description": "When it was confirmed that the engine has stopped.",
        },
        "canceled_by": _text("The client that requested it."),
        "reason": _text("Why it was stopped.", enum=list(StopReason)),
        "stage": _text("The stage that the attempt had reached.", enum=list(Stage)),
        "engine_stop": _text("How the engine was stopped.", enum=list(EngineStop)),
        "steps": {
            "type": "array",
            "items": _object(
                {
                    "step": _text("What was done.", enum=list(StopStep)),
                    "after_ms": _whole("Milliseconds after the request.", minimum=0),
                },
                "A step of the stop.",
                ("step", "after_ms"),
            ),
            "description": "The steps of the stop, in order.",
        },
    },
    "The record of a cancel, or of a stop for a limit. An addition of this service.",
    ("requested_time", "reason"),
)
ATTEMPT = _object(
    {
        "number": _whole("From 1.", minimum=1),
        "started_time": TIME,
        "ended_time": TIME,
        "outcome": _text("Its outcome.", enum=list(AttemptOutcome)),
    },
    "One attempt of a run.",
    ("number", "started_time"),
)
USAGE_KEYS: Schema = {
    "attempts": _whole("Attempts that have ended.", minimum=0),
    "attempts_by_cause": {
        "type": "array",
        "items": _object(
            {
                "outcome": _text("How they ended.", enum=list(AttemptOutcome)),
                "cause": _text("The code of the failure, the reason of the stop, or `complete`."),
                "count": _whole("How many.", minimum=1),
            },
            "Attempts that ended alike.",
            ("outcome", "cause", "count"),
        ),
    },
    "attempts_not_counted": _whole(
        "Attempts whose engine did not say what they read: those that were stopped or lost, those "
        "of clients of orgs, and those on Spark.",
        minimum=0,
    ),
    "cpu_ms": _whole(
        "CPU time of the worker's threads and, on Trino, of the engine. Of an attempt that was "
        "stopped or lost: as last reported, up to 0.25 s or a heartbeat before.",
        minimum=0,
    ),
    "wall_ms": _whole("From the claims to the ends.", minimum=0),
    "peak_memory_bytes": _whole("The largest peak of an attempt.", minimum=0),
    "read_bytes": _whole("What was read of tables, as stored, after pruning.", minimum=0),
    "read_rows": _whole("Rows that were read of tables.", minimum=0),
    "spilled_bytes": _whole("Intermediate results written to disk.", minimum=0),
    "written_bytes": _whole("Bytes of result files, those of failed attempts included.", minimum=0),
    "downloads": _whole("Downloads of result files through this service.", minimum=0),
    "downloaded_bytes": _whole(
        "Their bytes. What the bucket serves itself (`results.links`) is not counted.", minimum=0
    ),
}
USAGE = _object(
    USAGE_KEYS, "What attempts have used. An addition of this service.", tuple(USAGE_KEYS)
)
USAGE_REPORT = _object(
    {
        "next_page": {
            "type": ["string", "null"],
            "description": "The `cursor` of the next page; null on the last.",
        },
        "first_day": _text("The first day.", format="date"),
        "last_day": _text("The last day, included.", format="date"),
        "data": {
            "type": "array",
            "items": _object(
                {
                    "day": _text("When grouped by `day`.", format="date"),
                    "entity_id": _text("When grouped by `entity`."),
                    "client_id": _text("When grouped by `client`."),
                    "source": _text("When grouped by `source`."),
                    "tag": _text("When grouped by `tag:NAME`: its value; empty for none."),
                    "runs": _object(
                        {
                            "complete": _whole("Complete runs.", minimum=0),
                            "failed": _whole("Failed runs.", minimum=0),
                            "canceled": _whole("Runs that were canceled in an attempt.", minimum=0),
                        },
                        "Runs that ended on these days.",
                        ("complete", "failed", "canceled"),
                    ),
                    **USAGE_KEYS,
                },
                "The sum of some attempts.",
                ("runs", *USAGE_KEYS),
            ),
        },
    },
    "A page of usage.",
    ("next_page", "first_day", "last_day", "data"),
)
QUERY_RUN_KEYS = "A query run. `fields[]` decides which keys it has; without it, "
QUERY_RUN = _object(
    {name: field.schema for name, field in FIELDS.items()},
    f"{QUERY_RUN_KEYS}those of the contract.",
)
PROGRESS = _object(
    {
        "percent": {
            "type": ["number", "null"],
            "minimum": 0,
            "maximum": 100,
            "description": "The engine's estimate; null while it has none.",
        },
        "rows": _whole(
            "About how many rows are written so far; 0 for binary formats until the end.", minimum=0
        ),
        "size_bytes": _whole("Bytes of the result file so far.", minimum=0),
        "stage": _text("The current stage. Absent once the run is complete.", enum=list(Stage)),
    },
    "The progress of a run. Within an attempt no figure decreases. A few seconds old when another "
    "node runs the statement. An addition of this service.",
    ("percent", "rows", "size_bytes"),
)
PROBLEM = _object(
    {
        "type": _text("The kind of error.", enum=list(dict.fromkeys(TYPES.values()))),
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/ProblemEntry"}},
        "retryable": {"type": "boolean", "description": "Whether the same request may succeed."},
    },
    "An error. Every parameter that is wrong has an entry.",
    ("type", "errors", "retryable"),
)
PROBLEM_ENTRY = _object(
    {
        "code": _text("What is wrong, for programs."),
        "parameter": _text("The field, parameter or header."),
        "message": _text("What is wrong, for people."),
    },
    "One thing that is wrong.",
    ("code", "message"),
)
OAUTH_ERROR = _object(
    {
        "error": _text("The error code of RFC 6749."),
        "error_description": _text("The error, for people."),
        "message": _text("The same text, for clients that read this key."),
    },
    "An error of the token endpoint.",
    ("error", "error_description", "message"),
)
TOKEN = _object(
    {
        "access_token": _text("To be sent as `Authorization: Bearer …`."),
        "expires_in": _whole("Seconds.", minimum=1),
        "jti": _text("An id of the token that is not secret."),
        "scope": _text("What the token permits."),
        "token_type": _text("Always `bearer`.", enum=["bearer"]),
    },
    "A bearer token.",
    ("access_token", "expires_in", "jti", "scope", "token_type"),
)
TOKEN_REQUEST: Schema = {
    "type": "object",
    "required": ["client_id", "client_secret", "grant_type"],
    "properties": {
        "client_id": _text("36 characters.", minLength=36, maxLength=36),
        "client_secret": _text("At most 42 characters.", minLength=1, maxLength=42),
        "grant_type": _text("Always `client_credentials`.", enum=["client_credentials"]),
    },
}
REVOKE_REQUEST: Schema = {
    "type": "object",
    "required": ["client_id", "client_secret", "token"],
    "properties": {
        "client_id": _text("36 characters.", minLength=36, maxLength=36),
        "client_secret": _text("At most 42 characters.", minLength=1, maxLength=42),
        "token": _text("The token to revoke.", minLength=1),
        "token_type_hint": _text("Ignored: there is one type."),
    },
}
REVOKED: Schema = {"type": "object", "description": "Nothing.", "maxProperties": 0}
ROWS = _object(
    {
        "columns": {"type": "array", "items": {"type": "string"}, "description": "Their names."},
        "rows": {
            "type": "array",
            "items": {"type": "array", "items": {}},
            "description": "One array of values per row. From JSON files the values as in the "
            "file; from delimited files text, and null for empty fields.",
        },
        "offset": _whole("How many rows were skipped.", minimum=0),
        "number_of_rows": _whole("Rows of the whole result.", minimum=0),
        "more": {"type": "boolean", "description": "Whether rows follow these."},
    },
    "The first rows of a result.",
    ("columns", "rows", "offset", "number_of_rows", "more"),
)
COLUMN = _object(
    {
        "name": _text("In lower case."),
        "type": _text("The name of Trino's type."),
        "extra": _text("As in `SHOW COLUMNS`."),
        "comment": _text("As in `SHOW COLUMNS`."),
    },
    "A column.",
    ("name", "type", "extra", "comment"),
)
TABLE = _object(
    {
        "name": _text("In lower case."),
        "columns": {
            "type": ["array", "null"],
            "items": COLUMN,
            "description": "In order. Null when they cannot be read, and in a list beyond its "
            "first 50,000 columns.",
        },
        "problem": {
            "type": ["string", "null"],
            "description": "Why there are no columns, and what to do.",
        },
        "format": {
            "type": ["string", "null"],
            "description": "Of a table of files: parquet, csv, tsv, json, delta or iceberg.",
        },
        "files": _whole_or_null("How many files are read."),
        "size_bytes": _whole_or_null("Their size."),
        "rows": _whole_or_null("Their rows, where that is known without reading them."),
        "version": {
            "type": ["string", "null"],
            "description": "A text that changes when the files do.",
        },
        "warnings": {
            "type": "array",
            "items": {"type": "string"},
            "description": "What is passed over in the table's directory, and why.",
        },
    },
    "A table that statements can read.",
    (
        *("name", "columns", "problem", "format", "files", "size_bytes", "rows", "version"),
        "warnings",
    ),
)
TABLES = _object(
    {"data": {"type": "array", "items": {"$ref": "#/components/schemas/Table"}}},
    "The tables of a source.",
    ("data",),
)
ONLY_IDS = _object(
    {"request_id": _text("For `/v2/requests/{request_id}`.", format="uuid")},
    "The request is recorded and will be carried out.",
    ("request_id",),
)
REQUEST = _object(
    {
        "request_id": _text("The request's id.", format="uuid"),
        "state": _text("Its state.", enum=["in_progress", "succeeded", "failed"]),
        "method": _text("The method of the request."),
        "path": _text("The path of the request."),
        "created_time": TIME,
        "completed_time": TIME,
        "status": _whole("The status that a synchronous caller would have got."),
        "body": {
            "type": "object",
            "description": "The body that a synchronous caller would have got.",
        },
        "data": _object({"id": _text("The run's id.", format="uuid")}, "The run.", ("id",)),
    },
    "An asynchronous request.",
    ("request_id", "state", "method", "path", "created_time"),
)
LIST = _object(
    {
        "next_page": {
            "type": ["string", "null"],
            "description": "The `cursor` of the next page; null on the last.",
        },
        "data": {"type": "array", "items": {"$ref": "#/components/schemas/QueryRun"}},
    },
    "A page of query runs.",
    ("next_page", "data"),
)
HEALTH: Schema = {
    "type": "object",
    "required": ["status"],
    "properties": {
        "status": _text("`ok`, `degraded` (a source is not available), or `unavailable`."),
        "checks": {"type": "object", "additionalProperties": {"type": "string"}},
        "sandbox": {"type": "string"},
    },
}

DRAFT = _object(
    {
        "sql": _text("The statement."),
        "source": {
            "type": ["string", "null"],
            "description": "Where it would run; the default source when absent.",
        },
        "parameters": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/StatementParameter"},
            "description": "The values of `:name` or `?` in the statement.",
        },
    },
    "A statement that is being written.",
    ("sql",),
)
VALIDATION = _object(
    {
        "valid": {"type": "boolean", "description": "Whether nothing was found."},
        "errors": {
            "type": "array",
            "items": _object(
                {
                    "message": _text("What is wrong, and what to do."),
                    "line": _whole_or_null("Counts from 1."),
                    "column": _whole_or_null("Counts from 1."),
                },
                "What is wrong, and where.",
                ("message", "line", "column"),
            ),
        },
        "columns": {
            "type": ["array", "null"],
            "items": _object(
                {"name": _text("Its name."), "type": _text("Its type.")}, "A column.", ("name",)
            ),
            "description": "What the statement would return, where that is known.",
        },
    },
    "What can be known of a statement without running it.",
    ("valid", "errors", "columns"),
)
_VISIBLE = r"^[^\x00]*[^\x00-\x20][^\x00]*$"
"""More than blanks and control characters, and no NUL."""
_CONTENT: dict[str, object] = {
    "name": _text("Its name.", minLength=1, maxLength=MAX_NAME_CHARS, pattern=_VISIBLE),
    "folder": _text("Names joined by `/`.", maxLength=MAX_FOLDER_CHARS, pattern=r"^[^\x00]*$"),
    "sql": _text("The SQL.", minLength=1, maxLength=MAX_SQL_CHARS, pattern=_VISIBLE),
    "source": {"type": ["string", "null"], "description": "Where it is meant to run."},
    "shared": {"type": "boolean", "description": "Whether everybody of the entity may read it."},
}
STATEMENT_CONTENT = _object(_CONTENT, "A statement to save.", ("name", "sql"))
STATEMENT = _object(
    {
        "id": _text("Its id.", format="uuid"),
        **_CONTENT,
        "created_by_id": _text("The client that saved it."),
        "created_time": TIME,
        "updated_time": TIME,
    },
    "A saved statement.",
    ("id", *_CONTENT, "created_by_id", "created_time", "updated_time"),
)
STATEMENTS = _object(
    {"data": {"type": "array", "items": {"$ref": "#/components/schemas/Statement"}}},
    "Saved statements.",
    ("data",),
)
OPTIONS = _object(
    {
        "sources": {
            "type": "array",
            "items": _object(
                {
                    "name": _text("Its name."),
                    "is_default": {"type": "boolean"},
                    "dialect": _text("Its SQL."),
                    "problem": {
                        "type": ["string", "null"],
                        "description": "Why it cannot be used at the moment.",
                    },
                },
                "A source.",
                ("name", "is_default", "dialect", "problem"),
            ),
        },
        "content_types": {
            "type": "array",
            "items": _object(
                {
                    "name": _text("As `content_type`."),
                    "needs_separator": {"type": "boolean"},
                    "is_text": {"type": "boolean"},
                },
                "A format.",
                ("name", "needs_separator", "is_text"),
            ),
        },
        "content_encodings": {"type": "array", "items": {"type": "string"}},
    },
    "What a run may name.",
    ("sources", "content_types", "content_encodings"),
)
SIGN_IN = _object(
    {
        "client_id": _text("The client's id."),
        "client_secret": _text("Its secret."),
    },
    "Who signs in.",
    ("client_id", "client_secret"),
)
SESSION = _object(
    {
        "client_id": _text("The client's id."),
        "client_name": _text("Its name."),
        "scopes": {"type": "array", "items": {"type": "string"}},
        "entities": {
            "type": "array",
            "items": _object(
                {"id": _text("Its id."), "name": _text("Its name.")}, "An entity.", ("id", "name")
            ),
        },
        "idle_timeout_seconds": {
            "type": "number",
            "description": "The session ends when it is not extended for so long.",
        },
    },
    "A person's session.",
    ("client_id", "client_name", "scopes", "entities", "idle_timeout_seconds"),
)

SCHEMAS: dict[str, Schema] = {
    "CreateQueryRun": create_body_schema(),
    "StatementParameter": STATEMENT_PARAMETER,
    "QueryRun": QUERY_RUN,
    "QueryRunList": LIST,
    "File": FILE,
    "RunError": ERROR,
    "Cancellation": CANCELLATION,
    "Attempt": ATTEMPT,
    "Progress": PROGRESS,
    "Usage": USAGE,
    "UsageReport": USAGE_REPORT,
    "Rows": ROWS,
    "Table": TABLE,
    "Tables": TABLES,
    "RequestAccepted": ONLY_IDS,
    "Request": REQUEST,
    "Problem": PROBLEM,
    "ProblemEntry": PROBLEM_ENTRY,
    "TokenRequest": TOKEN_REQUEST,
    "Token": TOKEN,
    "RevokeRequest": REVOKE_REQUEST,
    "Revoked": REVOKED,
    "OAuthError": OAUTH_ERROR,
    "Health": HEALTH,
    "Draft": DRAFT,
    "DryRun": DRY_RUN,
    "Limits": LIMITS_OF_CALLER,
    "Validation": VALIDATION,
    "Options": OPTIONS,
    "StatementContent": STATEMENT_CONTENT,
    "Statement": STATEMENT,
    "Statements": STATEMENTS,
    "SignIn": SIGN_IN,
    "Session": SESSION,
    **ADMIN_SCHEMAS,
    **WEBHOOK_SCHEMAS,
    **v1.SCHEMAS,
}

HEADERS: dict[str, Schema] = {
    "zuora-request-id": _text("The service's id for this request.", format="uuid"),
    "zuora-track-id": _text("The caller's id, when one was sent."),
    "ratelimit-limit": _text("The tightest window's quota, then each window."),
    "ratelimit-remaining": _whole("Requests left in the tightest window.", minimum=0),
    "ratelimit-reset": _whole("Seconds until that window is full again.", minimum=0),
    "location": _text("Where the run is."),
    "set-cookie": _text("The session cookie."),
    "preference-applied": _text("Which preferences were applied."),
    "warning": _text("Present when the encryption key is shorter than recommended."),
    "idempotency-replayed": _text("`true` on a replayed response."),
    "link": _text("With `format=csv`: where the next page is."),
    "retry-after": _whole("Seconds to wait.", minimum=0),
    failure_headers.CODE: _text("On failed runs: what went wrong.", enum=list(FailureCode)),
    failure_headers.MESSAGE: _text(
        "On failed runs: the error for people, on one line. UTF-8, percent-encoded, at most "
        f"{failure_headers.MAX_ENCODED_BYTES} bytes; a longer text ends with an ellipsis.",
        maxLength=failure_headers.MAX_ENCODED_BYTES,
    ),
    "allow": _text("The methods that the path has."),
    "www-authenticate": _text("How to authenticate."),
    "etag": _text("Changes when the bytes do."),
    "accept-ranges": _text("Always `bytes`."),
    "content-range": _text("Which bytes these are."),
    "content-disposition": _text("The file's name."),
    **v1.HEADERS,
}
CONTRACT_SCHEMAS: dict[str, Schema] = {
    "CreateQueryRun": contract_body_schema(),
    "QueryRun": _object(
        {name: FIELDS[name].schema for name in DEFAULT_FIELDS},
        f"{QUERY_RUN_KEYS}those that its state has.",
    ),
    "File": _object(
        {
            **FILE_KEYS,
            "content_type": {**FILE_KEYS["content_type"], "enum": CONTRACT_CONTENT_TYPES},
        },
        FILE_MEANS,
    ),
    "TokenRequest": {**TOKEN_REQUEST, "additionalProperties": False},
}
"""What the contract alone has, where that is less than ours (contract A2, A5)."""

EXTENSION_HEADERS = (
    *("preference-applied", "idempotency-replayed", "warning", "link", "set-cookie"),
    *failure_headers.NAMES,
)
"""Those of `HEADERS` that are additions of ours and say more than HTTP's own."""

ALWAYS = ("zuora-request-id", "zuora-track-id")
CONCURRENCY = tuple(v1.HEADERS)
"""Headers of every v1 response to a known client."""
RATES = ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")

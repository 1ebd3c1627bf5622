"""The document's schemas and headers: the shapes of responses (contract A5, C6, D1, E)."""

from __future__ import annotations

from queryrun.errors import FailureCode
from queryrun.http import failure_headers
from queryrun.http.admin.schemas import ADMIN_SCHEMAS
from queryrun.http.console.schemas import SESSION_SCHEMAS
from queryrun.http.problems import TYPES
from queryrun.http.shapes import TIME, Schema, closed_object, text, whole, whole_or_null
from queryrun.http.v1 import schemas as v1
from queryrun.http.v2.body import contract_body_schema, create_body_schema
from queryrun.http.v2.draft_schemas import DRAFT_SCHEMAS
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

JSON_LINES = "jsonl"
"""A legal `content_type` of a file that this service does not use (contract H18)."""
CONTRACT_CONTENT_TYPES = [
    *(one.value for one in ContentType if not one.spec.is_extension),
    JSON_LINES,
]


FILE_KEYS: dict[str, Schema] = {
    "id": text("`<run id>_<digits>.<extension>`."),
    "url": text(
        "The download link: signed, valid for four hours, no `Authorization` needed. Every "
        "read of the run makes a new one.",
        format="uri",
    ),
    "content_type": text("The requested format.", enum=[*ContentType, JSON_LINES]),
    "type": text("Always `query_run`.", enum=["query_run"]),
}
FILE_PARTS = {name.removeprefix("file."): part.schema for name, part in PARTS.items()}
FILE_MEANS = "The result file of a complete run."
FILE = closed_object({**FILE_KEYS, **FILE_PARTS}, FILE_MEANS)
ERROR = closed_object(
    {
        "code": text("What went wrong.", enum=list(FailureCode)),
        "message": text("The error, for people."),
        "retryable": {
            "type": "boolean",
            "description": "Whether submitting it again may help.",
        },
        "line": whole("In the statement, from 1.", minimum=1),
        "column": whole("In the line, from 1.", minimum=1),
    },
    "Why a run failed. On failed runs, when `fields[]` names it. An addition of this service.",
    ("code", "message", "retryable"),
)
CANCELLATION = closed_object(
    {
        "requested_time": TIME,
        "canceled_time": {
            **TIME,
            "description": "When it was confirmed that the engine has stopped.",
        },
        "canceled_by": text("The client that requested it."),
        "reason": text("Why it was stopped.", enum=list(StopReason)),
        "stage": text("The stage that the attempt had reached.", enum=list(Stage)),
        "engine_stop": text("How the engine was stopped.", enum=list(EngineStop)),
        "steps": {
            "type": "array",
            "items": closed_object(
                {
                    "step": text("What was done.", enum=list(StopStep)),
                    "after_ms": whole("Milliseconds after the request.", minimum=0),
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
ATTEMPT = closed_object(
    {
        "number": whole("From 1.", minimum=1),
        "started_time": TIME,
        "ended_time": TIME,
        "outcome": text("Its outcome.", enum=list(AttemptOutcome)),
    },
    "One attempt of a run.",
    ("number", "started_time"),
)
USAGE_KEYS: Schema = {
    "attempts": whole("Attempts that have ended.", minimum=0),
    "attempts_by_cause": {
        "type": "array",
        "items": closed_object(
            {
                "outcome": text("How they ended.", enum=list(AttemptOutcome)),
                "cause": text("The code of the failure, the reason of the stop, or `complete`."),
                "count": whole("How many.", minimum=1),
            },
            "Attempts that ended alike.",
            ("outcome", "cause", "count"),
        ),
    },
    "attempts_not_counted": whole(
        "Attempts whose engine did not say what they read, or not all of it: those that were "
        "stopped (what they had reported is in the sums) or lost, those "
        "of clients of orgs, and on Spark those that failed or read what is no file. Runs of orgs "
        "and clients of orgs are told no CPU time, memory and spill either: these would tell of "
        "rows that they may not see.",
        minimum=0,
    ),
    "cpu_ms": whole(
        "CPU time of the worker's threads and, on Trino, of the engine. Of an attempt that was "
        "stopped or lost: as last reported, up to 0.25 s or a heartbeat before.",
        minimum=0,
    ),
    "wall_ms": whole("From the claims to the ends.", minimum=0),
    "peak_memory_bytes": whole("The largest peak of an attempt.", minimum=0),
    "read_bytes": whole(
        "What was read of tables, as stored, after pruning; on Spark, of whole files.", minimum=0
    ),
    "read_rows": whole("Rows that were read of tables.", minimum=0),
    "spilled_bytes": whole("Intermediate results written to disk.", minimum=0),
    "written_bytes": whole("Bytes of result files, those of failed attempts included.", minimum=0),
    "result_rows": whole("Rows of the results of complete runs.", minimum=0),
    "downloads": whole("Downloads of result files through this service.", minimum=0),
    "downloaded_bytes": whole(
        "Their bytes. What the bucket serves itself (`results.links`) is not counted.", minimum=0
    ),
}
USAGE = closed_object(
    {
        **USAGE_KEYS,
        "tables": {
            "type": "array",
            "description": "What was read by table, of the first 100 tables of each attempt; empty "
            "on Trino.",
            "items": closed_object(
                {
                    "name": text("Of the table."),
                    "read_bytes": whole_or_null("Null: the engine does not say it by table."),
                    "read_rows": whole_or_null("Null: the engine does not say it by table."),
                },
                "What was read of a table.",
                ("name", "read_bytes", "read_rows"),
            ),
        },
    },
    "What attempts have used. An addition of this service.",
    (*USAGE_KEYS, "tables"),
)
USAGE_REPORT = closed_object(
    {
        "next_page": {
            "type": ["string", "null"],
            "description": "The `cursor` of the next page; null on the last.",
        },
        "first_day": text("The first day.", format="date"),
        "last_day": text("The last day, included.", format="date"),
        "data": {
            "type": "array",
            "items": closed_object(
                {
                    "day": text("When grouped by `day`.", format="date"),
                    "entity_id": text("When grouped by `entity`."),
                    "client_id": text("When grouped by `client`."),
                    "source": text("When grouped by `source`."),
                    "tag": text("When grouped by `tag:NAME`: its value; empty for none."),
                    "runs": closed_object(
                        {
                            "complete": whole("Complete runs.", minimum=0),
                            "failed": whole("Failed runs.", minimum=0),
                            "canceled": whole("Runs that were canceled in an attempt.", minimum=0),
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
QUERY_RUN = closed_object(
    {name: field.schema for name, field in FIELDS.items()},
    f"{QUERY_RUN_KEYS}those of the contract.",
)
PROGRESS = closed_object(
    {
        "percent": {
            "type": ["number", "null"],
            "minimum": 0,
            "maximum": 100,
            "description": "The engine's estimate; null while it has none.",
        },
        "rows": whole(
            "About how many rows are written so far; 0 for binary formats until the end.", minimum=0
        ),
        "size_bytes": whole("Bytes of the result file so far.", minimum=0),
        "stage": text("The current stage. Absent once the run is complete.", enum=list(Stage)),
    },
    "The progress of a run. Within an attempt no figure decreases. A few seconds old when another "
    "node runs the statement. An addition of this service.",
    ("percent", "rows", "size_bytes"),
)
PROBLEM = closed_object(
    {
        "type": text("The kind of error.", enum=list(dict.fromkeys(TYPES.values()))),
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/ProblemEntry"}},
        "retryable": {"type": "boolean", "description": "Whether the same request may succeed."},
    },
    "An error. Every parameter that is wrong has an entry.",
    ("type", "errors", "retryable"),
)
PROBLEM_ENTRY = closed_object(
    {
        "code": text("What is wrong, for programs."),
        "parameter": text("The field, parameter or header."),
        "message": text("What is wrong, for people."),
    },
    "One thing that is wrong.",
    ("code", "message"),
)
OAUTH_ERROR = closed_object(
    {
        "error": text("The error code of RFC 6749."),
        "error_description": text("The error, for people."),
        "message": text("The same text, for clients that read this key."),
    },
    "An error of the token endpoint.",
    ("error", "error_description", "message"),
)
TOKEN = closed_object(
    {
        "access_token": text("To be sent as `Authorization: Bearer …`."),
        "expires_in": whole("Seconds.", minimum=1),
        "jti": text("An id of the token that is not secret."),
        "scope": text("What the token permits."),
        "token_type": text("Always `bearer`.", enum=["bearer"]),
    },
    "A bearer token.",
    ("access_token", "expires_in", "jti", "scope", "token_type"),
)
TOKEN_REQUEST: Schema = {
    "type": "object",
    "required": ["client_id", "client_secret", "grant_type"],
    "properties": {
        "client_id": text("36 characters.", minLength=36, maxLength=36),
        "client_secret": text("At most 42 characters.", minLength=1, maxLength=42),
        "grant_type": text("Always `client_credentials`.", enum=["client_credentials"]),
    },
}
REVOKE_REQUEST: Schema = {
    "type": "object",
    "required": ["client_id", "client_secret", "token"],
    "properties": {
        "client_id": text("36 characters.", minLength=36, maxLength=36),
        "client_secret": text("At most 42 characters.", minLength=1, maxLength=42),
        "token": text("The token to revoke.", minLength=1),
        "token_type_hint": text("Ignored: there is one type."),
    },
}
REVOKED: Schema = {"type": "object", "description": "Nothing.", "maxProperties": 0}
ROWS = closed_object(
    {
        "columns": {"type": "array", "items": {"type": "string"}, "description": "Their names."},
        "rows": {
            "type": "array",
            "items": {"type": "array", "items": {}},
            "description": "One array of values per row. From JSON files the values as in the "
            "file; from delimited files text, and null for empty fields.",
        },
        "offset": whole("How many rows were skipped.", minimum=0),
        "number_of_rows": whole("Rows of the whole result.", minimum=0),
        "more": {"type": "boolean", "description": "Whether rows follow these."},
    },
    "The first rows of a result.",
    ("columns", "rows", "offset", "number_of_rows", "more"),
)
COLUMN = closed_object(
    {
        "name": text("In lower case."),
        "type": text("The name of Trino's type."),
        "extra": text("As in `SHOW COLUMNS`."),
        "comment": text("As in `SHOW COLUMNS`."),
    },
    "A column.",
    ("name", "type", "extra", "comment"),
)
TABLE = closed_object(
    {
        "name": text("In lower case."),
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
        "files": whole_or_null("How many files are read."),
        "size_bytes": whole_or_null("Their size."),
        "rows": whole_or_null("Their rows, where that is known without reading them."),
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
TABLES = closed_object(
    {"data": {"type": "array", "items": {"$ref": "#/components/schemas/Table"}}},
    "The tables of a source.",
    ("data",),
)
ONLY_IDS = closed_object(
    {"request_id": text("For `/v2/requests/{request_id}`.", format="uuid")},
    "The request is recorded and will be carried out.",
    ("request_id",),
)
REQUEST = closed_object(
    {
        "request_id": text("The request's id.", format="uuid"),
        "state": text("Its state.", enum=["in_progress", "succeeded", "failed"]),
        "method": text("The method of the request."),
        "path": text("The path of the request."),
        "created_time": TIME,
        "completed_time": TIME,
        "status": whole("The status that a synchronous caller would have got."),
        "body": {
            "type": "object",
            "description": "The body that a synchronous caller would have got.",
        },
        "data": closed_object({"id": text("The run's id.", format="uuid")}, "The run.", ("id",)),
    },
    "An asynchronous request.",
    ("request_id", "state", "method", "path", "created_time"),
)
LIST = closed_object(
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
        "status": text("`ok`, `degraded` (a source is not available), or `unavailable`."),
        "checks": {"type": "object", "additionalProperties": {"type": "string"}},
        "sandbox": {"type": "string"},
    },
}

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
    "DryRun": DRY_RUN,
    "Limits": LIMITS_OF_CALLER,
    **DRAFT_SCHEMAS,
    **SESSION_SCHEMAS,
    **ADMIN_SCHEMAS,
    **WEBHOOK_SCHEMAS,
    **v1.SCHEMAS,
}

HEADERS: dict[str, Schema] = {
    "zuora-request-id": text("The service's id for this request.", format="uuid"),
    "zuora-track-id": text("The caller's id, when one was sent."),
    "ratelimit-limit": text("The tightest window's quota, then each window."),
    "ratelimit-remaining": whole("Requests left in the tightest window.", minimum=0),
    "ratelimit-reset": whole("Seconds until that window is full again.", minimum=0),
    "location": text("Where the run is."),
    "set-cookie": text("The session cookie."),
    "preference-applied": text("Which preferences were applied."),
    "warning": text("Present when the encryption key is shorter than recommended."),
    "idempotency-replayed": text("`true` on a replayed response."),
    "link": text("With `format=csv`: where the next page is."),
    "retry-after": whole("Seconds to wait.", minimum=0),
    failure_headers.CODE: text("On failed runs: what went wrong.", enum=list(FailureCode)),
    failure_headers.MESSAGE: text(
        "On failed runs: the error for people, on one line. UTF-8, percent-encoded, at most "
        f"{failure_headers.MAX_ENCODED_BYTES} bytes; a longer text ends with an ellipsis.",
        maxLength=failure_headers.MAX_ENCODED_BYTES,
    ),
    "allow": text("The methods that the path has."),
    "www-authenticate": text("How to authenticate."),
    "etag": text("Changes when the bytes do."),
    "accept-ranges": text("Always `bytes`."),
    "content-range": text("Which bytes these are."),
    "content-disposition": text("The file's name."),
    **v1.HEADERS,
}
CONTRACT_SCHEMAS: dict[str, Schema] = {
    "CreateQueryRun": contract_body_schema(),
    "QueryRun": closed_object(
        {name: FIELDS[name].schema for name in DEFAULT_FIELDS},
        f"{QUERY_RUN_KEYS}those that its state has.",
    ),
    "File": closed_object(
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

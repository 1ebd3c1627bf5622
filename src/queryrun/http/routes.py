"""The table of all routes. Routing and the OpenAPI document are generated from it."""

from __future__ import annotations

from queryrun.auth.model import Scope
from queryrun.http import examples, failure_headers, files, health, oauth
from queryrun.http import parameters as p
from queryrun.http.admin.routes import ADMIN_TABLE
from queryrun.http.console.routes import CONSOLE_TABLE, HOME
from queryrun.http.context import HttpSettings
from queryrun.http.contract_document import contract_of
from queryrun.http.document import ApiDocument, as_json
from queryrun.http.manual import MANUAL
from queryrun.http.operations import Operation, RequestBody, ResponseDoc
from queryrun.http.v1.routes import V1_TABLE
from queryrun.http.v2 import (
    dry_run_schema,
    events,
    limits,
    limits_schema,
    listing,
    query_runs,
    requests,
    rows,
    tables,
    usage,
    validate,
)
from queryrun.http.v2.statement_routes import STATEMENT_TABLE
from queryrun.http.v2.webhook_routes import WEBHOOK_TABLE
from queryrun.results.formats import format_names, names_of
from queryrun.results.names import MEDIA_TYPES

DOCUMENTED_ERRORS = (400, 401, 403, 404, 405, 429, 500, 502, 503, 504)
"""Of every operation (contract A1); 403 is ours, for scopes and entities."""
WRITING_ERRORS = (*DOCUMENTED_ERRORS, 409, 413, 415, 422)
OPEN_ERRORS = (405, 500, 503, 504)
TEXT_VALUES = names_of(format_names(lambda spec: spec.is_delimited))

RUN_LINKS: tuple[tuple[str, dict[str, object]], ...] = (
    (
        "GetQueryRun",
        {"operationId": "getQueryRun", "parameters": {"query_run_id": "$response.body#/id"}},
    ),
    (
        "CancelQueryRun",
        {"operationId": "cancelQueryRun", "parameters": {"query_run_id": "$response.body#/id"}},
    ),
)
LATER = ResponseDoc(
    202,
    "With `async: true`: recorded, and will be carried out.",
    "RequestAccepted",
    headers=("location", "idempotency-replayed"),
    examples=(("accepted", examples.ONLY_IDS),),
    links=(
        (
            "GetRequest",
            {
                "operationId": "getRequest",
                "parameters": {"request_id": "$response.body#/request_id"},
            },
        ),
    ),
)

CREATE = Operation(
    "POST",
    "/v2/query_runs",
    "createQueryRun",
    query_runs.create_query_run,
    Scope.SUBMIT,
    "Query runs",
    "Create a query run",
    "Accepts one read-only statement durably and responds at once; the run starts when a slot is "
    "free. Several statements, and statements that are not read-only, are refused here. Any error "
    "that the engine finds makes the run `failed`.",
    (
        *p.VIEW,
        p.DRY_RUN,
        p.ASYNC,
        p.IDEMPOTENCY_KEY,
        p.PREFER,
        p.ORG_IDS,
        p.CONTENT_ENCODING,
        *p.EVERYWHERE,
    ),
    RequestBody(
        "application/json",
        "CreateQueryRun",
        (("csv", examples.CREATE), ("dsv", examples.CREATE_DSV)),
    ),
    (
        ResponseDoc(
            201,
            "Accepted.",
            "QueryRun",
            headers=(
                *("location", "preference-applied", "idempotency-replayed", "warning"),
                *failure_headers.NAMES,
            ),
            examples=(("accepted", examples.ACCEPTED),),
            links=RUN_LINKS,
        ),
        ResponseDoc(
            200,
            "With `dry_run=true`: what the run would read. An addition of this service.",
            "DryRun",
            examples=(("a table of two files", dry_run_schema.EXAMPLE),),
            is_extension=True,
        ),
        LATER,
    ),
    WRITING_ERRORS,
    in_contract=True,
)
GET = Operation(
    "GET",
    "/v2/query_runs/{query_run_id}",
    "getQueryRun",
    query_runs.get_query_run,
    Scope.READ,
    "Query runs",
    "Read a query run",
    "With `Prefer: wait=N` it responds when the run is terminal: no need to poll.",
    (p.QUERY_RUN_ID, *p.VIEW, p.PREFER, p.ORG_IDS, *p.EVERYWHERE),
    responses=(
        ResponseDoc(
            200,
            "The run.",
            "QueryRun",
            headers=("preference-applied", *failure_headers.NAMES),
            examples=(
                ("complete", examples.COMPLETE),
                ("failed", examples.FAILED),
                ("failed, with `error` requested", examples.FAILED_WITH_ERROR),
                ("accepted", examples.ACCEPTED),
            ),
            links=(
                (
                    "DownloadFile",
                    {
                        "operationId": "downloadFile",
                        "parameters": {"key": "$response.body#/file/id"},
                        "description": "`file.url` is this link, signed.",
                    },
                ),
                RUN_LINKS[1],
            ),
        ),
    ),
    errors=DOCUMENTED_ERRORS,
    in_contract=True,
)
ROWS = Operation(
    "GET",
    "/v2/query_runs/{query_run_id}/rows",
    "getQueryRunRows",
    rows.get_rows,
    Scope.READ,
    "Query runs",
    "Preview a result",
    "The first rows of a complete run, without a download, in every format and compression; an "
    "addition of this service. 404 for encrypted results and for runs that are not complete. "
    "The preview covers about the first 16 MiB of the file, decompressed; in Parquet, 16 MiB from "
    f"the row group that has the first row. Values are text in {TEXT_VALUES}, otherwise JSON's.",
    (p.QUERY_RUN_ID, p.ROW_OFFSET, p.ROW_LIMIT, *p.EVERYWHERE),
    responses=(ResponseDoc(200, "Rows.", "Rows", examples=(("two rows", examples.ROWS),)),),
    errors=DOCUMENTED_ERRORS,
)
CANCEL = Operation(
    "POST",
    "/v2/query_runs/{query_run_id}/cancel",
    "cancelQueryRun",
    query_runs.cancel_query_run,
    Scope.CANCEL,
    "Query runs",
    "Cancel a query run",
    "Applies while the run is `accepted` or `in_progress`. The response waits up to a second for "
    "the confirmation that the engine has stopped, so its state is nearly always `canceled`; until "
    "then it is `in_progress`. An accepted cancel is final. A terminal run does not change: 400 "
    "with `run_already_complete`, `run_already_failed` or `run_already_canceled`. A body is not "
    "needed and is ignored.",
    (p.QUERY_RUN_ID, *p.VIEW, p.ASYNC, p.IDEMPOTENCY_KEY, p.PREFER, *p.EVERYWHERE),
    responses=(
        ResponseDoc(
            200,
            "Canceled, or being canceled.",
            "QueryRun",
            headers=("preference-applied", "idempotency-replayed"),
            examples=(("canceled", examples.CANCELED),),
        ),
        LATER,
    ),
    errors=(*DOCUMENTED_ERRORS, 409, 422),
    error_notes=((400, "The request is invalid, or the run is terminal already."),),
    in_contract=True,
)
LIST = Operation(
    "GET",
    "/v2/query_runs",
    "listQueryRuns",
    listing.list_query_runs,
    Scope.READ,
    "Query runs",
    "List query runs",
    "The client's own runs (all of the tenant's for an admin), newest first. An addition of this "
    "service.",
    (
        p.FIELDS,
        p.QUERY_RUN_FIELDS,
        p.EXPAND_PATHS,
        p.LIST_FILTER,
        p.SORT,
        p.LIST_PAGE_SIZE,
        p.CURSOR,
        *p.EVERYWHERE,
    ),
    responses=(ResponseDoc(200, "A page.", "QueryRunList", examples=(("page", examples.LIST),)),),
    errors=DOCUMENTED_ERRORS,
)
EVENTS = Operation(
    "GET",
    "/v2/query_runs/{query_run_id}/events",
    "getQueryRunEvents",
    events.run_events,
    Scope.READ,
    "Query runs",
    "Follow a query run",
    "Server-sent events. `state` events, with an `id`: every change of state since the creation, "
    "`{id, state, event, attempt, time}`. `progress` events in between: `{percent, rows, "
    "size_bytes, stage}`. Comments keep a quiet stream open. The stream ends after the event that "
    "made the run terminal, and early when the node stops; reconnect with `Last-Event-ID`. An "
    "addition of this service.",
    (p.QUERY_RUN_ID, p.LAST_EVENT_ID, *p.EVERYWHERE),
    responses=(
        ResponseDoc(200, "The events.", media_types=(events.EVENT_STREAM,)),
        ResponseDoc(204, "The run is terminal, and the client has its last event.", media_types=()),
    ),
    errors=DOCUMENTED_ERRORS,
    error_notes=((429, "Too many requests, or too many streams open."),),
)
TABLES = Operation(
    "GET",
    "/v2/tables",
    "listTables",
    tables.get_tables,
    Scope.READ,
    "Tables",
    "List tables",
    "The tables that the caller's entity has in a source, with their columns: the content of "
    "`SHOW TABLES` and `DESCRIBE`, without a run and without waiting for a slot. Cached for half a "
    "minute while the files of an embedded source do not change, and for a minute for a remote "
    "engine. An addition of this service.",
    (p.SOURCE, *p.EVERYWHERE),
    responses=(ResponseDoc(200, "The tables.", "Tables", examples=(("one", examples.TABLES),)),),
    errors=DOCUMENTED_ERRORS,
    error_notes=((503, "The source is not available, or this node is shutting down."),),
)
TABLE_SHAPE = Operation(
    "GET",
    "/v2/tables/{name}",
    "getTable",
    tables.get_table,
    Scope.READ,
    "Tables",
    "Describe a table",
    "One of these tables; 404 when the entity has none of this name. An addition of this service.",
    (p.TABLE_NAME, p.SOURCE, *p.EVERYWHERE),
    responses=(ResponseDoc(200, "The table.", "Table", examples=(("account", examples.TABLE),)),),
    errors=DOCUMENTED_ERRORS,
    error_notes=((503, "The source is not available, or this node is shutting down."),),
)
VALIDATE = Operation(
    "POST",
    "/v2/validate",
    "validateStatement",
    validate.validate_statement,
    Scope.READ,
    "Query runs",
    "Check a statement before it runs",
    "What a submit would refuse, and in Trino's SQL what the compiler finds: with line and column, "
    "without a run and without a slot. Names and types are checked on the embedded engine, for "
    "statements of at most 20,000 characters; on a remote one syntax alone. A statement without "
    "findings may still fail when it runs. An addition of this service.",
    p.EVERYWHERE,
    RequestBody("application/json", "Draft", (("statement", examples.DRAFT),)),
    (ResponseDoc(200, "What was found.", "Validation"),),
    (*DOCUMENTED_ERRORS, 413, 415),
)
OPTIONS = Operation(
    "GET",
    "/v2/options",
    "getOptions",
    validate.get_options,
    Scope.READ,
    "Query runs",
    "What a run may name",
    "The sources, whether each can be used now, and the formats and compressions of result files. "
    "An addition of this service.",
    p.EVERYWHERE,
    responses=(ResponseDoc(200, "The options.", "Options"),),
    errors=DOCUMENTED_ERRORS,
)
LIMITS = Operation(
    "GET",
    "/v2/limits",
    "getLimits",
    limits.get_limits,
    Scope.READ,
    "Query runs",
    "Limits, and what is left of them",
    "Of the caller on a source. `resets_time` is when a day or a month begins anew. An addition of "
    "this service.",
    (p.SOURCE, *p.EVERYWHERE),
    responses=(
        ResponseDoc(200, "The limits.", "Limits", examples=(("one", limits_schema.EXAMPLE),)),
    ),
    errors=DOCUMENTED_ERRORS,
)
REQUEST = Operation(
    "GET",
    "/v2/requests/{request_id}",
    "getRequest",
    requests.get_request,
    Scope.READ,
    "Requests",
    "Read an asynchronous request",
    "The outcome of a request that was sent with `async: true`. An addition of this service.",
    (p.REQUEST_ID, *p.EVERYWHERE),
    responses=(
        ResponseDoc(200, "The request.", "Request", examples=(("created", examples.REQUEST),)),
    ),
    errors=DOCUMENTED_ERRORS,
)
USAGE = Operation(
    "GET",
    "/v2/usage",
    "getUsage",
    usage.get_usage,
    Scope.READ,
    "Usage",
    "Report usage",
    "What the attempts that ended on these days have used: the client's own, those of its entity "
    "for an admin, those of the tenant for an admin of the tenant. Each attempt is recorded once, "
    "in the transaction that ends it, and the records outlive their runs. An addition of this "
    "service.",
    (
        p.GROUP_BY,
        p.FIRST_DAY,
        p.LAST_DAY,
        p.OF_ENTITY,
        p.OF_CLIENT,
        p.OF_SOURCE,
        p.USAGE_FORMAT,
        p.USAGE_PAGE_SIZE,
        p.CURSOR,
        *p.EVERYWHERE,
    ),
    responses=(
        ResponseDoc(
            200,
            "A page.",
            "UsageReport",
            ("application/json", "text/csv"),
            headers=("link",),
            examples=(("days", examples.USAGE),),
        ),
    ),
    errors=DOCUMENTED_ERRORS,
)
FILE = Operation(
    "GET",
    "/files/{key}",
    "downloadFile",
    files.download,
    None,
    "Files",
    "Download a result file",
    "The link in `file.url`. The signature is the permission: no `Authorization` is needed. "
    "Compressed files are sent as stored, without `Content-Encoding`.",
    (p.FILE_KEY, p.EXPIRES, p.SIGNATURE, p.RANGE, p.IF_RANGE, p.IF_NONE_MATCH, p.TRACK_ID),
    responses=(
        ResponseDoc(200, "The file.", media_types=MEDIA_TYPES, headers=files.HEADER_NAMES),
        ResponseDoc(
            206,
            "Part of the file.",
            media_types=MEDIA_TYPES,
            headers=("content-range", *files.HEADER_NAMES),
        ),
        ResponseDoc(304, "The caller has this file already.", media_types=(), headers=("etag",)),
    ),
    errors=(400, 403, 404, 405, 416, 500, 503, 504),
    error_notes=(
        (403, "The link is forged or has expired; read the run again for a new one."),
        (404, "The file is past its retention."),
    ),
)
TOKEN = Operation(
    "POST",
    "/oauth/token",
    "createToken",
    oauth.issue,
    None,
    "Tokens",
    "Create a bearer token",
    "Exchanges a client's id and secret for a token that is valid for an hour (RFC 6749, section "
    "4.4). They are form fields or, if the form has neither, HTTP Basic credentials. Any other "
    "`Authorization` is ignored. Earlier tokens stay valid.",
    (p.TRACK_ID, p.ENTITY_IDS, p.ENTITY_SINGULAR),
    RequestBody(oauth.FORM, "TokenRequest", (("form", examples.TOKEN_FORM),)),
    (ResponseDoc(200, "A token.", "Token", examples=(("token", examples.TOKEN),)),),
    (400, 401, 403, 405, 413, 415, 429, 500, 503, 504),
    error_schema="OAuthError",
    error_notes=(
        (400, "The form is invalid: `invalid_request` or `unsupported_grant_type`."),
        (401, "Unknown client, or wrong secret: `invalid_client`."),
        (403, "The client may not act in the entity that was named: `unauthorized_client`."),
        (429, "Too many token requests from this address or tenant."),
    ),
    in_contract=True,
)
REVOKE = Operation(
    "POST",
    "/oauth/revoke",
    "revokeToken",
    oauth.revoke,
    None,
    "Tokens",
    "Revoke a bearer token",
    "Revokes one token of the client (RFC 7009): it is refused from the next request on, and its "
    "event streams end. The credentials are sent as for a token. A token that the client does not "
    "have is a 200 too. An addition of this service.",
    (p.TRACK_ID,),
    RequestBody(oauth.FORM, "RevokeRequest", (("form", examples.REVOKE_FORM),)),
    (ResponseDoc(200, "The token is not valid, or not any more.", "Revoked"),),
    (400, 401, 405, 413, 415, 429, 500, 503, 504),
    error_schema="OAuthError",
    error_notes=(
        (400, "The form is invalid: `invalid_request`."),
        (401, "Unknown client, or wrong secret: `invalid_client`."),
        (429, "Too many requests from this address or tenant."),
    ),
)
HEALTH = (
    Operation(
        "GET",
        "/healthz",
        "getLiveness",
        health.alive,
        None,
        "Operations",
        "Is the process alive?",
        responses=(ResponseDoc(200, "It is.", "Health"),),
        errors=OPEN_ERRORS,
    ),
    Operation(
        "GET",
        "/readyz",
        "getReadiness",
        health.ready,
        None,
        "Operations",
        "Should this node get requests?",
        responses=(
            ResponseDoc(200, "It should.", "Health"),
            ResponseDoc(503, "Not now.", "Health"),
        ),
        errors=(405, 500, 504),
    ),
    Operation(
        "GET",
        "/metrics",
        "getMetrics",
        health.metrics,
        None,
        "Operations",
        "Metrics for Prometheus",
        responses=(ResponseDoc(200, "Metrics.", media_types=("text/plain",)),),
        errors=OPEN_ERRORS,
    ),
)
TABLE = (
    GET,
    CREATE,
    CANCEL,
    LIST,
    ROWS,
    EVENTS,
    VALIDATE,
    OPTIONS,
    LIMITS,
    TABLES,
    TABLE_SHAPE,
    *STATEMENT_TABLE,
    *WEBHOOK_TABLE,
    *ADMIN_TABLE,
    REQUEST,
    USAGE,
    FILE,
    TOKEN,
    REVOKE,
    *V1_TABLE,
    *HEALTH,
    HOME,
    *CONSOLE_TABLE,
    MANUAL,
)
"""In the order in which paths are matched: the most requested first."""


def operations(settings: HttpSettings) -> tuple[Operation, ...]:
    """The operations that a node with these settings serves, those of the document included."""
    hidden: tuple[Operation, ...] = () if settings.list_runs else (LIST,)
    hidden += () if settings.serve_console else CONSOLE_TABLE
    hidden += () if settings.serve_docs else (MANUAL,)
    hidden += () if settings.serve_console or settings.serve_docs else (HOME,)
    table = tuple(one for one in TABLE if one not in hidden) if settings.serve_api else HEALTH
    return ApiDocument(table).operations if settings.serve_docs else table


def contract_document() -> bytes:
    """The OpenAPI document of the contract alone, as it is committed."""
    return as_json(contract_of(TABLE))


def full_document() -> bytes:
    """The OpenAPI document of everything that can be served, as it is committed."""
    return ApiDocument(TABLE).json

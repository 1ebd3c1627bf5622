"""The parameters that operations share, as the document describes them (contract A1, C)."""

from __future__ import annotations

from queryrun.auth.clients import ENTITY_ID
from queryrun.http.operations import Parameter
from queryrun.http.prefer import MAX_WAIT_S
from queryrun.http.v2.fields import DEFAULT_FIELDS, EXTENSION_FIELDS, PAIRED_FIELDS
from queryrun.http.v2.view import EXPAND, MAX_PAGE_SIZE
from queryrun.results.preview_rows import MAX_PREVIEW_ROWS

ID = "6a1d1c5e-8f5f-4f0e-9a37-0f3c2f1b7d90"
ENTITY = "1c7d3b4e-2222-4b6a-9a7e-5b8f2f7a0002"
TEXTS: dict[str, object] = {"type": "array", "items": {"type": "string"}}
ENTITY_PATTERN: dict[str, object] = {"type": "string", "pattern": f"^({ENTITY_ID.pattern})?$"}


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


QUERY_RUN_ID = Parameter(
    "query_run_id", "path", {"type": "string"}, "The run's id, a UUID of 36 characters.", ID
)
REQUEST_ID = Parameter(
    "request_id", "path", {"type": "string"}, "The id that came with the 202.", ID
)
FILE_KEY = Parameter(
    "key",
    "path",
    {"type": "string"},
    "The file's id, as in the link.",
    f"{ID}_1833251171549653.csv",
)
EXPIRES = Parameter(
    "expires", "query", {"type": "string"}, "From the link: when it expires.", "1795493407"
)
SIGNATURE = Parameter("signature", "query", {"type": "string"}, "From the link.", "5c1f" * 16)
SOURCE = Parameter(
    "source",
    "query",
    {"type": "string"},
    "One of the service's sources. The default source when absent.",
    "live",
)
TABLE_NAME = Parameter(
    "name", "path", {"type": "string"}, "The table's name, in any case.", "account"
)
ROW_OFFSET = Parameter(
    "offset",
    "query",
    {"type": "integer", "minimum": 0, "maximum": 10**9, "default": 0},
    "How many rows to skip.",
    0,
)
ROW_LIMIT = Parameter(
    "limit",
    "query",
    {"type": "integer", "minimum": 0, "maximum": MAX_PREVIEW_ROWS, "default": 100},
    "How many rows to return at most.",
    2,
)
FIELDS = Parameter(
    "fields[]",
    "query",
    TEXTS,
    "Return only these fields. May be repeated or comma-joined; unknown names are ignored. "
    f"Known: {_quoted(DEFAULT_FIELDS)}.",
    ["id", "state", "error"],
    addition=f"Only when named here, as additions of this service: {_quoted(EXTENSION_FIELDS)}. "
    f"{_quoted(PAIRED_FIELDS)} counts only beside one of these additions. With the setting "
    '`server.extensions = "always"` every response has them all.',
)
QUERY_RUN_FIELDS = Parameter(
    "query_run.fields[]",
    "query",
    TEXTS,
    "The older name of `fields[]`. With both, the union is used.",
    ["id,state"],
    deprecated=True,
)
EXPAND_PATHS = Parameter(
    "expand[]",
    "query",
    {"type": "array", "items": {"type": "string", "pattern": f"^{EXPAND.pattern}$"}},
    "Related objects to include, at most three levels deep. A query run has none, so this is "
    "checked and has no effect.",
    ["account"],
)
CLAUSE_PATTERN = (
    r"^[A-Za-z_][A-Za-z0-9_]*(\[[A-Za-z_][A-Za-z0-9_.-]*\])?\.(EQ|NE|LT|GT|LE|GE|SW|IN):"
)
FILTER = Parameter(
    "filter[]",
    "query",
    {"type": "array", "items": {"type": "string", "pattern": CLAUSE_PATTERN}},
    "Conditions on related objects, `field.OP:value` with `EQ NE LT GT LE GE SW IN`. A query run "
    "has none, so a well-formed condition has no effect and never hides the run.",
    ["account[id].EQ:8ad09b7d"],
)
LIST_FILTER = Parameter(
    "filter[]",
    "query",
    {"type": "array", "items": {"type": "string", "pattern": CLAUSE_PATTERN}},
    "Conditions, all of which must hold: `state` and `source` with `EQ NE SW IN`, `created_time` "
    "with `EQ LT GT LE GE`, `created_by_id.EQ` and `tags[name].EQ`.",
    ["state.IN:[accepted,in_progress]", "created_time.GE:2026-11-01"],
)
PAGE_SIZE = Parameter(
    "page_size",
    "query",
    {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE},
    "How many related objects to include at most. Checked; a query run has none.",
    30,
)
LIST_PAGE_SIZE = Parameter(
    "page_size",
    "query",
    {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": 30},
    "How many runs a page has at most.",
    30,
)
CURSOR = Parameter(
    "cursor",
    "query",
    {"type": "string", "minLength": 1},
    "The `next_page` of the page before this one.",
)
SORT = Parameter(
    "sort[]",
    "query",
    {
        "type": "array",
        "maxItems": 1,
        "items": {"type": "string", "enum": ["created_time.desc", "created_time.asc"]},
    },
    "Newest first (the default) or oldest first.",
    ["created_time.asc"],
)
TRACK_ID = Parameter(
    "zuora-track-id",
    "header",
    {"type": "string", "maxLength": 64, "pattern": r"""^[^:;"'\x00-\x1f\x7f-\uffff]*$"""},
    "The caller's own id for this request, echoed in the response. US-ASCII without `: ; \" '`.",
    "nightly-0042",
)
ASYNC = Parameter(
    "async",
    "header",
    {"type": "string", "enum": ["true", "false", ""], "default": "false"},
    "`true`: respond at once with 202 and a request id.",
    "false",
    addition="The outcome is at `/v2/requests/{request_id}`.",
    contract_schema={"type": "boolean"},
)
ENTITY_IDS = Parameter(
    "zuora-entity-ids",
    "header",
    ENTITY_PATTERN,
    "The entity to act in (one, despite the plural). Required when the client has several.",
    ENTITY,
)
ENTITY_SINGULAR = Parameter(
    "zuora-entity-id", "header", ENTITY_PATTERN, "The same as `zuora-entity-ids`.", ENTITY
)
ORG_IDS = Parameter(
    "zuora-org-ids",
    "header",
    {"type": "string"},
    "Comma-separated orgs whose rows the statement may see: some of the client's own. All of "
    "them when absent; ignored for clients without orgs.",
    "emea,apac",
)
IDEMPOTENCY_KEY = Parameter(
    "idempotency-key",
    "header",
    {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$",
    },
    "A repeat with the same key within 24 hours has no effect and gets the first response again, "
    "marked `idempotency-replayed: true`. 409 while the first request is in progress, 422 when the "
    "key belongs to a different request.",
    "1f6b7b0e-6f0e-4d0c-9b52-3f4f6a0f8f11",
)
ACCEPT_ENCODING = Parameter(
    "accept-encoding",
    "header",
    {"type": "string"},
    "`gzip`: bodies of more than 1000 bytes are compressed.",
    "gzip",
)
CONTENT_ENCODING = Parameter(
    "content-encoding",
    "header",
    {"type": "string", "pattern": "^(gzip|identity)?$"},
    "`gzip`: the request body is compressed.",
    "identity",
    contract_schema={"type": "string"},
)
LAST_EVENT_ID = Parameter(
    "last-event-id",
    "header",
    {"type": "string", "pattern": "^[0-9]{0,14}$"},
    "The `id` of the last event that the client received: only later ones are sent.",
    "1795493407512",
)
PREFER = Parameter(
    "prefer",
    "header",
    {"type": "string"},
    f"RFC 7240. `wait=N`: respond when the run is terminal, or after N (at most {MAX_WAIT_S:.0f}) "
    "seconds. `respond-async`, on a cancel: do not wait for the engine to stop.",
    "wait=10",
    is_extension=True,
)
DRY_RUN = Parameter(
    "dry_run",
    "query",
    {"type": "string", "enum": ["true", "false"], "default": "false"},
    "`true`: create nothing. The response is 200 and says what the run would read, as far as that "
    "is known: exactly (`exact`), no more than (`upper_bound`), by the engine's statistics "
    "(`estimated`) or not at all (`unknown`).",
    "false",
    is_extension=True,
)
GROUP_BY = Parameter(
    "group_by[]",
    "query",
    TEXTS,
    "What a row is about: any of `day` (UTC, when an attempt ended), `entity`, `client`, `source` "
    "and one `tag:NAME`. May be repeated or comma-joined. Without any there is one row.",
    ["day", "tag:team"],
)
FIRST_DAY = Parameter(
    "first_day",
    "query",
    {"type": "string", "format": "date"},
    "The first day (UTC). The first of the month of `last_day` when absent.",
    "2026-11-01",
)
LAST_DAY = Parameter(
    "last_day",
    "query",
    {"type": "string", "format": "date"},
    "The last day (UTC), included. Today when absent.",
    "2026-11-30",
)
OF_ENTITY = Parameter("entity_id", "query", {"type": "string"}, "Only of this entity.", ENTITY)
OF_CLIENT = Parameter("client_id", "query", {"type": "string"}, "Only of this client.", ID)
OF_SOURCE = Parameter("source", "query", {"type": "string"}, "Only of this source.", "live")
USAGE_FORMAT = Parameter(
    "format",
    "query",
    {"type": "string", "enum": ["json", "csv"], "default": "json"},
    "`csv`: the same rows as a table. The next page is in the header `link`.",
    "json",
)
USAGE_PAGE_SIZE = Parameter(
    "page_size",
    "query",
    {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": 30},
    "How many rows a page has at most.",
    30,
)
RANGE = Parameter("range", "header", {"type": "string"}, "One byte range.", "bytes=0-1023")
IF_RANGE = Parameter(
    "if-range", "header", {"type": "string"}, "An ETag: the range only if the file still has it."
)
IF_NONE_MATCH = Parameter(
    "if-none-match", "header", {"type": "string"}, "ETags: 304 when the file has one of them."
)

CONSOLE = Parameter(
    "x-queryrun-console",
    "header",
    {"type": "string", "enum": ["1"]},
    "Sent by the console's own page. Without it a session cookie counts for nothing.",
    "1",
    is_extension=True,
)

VIEW = (FIELDS, QUERY_RUN_FIELDS, EXPAND_PATHS, FILTER, PAGE_SIZE)
EVERYWHERE = (TRACK_ID, ENTITY_IDS, ENTITY_SINGULAR, ACCEPT_ENCODING)

"""The contract as a list: section, request, expected status, expected shape. v2 and the token
endpoint here; what speaks of v1 is in `conformance_v1.py`."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.http.app_harness import ACME, FOREIGN, GLOBEX, SELECT

V2_SECTIONS = (
    *("A1", "A2", "A3", "A4", "A5", "A11"),
    *("B1", "B2", "B3", "B4"),
    *(f"C{number}" for number in range(1, 14)),
    *("D1", "D3", "E"),
)
"""Every section from A to E about v2 or tokens."""

RUNS = "/v2/query_runs"
RUN = "/v2/query_runs/{run}"
CANCEL = "/v2/query_runs/{run}/cancel"
NO_RUN = "/v2/query_runs/6a1d1c5e-8f5f-4f0e-9a37-0f3c2f1b7d90"
TOKEN = "/oauth/token"
JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Row:
    """One sentence of the contract as a request and what must come back.

    `run` prepares a run in that state for `{run}` in the path. `shape` names a check of
    `shapes.py`; for errors `names` is the parameter of an entry.
    """

    section: str
    title: str
    method: str
    path: str
    status: int
    shape: str = "problem"
    run: str = ""
    names: str | None = None
    code: str = "invalid_parameter"
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None
    params: tuple[tuple[str, str], ...] = ()
    token: str = "own"
    fixture: str = ""
    """What has happened to the service before: see `fixtures.py`."""
    response_headers: Mapping[str, str | None] = field(default_factory=dict)
    """Exact values; None: the header must be absent; '*': present."""

    @property
    def has_extensions(self) -> bool:
        """Whether the response has fields that are not the contract's."""
        return self.shape in ("extensions", "whole_file", "only_error", "id_and_time")

    @property
    def name(self) -> str:
        """What pytest calls the row."""
        return f"{self.section} {self.title}"


def create(section: str, title: str, status: int, shape: str = "problem", **more: Any) -> Row:
    """A create whose body is SELECT with changes; a change to None leaves the property out."""
    body = {**SELECT, **more.pop("body", {})}
    sent = {name: value for name, value in body.items() if value is not None}
    return Row(section, title, "POST", RUNS, status, shape, json=sent, **more)


def get(section: str, title: str, status: int, shape: str = "problem", **more: Any) -> Row:
    """A read of a run."""
    return Row(section, title, "GET", RUN, status, shape, **{"run": "accepted", **more})


def cancel(section: str, title: str, status: int, shape: str = "problem", **more: Any) -> Row:
    """A cancel of a run."""
    return Row(section, title, "POST", CANCEL, status, shape, **{"run": "accepted", **more})


def on_all(section: str, title: str, status: int, shape: str, **more: Any) -> list[Row]:
    """The same on create, get and cancel: the three share their parameters (contract A1)."""
    shapes = {"run": ("accepted", "accepted", "canceled")}.get(shape, (shape,) * 3)
    ok = (201, 200, 200) if status == 200 else (status,) * 3
    return [
        create(section, f"create: {title}", ok[0], shapes[0], **more),
        get(section, f"get: {title}", ok[1], shapes[1], **more),
        cancel(section, f"cancel: {title}", ok[2], shapes[2], **more),
    ]


def query(section: str, title: str, status: int, name: str, value: str, **more: Any) -> list[Row]:
    """One query parameter on all three operations."""
    shape = more.pop("shape", "run" if status == 200 else "problem")
    return on_all(section, title, status, shape, params=((name, value),), **more)


BAD_TAGS: tuple[Any, ...] = (
    [],
    {"1a": "x"},
    {"a": 1},
    {"a": "x" * 300},
    {f"t{number}": "" for number in range(51)},
)

A = [
    create("A1", "unwrapped snake_case object", 201, "accepted"),
    create("A1", "unknown query parameters are ignored", 201, "accepted", params=(("x", "1"),)),
    Row("A1", "an unknown method is a 405", "DELETE", RUN, 405, run="accepted",
        response_headers={"allow": "GET, HEAD"}),
    create("A2", "201 with Location", 201, "accepted", response_headers={"location": "*"}),
    create("A2", "sql is required", 400, names="sql", body={"sql": None}),
    create("A2", "content_type is required", 400, names="content_type",
           body={"content_type": None}),
    create("A2", "blank sql", 400, names="sql", body={"sql": " \n\t "}),
    create("A2", "sql of another type", 400, names="sql", body={"sql": 1}),
    create("A2", "sql too long", 400, names="sql", body={"sql": "S" * 1_000_001}),
    create("A2", "the longest sql", 201, "accepted", body={"sql": "S" * 1_000_000}),
    create("A2", "one statement", 400, names="sql", body={"sql": "SELECT 1; SELECT 2"}),
    create("A2", "read-only", 400, names="sql", body={"sql": "DELETE FROM account"}),
    *(create("A2", f"content_type {word}", 201, "accepted", body={"content_type": word})
      for word in ("json", "csv", "tsv")),
    create("A2", "content_type dsv with its separator", 201, "accepted_dsv",
           body={"content_type": "dsv", "column_separator": "|"}),
    create("A2", "content_type is lower case", 400, names="content_type",
           body={"content_type": "CSV"}),
    create("A2", "content_type not in the list", 400, names="content_type",
           body={"content_type": "xml"}),
    *(create("A2", f"content_encoding {word}", 201, "accepted", body={"content_encoding": word})
      for word in ("gzip", "zip", "none")),
    create("A2", "content_encoding not in the list", 400, names="content_encoding",
           body={"content_encoding": "bz2"}),
    create("A2", "column_separator is ignored for csv", 201, "accepted",
           body={"column_separator": "too long"}),
    create("A2", "dsv without a separator (contract H7)", 400, names="column_separator",
           body={"content_type": "dsv"}),
    *(create("A2", f"separator {text!r} (contract H7)", 400, names="column_separator",
             body={"content_type": "dsv", "column_separator": text})
      for text in ("", "||", '"', "\r", "\n")),
    create("A2", "separator \\t is a tab (contract H7)", 201, "accepted_tab",
           body={"content_type": "dsv", "column_separator": "\\t"}),
    create("A2", "separator of another type", 400, names="column_separator",
           body={"content_type": "dsv", "column_separator": 7}),
    create("A2", "encryption_key that is not base64", 400, names="encryption_key",
           body={"encryption_key": "not base64!"}),
    create("A2", "encryption_key that is no key", 400, names="encryption_key",
           body={"encryption_key": base64.b64encode(b"no key").decode()}),
    create("A2", "encryption_key of another type", 400, names="encryption_key",
           body={"encryption_key": 5}),
    create("A2", "read_deleted true", 201, "accepted", body={"read_deleted": True}),
    create("A2", "read_deleted must be a boolean", 400, names="read_deleted",
           body={"read_deleted": "true"}),
    create("A2", "unknown property", 400, names="querry", body={"querry": 1}),
    Row("A2", "null is no string", "POST", RUNS, 400, names="sql",
        json={"sql": None, "content_type": "csv"}),
    Row("A2", "the body must be JSON", "POST", RUNS, 400, names="body", headers=JSON,
        content=b'{"sql": '),
    Row("A2", "the body must be an object", "POST", RUNS, 400, names="body", json=[1]),
    Row("A2", "an empty body", "POST", RUNS, 400, names="body", headers=JSON, content=b""),
    Row("A2", "NaN is not JSON", "POST", RUNS, 400, names="body", headers=JSON,
        content=b'{"sql": NaN}'),
    Row("A2", "deep nesting", "POST", RUNS, 400, names="body", headers=JSON,
        content=b"[" * 100_000),
    Row("A2", "no content type", "POST", RUNS, 415, content=b"{}"),
    Row("A2", "another content type", "POST", RUNS, 415, content=b"sql=1", headers=FORM),
    create("A2", "a charset is fine", 201, "accepted",
           headers={"content-type": "application/json; charset=utf-8"}),
    create("A2", "timeout_seconds (ours)", 201, "accepted", body={"timeout_seconds": 5}),
    *(create("A2", f"timeout_seconds {value} (ours)", 400, names="timeout_seconds",
             body={"timeout_seconds": value}) for value in (0, -1, "5", True, 1e9)),
    create("A2", "tags (ours)", 201, "accepted", body={"tags": {"team": "a"}}),
    *(create("A2", f"tags {value!r:.40} (ours)", 400, names="tags", body={"tags": value})
      for value in BAD_TAGS),
    create("A2", "source (ours)", 201, "accepted", body={"source": "warehouse"}),
    create("A2", "unknown source (ours)", 400, names="source", body={"source": "nowhere"}),
    create("A2", "source of another type (ours)", 400, names="source", body={"source": 1}),
    get("A3", "200 with the run", 200, "accepted"),
    Row("A3", "unknown id", "GET", NO_RUN, 404, names="query_run_id", code="resource_not_found"),
    Row("A3", "malformed id", "GET", RUNS + "/x", 404, names="query_run_id",
        code="resource_not_found"),
    get("A3", "someone else's run (contract H11)", 404, names="query_run_id",
        code="resource_not_found", token="other"),
    get("A3", "admins see all (contract H11)", 200, "accepted", token="admin"),
    Row("A3", "HEAD is GET without a body", "HEAD", RUN, 200, "empty", run="accepted"),
    cancel("A4", "no body, no content type", 200, "canceled"),
    cancel("A4", "JSON content type, empty body", 200, "canceled", headers=JSON, content=b""),
    cancel("A4", "empty JSON object", 200, "canceled", json={}),
    cancel("A4", "empty form", 200, "canceled", headers=FORM, content=b""),
    cancel("A4", "malformed JSON is ignored", 200, "canceled", headers=JSON, content=b"{"),
    cancel("A4", "someone else's run", 404, names="query_run_id", code="resource_not_found",
           token="other"),
    get("A5", "fields of an accepted run", 200, "accepted"),
    get("A5", "fields of a running run", 200, "in_progress", run="in_progress"),
    get("A5", "fields of a complete run", 200, "complete", run="complete"),
    get("A5", "fields of a failed run (contract H10)", 200, "failed", run="failed"),
    get("A5", "fields of a cancelled run", 200, "canceled", run="canceled"),
    get("A11", "unknown client headers are ignored", 200, "accepted",
        headers={"zuora-version": "2025-08-12", "accept": "application/json"}),
    *query("A11", "repeated and encoded brackets", 200, "fields[]", "id", shape="only_id"),
]  # fmt: skip

B = [
    get("B1", "state accepted", 200, "accepted"),
    get("B1", "state in_progress", 200, "in_progress", run="in_progress"),
    get("B2", "v2 spells complete", 200, "complete", run="complete"),
    get("B2", "v2 spells canceled", 200, "canceled", run="canceled"),
    get("B3", "canceling reads in_progress", 200, "in_progress", run="canceling"),
    cancel("B4", "accepted: canceled at once", 200, "canceled"),
    cancel("B4", "in_progress: canceled once free", 200, "canceled", run="freeing"),
    cancel("B4", "complete", 400, run="complete", names="query_run_id",
           code="run_already_complete"),
    cancel("B4", "failed", 400, run="failed", names="query_run_id", code="run_already_failed"),
    cancel("B4", "canceled", 400, run="canceled", names="query_run_id",
           code="run_already_canceled"),
    Row("B4", "unknown id", "POST", NO_RUN + "/cancel", 404, names="query_run_id",
        code="resource_not_found"),
    Row("B4", "malformed id", "POST", RUNS + "/6a1d/cancel", 404, names="query_run_id",
        code="resource_not_found"),
]  # fmt: skip

C_QUERY = [
    *query("C1", "one field", 200, "fields[]", "id", shape="only_id"),
    *query("C1", "comma-joined, padded, doubled", 200, "fields[]", " id , id", shape="only_id"),
    *query("C1", "the older name", 200, "query_run.fields[]", "id", shape="only_id"),
    *on_all("C1", "union of both names", 200, "id_and_state",
            params=(("fields[]", "id"), ("query_run.fields[]", "state"))),
    *on_all("C1", "repeated", 200, "id_and_state",
            params=(("fields[]", "id"), ("fields[]", "state"))),
    *query("C1", "unknown names are ignored (contract H16)", 200, "fields[]", "id,nonsense",
           shape="only_id"),
    *query("C1", "an empty list is no projection", 200, "fields[]", ""),
    *query("C1", "only commas is no projection", 200, "fields[]", ", ,"),
    get("C1", "file is all or nothing", 200, "only_file", run="complete",
        params=(("fields[]", "file"),)),
    get("C1", "the additions to file have names", 200, "whole_file", run="complete",
        params=(("fields[]", "file.size,file.sha256"),)),
    *query("C1", "the hosted documentation's own example (contract H10)", 200, "fields[]",
           "id,created_time", shape="only_id"),
    *query("C1", "beside an extension, created_time counts", 200, "fields[]",
           "id,created_time,error", shape="id_and_time"),
    get("C1", "why a run failed, when it is named (contract H10)", 200, "only_error", run="failed",
        params=(("fields[]", "error"),)),
    get("C1", "extension fields only when named (contract H10)", 200, "extensions", run="canceled",
        params=(("fields[]", "id,created_time,cancellation,attempts,tags,source"),)),
    *query("C2", "a relation", 200, "expand[]", "account"),
    *query("C2", "three levels", 200, "expand[]", "a.b.c"),
    *query("C2", "four levels", 400, "expand[]", "a.b.c.d", names="expand[]"),
    *query("C2", "bad characters", 400, "expand[]", "a-b", names="expand[]"),
    *query("C2", "empty level", 400, "expand[]", "a..b", names="expand[]"),
    *(row for operator in ("EQ", "NE", "SW") for row in
      query("C3", f"text {operator}", 200, "filter[]", f"account[id].{operator}:8ad0")),
    *(row for operator in ("LT", "GT", "LE", "GE") for row in
      query("C3", f"number {operator}", 200, "filter[]", f"number_of_rows.{operator}:5")),
    *query("C3", "IN", 200, "filter[]", "state.IN:[accepted,canceled]"),
    *query("C3", "a filter never hides the run", 200, "filter[]", "state.EQ:complete"),
    *query("C3", "null", 200, "filter[]", "number_of_rows.NE:null"),
    *query("C3", "the empty string", 200, "filter[]", "column_separator.EQ:\x02\x03"),
    *query("C3", "values with .OP: inside", 200, "filter[]", "sql.EQ:a.GT:b"),
    *query("C3", "a date", 200, "filter[]", "created_time.GT:2026-11-24"),
    *query("C3", "unknown operator", 400, "filter[]", "state.LIKE:x", names="filter[]"),
    *query("C3", "no operator", 400, "filter[]", "state=x", names="filter[]"),
    *query("C3", "ordering a text", 400, "filter[]", "state.GT:x", names="filter[]"),
    *query("C3", "SW on a number", 400, "filter[]", "number_of_rows.SW:1", names="filter[]"),
    *query("C3", "not a number", 400, "filter[]", "number_of_rows.GT:x", names="filter[]"),
    *query("C3", "not a date", 400, "filter[]", "created_time.GT:2026-13-01", names="filter[]"),
    *query("C3", "IN without brackets", 400, "filter[]", "state.IN:a,b", names="filter[]"),
    *query("C3", "no value", 400, "filter[]", "state.EQ:", names="filter[]"),
    *query("C3", "null with an ordering operator", 400, "filter[]", "number_of_rows.GT:null",
           names="filter[]"),
    *query("C4", "sort[] is ignored on the three", 200, "sort[]", "nonsense"),
    *(row for value in ("1", "99") for row in
      query("C5", f"page_size {value}", 200, "page_size", value)),
    *(row for value in ("0", "100", "-1", "x", "1.5", "", "9" * 30, "²") for row in
      query("C5", f"page_size {value!r:.8}", 400, "page_size", value, names="page_size")),
    Row("C6", "a list with next_page and data (contract H13)", "GET", RUNS, 200, "list"),
    Row("C6", "unknown cursor", "GET", RUNS, 400, names="cursor", params=(("cursor", "abc"),)),
]  # fmt: skip

C_HEADERS = [
    *on_all("C7", "track id is echoed", 200, "run", headers={"zuora-track-id": "nightly-0042"},
            response_headers={"zuora-track-id": "nightly-0042", "zuora-request-id": "*"}),
    *on_all("C7", "no track id, none back", 200, "run",
            response_headers={"zuora-track-id": None, "zuora-request-id": "*"}),
    *on_all("C7", "an empty one is absent", 200, "run", headers={"zuora-track-id": ""},
            response_headers={"zuora-track-id": None}),
    *on_all("C7", "64 characters", 200, "run", headers={"zuora-track-id": "x" * 64}),
    *(row for bad in ("x" * 65, "a:b", "a;b", 'a"b', "a'b", "é") for row in
      on_all("C7", f"refused and not echoed: {bad:.3}", 400, "problem", names="zuora-track-id",
             headers={"zuora-track-id": bad}, response_headers={"zuora-track-id": None})),
    Row("C7", "echoed on errors", "GET", NO_RUN, 404, headers={"zuora-track-id": "t1"},
        response_headers={"zuora-track-id": "t1"}),
    create("C8", "async create: 202, Location of the run (contract H4)", 202, "only_ids",
           headers={"async": "true"}, response_headers={"location": "*"}),
    create("C8", "case-insensitive", 202, "only_ids", headers={"async": "TRUE"}),
    create("C8", "false", 201, "accepted", headers={"async": "false"}),
    create("C8", "anything else", 400, names="async", headers={"async": "yes"}),
    cancel("C8", "async cancel", 202, "only_ids", headers={"async": "true"}),
    cancel("C8", "async cancel of a terminal run is deferred", 202, "only_ids", run="complete",
           headers={"async": "true"}),
    Row("C8", "async cancel of an unknown run is deferred", "POST", NO_RUN + "/cancel", 202,
        "only_ids", headers={"async": "true"}),
    create("C8", "async: engine refusal is deferred", 202, "only_ids", headers={"async": "true"},
           body={"sql": "DELETE FROM account"}),
    create("C8", "async: parameter errors are not", 400, names="content_type",
           headers={"async": "true"}, body={"content_type": "xml"}),
    create("C8", "async: a bad token is not", 401, headers={"async": "true"}, token="bad"),
    get("C8", "ignored on GET (contract H5)", 200, "accepted", headers={"async": "true"}),
    *on_all("C9", "a matching header", 200, "run", headers={"zuora-entity-ids": ACME.id}),
    *on_all("C9", "the singular twin", 200, "run", headers={"zuora-entity-id": ACME.id}),
    *on_all("C9", "32 hex digits", 200, "run",
            headers={"zuora-entity-ids": ACME.id.replace("-", "")}),
    *on_all("C9", "malformed", 400, "problem", headers={"zuora-entity-ids": "acme"},
            names="zuora-entity-ids"),
    *on_all("C9", "not in the token", 403, "problem", headers={"zuora-entity-ids": GLOBEX.id}),
    *on_all("C9", "another tenant's", 403, "problem", headers={"zuora-entity-ids": FOREIGN.id}),
    create("C9", "ambiguous token", 400, names="zuora-entity-ids", token="both"),
    create("C9", "several entities, one named", 201, "accepted", token="both",
           headers={"zuora-entity-ids": GLOBEX.id}),
    create("C10", "a subset of one's orgs", 201, "accepted", token="orgs",
           headers={"zuora-org-ids": "emea, apac"}),
    create("C10", "a foreign org", 400, names="zuora-org-ids", token="orgs",
           headers={"zuora-org-ids": "emea,latam"}),
    create("C10", "none named: all", 201, "accepted", token="orgs"),
    create("C10", "multi-org off: ignored", 201, "accepted", headers={"zuora-org-ids": "emea"}),
    create("C11", "a key of 255", 201, "accepted", headers={"idempotency-key": "k" * 255}),
    create("C11", "a key of 256", 400, names="idempotency-key",
           headers={"idempotency-key": "k" * 256}),
    create("C11", "an empty key", 400, names="idempotency-key", headers={"idempotency-key": ""}),
    create("C11", "a repeat is replayed (contract H6)", 201, "accepted", fixture="key_answered",
           headers={"idempotency-key": "k"},
           response_headers={"idempotency-replayed": "true", "location": "*"}),
    create("C11", "a stored refusal is replayed", 400, names="sql", fixture="refusal_stored",
           headers={"idempotency-key": "k"}, body={"sql": "DELETE FROM account"},
           response_headers={"idempotency-replayed": "true"}),
    create("C11", "another tenant's key is independent", 201, "accepted", fixture="key_elsewhere",
           headers={"idempotency-key": "k"}, response_headers={"idempotency-replayed": None}),
    create("C11", "after 24 hours a key is new", 201, "accepted", fixture="key_expired",
           headers={"idempotency-key": "k"}, response_headers={"idempotency-replayed": None}),
    cancel("C11", "on cancel too", 200, "canceled", headers={"idempotency-key": "k"}),
    get("C11", "ignored on GET", 200, "accepted", headers={"idempotency-key": "k" * 300}),
    get("C12", "long bodies are compressed", 200, "complete_long", run="long",
        headers={"accept-encoding": "gzip"},
        response_headers={"content-encoding": "gzip", "vary": "accept-encoding"}),
    get("C12", "short ones are not", 200, "accepted", headers={"accept-encoding": "gzip"},
        response_headers={"content-encoding": None}),
    get("C12", "q=0", 200, "complete_long", run="long", headers={"accept-encoding": "gzip;q=0"},
        response_headers={"content-encoding": None}),
    get("C12", "identity", 200, "complete_long", run="long",
        headers={"accept-encoding": "identity"}, response_headers={"content-encoding": None}),
    Row("C13", "a gzipped body", "POST", RUNS, 201, "accepted",
        headers={**JSON, "content-encoding": "gzip"},
        content=gzip.compress(b'{"sql":"SELECT 1 AS one","content_type":"csv"}')),
    create("C13", "announced, but plain", 201, "accepted", headers={"content-encoding": "gzip"}),
    Row("C13", "corrupt gzip", "POST", RUNS, 400, names="body",
        headers={**JSON, "content-encoding": "gzip"}, content=b"\x1f\x8b\x08 nonsense"),
    Row("C13", "cut off gzip", "POST", RUNS, 400, names="body",
        headers={**JSON, "content-encoding": "gzip"},
        content=gzip.compress(b'{"sql":"SELECT 1","content_type":"csv"}')[:-4]),
    Row("C13", "a bomb", "POST", RUNS, 413, headers={**JSON, "content-encoding": "gzip"},
        content=gzip.compress(b" " * 20_000_000)),
    create("C13", "another encoding", 415, headers={"content-encoding": "br"}),
]  # fmt: skip

D = [
    Row("D1", "400 bad_request", "POST", RUNS, 400, json={}, names="sql"),
    *on_all("D1", "401 without a token", 401, "problem", token="none",
            response_headers={"www-authenticate": 'Bearer realm="queryrun"'}),
    *on_all("D1", "401 with a bad one", 401, "problem", token="bad",
            response_headers={"www-authenticate": "*"}),
    create("D1", "403 without the scope", 403, token="reader"),
    get("D1", "403 without the scope to read", 403, token="submitter"),
    cancel("D1", "403 without the scope to cancel", 403, token="reader"),
    Row("D1", "404 unknown path", "GET", "/v2/nowhere", 404),
    Row("D1", "404 with two slashes too many", "GET", RUNS + "//", 404),
    Row("D1", "405 with Allow", "PUT", RUNS, 405, response_headers={"allow": "GET, HEAD, POST"}),
    Row("D1", "405 on cancel", "GET", CANCEL, 405, run="accepted",
        response_headers={"allow": "POST"}),
    Row("D1", "413", "POST", RUNS, 413, headers=JSON, content=b" " * 9_000_000),
    Row("D1", "415", "POST", RUNS, 415, content=b"x"),
    create("D1", "409 while a key is in flight", 409, fixture="key_in_flight",
           headers={"idempotency-key": "k"}, response_headers={"retry-after": "1"}),
    create("D1", "422 when a key is another request's", 422, fixture="key_used",
           headers={"idempotency-key": "k"}),
    *on_all("D1", "429 when the rate is used up", 429, "problem", fixture="rate_used_up",
            response_headers={"retry-after": "1"}),
    create("D1", "429 when the queue is full (contract H14)", 429, fixture="queue_full",
           names="source", code="queue_full", response_headers={"retry-after": "*"}),
    create("D1", "500 has no details", 500, fixture="broken"),
    create("D1", "503 while draining", 503, fixture="draining",
           response_headers={"retry-after": "1"}),
    *on_all("D1", "503 while the store is away", 503, "problem", fixture="store_away",
            response_headers={"retry-after": "1"}),
    get("D1", "reads go on while draining", 200, "accepted", fixture="draining"),
    cancel("D1", "cancels go on while draining", 200, "canceled", fixture="draining"),
    create("D1", "504 when there is no response in time", 504, fixture="hanging"),
    *on_all("D3", "rate headers on every response", 200, "run", token="own",
            response_headers={"ratelimit-limit": "*", "ratelimit-remaining": "*",
                            "ratelimit-reset": "*"}),
    Row("D3", "rate headers on errors", "GET", NO_RUN, 404,
        response_headers={"ratelimit-limit": "*", "ratelimit-remaining": "*",
                        "ratelimit-reset": "*"}),
]  # fmt: skip

E = [
    Row("E", "a token for good credentials", "POST", TOKEN, 200, "token", headers=FORM,
        content=b"{credentials}&grant_type=client_credentials", token="none"),
    Row("E", "an old bearer is ignored", "POST", TOKEN, 200, "token",
        headers={**FORM, "authorization": "Bearer old"}, token="none",
        content=b"{credentials}&grant_type=client_credentials"),
    Row("E", "another grant", "POST", TOKEN, 400, "oauth_error", headers=FORM, token="none",
        content=b"{credentials}&grant_type=password"),
    Row("E", "bad credentials", "POST", TOKEN, 401, "oauth_error", headers=FORM, token="none",
        content=b"client_id=" + b"0" * 36 + b"&client_secret=x&grant_type=client_credentials"),
    Row("E", "too many of a client", "POST", TOKEN, 429, "oauth_error", headers=FORM,
        content=b"{credentials}&grant_type=client_credentials", token="none",
        fixture="address_used_up", response_headers={"retry-after": "1"}),
    Row("E", "too many of one tenant", "POST", TOKEN, 429, "oauth_error", headers=FORM,
        content=b"{credentials}&grant_type=client_credentials", token="none",
        fixture="auth_used_up", response_headers={"retry-after": "1"}),
    Row("E", "an expired token", "GET", NO_RUN, 401, fixture="an_hour_later"),
    Row("E", "a token of a revoked client", "GET", NO_RUN, 401, fixture="revoked"),
    Row("E", "JSON", "POST", TOKEN, 400, "oauth_error", headers=JSON, token="none", content=b"{}"),
    Row("E", "a foreign entity", "POST", TOKEN, 403, "oauth_error", token="none",
        headers={**FORM, "zuora-entity-ids": GLOBEX.id},
        content=b"{credentials}&grant_type=client_credentials"),
]  # fmt: skip

ROWS = [*A, *B, *C_QUERY, *C_HEADERS, *D, *E]

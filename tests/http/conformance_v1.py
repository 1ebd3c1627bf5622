"""The contract's sections about v1, as rows: `/query/jobs`."""

from __future__ import annotations

import base64
import gzip
from typing import Any

from tests.http.app_harness import ACME, GLOBEX
from tests.http.conformance import FORM, JSON, Row

V1_SECTIONS = ("A6", "A7", "A8", "A9", "A10", "A11", "B2", "B4", "C5", "C7", "C9", "C11", "C13",
               "D2", "D3")  # fmt: skip
"""Every section about v1."""

JOBS = "/query/jobs"
JOB = "/query/jobs/{run}"
NO_JOB = "/query/jobs/6a1d1c5e-8f5f-4f0e-9a37-0f3c2f1b7d90"
QUERY: dict[str, Any] = {
    "query": "SELECT 1 AS one",
    "outputFormat": "CSV",
    "compression": "NONE",
    "output": {"target": "S3"},
}
KEY = {"idempotency-key": "k"}
LIMITS = {
    "concurrency-limit-type": "Default",
    "concurrency-limit-limit": "40",
    "concurrency-limit-remaining": "39",
    "ratelimit-remaining": "*",
}


def create(section: str, title: str, status: int, shape: str = "v1_error", **more: Any) -> Row:
    """A submit whose body is QUERY with changes; a change to ... leaves the property out."""
    body = {**QUERY, **more.pop("body", {})}
    sent = {name: value for name, value in body.items() if value is not ...}
    return Row(section, f"v1: {title}", "POST", JOBS, status, shape, json=sent, **more)


def get(section: str, title: str, status: int, shape: str = "v1_error", **more: Any) -> Row:
    """A read of a job."""
    return Row(section, f"v1: {title}", "GET", JOB, status, shape, **{"run": "accepted", **more})


def cancel(section: str, title: str, status: int, shape: str = "v1_error", **more: Any) -> Row:
    """A cancel of a job."""
    path = more.pop("path", JOB)
    return Row(
        section, f"v1: {title}", "DELETE", path, status, shape, **{"run": "accepted", **more}
    )


def listed(section: str, title: str, status: int, shape: str = "v1_error", **more: Any) -> Row:
    """A list of jobs."""
    return Row(section, f"v1: {title}", "GET", JOBS, status, shape, **more)


A = [
    create("A6", "200, not 201, and data around it", 200, "v1_accepted"),
    *(create("A6", f"{name} is required", 400, names=name, body={name: ...}) for name in QUERY),
    *(create("A6", f"{name} null is missing", 400, names=name, body={name: None})
      for name in QUERY),
    *(create("A6", f"outputFormat {word}", 200, "v1_accepted", body={"outputFormat": word})
      for word in ("JSON", "TSV")),
    create("A6", "outputFormat DSV with its separator", 200, "v1_accepted",
           body={"outputFormat": "DSV", "columnSeparator": "|"}),
    create("A6", "DSV without a separator (contract H7)", 400, names="columnSeparator",
           body={"outputFormat": "DSV"}),
    create("A6", "a separator of two characters (contract H7)", 400, names="columnSeparator",
           body={"outputFormat": "DSV", "columnSeparator": "||"}),
    create("A6", "a separator for another format is ignored", 200, "v1_accepted",
           body={"columnSeparator": "||"}),
    *(create("A6", f"outputFormat {word!r}", 400, names="outputFormat",
             body={"outputFormat": word}) for word in ("csv", "PARQUET", "", 1)),
    *(create("A6", f"compression {word}", 200, "v1_accepted", body={"compression": word})
      for word in ("GZIP", "ZIP")),
    *(create("A6", f"compression {word!r}", 400, names="compression", body={"compression": word})
      for word in ("nope", "gzip", "ZSTD")),
    *(create("A6", f"output {value!r}", 400, names="output", body={"output": value})
      for value in ({"target": "FTP"}, {}, "S3")),
    create("A6", "output with more in it", 200, "v1_accepted",
           body={"output": {"target": "S3", "bucket": None}}),
    *(create("A6", f"query {text!r:.9}", 400, names="query", body={"query": text})
      for text in ("", " \n", 7, "S" * 1_000_001)),
    create("A6", "one statement", 400, body={"query": "SELECT 1; SELECT 2"}),
    create("A6", "read-only", 400, body={"query": "DELETE FROM account"}),
    create("A6", "readDeleted true", 200, "v1_accepted", body={"readDeleted": True}),
    create("A6", "readDeleted false, as the SDK always sends", 200, "v1_accepted",
           body={"readDeleted": False}),
    create("A6", "readDeleted of another type", 400, names="readDeleted",
           body={"readDeleted": "true"}),
    create("A6", "sourceData LIVE", 200, "v1_accepted", body={"sourceData": "LIVE"}),
    *(create("A6", f"sourceData {word} (contract H20)", 200, "v1_warehouse",
             body={"sourceData": word})
      for word in ("WAREHOUSE", "DATAHUB")),
    create("A6", "sourceData not in the list", 400, names="sourceData",
           body={"sourceData": "live"}),
    create("A6", "sourceData WAREHOUSE where there is none (contract H20)", 400, names="sourceData",
           body={"sourceData": "WAREHOUSE"}, fixture="no_warehouse"),
    create("A6", "useIndexJoin is echoed", 200, "v1_index_join", body={"useIndexJoin": True}),
    create("A6", "useIndexJoin of another type", 400, names="useIndexJoin",
           body={"useIndexJoin": 1}),
    *(create("A6", f"warehouseSize {word} is accepted (contract H20)", 200, "v1_warehouse",
             body={"warehouseSize": word, "sourceData": "WAREHOUSE"})
      for word in ("xsmall", "NULL", None)),
    create("A6", "warehouseSize not in the list", 400, names="warehouseSize",
           body={"warehouseSize": "huge"}),
    create("A6", "encryptionKey that is no key", 400, names="encryptionKey",
           body={"encryptionKey": base64.b64encode(b"no key").decode()}),
    create("A6", "null is absent where a property is optional", 200, "v1_accepted",
           body={"columnSeparator": None, "encryptionKey": None, "readDeleted": None,
                 "sourceData": None, "useIndexJoin": None}),
    create("A6", "an unknown property", 400, names="querry", body={"querry": 1}),
    Row("A6", "v1: no content type is a 415", "POST", JOBS, 415, "v1_415", content=b"{}"),
    listed("A7", "data is a list", 200, "v1_list"),
    *(listed("A7", f"queryStatus {word}", 200, "v1_list", params=(("queryStatus", word),))
      for word in ("accepted", "in_progress", "completed", "failed", "cancelled", "submitted")),
    listed("A7", "queryStatus not in the list", 400, names="queryStatus",
           params=(("queryStatus", "done"),)),
    get("A8", "200 with data around it", 200, "v1_accepted"),
    get("A8", "somebody else's is a 403 (contract H11)", 403, token="other"),
    get("A8", "another tenant's is a 404", 404, token="foreign"),
    get("A8", "admins see all", 200, "v1_accepted", token="admin"),
    Row("A8", "v1: unknown id", "GET", NO_JOB, 404, "v1_error"),
    Row("A8", "v1: malformed id", "GET", JOBS + "/x", 404, "v1_error"),
    cancel("A9", "200 with the cancelled job", 200, "v1_cancelled"),
    cancel("A9", "64 characters: an id and zeros (contract H12)", 200, "v1_cancelled",
           path=JOB + "0" * 28),
    cancel("A9", "64 characters: an id and something else", 404, path=JOB + "1" * 28),
    cancel("A9", "somebody else's", 403, token="other"),
    cancel("A9", "a body is ignored", 200, "v1_cancelled", headers=JSON, content=b"{"),
    Row("A9", "v1: unknown id", "DELETE", NO_JOB, 404, "v1_error"),
    get("A10", "a run that was made on v2", 200, "v1_accepted"),
    get("A10", "and its end", 200, "v1_completed", run="complete"),
    create("A11", "the SDK's own headers are ignored", 200, "v1_accepted",
           headers={"zuora-version": "2025-08-12", "accept-encoding": "identity"}),
]  # fmt: skip

B = [
    get("B2", "in_progress", 200, "v1_in_progress", run="in_progress"),
    get("B2", "canceling reads in_progress", 200, "v1_in_progress", run="canceling"),
    get("B2", "completed", 200, "v1_completed", run="complete"),
    get("B2", "failed, with its errorMessage", 200, "v1_failed", run="failed"),
    get("B2", "cancelled", 200, "v1_cancelled", run="canceled"),
    *(listed("B2", f"{word} is taken too", 200, "v1_list", params=(("queryStatus", word),))
      for word in ("complete", "canceled", "pending")),
    cancel("B4", "accepted", 200, "v1_cancelled"),
    cancel("B4", "in_progress, once free", 200, "v1_cancelled", run="freeing"),
    *(cancel("B4", f"{state} is too late", 400, "v1_too_late", run=state)
      for state in ("complete", "failed", "canceled")),
]  # fmt: skip

C = [
    *(listed("C5", f"pageSize {size}", 200, "v1_list", params=(("pageSize", size),))
      for size in ("1", "40", "1000")),
    *(listed("C5", f"pageSize {size!r:.8}", 400, names="pageSize", params=(("pageSize", size),))
      for size in ("0", "1001", "-1", "x", "", "1.5", "²")),
    create("C7", "track id is echoed", 200, "v1_accepted", headers={"zuora-track-id": "t-1"},
           response_headers={"zuora-track-id": "t-1", "zuora-request-id": "*"}),
    create("C7", "a bad one is refused and not echoed", 400, names="zuora-track-id",
           headers={"zuora-track-id": "a:b"}, response_headers={"zuora-track-id": None}),
    create("C9", "a matching entity", 200, "v1_accepted", headers={"zuora-entity-ids": ACME.id}),
    create("C9", "another entity", 403, headers={"zuora-entity-ids": GLOBEX.id}),
    create("C11", "a repeat is replayed (contract H6)", 200, "v1_accepted",
           fixture="v1_key_answered", headers=KEY,
           response_headers={"idempotency-replayed": "true"}),
    create("C11", "a key of another request", 422, fixture="v1_key_answered", headers=KEY,
           body={"compression": "GZIP"}),
    create("C11", "v2's key is another request's", 422, fixture="key_answered", headers=KEY),
    create("C11", "in flight", 409, fixture="v1_key_in_flight", headers=KEY,
           response_headers={"retry-after": "1"}),
    create("C11", "an empty key", 400, names="idempotency-key", headers={"idempotency-key": ""}),
    cancel("C11", "ignored on DELETE", 200, "v1_cancelled",
           headers={"idempotency-key": "k" * 300}),
    Row("C13", "v1: a gzipped body", "POST", JOBS, 200, "v1_accepted",
        headers={**JSON, "content-encoding": "gzip"},
        content=gzip.compress(b'{"query":"SELECT 1","outputFormat":"CSV","compression":"NONE",'
                              b'"output":{"target":"S3"}}')),
    create("C13", "announced, but plain, as one SDK does", 200, "v1_accepted",
           headers={"content-encoding": "gzip"}),
]  # fmt: skip

D = [
    *(Row("D2", f"v1: {title}", "POST", JOBS, 400, "v1_not_json", headers=JSON, content=content)
      for title, content in {"broken JSON": b'{"query": ', "a list": b"[]", "nothing": b"",
                            "deep nesting": b"[" * 100_000}.items()),
    create("D2", "401 without a token", 401, "v1_401", token="none"),
    create("D2", "401 with a bad one", 401, "v1_401", token="bad"),
    create("D2", "403 without the scope", 403, token="reader"),
    cancel("D2", "403 without the scope to cancel", 403, token="reader"),
    Row("D2", "v1: 404 beside the paths", "GET", JOBS + "/a/b", 404, "v1_404"),
    Row("D2", "v1: 405", "PUT", JOBS, 405, "v1_405", response_headers={"allow": "GET, HEAD, POST"}),
    Row("D2", "v1: 413", "POST", JOBS, 413, "v1_error", headers=JSON, content=b" " * 9_000_000),
    Row("D2", "v1: 415 for a form", "POST", JOBS, 415, "v1_415", headers=FORM, content=b"a=b"),
    create("D2", "429 when the rate is used up", 429, fixture="rate_used_up",
           response_headers={"retry-after": "1"}),
    create("D2", "429 when the queue is full (contract H14)", 429, fixture="queue_full",
           response_headers={"retry-after": "*"}),
    create("D2", "500 has no details", 500, fixture="broken"),
    create("D2", "503 while draining", 503, fixture="draining",
           response_headers={"retry-after": "1"}),
    create("D2", "504", 504, fixture="hanging"),
    create("D3", "rate and concurrency headers", 200, "v1_accepted", response_headers=LIMITS),
    get("D3", "on reads", 200, "v1_accepted", response_headers=LIMITS),
    listed("D3", "on lists", 200, "v1_list", response_headers=LIMITS),
    Row("D3", "v1: on errors", "GET", NO_JOB, 404, "v1_error", response_headers=LIMITS),
    Row("D3", "no concurrency headers on v2", "GET", "/v2/query_runs", 200, "list",
        response_headers={"concurrency-limit-limit": None}),
]  # fmt: skip

V1_ROWS = [*A, *B, *C, *D]

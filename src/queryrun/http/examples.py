"""Example bodies of the document. A test validates each against its schema."""

from __future__ import annotations

from queryrun.http.parameters import ID

CREATOR = "1c7d3b4e-1111-4b6a-9a7e-5b8f2f7a0001"
SQL = "SELECT id, balance FROM account WHERE balance > 100"
FILE_ID = f"{ID}_1833251171549653.csv.gz"

CREATE: dict[str, object] = {
    "sql": SQL,
    "content_type": "csv",
    "content_encoding": "gzip",
    "read_deleted": False,
}
CREATE_DSV: dict[str, object] = {
    "sql": SQL,
    "content_type": "dsv",
    "column_separator": "|",
    "tags": {"team": "billing"},
    "timeout_seconds": 600,
}
BASE: dict[str, object] = {
    "created_by_id": CREATOR,
    "id": ID,
    "sql": SQL,
    "remaining_attempts": 3,
    "updated_time": "2026-11-24T00:10:00.512Z",
}
ACCEPTED: dict[str, object] = {**BASE, "state": "accepted"}
COMPLETE: dict[str, object] = {
    **BASE,
    "updated_time": "2026-11-24T00:10:07.031Z",
    "file": {
        "id": FILE_ID,
        "url": f"https://queries.example.net/files/{FILE_ID}?expires=1795493407&signature=5c1f",
        "content_type": "csv",
        "type": "query_run",
    },
    "number_of_rows": 4639,
    "processing_duration": 6519,
    "state": "complete",
}
FAILED: dict[str, object] = {
    **BASE,
    "sql": "SELECT id FROM acount",
    "state": "failed",
}
FAILED_WITH_ERROR: dict[str, object] = {
    **FAILED,
    "error": {
        "code": "name_not_found",
        "message": "Table 'acount' does not exist",
        "retryable": False,
        "line": 1,
        "column": 16,
    },
}
CANCELED: dict[str, object] = {**BASE, "state": "canceled"}
ONLY_IDS: dict[str, object] = {"request_id": "0d1c7f0a-9f0b-4c1e-8a53-6a7f2b1c9d10"}
REQUEST: dict[str, object] = {
    **ONLY_IDS,
    "state": "succeeded",
    "method": "POST",
    "path": "/v2/query_runs",
    "created_time": "2026-11-24T00:10:00.500Z",
    "completed_time": "2026-11-24T00:10:00.512Z",
    "status": 201,
    "body": ACCEPTED,
    "data": {"id": ID},
}
USED: dict[str, object] = {
    "attempts": 2,
    "attempts_by_cause": [
        {"outcome": "complete", "cause": "complete", "count": 1},
        {"outcome": "requeued", "cause": "node_lost", "count": 1},
    ],
    "attempts_not_counted": 1,
    "cpu_ms": 8120,
    "wall_ms": 7034,
    "peak_memory_bytes": 412090368,
    "read_bytes": 27299860,
    "read_rows": 3000000,
    "spilled_bytes": 0,
    "written_bytes": 103122,
    "result_rows": 5212,
    "downloads": 1,
    "downloaded_bytes": 103122,
}
USAGE: dict[str, object] = {
    "next_page": None,
    "first_day": "2026-11-01",
    "last_day": "2026-11-24",
    "data": [
        {
            "day": "2026-11-24",
            "tag": "billing",
            "runs": {"complete": 1, "failed": 0, "canceled": 0},
            **USED,
        }
    ],
}
LIST: dict[str, object] = {"next_page": "AAAAAAAAACo9cYh2m1b0X1v8x2o", "data": [CANCELED]}
ROWS: dict[str, object] = {
    "columns": ["id", "balance"],
    "rows": [["1", "100.50"], ["2", None]],
    "offset": 0,
    "number_of_rows": 4639,
    "more": True,
}
TABLE: dict[str, object] = {
    "name": "account",
    "columns": [
        {"name": "id", "type": "varchar", "extra": "", "comment": ""},
        {"name": "balance", "type": "decimal(18,6)", "extra": "", "comment": ""},
    ],
    "problem": None,
    "format": "parquet",
    "files": 1,
    "size_bytes": 48213,
    "rows": 4639,
    "version": "5f0c3a9e1b7d2468",
    "warnings": [],
}
TABLES: dict[str, object] = {"data": [TABLE]}
TOKEN_FORM: dict[str, object] = {
    "client_id": CREATOR,
    "client_secret": "wJ4kQ9sT2vX7zB1nM5pR8uE3yH6aD0cF4gL2iO7kS1",
    "grant_type": "client_credentials",
}
REVOKE_FORM: dict[str, object] = {
    "client_id": CREATOR,
    "client_secret": "wJ4kQ9sT2vX7zB1nM5pR8uE3yH6aD0cF4gL2iO7kS1",
    "token": "qrt_" + "3f0c" * 16,
}
TOKEN: dict[str, object] = {
    "access_token": "qrt_" + "3f0c" * 16,
    "expires_in": 3599,
    "jti": "0d1c7f0a9f0b4c1e8a536a7f2b1c9d10",
    "scope": f"user.{CREATOR.replace('-', '')} tenant.default",
    "token_type": "bearer",
}


def problem(kind: str, code: str, parameter: str, message: str) -> dict[str, object]:
    """A refusal with one entry."""
    entry = {"code": code, "parameter": parameter, "message": message}
    return {"type": kind, "errors": [entry], "retryable": False}


BAD_REQUEST = problem("bad_request", "invalid_parameter", "sql", "'sql' is required")
TOO_LATE = problem(
    "bad_request",
    "run_already_complete",
    "query_run_id",
    f"Query run {ID} is not in accepted or in_progress state",
)

DRAFT: dict[str, object] = {"sql": "SELECT id FROM account"}

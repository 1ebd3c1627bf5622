"""The v2 face: /v2/query_runs (contract A2, A3, A4, A5, D1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from urllib.parse import quote, urlencode

from queryrun_client.effects import Request, Response
from queryrun_client.errors import Refused
from queryrun_client.model import FileInfo, RunError, RunInfo, RunQuery, Submission, state_of
from queryrun_client.wire import (
    JSON_HEADERS,
    Page,
    id_of,
    items_of,
    mapping_of,
    name_in,
    number_of,
    object_of,
    object_or_none,
    posted,
    refused_by,
    text_of,
    time_of,
    waiting,
    whole_of,
)

V2_PAGE = 99
"""Largest page (contract C5)."""

SHOWN = (
    "created_by_id,id,sql,remaining_attempts,updated_time,file,number_of_rows,"
    "processing_duration,state,column_separator,error"
)
SHOWN_TOO = (
    "created_time,started_time,queue_position,waiting_for,progress,cancellation,tags,source,"
    "content_type,content_encoding"
)
"""What is asked for in `fields[]`: the contract's fields, and our own (contract H10)."""


@dataclass(slots=True)
class V2Face:
    """/v2/query_runs."""

    base: str
    extensions: bool = True
    """Whether reads ask for fields of ours; cleared for a server that refuses unknown names."""

    def submit(self, wish: Submission, key: str) -> Request:
        """`POST /v2/query_runs`; our own properties only when they are set."""
        body: dict[str, Any] = {"sql": wish.sql, "content_type": wish.content_type}
        optional = {
            "content_encoding": None if wish.content_encoding == "none" else wish.content_encoding,
            "column_separator": wish.column_separator,
            "encryption_key": wish.encryption_key,
            "read_deleted": wish.read_deleted or None,
            "source": wish.source,
            "timeout_seconds": wish.timeout_s,
            "tags": None if wish.tags is None else dict(wish.tags),
        }
        body |= {name: value for name, value in optional.items() if value is not None}
        return posted(f"{self.base}/v2/query_runs", body, key)

    def read(self, run_id: str, wait_s: float = 0.0) -> Request:
        """`GET /v2/query_runs/{id}` with everything the server can tell."""
        return waiting(Request("GET", f"{self._path(run_id)}?{self._fields()}"), wait_s)

    def cancel(self, run_id: str, key: str, wait_s: float) -> Request:
        """`POST /v2/query_runs/{id}/cancel`, without a body (contract A4)."""
        request = Request("POST", f"{self._path(run_id)}/cancel", JSON_HEADERS)
        return waiting(request.with_headers(idempotency_key=key), wait_s)

    def listing(self, query: RunQuery, cursor: str | None) -> Request:
        """`GET /v2/query_runs` (contract H13)."""
        size = min(query.limit or V2_PAGE, V2_PAGE)
        pairs = [("page_size", str(size))] + [("filter[]", text) for text in _clauses(query)]
        if cursor is not None:
            pairs.append(("cursor", cursor))
        url = f"{self.base}/v2/query_runs?{urlencode(pairs)}&{self._fields()}"
        return Request("GET", url, JSON_HEADERS)

    def run(self, response: Response) -> RunInfo:
        """The run in an answer."""
        return _run_of_v2(object_of(response))

    def page(self, response: Response) -> Page:
        """The runs in an answer."""
        content = object_of(response)
        return Page([_run_of_v2(item) for item in items_of(content)], content.get("next_page"))

    def refusal(self, response: Response) -> Refused:
        """The first entry of `errors`, or the answer's type where there is none."""
        content = object_or_none(response) or {}
        entries = content.get("errors") or [{}]
        entry = entries[0] if isinstance(entries[0], dict) else {}
        word = str(entry.get("code") or content.get("type") or "error")
        message = "; ".join(str(e.get("message")) for e in entries if e.get("message")) or word
        return refused_by(response, word, message, entry.get("parameter"))

    def ended_before(self, error: Refused) -> bool:
        """400 with a code that names the state, or at least the documented text (contract B4)."""
        return error.status == 400 and (
            error.code.startswith("run_already_") or "accepted or in_progress" in error.message
        )

    def _path(self, run_id: str) -> str:
        return f"{self.base}/v2/query_runs/{quote(run_id, safe='')}"

    def _fields(self) -> str:
        shown = f"{SHOWN},{SHOWN_TOO}" if self.extensions else SHOWN
        return urlencode({"fields[]": shown})


def _clauses(query: RunQuery) -> list[str]:
    clauses = []
    if query.state is not None:
        clauses.append(f"state.EQ:{query.state.value}")
    if query.source is not None:
        clauses.append(f"source.EQ:{query.source}")
    if query.since is not None:
        clauses.append(f"created_time.GE:{query.since.astimezone(UTC).isoformat()}")
    return clauses


def _run_of_v2(item: Mapping[str, Any]) -> RunInfo:
    progress = mapping_of(item.get("progress")) or {}
    rows = item.get("number_of_rows")
    return RunInfo(
        id=id_of(item),
        state=state_of(item.get("state")),
        sql=str(item.get("sql", "")),
        source=text_of(item.get("source")),
        content_type=text_of(item.get("content_type")),
        content_encoding=text_of(item.get("content_encoding")),
        column_separator=text_of(item.get("column_separator")),
        number_of_rows=whole_of(progress.get("rows") if rows is None else rows),
        percent=number_of(progress.get("percent")),
        processing_ms=whole_of(item.get("processing_duration")),
        remaining_attempts=whole_of(item.get("remaining_attempts")),
        queue_position=whole_of(item.get("queue_position")),
        waiting_for=text_of(item.get("waiting_for")),
        created_time=time_of(item.get("created_time")),
        started_time=time_of(item.get("started_time")),
        updated_time=time_of(item.get("updated_time")),
        file=_file_of_v2(mapping_of(item.get("file"))),
        error=_error_of_v2(mapping_of(item.get("error"))),
        cancellation=mapping_of(item.get("cancellation")),
        tags=mapping_of(item.get("tags")),
        raw=item,
    )


def _file_of_v2(item: Mapping[str, Any] | None) -> FileInfo | None:
    if item is None or not item.get("url"):
        return None
    return FileInfo(
        id=str(item.get("id") or name_in(str(item["url"]))),
        url=str(item["url"]),
        content_type=str(item.get("content_type", "")),
        size_bytes=whole_of(item.get("size")),
        sha256=text_of(item.get("sha256")),
    )


def _error_of_v2(item: Mapping[str, Any] | None) -> RunError | None:
    if item is None:
        return None
    return RunError(
        code=str(item.get("code", "unknown")),
        message=str(item.get("message", "the run failed")),
        retryable=item.get("retryable") is True,
        line=whole_of(item.get("line")),
        column=whole_of(item.get("column")),
    )

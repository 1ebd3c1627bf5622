"""Version 2 of the API: /v2/query_runs (contract A2, A3, A4, A5, D1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any
from urllib.parse import quote, unquote, urlencode
from uuid import uuid4

from queryrun_client.effects import Request, Response
from queryrun_client.errors import Refused
from queryrun_client.model import (
    Column,
    DryRun,
    FileInfo,
    RunError,
    RunInfo,
    RunQuery,
    State,
    Submission,
    Table,
    TableEstimate,
)
from queryrun_client.parameters import parameters_of
from queryrun_client.wire import (
    JSON_HEADERS,
    Page,
    id_of,
    int_of,
    items_of,
    mapping_of,
    name_in,
    number_of,
    object_of,
    object_or_none,
    post_request,
    refusal_error,
    state_of,
    text_of,
    time_of,
    with_wait,
)

V2_PAGE = 99
"""Largest page (contract C5)."""

CONTRACT_FIELDS = (
    "created_by_id,id,sql,remaining_attempts,updated_time,file,number_of_rows,"
    "processing_duration,state,column_separator"
)
EXTENSION_FIELDS = (
    "error,created_time,started_time,queue_position,waiting_for,progress,cancellation,tags,parameters,source,"
    "content_type,content_encoding,columns,file.size,file.sha256"
)
"""The fields requested in `fields[]`: the contract's, and our own (contract H10)."""


@dataclass(slots=True)
class ApiV2:
    """/v2/query_runs."""

    base: str
    extensions: bool = True
    """Whether reads request our own fields; cleared for a server that refuses unknown names."""

    def submit(self, submission: Submission, key: str) -> Request:
        """`POST /v2/query_runs`; our own properties only when they are set."""
        body: dict[str, Any] = {"sql": submission.sql, "content_type": submission.content_type}
        optional = {
            "content_encoding": None
            if submission.content_encoding == "none"
            else submission.content_encoding,
            "column_separator": submission.column_separator,
            "encryption_key": submission.encryption_key,
            "read_deleted": submission.read_deleted or None,
            "source": submission.source,
            "timeout_seconds": submission.timeout_s,
            "tags": None if submission.tags is None else dict(submission.tags),
            "notify_url": submission.notify_url,
            "cancel_on_disconnect": submission.cancel_on_disconnect_s,
            "keep": submission.keep or None,
            "parameters": parameters_of(submission.parameters) if submission.parameters else None,
        }
        body |= {name: value for name, value in optional.items() if value is not None}
        return post_request(f"{self.base}/v2/query_runs", body, key)

    def dry_run(self, submission: Submission) -> Request:
        """The same with `dry_run=true`, which makes no run."""
        request = self.submit(submission, str(uuid4()))
        return replace(request, url=f"{request.url}?dry_run=true")

    def estimate(self, response: Response) -> DryRun:
        """Read the response of `dry_run`."""
        return _dry_run_of_v2(object_of(response))

    def read(self, run_id: str, wait_s: float = 0.0) -> Request:
        """`GET /v2/query_runs/{id}` with every field."""
        return with_wait(Request("GET", f"{self._path(run_id)}?{self._fields()}"), wait_s)

    def cancel(self, run_id: str, key: str, wait_s: float) -> Request:
        """`POST /v2/query_runs/{id}/cancel`, without a body (contract A4)."""
        request = Request("POST", f"{self._path(run_id)}/cancel", JSON_HEADERS)
        return with_wait(request.with_headers(idempotency_key=key), wait_s)

    def listing(self, query: RunQuery, cursor: str | None) -> Request:
        """`GET /v2/query_runs` (contract H13)."""
        size = min(query.limit or V2_PAGE, V2_PAGE)
        pairs = [("page_size", str(size))] + [("filter[]", text) for text in _clauses(query)]
        if cursor is not None:
            pairs.append(("cursor", cursor))
        url = f"{self.base}/v2/query_runs?{urlencode(pairs)}&{self._fields()}"
        return Request("GET", url, JSON_HEADERS)

    def run(self, response: Response) -> RunInfo:
        """The run in a response. Why it failed may be in headers alone (contract H10)."""
        item = object_of(response)
        if "error" not in item and (error := _error_in_headers(response.headers)) is not None:
            item = {**item, "error": error}
        return _run_of_v2(item)

    def page(self, response: Response) -> Page:
        """The runs in a response."""
        content = object_of(response)
        return Page([_run_of_v2(item) for item in items_of(content)], content.get("next_page"))

    def refusal(self, response: Response) -> Refused:
        """The messages in `errors`, with the first code; the response's `type` without any."""
        content = object_or_none(response) or {}
        entries = content.get("errors") or [{}]
        entry = entries[0] if isinstance(entries[0], dict) else {}
        code = str(entry.get("code") or content.get("type") or "error")
        message = "; ".join(str(e.get("message")) for e in entries if e.get("message")) or code
        return refusal_error(response, code, message, entry.get("parameter"))

    def tables(self, source: str | None) -> Request:
        """`GET /v2/tables`."""
        return Request("GET", f"{self.base}/v2/tables{_of_source(source)}", JSON_HEADERS)

    def table(self, name: str, source: str | None) -> Request:
        """`GET /v2/tables/{name}`."""
        url = f"{self.base}/v2/tables/{quote(name, safe='')}{_of_source(source)}"
        return Request("GET", url, JSON_HEADERS)

    def sources(self) -> Request:
        """`GET /v2/options`."""
        return Request("GET", f"{self.base}/v2/options", JSON_HEADERS)

    def source_names(self, response: Response) -> list[str]:
        """The names in `sources`."""
        items = object_of(response).get("sources")
        return [str(one.get("name")) for one in items or () if isinstance(one, dict)]

    def table_list(self, response: Response) -> list[Table]:
        """The tables in `data`."""
        return [_table_of_v2(item) for item in items_of(object_of(response))]

    def table_of(self, response: Response) -> Table:
        """The table that the response is."""
        return _table_of_v2(object_of(response))

    def is_already_finished(self, error: Refused) -> bool:
        """400 with a code that names the state, or with the documented message (contract B4)."""
        return error.status == 400 and (
            error.code.startswith("run_already_") or "accepted or in_progress" in error.message
        )

    def _path(self, run_id: str) -> str:
        return f"{self.base}/v2/query_runs/{quote(run_id, safe='')}"

    def _fields(self) -> str:
        names = f"{CONTRACT_FIELDS},{EXTENSION_FIELDS}" if self.extensions else CONTRACT_FIELDS
        return urlencode({"fields[]": names})


def _clauses(query: RunQuery) -> list[str]:
    """Some servers ignore filters, so `core` applies them again."""
    clauses = []
    if query.state is not None:
        clauses.append(f"state.EQ:{State(query.state).value}")
    if query.source is not None:
        clauses.append(f"source.EQ:{query.source}")
    if query.since is not None:
        clauses.append(f"created_time.GE:{query.since.astimezone(UTC).isoformat()}")
    clauses += [f"tags[{name}].EQ:{value}" for name, value in query.tags.items()]
    return clauses


def _run_of_v2(item: Mapping[str, Any]) -> RunInfo:
    """Rows so far are in `progress` until the run has a final number."""
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
        number_of_rows=int_of(progress.get("rows") if rows is None else rows),
        percent=number_of(progress.get("percent")),
        processing_ms=int_of(item.get("processing_duration")),
        remaining_attempts=int_of(item.get("remaining_attempts")),
        queue_position=int_of(item.get("queue_position")),
        waiting_for=text_of(item.get("waiting_for")),
        created_time=time_of(item.get("created_time")),
        started_time=time_of(item.get("started_time")),
        updated_time=time_of(item.get("updated_time")),
        file=_file_of_v2(mapping_of(item.get("file"))),
        columns=_columns_of_v2(item.get("columns")),
        error=_error_of_v2(mapping_of(item.get("error"))),
        cancellation=mapping_of(item.get("cancellation")),
        tags=mapping_of(item.get("tags")),
        raw=item,
    )


def _of_source(source: str | None) -> str:
    return "" if source is None else f"?{urlencode({'source': source})}"


def _table_of_v2(item: Mapping[str, Any]) -> Table:
    warnings = item.get("warnings")
    return Table(
        name=str(item.get("name", "")),
        columns=_columns_of_v2(item.get("columns")),
        problem=text_of(item.get("problem")),
        format=text_of(item.get("format")),
        files=int_of(item.get("files")),
        size_bytes=int_of(item.get("size_bytes")),
        rows=int_of(item.get("rows")),
        version=None if item.get("version") is None else str(item["version"]),
        warnings=tuple(map(str, warnings)) if isinstance(warnings, list) else (),
        raw=item,
    )


def _file_of_v2(item: Mapping[str, Any] | None) -> FileInfo | None:
    """None also without a URL: a file that cannot be fetched is no file to a caller."""
    if item is None or not item.get("url"):
        return None
    return FileInfo(
        id=str(item.get("id") or name_in(str(item["url"]))),
        url=str(item["url"]),
        content_type=str(item.get("content_type", "")),
        size_bytes=int_of(item.get("size")),
        sha256=text_of(item.get("sha256")),
    )


def _dry_run_of_v2(item: Mapping[str, Any]) -> DryRun:
    return DryRun(
        source=str(item.get("source", "")),
        error=_error_of_v2(mapping_of(item.get("error"))),
        columns=_columns_of_v2(item.get("columns")),
        bytes_read=int_of(item.get("bytes_read")),
        rows_read=int_of(item.get("rows_read")),
        certainty=str(item.get("certainty", "unknown")),
        refused_by=mapping_of(item.get("refused_by")),
        tables=tuple(_estimate_of_v2(one) for one in item.get("tables") or ()),
        raw=item,
    )


def _estimate_of_v2(item: Mapping[str, Any]) -> TableEstimate:
    columns = item.get("columns")
    counts = ("files", "all_files", "partitions", "all_partitions", "bytes_read", "rows_read")
    return TableEstimate(
        name=str(item.get("name", "")),
        columns=None if columns is None else tuple(map(str, columns)),
        certainty=str(item.get("certainty", "unknown")),
        **{name: int_of(item.get(name)) for name in counts},
    )


def _columns_of_v2(items: object) -> tuple[Column, ...] | None:
    """None unless all of them are there: a reader takes them for the whole file."""
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return None
    return tuple(Column(str(item.get("name")), str(item.get("type"))) for item in items)


def _error_in_headers(headers: Mapping[str, str]) -> dict[str, object] | None:
    code = headers.get("queryrun-error-code")
    message = unquote(headers.get("queryrun-error-message", ""))
    return None if code is None else {"code": code, "message": message or code}


def _error_of_v2(item: Mapping[str, Any] | None) -> RunError | None:
    """Defaults for every field, so that an incomplete error never hides the failure."""
    if item is None:
        return None
    return RunError(
        code=str(item.get("code", "unknown")),
        message=str(item.get("message", "the run failed")),
        retryable=item.get("retryable") is True,
        line=int_of(item.get("line")),
        column=int_of(item.get("column")),
    )

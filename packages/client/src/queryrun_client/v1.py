"""Version 1 of the API: /query/jobs (contract A6, A7, A8, A9, A10, D2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from queryrun_client.effects import Request, Response
from queryrun_client.errors import Refused, UnexpectedResponse, Unsupported
from queryrun_client.formats import FORMATS
from queryrun_client.model import (
    DryRun,
    FileInfo,
    RunError,
    RunInfo,
    RunQuery,
    State,
    Submission,
    Table,
)
from queryrun_client.wire import (
    JSON_HEADERS,
    Page,
    id_of,
    int_of,
    items_of,
    name_in,
    object_of,
    object_or_none,
    post_request,
    refusal_error,
    state_of,
    text_of,
    time_of,
    with_wait,
)

V1_PAGE = 1000
"""Largest page (contract A7)."""

V1_STATES = {State.COMPLETE: "completed", State.CANCELED: "cancelled", State.PENDING: "submitted"}


@dataclass(slots=True)
class ApiV1:
    """/query/jobs."""

    base: str

    def submit(self, submission: Submission, key: str) -> Request:
        """`POST /query/jobs`. `Unsupported` for tags, parameters, a timeout and who is told."""
        if submission.tags or submission.parameters or submission.timeout_s is not None:
            raise Unsupported("tags, parameters and timeout_s do not exist in v1")
        if submission.notify_url or submission.cancel_on_disconnect_s is not None:
            message = "notify_url and cancel_on_disconnect_s do not exist in v1"
            raise Unsupported(message)
        body: dict[str, Any] = {
            "query": submission.sql,
            "outputFormat": submission.content_type.upper(),
            "compression": submission.content_encoding.upper(),
            "output": {"target": "S3"},
        }
        optional = {
            "columnSeparator": submission.column_separator,
            "encryptionKey": submission.encryption_key,
            "readDeleted": submission.read_deleted or None,
            "sourceData": submission.source and submission.source.upper(),
        }
        body |= {name: value for name, value in optional.items() if value is not None}
        return post_request(f"{self.base}/query/jobs", body, key)

    def read(self, run_id: str, wait_s: float = 0.0) -> Request:
        """`GET /query/jobs/{id}`."""
        return with_wait(Request("GET", self._path(run_id)), wait_s)

    def cancel(self, run_id: str, _key: str, wait_s: float, /) -> Request:
        """`DELETE /query/jobs/{id}`, without a key, which DELETE must not carry (contract C11).

        Sending it twice is harmless, because a read returns the run's final state.
        """
        return with_wait(Request("DELETE", self._path(run_id)), wait_s)

    def listing(self, query: RunQuery, _cursor: str | None, /) -> Request:
        """`GET /query/jobs`: one page, there is no cursor (contract A7)."""
        narrowed = query.since is not None or query.source is not None
        size = V1_PAGE if query.limit is None or narrowed else min(query.limit, V1_PAGE)
        pairs = {"pageSize": str(size)}
        if query.state is not None:
            state = State(query.state)
            pairs["queryStatus"] = V1_STATES.get(state, state.value)
        return Request("GET", f"{self.base}/query/jobs?{urlencode(pairs)}", JSON_HEADERS)

    def run(self, response: Response) -> RunInfo:
        """The run in `data`."""
        data = object_of(response).get("data")
        if not isinstance(data, dict):
            raise UnexpectedResponse("the response has no job")
        return _run_of_v1(data)

    def page(self, response: Response) -> Page:
        """The runs in `data`."""
        return Page([_run_of_v1(item) for item in items_of(object_of(response))])

    def refusal(self, response: Response) -> Refused:
        """`{code, message}`, or `{message}` alone (contract D2)."""
        content = object_or_none(response) or {}
        message = str(content.get("message") or f"HTTP {response.status}")
        return refusal_error(response, str(content.get("code") or response.status), message, None)

    def dry_run(self, _submission: Submission) -> Request:
        """Always `Unsupported`."""
        raise Unsupported("v1 has no dry run")

    def estimate(self, _response: Response) -> DryRun:
        """Never called: there is no request for it."""
        raise NotImplementedError

    def tables(self, _source: str | None) -> Request:
        """Always `Unsupported`: SHOW TABLES is a statement there."""
        raise Unsupported("v1 has no list of tables: run SHOW TABLES")

    def table(self, _name: str, _source: str | None) -> Request:
        """Always `Unsupported`: DESCRIBE is a statement there."""
        raise Unsupported("v1 has no list of tables: run DESCRIBE and a table's name")

    def sources(self) -> Request:
        """Always `Unsupported`."""
        raise Unsupported("v1 has no list of sources")

    def source_names(self, _response: Response) -> list[str]:
        """Never called: there is no request for it."""
        raise NotImplementedError

    def table_list(self, _response: Response) -> list[Table]:
        """Never called: there is no request for it."""
        raise NotImplementedError

    def table_of(self, _response: Response) -> Table:
        """Never called: there is no request for it."""
        raise NotImplementedError

    def is_already_finished(self, error: Refused) -> bool:
        """400 and this message, also from the hosted service (contract A9)."""
        return error.status == 400 and "accepted or in_progress" in error.message

    def _path(self, run_id: str) -> str:
        return f"{self.base}/query/jobs/{quote(run_id, safe='')}"


def _run_of_v1(item: Mapping[str, Any]) -> RunInfo:
    """v1 has no format and no error code: the format follows from the file name."""
    state = state_of(item.get("queryStatus"))
    link = text_of(item.get("dataFile"))
    message = item.get("errorMessage")
    name = name_in(link) if link else ""
    return RunInfo(
        id=id_of(item),
        state=state,
        sql=str(item.get("query", "")),
        source=(text_of(item.get("sourceData")) or "").lower() or None,
        content_type=_format_in(name) or None,
        number_of_rows=int_of(item.get("outputRows")),
        processing_ms=int_of(item.get("processingTime")),
        remaining_attempts=int_of(item.get("remainingRetries")),
        created_time=time_of(item.get("createdOn")),
        updated_time=time_of(item.get("updatedOn")),
        file=FileInfo(name, link, _format_in(name)) if link else None,
        error=RunError("unknown", str(message)) if message else None,
        raw=item,
    )


def _format_in(name: str) -> str:
    """The format by the name of the file, `<run id>_<digits>.<ext>…` (contract F4)."""
    names = {*FORMATS, "jsonl"}
    return next((part for part in name.lower().split(".")[1:] if part in names), "")

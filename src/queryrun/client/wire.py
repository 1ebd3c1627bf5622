"""The two faces' wire formats: requests out of intentions, runs and refusals out of answers.

`V2Face` speaks /v2/query_runs (contract A2-A5, D1), `V1Face` /query/jobs (A6-A10, D2). Nothing
else in the client knows a path or a property's name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlencode, urlsplit

from queryrun.client.effects import Request, Response
from queryrun.client.errors import Refusal, Refused, UnexpectedAnswer, Unsupported, refused
from queryrun.client.model import (
    FileInfo,
    RunError,
    RunInfo,
    RunQuery,
    State,
    Submission,
    state_of,
)

JSON_HEADERS = {"accept": "application/json"}
V2_PAGE = 99
V1_PAGE = 1000
"""Largest pages (contract C5, A7)."""

SHOWN = (
    "created_by_id,id,sql,remaining_attempts,updated_time,file,number_of_rows,"
    "processing_duration,state,column_separator,error"
)
SHOWN_TOO = (
    "created_time,started_time,queue_position,waiting_for,progress,cancellation,tags,source,"
    "content_type,content_encoding"
)
"""What is asked for in `fields[]`: the contract's fields, and our own (H10)."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some runs, and the cursor of the next page."""

    runs: list[RunInfo]
    cursor: str | None = None


class Face(Protocol):
    """One spelling of the API."""

    def submit(self, wish: Submission, key: str) -> Request:
        """Accept a statement as a run, once per key."""
        ...

    def read(self, run_id: str, wait_s: float = 0.0) -> Request:
        """Read a run; a server that honours `Prefer: wait` answers at its end or after `wait_s`."""
        ...

    def cancel(self, run_id: str, key: str, wait_s: float, /) -> Request:
        """Ask a run to stop."""
        ...

    def listing(self, query: RunQuery, cursor: str | None, /) -> Request:
        """One page of runs, newest first."""
        ...

    def run(self, response: Response) -> RunInfo:
        """The run in an answer."""
        ...

    def page(self, response: Response) -> Page:
        """The runs in an answer."""
        ...

    def refusal(self, response: Response) -> Refused:
        """The error in an answer."""
        ...

    def ended_before(self, error: Refused) -> bool:
        """Whether a cancel was refused because the run had ended; a read then says how."""
        ...


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
        return _posted(f"{self.base}/v2/query_runs", body, key)

    def read(self, run_id: str, wait_s: float = 0.0) -> Request:
        """`GET /v2/query_runs/{id}` with everything the server can tell."""
        return _waiting(Request("GET", f"{self._path(run_id)}?{self._fields()}"), wait_s)

    def cancel(self, run_id: str, key: str, wait_s: float) -> Request:
        """`POST /v2/query_runs/{id}/cancel`, without a body (contract A4)."""
        request = Request("POST", f"{self._path(run_id)}/cancel", JSON_HEADERS)
        return _waiting(request.with_headers(idempotency_key=key), wait_s)

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
        return _run_of_v2(_object(response))

    def page(self, response: Response) -> Page:
        """The runs in an answer."""
        content = _object(response)
        return Page([_run_of_v2(item) for item in _items(content)], content.get("next_page"))

    def refusal(self, response: Response) -> Refused:
        """The first entry of `errors`, or the answer's type where there is none."""
        content = _object_or_none(response) or {}
        entries = content.get("errors") or [{}]
        entry = entries[0] if isinstance(entries[0], dict) else {}
        word = str(entry.get("code") or content.get("type") or "error")
        message = "; ".join(str(e.get("message")) for e in entries if e.get("message")) or word
        return _refused(response, word, message, entry.get("parameter"))

    def ended_before(self, error: Refused) -> bool:
        """Contract B4: 400 with a code that names the state, or at least the documented text."""
        return error.status == 400 and (
            error.code.startswith("run_already_") or "accepted or in_progress" in error.message
        )

    def _path(self, run_id: str) -> str:
        return f"{self.base}/v2/query_runs/{quote(run_id, safe='')}"

    def _fields(self) -> str:
        shown = f"{SHOWN},{SHOWN_TOO}" if self.extensions else SHOWN
        return urlencode({"fields[]": shown})


V1_STATES = {State.COMPLETE: "completed", State.CANCELED: "cancelled", State.PENDING: "submitted"}


@dataclass(slots=True)
class V1Face:
    """/query/jobs."""

    base: str

    def submit(self, wish: Submission, key: str) -> Request:
        """`POST /query/jobs`. Tags and a time limit are not in this face: an error, not a loss."""
        if wish.tags or wish.timeout_s is not None:
            raise Unsupported("tags and timeout_s do not exist on the v1 face")
        body: dict[str, Any] = {
            "query": wish.sql,
            "outputFormat": wish.content_type.upper(),
            "compression": wish.content_encoding.upper(),
            "output": {"target": "S3"},
        }
        optional = {
            "columnSeparator": wish.column_separator,
            "encryptionKey": wish.encryption_key,
            "readDeleted": wish.read_deleted or None,
            "sourceData": wish.source and wish.source.upper(),
        }
        body |= {name: value for name, value in optional.items() if value is not None}
        return _posted(f"{self.base}/query/jobs", body, key)

    def read(self, run_id: str, wait_s: float = 0.0) -> Request:
        """`GET /query/jobs/{id}`."""
        return _waiting(Request("GET", self._path(run_id)), wait_s)

    def cancel(self, run_id: str, _key: str, wait_s: float, /) -> Request:
        """`DELETE /query/jobs/{id}`: no key, which DELETE must not carry (contract C11); asking
        twice is harmless, because a read tells how the run ended."""
        return _waiting(Request("DELETE", self._path(run_id)), wait_s)

    def listing(self, query: RunQuery, _cursor: str | None, /) -> Request:
        """`GET /query/jobs`: one page, there is no cursor (contract A7)."""
        narrowed = query.since is not None or query.source is not None
        size = V1_PAGE if query.limit is None or narrowed else min(query.limit, V1_PAGE)
        pairs = {"pageSize": str(size)}
        if query.state is not None:
            pairs["queryStatus"] = V1_STATES.get(query.state, query.state.value)
        return Request("GET", f"{self.base}/query/jobs?{urlencode(pairs)}", JSON_HEADERS)

    def run(self, response: Response) -> RunInfo:
        """The run in `data`."""
        data = _object(response).get("data")
        if not isinstance(data, dict):
            raise UnexpectedAnswer("the answer holds no job")
        return _run_of_v1(data)

    def page(self, response: Response) -> Page:
        """The runs in `data`."""
        return Page([_run_of_v1(item) for item in _items(_object(response))])

    def refusal(self, response: Response) -> Refused:
        """`{code, message}`, or `{message}` alone (contract D2)."""
        content = _object_or_none(response) or {}
        message = str(content.get("message") or f"HTTP {response.status}")
        return _refused(response, str(content.get("code") or response.status), message, None)

    def ended_before(self, error: Refused) -> bool:
        """Contract A9: 400 and this text, on the real service too."""
        return error.status == 400 and "accepted or in_progress" in error.message

    def _path(self, run_id: str) -> str:
        return f"{self.base}/query/jobs/{quote(run_id, safe='')}"


def face_of(name: str, url: str) -> Face:
    """The face called `v2` or `v1` of the server at `url` (with or without a trailing /v2)."""
    if not url.startswith(("http://", "https://")):
        raise Unsupported("the server's address must begin with http:// or https://")
    base = url.rstrip("/").removesuffix("/v2")
    if name == "v2":
        return V2Face(base)
    if name == "v1":
        return V1Face(base)
    raise Unsupported(f"there is no face {name!r}: use v2 or v1")


# --- requests ---------------------------------------------------------------------------------


def _posted(url: str, body: dict[str, Any], key: str) -> Request:
    headers = {**JSON_HEADERS, "content-type": "application/json", "idempotency-key": key}
    return Request("POST", url, headers, json.dumps(body).encode())


def _waiting(request: Request, wait_s: float) -> Request:
    request = request.with_headers(accept="application/json")
    if wait_s < 1:
        return request
    whole_s = int(wait_s)
    waiting = request.with_headers(prefer=f"wait={whole_s}")
    return Request(waiting.method, waiting.url, waiting.headers, waiting.body, whole_s)


def _clauses(query: RunQuery) -> list[str]:
    clauses = []
    if query.state is not None:
        clauses.append(f"state.EQ:{query.state.value}")
    if query.source is not None:
        clauses.append(f"source.EQ:{query.source}")
    if query.since is not None:
        clauses.append(f"created_time.GE:{query.since.astimezone(UTC).isoformat()}")
    return clauses


# --- answers ----------------------------------------------------------------------------------


def _object_or_none(response: Response) -> dict[str, Any] | None:
    try:
        content = json.loads(response.body)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _object(response: Response) -> dict[str, Any]:
    content = _object_or_none(response)
    if content is None:
        raise UnexpectedAnswer(f"the server answered {response.status} without a JSON object")
    return content


def _items(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    data = content.get("data")
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise UnexpectedAnswer("the answer holds no list of runs")
    return data


def _refused(response: Response, code: str, message: str, parameter: object) -> Refused:
    return refused(
        Refusal(
            status=response.status,
            code=code,
            message=message,
            parameter=None if parameter is None else str(parameter),
            request_id=response.headers.get("zuora-request-id"),
            retry_after_s=retry_after_s(response),
        )
    )


def retry_after_s(response: Response) -> float | None:
    """`Retry-After` in seconds; a date (which no known server sends) counts as not said."""
    text = response.headers.get("retry-after", "").strip()
    return float(text) if text.isascii() and text.isdigit() else None


def _run_of_v2(item: Mapping[str, Any]) -> RunInfo:
    progress = _mapping(item.get("progress")) or {}
    rows = item.get("number_of_rows")
    return RunInfo(
        id=_id(item),
        state=state_of(item.get("state")),
        sql=str(item.get("sql", "")),
        source=_text(item.get("source")),
        content_type=_text(item.get("content_type")),
        content_encoding=_text(item.get("content_encoding")),
        column_separator=_text(item.get("column_separator")),
        number_of_rows=_whole(progress.get("rows") if rows is None else rows),
        percent=_number(progress.get("percent")),
        processing_ms=_whole(item.get("processing_duration")),
        remaining_attempts=_whole(item.get("remaining_attempts")),
        queue_position=_whole(item.get("queue_position")),
        waiting_for=_text(item.get("waiting_for")),
        created_time=_time(item.get("created_time")),
        started_time=_time(item.get("started_time")),
        updated_time=_time(item.get("updated_time")),
        file=_file_of_v2(_mapping(item.get("file"))),
        error=_error_of_v2(_mapping(item.get("error"))),
        cancellation=_mapping(item.get("cancellation")),
        tags=_mapping(item.get("tags")),
        raw=item,
    )


def _file_of_v2(item: Mapping[str, Any] | None) -> FileInfo | None:
    if item is None or not item.get("url"):
        return None
    return FileInfo(
        id=str(item.get("id") or _name_in(str(item["url"]))),
        url=str(item["url"]),
        content_type=str(item.get("content_type", "")),
        size_bytes=_whole(item.get("size")),
        sha256=_text(item.get("sha256")),
    )


def _error_of_v2(item: Mapping[str, Any] | None) -> RunError | None:
    if item is None:
        return None
    return RunError(
        code=str(item.get("code", "unknown")),
        message=str(item.get("message", "the run failed")),
        retryable=item.get("retryable") is True,
        line=_whole(item.get("line")),
        column=_whole(item.get("column")),
    )


def _run_of_v1(item: Mapping[str, Any]) -> RunInfo:
    state = state_of(item.get("queryStatus"))
    link = _text(item.get("dataFile"))
    message = item.get("errorMessage")
    name = _name_in(link) if link else ""
    return RunInfo(
        id=_id(item),
        state=state,
        sql=str(item.get("query", "")),
        source=(_text(item.get("sourceData")) or "").lower() or None,
        content_type=_format_in(name) or None,
        number_of_rows=_whole(item.get("outputRows")),
        processing_ms=_whole(item.get("processingTime")),
        remaining_attempts=_whole(item.get("remainingRetries")),
        created_time=_time(item.get("createdOn")),
        updated_time=_time(item.get("updatedOn")),
        file=FileInfo(name, link, _format_in(name)) if link else None,
        error=RunError("unknown", str(message)) if message else None,
        raw=item,
    )


def _name_in(url: str) -> str:
    return unquote(urlsplit(url).path).rpartition("/")[2]


def _format_in(name: str) -> str:
    """The format by the file's name (`<run id>_<digits>.<ext>…`, contract F4)."""
    formats = {"json", "jsonl", "csv", "tsv", "dsv", "parquet", "arrow"}
    return next((part for part in name.lower().split(".")[1:] if part in formats), "")


def _id(item: Mapping[str, Any]) -> str:
    found = _text(item.get("id"))
    if found is None:
        raise UnexpectedAnswer("the answer holds a run without an id")
    return found


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _whole(value: object) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _mapping(value: object) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None


def _time(value: object) -> datetime | None:
    """ISO 8601, its fraction possibly trimmed (contract A6); without an offset it is UTC."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)

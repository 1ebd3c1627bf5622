"""What a face of the API is, and what both faces need to write requests and read answers.

The faces are `v2.py` (/v2/query_runs) and `v1.py` (/query/jobs); nothing else in the client knows
a path or a property's name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from queryrun_client.effects import Request, Response
from queryrun_client.errors import Refusal, Refused, UnexpectedAnswer, refused
from queryrun_client.model import (
    RunInfo,
    RunQuery,
    Submission,
)

JSON_HEADERS = {"accept": "application/json"}


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


# --- requests ---------------------------------------------------------------------------------


def posted(url: str, body: dict[str, Any], key: str) -> Request:
    """A POST of a JSON object, once per key."""
    headers = {**JSON_HEADERS, "content-type": "application/json", "idempotency-key": key}
    return Request("POST", url, headers, json.dumps(body).encode())


def waiting(request: Request, wait_s: float) -> Request:
    """The request, with `Prefer: wait` when there is at least a second to wait."""
    request = request.with_headers(accept="application/json")
    if wait_s < 1:
        return request
    whole_s = int(wait_s)
    waiting = request.with_headers(prefer=f"wait={whole_s}")
    return Request(waiting.method, waiting.url, waiting.headers, waiting.body, whole_s)


# --- answers ----------------------------------------------------------------------------------


def object_or_none(response: Response) -> dict[str, Any] | None:
    """The JSON object in an answer; None when there is none."""
    try:
        content = json.loads(response.body)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def object_of(response: Response) -> dict[str, Any]:
    """The JSON object in an answer."""
    content = object_or_none(response)
    if content is None:
        raise UnexpectedAnswer(f"the server answered {response.status} without a JSON object")
    return content


def items_of(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The list in `data`."""
    data = content.get("data")
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise UnexpectedAnswer("the answer holds no list of runs")
    return data


def refused_by(response: Response, code: str, message: str, parameter: object) -> Refused:
    """The error for an answer."""
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


def name_in(url: str) -> str:
    """The last part of an address's path."""
    return unquote(urlsplit(url).path).rpartition("/")[2]


def id_of(item: Mapping[str, Any]) -> str:
    """A run's id."""
    found = text_of(item.get("id"))
    if found is None:
        raise UnexpectedAnswer("the answer holds a run without an id")
    return found


def text_of(value: object) -> str | None:
    """A text that is not empty, or None."""
    return value if isinstance(value, str) and value else None


def number_of(value: object) -> float | None:
    """A number, or None."""
    return float(value) if isinstance(value, int | float) else None


def whole_of(value: object) -> int | None:
    """A whole number, or None."""
    number = number_of(value)
    return None if number is None else int(number)


def mapping_of(value: object) -> Mapping[str, Any] | None:
    """An object, or None."""
    return value if isinstance(value, dict) else None


def time_of(value: object) -> datetime | None:
    """ISO 8601, its fraction possibly trimmed (contract A6); without an offset it is UTC."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)

"""The interface of an API version, and what both need to build requests and read responses.

The versions are `v2.py` (/v2/query_runs) and `v1.py` (/query/jobs). No other module of the client
knows a path or the name of a property.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from queryrun_client.effects import Request, Response
from queryrun_client.errors import (
    ClientError,
    Refusal,
    Refused,
    UnexpectedResponse,
    refused,
)
from queryrun_client.model import DryRun, RunInfo, RunQuery, State, Submission, Table

_POSITION = re.compile(r"\(line (\d{1,9}), column (\d{1,9})\)\Z")
JSON_HEADERS = {"accept": "application/json"}
OTHER_SPELLINGS = {"cancelled": "canceled", "completed": "complete", "submitted": "pending"}
"""The names of v1, which some v2 servers use too (contract B1)."""


def check_url(url: str) -> None:
    """`ClientError` for what is no URL of a server: it says what is wrong with it."""
    wrong = _wrong_in(url)
    if wrong:
        displayed = url.encode("ascii", "backslashreplace").decode()
        raise ClientError(f"{displayed!r} is no URL of a server: {wrong}")


def _wrong_in(url: str) -> str:
    """Every name that the system would not look up is found here: its own errors are no words."""
    if any(character.isspace() or not character.isprintable() for character in url):
        return "it has a space or a character that cannot be printed"
    try:
        parts = urlsplit(url)
        name, _port = parts.hostname, parts.port
    except ValueError as error:
        return str(error).lower()
    if parts.scheme not in ("http", "https"):
        return "it begins with http:// or https://"
    try:
        (name or "").encode("idna")
    except UnicodeError:
        return f"the name {name!r} cannot be looked up"
    return "" if name else "it names no server"


@dataclass(frozen=True, slots=True)
class Page:
    """Some runs, and the cursor of the next page."""

    runs: list[RunInfo]
    cursor: str | None = None


class ApiVersion(Protocol):
    """Builds the requests of one version of the API and reads its responses."""

    def submit(self, submission: Submission, key: str) -> Request:
        """Submit a statement; the server makes one run per key."""
        ...

    def dry_run(self, submission: Submission) -> Request:
        """Ask what a run would read. Raises `Unsupported` where that cannot be asked."""
        ...

    def estimate(self, response: Response) -> DryRun:
        """Read its response."""
        ...

    def read(self, run_id: str, wait_s: float = 0.0) -> Request:
        """Read a run; the server may hold the response until it finishes, up to `wait_s`."""
        ...

    def cancel(self, run_id: str, key: str, wait_s: float, /) -> Request:
        """Cancel a run."""
        ...

    def listing(self, query: RunQuery, cursor: str | None, /) -> Request:
        """One page of runs, newest first."""
        ...

    def run(self, response: Response) -> RunInfo:
        """The run in a response."""
        ...

    def page(self, response: Response) -> Page:
        """The runs in a response."""
        ...

    def refusal(self, response: Response) -> Refused:
        """The error in a response."""
        ...

    def tables(self, source: str | None) -> Request:
        """The tables of a source; `Unsupported` where the version has no list of them."""
        ...

    def table(self, name: str, source: str | None) -> Request:
        """One table."""
        ...

    def sources(self) -> Request:
        """The sources; `Unsupported` where the version has no list of them."""
        ...

    def source_names(self, response: Response) -> list[str]:
        """The sources in a response."""
        ...

    def table_list(self, response: Response) -> list[Table]:
        """The tables in a response."""
        ...

    def table_of(self, response: Response) -> Table:
        """The table in a response."""
        ...

    def is_already_finished(self, error: Refused) -> bool:
        """Whether a cancel was refused because the run had finished. Its state needs a read."""
        ...


# --- requests ---------------------------------------------------------------------------------


def post_request(url: str, body: dict[str, Any], key: str) -> Request:
    """A POST of a JSON object with an idempotency key."""
    headers = {**JSON_HEADERS, "content-type": "application/json", "idempotency-key": key}
    return Request("POST", url, headers, json.dumps(body).encode())


def with_wait(request: Request, wait_s: float) -> Request:
    """The request, with `Prefer: wait` if `wait_s` is at least a second."""
    request = request.with_headers(accept="application/json")
    if wait_s < 1:
        return request
    whole_s = int(wait_s)
    return replace(request.with_headers(prefer=f"wait={whole_s}"), wait_s=whole_s)


# --- responses --------------------------------------------------------------------------------


def object_or_none(response: Response) -> dict[str, Any] | None:
    """The JSON object in a response, or None."""
    try:
        content = json.loads(response.body)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def object_of(response: Response) -> dict[str, Any]:
    """The JSON object in a response; `UnexpectedResponse` without one."""
    content = object_or_none(response)
    if content is None:
        raise UnexpectedResponse(f"the server responded {response.status} without a JSON object")
    return content


def items_of(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The list in `data`."""
    data = content.get("data")
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise UnexpectedResponse("the response has no list of runs")
    return data


def refusal_error(response: Response, code: str, message: str, parameter: object) -> Refused:
    """The error for a response."""
    return refused(
        Refusal(
            status=response.status,
            code=code,
            message=message,
            parameter=None if parameter is None else str(parameter),
            request_id=response.headers.get("zuora-request-id"),
            retry_after_s=retry_after_s(response),
            **_position_in(message),
        )
    )


def _position_in(message: str) -> dict[str, int]:
    """Errors of requests have no field for a place in the statement: it ends the message."""
    found = _POSITION.search(message)
    return {} if found is None else {"line": int(found[1]), "column": int(found[2])}


def retry_after_s(response: Response) -> float | None:
    """`Retry-After` in seconds. A date, which no known server sends, is ignored."""
    text = response.headers.get("retry-after", "").strip()
    return float(text) if text.isascii() and text.isdigit() else None


def name_in(url: str) -> str:
    """The last part of a URL's path."""
    return unquote(urlsplit(url).path).rpartition("/")[2]


def id_of(item: Mapping[str, Any]) -> str:
    """A run's id."""
    found = text_of(item.get("id"))
    if found is None:
        raise UnexpectedResponse("the response has a run without an id")
    return found


def text_of(value: object) -> str | None:
    """The value if it is a non-empty string, else None."""
    return value if isinstance(value, str) and value else None


def number_of(value: object) -> float | None:
    """The value if it is a number, else None."""
    return float(value) if isinstance(value, int | float) else None


def int_of(value: object) -> int | None:
    """The value as an integer if it is a number, else None."""
    number = number_of(value)
    return None if number is None else int(number)


def mapping_of(value: object) -> Mapping[str, Any] | None:
    """The value if it is an object, else None."""
    return value if isinstance(value, dict) else None


def time_of(value: object) -> datetime | None:
    """Parse ISO 8601 with any number of fraction digits (contract A6); UTC without an offset."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def state_of(word: object) -> State:
    """The state, in either spelling.

    An unknown state raises `UnexpectedResponse`: treating it as running could wait forever.
    """
    text = str(word).strip().lower()
    try:
        return State(OTHER_SPELLINGS.get(text, text))
    except ValueError:
        raise UnexpectedResponse(f"the server reports an unknown state: {text[:40]!r}") from None

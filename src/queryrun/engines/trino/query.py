"""One statement at Trino: sent once, its pages fetched by a thread of their own, cancelable.

The protocol is the `trino` library's (`TrinoRequest`), with its retries off: a second POST may
start the statement a second time. Fetching the same page again is harmless and is done here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import requests
from trino.client import ClientSession, TrinoRequest, TrinoStatus

from queryrun.engines.base import EngineUsage
from queryrun.engines.trino.channel import Channel
from queryrun.engines.trino.endpoint import TrinoEndpoint
from queryrun.engines.trino.segments import Page, Segments, is_spooled

ENCODINGS = ("json+zstd", "json+lz4", "json")
"""How results may be spooled, if the server does that; each is one that we can read."""
_TIMEOUTS_S = (5.0, 30.0)
"""For a connection, and for each response; Trino itself responds within one second."""
_CANCEL_TIMEOUTS_S = (1.0, 2.0)
_PAUSES_S = (0.1, 0.5, 1.0, 2.0)
"""Between attempts to fetch a page. Together they outlast a short outage of a load balancer."""
_PASSING = frozenset([429, 502, 503, 504])
_QUIET_S = 20.0
"""Trino gives up a statement whose client is silent for five minutes."""


class HttpRefusal(Exception):
    """A response of Trino, or of a proxy before it, that is no response to a statement."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class CanceledHereError(Exception):
    """We have canceled the statement ourselves."""


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """A statement, under which name, and how its result may come."""

    text: str = field(repr=False)
    name: str
    time_zone: str
    encodings: Sequence[str] = ENCODINGS
    traceparent: str = ""
    """The span that Trino's own are children of, where it records traces; empty: none."""


class Query:
    """One statement. `start` once, then `pages` once; the rest from any thread at any time."""

    def __init__(self, endpoint: TrinoEndpoint, request: QueryRequest) -> None:
        self._endpoint = endpoint
        self._query_request = request
        self._http = endpoint.http()
        self._http.headers.update(_trace_headers(request.traceparent))
        self._request = _request(endpoint, request, self._http)
        self._channel: Channel[Page] = Channel()
        self._segments = Segments(endpoint.segments_http())
        self._canceled = threading.Event()
        self._cancels = threading.Lock()
        self._arrived: Iterator[Page] = iter(())
        self._next_uri: str | None = None
        self._is_over = False
        self._stats: dict[str, Any] = {}
        self.columns: list[dict[str, Any]] = []

    def start(self) -> None:
        """Send the statement and wait until its columns are known; it is running then.

        Raises what the library raises (`TrinoQueryError`), `requests.RequestException`,
        `HttpRefusal` and `CanceledHereError`.
        """
        self._take(self._request.post(self._query_request.text))
        while not self.columns and not self._is_over:
            self._fetch()

    def pages(self) -> Iterator[list[list[Any]]]:
        """All rows, page by page; at most a few pages are held, however many there are."""
        threading.Thread(target=self._fetch_all, name="trino-pages", daemon=True).start()
        for page in self._channel:
            yield page()

    def cancel(self) -> None:
        """Tell Trino to stop, in the background; repeat it if it matters. Returns at once."""
        self._canceled.set()
        self._channel.abort(CanceledHereError())
        if not self._is_over:
            threading.Thread(target=self._send_cancel, name="trino-cancel", daemon=True).start()

    def end(self) -> None:
        """Release what is still held, here and at Trino; takes `_CANCEL_TIMEOUTS_S` at most."""
        self._canceled.set()
        self._channel.abort(CanceledHereError())
        self._send_cancel()
        self._segments.close()
        self._http.close()

    def percent(self) -> float | None:
        """How far the statement is, by Trino's own count; None before it knows."""
        percent = self._stats.get("progressPercentage")
        return float(percent) if percent is not None else None

    def usage(self) -> EngineUsage:
        """What Trino has counted so far: its tables' bytes and rows, its CPU, memory and spill."""
        stats = self._stats
        read = stats.get("physicalInputBytes")
        return EngineUsage(
            read_bytes=stats.get("processedBytes") if read is None else read,
            read_rows=stats.get("processedRows"),
            spilled_bytes=stats.get("spilledBytes"),
            cpu_ms=int(stats.get("cpuTimeMillis") or 0),
            peak_memory_bytes=int(stats.get("peakMemoryBytes") or 0),
        )

    # --- the protocol -----------------------------------------------------------------------

    def _fetch_all(self) -> None:
        """The pages' thread: on when there is room, off when there is nothing more."""
        try:
            self._enqueue_pages()
            while not self._is_over:
                self._fetch()
                self._enqueue_pages()
        except BaseException as error:  # it is raised where the rows are read
            self._channel.abort(error)
        else:
            self._channel.end()

    def _enqueue_pages(self) -> None:
        for page in self._arrived:
            while not self._channel.put(page, timeout_s=_QUIET_S):
                self._keep_alive()
        self._arrived = iter(())

    def _keep_alive(self) -> None:
        """Without requests, Trino abandons a statement whose rows are written slowly."""
        if self._next_uri is not None:
            try:
                self._request.head(self._next_uri)
            except requests.RequestException:
                return  # the next fetch will tell

    def _fetch(self) -> None:
        """A page may be fetched again without harm, so errors of the network are retried here."""
        uri = self._next_uri or ""
        for pause_s in _PAUSES_S:
            try:
                response = self._request.get(uri)
            except requests.RequestException:
                response = None
            if response is not None and response.status_code not in _PASSING:
                return self._take(response)
            if self._canceled.wait(pause_s):
                raise CanceledHereError
        return self._take(self._request.get(uri))

    def _take(self, response: requests.Response) -> None:
        if not response.ok:
            raise HttpRefusal(response.status_code)
        self._note(self._request.process(response))
        if self._canceled.is_set():
            self._send_cancel()
            raise CanceledHereError

    def _note(self, status: TrinoStatus) -> None:
        """Rows stay encoded until they are read: the reading thread decodes them."""
        self._stats = status.stats
        self._next_uri = status.next_uri
        self._is_over = status.next_uri is None
        self.columns = self.columns or status.columns or []
        rows: Any = status.rows
        if is_spooled(rows):
            self._arrived = chain(self._arrived, self._segments.pages(rows))
        elif rows:
            self._arrived = chain(self._arrived, [lambda: rows])

    def _send_cancel(self) -> None:
        """DELETE what would be fetched next, by a connection of its own; one at a time."""
        if self._is_over or self._next_uri is None or not self._cancels.acquire(blocking=False):
            return
        try:
            with self._endpoint.http() as http:
                http.delete(self._next_uri, timeout=_CANCEL_TIMEOUTS_S)
        except requests.RequestException:
            return  # the caller repeats it; the remote-stop process looks by name
        finally:
            self._cancels.release()


def _trace_headers(traceparent: str) -> dict[str, str]:
    """The trace token, which is the trace's id, is also shown with the query in Trino."""
    parts = traceparent.split("-")
    if len(parts) < 2:
        return {}
    return {"traceparent": traceparent, "X-Trino-Trace-Token": parts[1]}


def _request(
    endpoint: TrinoEndpoint, request: QueryRequest, http: requests.Session
) -> TrinoRequest:
    """The name is both source and client tag: resource groups select by either."""
    session = ClientSession(
        user=endpoint.user,
        catalog=endpoint.catalog or None,
        schema=endpoint.schema or None,
        source=request.name,
        client_tags=[request.name, "queryrun"],
        timezone=request.time_zone,
        encoding=list(request.encodings) or None,
    )
    return TrinoRequest(
        host=endpoint.host,
        port=endpoint.port,
        client_session=session,
        http_session=http,
        http_scheme=endpoint.scheme,
        max_attempts=1,
        request_timeout=_TIMEOUTS_S,
    )

"""`Client` and `Run`: the protocol performed with blocking calls."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, Unpack, overload

import httpx2

from queryrun_client import http, notebook
from queryrun_client.core import Cancellation, Core, Watcher
from queryrun_client.download import DownloadOptions, download
from queryrun_client.effects import (
    Block,
    Effect,
    Fetch,
    Flow,
    NeedToken,
    NoResponseError,
    Response,
    Send,
    Sleep,
)
from queryrun_client.errors import ClientError
from queryrun_client.model import (
    DryRun,
    Options,
    RunFilters,
    RunInfo,
    RunQuery,
    SubmitOptions,
    Table,
    TokenStore,
)
from queryrun_client.profiles import Server, find_server
from queryrun_client.rows import Row, check_rows, pandas_of, polars_of, read_arrow, read_rows
from queryrun_client.setup import (
    MAX_CONCURRENT,
    arguments_of,
    exact_options,
    query_of,
    raise_failures,
    submission_of,
    unfinished,
)
from queryrun_client.view import RunView

T = TypeVar("T")
R = TypeVar("R")
DEFAULT_OPTIONS = Options()
ALL_RUNS = RunQuery()


class Client:
    """One server, accessed as one OAuth client. May be shared between threads; close it.

    `api_version` is `"v2"` (/v2/query_runs) or `"v1"` (/query/jobs) of any compatible server.
    """

    def __init__(
        self,
        url: str,
        client_id: str | None = None,
        client_secret: str | None = None,
        *,
        api_version: str = "v2",
        options: Options = DEFAULT_OPTIONS,
    ) -> None:
        self._core = Core(url, http.credentials(client_id, client_secret), api_version, options)
        with http.usable_environment():
            self._http = httpx2.Client(
                follow_redirects=False,
                timeout=options.timeout_s,
                headers=http.AGENT,
                mounts=dict.fromkeys(http.LOOPBACK),
            )
        self._token_lock = threading.Lock()

    @classmethod
    def from_env(cls, profile: str | None = None) -> Client:
        """A client for the server that the command line uses.

        That is the named profile; without a name QUERYRUN_URL with QUERYRUN_CLIENT_ID and
        QUERYRUN_CLIENT_SECRET, else the profile QUERYRUN_PROFILE, else the current one. Raises
        `NotConfigured` when there is none.
        """
        return cls.of_server(find_server(profile))

    @classmethod
    def of_server(
        cls,
        server: Server,
        *,
        private_key: Path | None = None,
        tokens: TokenStore | None = None,
        on_wait: Callable[[str, float], object] | None = None,
    ) -> Client:
        """A client for a configured server. `private_key` replaces the profile's."""
        made = arguments_of(server, private_key=private_key, tokens=tokens, on_wait=on_wait)
        return cls(
            made.url,
            made.client_id,
            made.client_secret,
            api_version=made.api_version,
            options=made.options,
        )

    def authenticate(self) -> None:
        """Get a token now, to check the credentials; otherwise the first call gets it."""
        self.perform(self._core.token(None))

    def submit(self, sql: str, **options: Unpack[SubmitOptions]) -> Run:
        """Submit a statement; returns the accepted run. Retries never make a second run."""
        return Run(self, self.perform(self._core.submit(submission_of(sql, options))))

    def dry_run(self, sql: str, **options: Unpack[SubmitOptions]) -> DryRun:
        """What the statement would read, how it would fail, and whether a limit would refuse it.
        No run is made."""
        return self.perform(self._core.dry_run(submission_of(sql, options)))

    def to_arrow(self, sql: str, **options: Unpack[SubmitOptions]) -> Any:
        """Run a statement and return its result as a `pyarrow.Table`, exactly: it is asked for as
        Arrow. An interrupt cancels the run, and returns when its work has stopped."""
        return self._run_exactly(sql, options).to_arrow()

    def to_pandas(self, sql: str, **options: Unpack[SubmitOptions]) -> Any:
        """`to_arrow` as a `pandas.DataFrame`; needs pyarrow and pandas."""
        return self._run_exactly(sql, options).to_pandas()

    def to_polars(self, sql: str, **options: Unpack[SubmitOptions]) -> Any:
        """`to_arrow` as a `polars.DataFrame`; needs pyarrow and polars."""
        return self._run_exactly(sql, options).to_polars()

    def _run_exactly(self, sql: str, options: SubmitOptions) -> Run:
        """Nobody else holds this run: an interrupted wait must not leave it running."""
        run = self.submit(sql, **exact_options(self._core.api_version, options))
        try:
            return run.wait()
        except KeyboardInterrupt:
            run.cancel()
            raise

    def sources(self) -> list[str]:
        """The names of the sources on which statements can run."""
        return self.perform(self._core.sources())

    def tables(self, source: str | None = None) -> list[Table]:
        """The tables that statements on the source can read, without a run."""
        return self.perform(self._core.tables(source))

    def describe(self, table: str, source: str | None = None) -> Table:
        """One table with its columns, without a run. `NotFound` suggests a similar name."""
        return self.perform(self._core.table(table, source))

    def cancel_all(self, query: RunQuery = ALL_RUNS) -> list[Cancellation]:
        """Cancel all matching runs that are queued or running, and return when each has stopped.

        Every run is tried; then what failed is raised together, as an `ExceptionGroup`.
        """
        found = {run.id for one in unfinished(query) for run in self.runs(one)}
        done: list[Cancellation] = []
        failures: list[ClientError] = []

        def cancel(run_id: str) -> None:
            try:
                done.append(self.perform(self._core.cancel(run_id, None)))
            except ClientError as error:
                failures.append(error)

        with ThreadPoolExecutor(MAX_CONCURRENT) as pool:
            list(pool.map(cancel, found))
        raise_failures(failures, len(found))
        return done

    def run(self, run_id: str) -> Run:
        """Read the run with this id. `NotFound` if there is none."""
        return Run(self, self.perform(self._core.read(run_id)))

    def runs(self, query: RunQuery = ALL_RUNS, **filters: Unpack[RunFilters]) -> Iterator[Run]:
        """Runs, newest first, fetched page by page as they are used. v1 has one page.

        `runs(limit=5)` is short for `runs(RunQuery(limit=5))`; filters replace the query's fields.
        """
        return self._pages(query_of(query, filters))

    def _pages(self, query: RunQuery) -> Iterator[Run]:
        left, cursor = query.limit, None
        while left is None or left > 0:
            page = self.perform(self._core.page(query, cursor))
            for info in page.runs[:left]:
                yield Run(self, info)
            left = None if left is None else left - len(page.runs)
            cursor = page.cursor
            if cursor is None:
                return

    def limit_retries(self, attempts: int) -> None:
        """From now on try every call this often at most: for a caller that was interrupted."""
        self._core.options = http.with_attempts(self._core.options, attempts)

    def limit_response_time(self, timeout_s: float) -> None:
        """From now on wait for a connection, and for each response beyond what it is asked to wait,
        this long at most: for a caller that was interrupted."""
        self._http.timeout = timeout_s

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def core(self) -> Core:
        """The protocol; for `Run`."""
        return self._core

    def perform(self, flow: Flow[T]) -> T:
        """Run a flow to its end, performing its effects."""
        try:
            effect = next(flow)
            while True:
                try:
                    reply = self._do(effect)
                except httpx2.RequestError as error:
                    effect = flow.throw(NoResponseError(http.describe_error(error)))
                else:
                    effect = flow.send(reply)
        except StopIteration as end:
            result: T = end.value
            return result

    def _do(self, effect: Effect) -> Any:
        """Mirrors `aio.AsyncClient._do`: all decisions are in `core`, which both clients share."""
        if isinstance(effect, Send):
            return http.response_of(self._http.send(http.build_request(self._http, effect.request)))
        if isinstance(effect, Sleep):
            http.tell_wait(self._core.options, effect)
            return time.sleep(effect.seconds)
        if isinstance(effect, Block):
            return effect.call()
        if isinstance(effect, NeedToken):
            with self._token_lock:
                return self.perform(self._core.token(effect.refused))
        return self._fetch(effect)

    def _fetch(self, effect: Fetch) -> Response:
        """Streams to the sink, because a result may be larger than memory."""
        response = self._http.send(http.build_request(self._http, effect.request), stream=True)
        head = http.head_of(response)
        try:
            if effect.sink.open(head):
                for chunk in response.iter_raw(http.CHUNK_BYTES):
                    effect.sink.write(chunk)
        finally:
            effect.sink.close()
            response.close()
        return head


class Run(RunView):
    """One run. Its properties are the run as last read; `refresh` and `wait` read it again."""

    def __init__(self, client: Client, info: RunInfo) -> None:
        self._client = client
        self.info = info

    def refresh(self) -> Run:
        """Read the run again."""
        self.info = self._client.perform(self._client.core.read(self.id))
        return self

    def wait(self, progress: Watcher | None = None, timeout_s: float | None = None) -> Run:
        """Return when the run has finished, in any state (`check()` raises unless it is complete).

        `progress` is called with the run about once a second or more often. Raises
        `StillRunning` after `timeout_s` seconds; the run continues. In a cell of a notebook the
        progress is shown, and an interrupt cancels the run.
        """
        if progress is None and notebook.is_active():
            return self._wait_in_cell(timeout_s)
        flow = self._client.core.wait(self.info, watcher=progress, timeout_s=timeout_s)
        self.info = self._client.perform(flow)
        return self

    def _wait_in_cell(self, timeout_s: float | None) -> Run:
        """In a notebook: shows the progress, and an interrupt of the cell cancels the run."""
        try:
            return self.wait(notebook.cell_progress(), timeout_s)
        except KeyboardInterrupt:
            self.cancel()
            raise

    def cancel(self, timeout_s: float | None = None) -> Cancellation:
        """Cancel the run, and return when the server reports `canceled`: its work has stopped.

        Already canceled is success. A run that had finished before is no error either:
        `too_late` is true and `info.state` is its final state. Raises `StillRunning` after
        `timeout_s` seconds; the cancel stays in effect.
        """
        response = self._client.perform(self._client.core.cancel(self.id, timeout_s))
        self.info = response.info
        return response

    @overload
    def rows(self) -> Iterator[Row]: ...
    @overload
    def rows(self, row_type: type[R]) -> Iterator[R]: ...
    def rows(self, row_type: Any = Row) -> Iterator[Any]:
        """The rows of a json result; waits until the run has finished.

        `row_type` (a dataclass, TypedDict or msgspec.Struct) is the type of each row: dates become
        dates, decimals keep their digits. The file is downloaded and verified before the first
        row, and removed after the last.
        """
        check_rows(self._completed())
        with tempfile.TemporaryDirectory(prefix="queryrun-") as directory:
            yield from read_rows(self.download(Path(directory) / "rows"), row_type, self.info)

    def download(
        self, path: str | os.PathLike[str], *, resume: bool = True, decrypt: bool = True
    ) -> Path:
        """Download the result file to `path` (a file or a directory); waits for the run first.

        With `resume` it continues what an earlier call left. It verifies size and SHA-256 if the
        server reports them, and then creates the file in one step. With the client's private key
        an encrypted file is decrypted, unless `decrypt` is false. Returns the path of the file.
        """
        key = http.private_key(self._client.core.options) if decrypt else None
        options = DownloadOptions(Path(path), resume, key)
        return self._client.perform(download(self._client.core, self._completed(), options))

    def to_arrow(self) -> Any:
        """The result as a `pyarrow.Table`; needs pyarrow."""
        info = self._completed()
        with tempfile.TemporaryDirectory(prefix="queryrun-") as directory:
            return read_arrow(self.download(Path(directory) / "table"), info)

    def to_pandas(self) -> Any:
        """The result as a `pandas.DataFrame`; needs pyarrow and pandas."""
        return pandas_of(self.to_arrow())

    def to_polars(self) -> Any:
        """The result as a `polars.DataFrame`; needs pyarrow and polars."""
        return polars_of(self.to_arrow())

    def _completed(self) -> RunInfo:
        if not self.is_finished:
            self.wait()
        self.check()
        return self.info

"""`AsyncClient` and `AsyncRun`: the protocol performed with `await`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, Unpack, overload

import anyio
import httpx2
from anyio.to_thread import run_sync

from queryrun_client import http
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
)
from queryrun_client.profiles import find_server
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
BATCH_ROWS = 500
"""Rows read per call of a thread."""


class AsyncClient:
    """`Client`, with `await`. Belongs to one event loop; close it."""

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
            self._http = httpx2.AsyncClient(
                follow_redirects=False,
                timeout=options.timeout_s,
                headers=http.AGENT,
                mounts=dict.fromkeys(http.LOOPBACK),
            )
        self._token_lock = anyio.Lock()

    @classmethod
    def from_env(cls, profile: str | None = None) -> AsyncClient:
        """See `Client.from_env`."""
        made = arguments_of(find_server(profile))
        return cls(
            made.url,
            made.client_id,
            made.client_secret,
            api_version=made.api_version,
            options=made.options,
        )

    async def authenticate(self) -> None:
        """Get a token now, to check the credentials; otherwise the first call gets it."""
        await self.perform(self._core.token(None))

    async def submit(self, sql: str, **options: Unpack[SubmitOptions]) -> AsyncRun:
        """Submit a statement; returns the accepted run. Retries never make a second run."""
        return AsyncRun(self, await self.perform(self._core.submit(submission_of(sql, options))))

    async def dry_run(self, sql: str, **options: Unpack[SubmitOptions]) -> DryRun:
        """See `Client.dry_run`."""
        return await self.perform(self._core.dry_run(submission_of(sql, options)))

    async def to_arrow(self, sql: str, **options: Unpack[SubmitOptions]) -> Any:
        """See `Client.to_arrow`. A cancelled task cancels the run, and ends when it has stopped."""
        return await (await self._run_exactly(sql, options)).to_arrow()

    async def to_pandas(self, sql: str, **options: Unpack[SubmitOptions]) -> Any:
        """See `Client.to_pandas`."""
        return await (await self._run_exactly(sql, options)).to_pandas()

    async def to_polars(self, sql: str, **options: Unpack[SubmitOptions]) -> Any:
        """See `Client.to_polars`."""
        return await (await self._run_exactly(sql, options)).to_polars()

    async def _run_exactly(self, sql: str, options: SubmitOptions) -> AsyncRun:
        """Nobody else holds this run: a cancelled wait must not leave it running."""
        run = await self.submit(sql, **exact_options(self._core.api_version, options))
        try:
            return await run.wait()
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await run.cancel()
            raise

    async def sources(self) -> list[str]:
        """See `Client.sources`."""
        return await self.perform(self._core.sources())

    async def tables(self, source: str | None = None) -> list[Table]:
        """See `Client.tables`."""
        return await self.perform(self._core.tables(source))

    async def describe(self, table: str, source: str | None = None) -> Table:
        """See `Client.describe`."""
        return await self.perform(self._core.table(table, source))

    async def cancel_all(self, query: RunQuery = ALL_RUNS) -> list[Cancellation]:
        """See `Client.cancel_all`."""
        found = {run.id for one in unfinished(query) async for run in self.runs(one)}
        limiter = anyio.CapacityLimiter(MAX_CONCURRENT)
        done: list[Cancellation] = []
        failures: list[ClientError] = []

        async def cancel(run_id: str) -> None:
            async with limiter:
                try:
                    done.append(await self.perform(self._core.cancel(run_id, None)))
                except ClientError as error:
                    failures.append(error)

        async with anyio.create_task_group() as group:
            for run_id in found:
                group.start_soon(cancel, run_id)
        raise_failures(failures, len(found))
        return done

    async def run(self, run_id: str) -> AsyncRun:
        """Read the run with this id. `NotFound` if there is none."""
        return AsyncRun(self, await self.perform(self._core.read(run_id)))

    def runs(
        self, query: RunQuery = ALL_RUNS, **filters: Unpack[RunFilters]
    ) -> AsyncIterator[AsyncRun]:
        """Runs, newest first, fetched page by page as they are used. v1 has one page.

        `runs(limit=5)` is short for `runs(RunQuery(limit=5))`; filters replace the query's fields.
        """
        return self._pages(query_of(query, filters))

    async def _pages(self, query: RunQuery) -> AsyncIterator[AsyncRun]:
        left, cursor = query.limit, None
        while left is None or left > 0:
            page = await self.perform(self._core.page(query, cursor))
            for info in page.runs[:left]:
                yield AsyncRun(self, info)
            left = None if left is None else left - len(page.runs)
            cursor = page.cursor
            if cursor is None:
                return

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def core(self) -> Core:
        """The protocol; for `AsyncRun`."""
        return self._core

    async def perform(self, flow: Flow[T]) -> T:
        """Run a flow to its end, performing its effects."""
        try:
            effect = next(flow)
            while True:
                try:
                    reply = await self._do(effect)
                except httpx2.RequestError as error:
                    effect = flow.throw(NoResponseError(http.describe_error(error)))
                else:
                    effect = flow.send(reply)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _do(self, effect: Effect) -> Any:
        """Mirrors `sync.Client._do`: all decisions are in `core`, which both clients share."""
        if isinstance(effect, Send):
            return http.response_of(
                await self._http.send(http.build_request(self._http, effect.request))
            )
        if isinstance(effect, Sleep):
            http.tell_wait(self._core.options, effect)
            return await anyio.sleep(effect.seconds)
        if isinstance(effect, Block):
            return await run_sync(effect.call)
        if isinstance(effect, NeedToken):
            async with self._token_lock:
                return await self.perform(self._core.token(effect.refused))
        return await self._fetch(effect)

    async def _fetch(self, effect: Fetch) -> Response:
        """Writes run in a thread. The response is closed even when the task is cancelled."""
        response = await self._http.send(
            http.build_request(self._http, effect.request), stream=True
        )
        head = http.head_of(response)
        try:
            if await run_sync(effect.sink.open, head):
                async for chunk in response.aiter_raw(http.CHUNK_BYTES):
                    await run_sync(effect.sink.write, chunk)
        finally:
            effect.sink.close()
            with anyio.CancelScope(shield=True):
                await response.aclose()
        return head


class AsyncRun(RunView):
    """`Run`, with `await`."""

    def __init__(self, client: AsyncClient, info: RunInfo) -> None:
        self._client = client
        self.info = info

    async def refresh(self) -> AsyncRun:
        """Read the run again."""
        self.info = await self._client.perform(self._client.core.read(self.id))
        return self

    async def wait(
        self, progress: Watcher | None = None, timeout_s: float | None = None
    ) -> AsyncRun:
        """See `Run.wait`. `progress` is called on the event loop and must not block."""
        flow = self._client.core.wait(self.info, watcher=progress, timeout_s=timeout_s)
        self.info = await self._client.perform(flow)
        return self

    async def cancel(self, timeout_s: float | None = None) -> Cancellation:
        """See `Run.cancel`."""
        response = await self._client.perform(self._client.core.cancel(self.id, timeout_s))
        self.info = response.info
        return response

    @overload
    def rows(self) -> AsyncIterator[Row]: ...
    @overload
    def rows(self, row_type: type[R]) -> AsyncIterator[R]: ...
    async def rows(self, row_type: Any = Row) -> AsyncIterator[Any]:
        """See `Run.rows`."""
        check_rows(await self._completed())
        with tempfile.TemporaryDirectory(prefix="queryrun-") as directory:
            rows = read_rows(await self.download(Path(directory) / "rows"), row_type, self.info)
            while batch := await run_sync(lambda: list(islice(rows, BATCH_ROWS))):
                for row in batch:
                    yield row

    async def download(
        self, path: str | os.PathLike[str], *, resume: bool = True, decrypt: bool = True
    ) -> Path:
        """See `Run.download`."""
        key = http.private_key(self._client.core.options) if decrypt else None
        options = DownloadOptions(Path(path), resume, key)
        return await self._client.perform(
            download(self._client.core, await self._completed(), options)
        )

    async def to_arrow(self) -> Any:
        """The result as a `pyarrow.Table`; needs pyarrow."""
        info = await self._completed()
        with tempfile.TemporaryDirectory(prefix="queryrun-") as directory:
            path = await self.download(Path(directory) / "table")
            return await run_sync(read_arrow, path, info)

    async def to_pandas(self) -> Any:
        """The result as a `pandas.DataFrame`; needs pyarrow and pandas."""
        return pandas_of(await self.to_arrow())

    async def to_polars(self) -> Any:
        """The result as a `polars.DataFrame`; needs pyarrow and polars."""
        return polars_of(await self.to_arrow())

    async def _completed(self) -> RunInfo:
        if not self.is_finished:
            await self.wait()
        self.check()
        return self.info

"""`Client` and `Run`: the protocol carried out with blocking calls."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, Unpack, overload

import httpx2

from queryrun_client import http
from queryrun_client.core import Cancellation, Core, Watcher
from queryrun_client.download import DownloadWish, download
from queryrun_client.effects import (
    Block,
    Effect,
    Fetch,
    Flow,
    NeedToken,
    NoAnswerError,
    Response,
    Send,
    Sleep,
)
from queryrun_client.model import Options, RunInfo, RunQuery, Submission, SubmitOptions
from queryrun_client.rows import Row, check_rows, pandas_of, polars_of, read_arrow, read_rows
from queryrun_client.view import RunView

T = TypeVar("T")
R = TypeVar("R")
DEFAULT_OPTIONS = Options()
EVERY = RunQuery()


class Client:
    """One server, as one OAuth client sees it. May be shared between threads; close it.

    `face` is `"v2"` (/v2/query_runs) or `"v1"` (/query/jobs) of any compatible server.
    """

    def __init__(
        self,
        url: str,
        client_id: str | None = None,
        client_secret: str | None = None,
        *,
        face: str = "v2",
        options: Options = DEFAULT_OPTIONS,
    ) -> None:
        self._core = Core(url, http.credentials(client_id, client_secret), face, options)
        self._http = httpx2.Client(
            follow_redirects=False, timeout=options.timeout_s, headers=http.AGENT
        )
        self._token_lock = threading.Lock()

    def authenticate(self) -> None:
        """Get a token now, to learn whether the credentials count; else the first call does."""
        self.carry_out(self._core.token(None))

    def submit(self, sql: str, **options: Unpack[SubmitOptions]) -> Run:
        """Submit a statement; the run, accepted. Never makes two, whatever the network does."""
        return Run(self, self.carry_out(self._core.submit(Submission(sql, **options))))

    def run(self, run_id: str) -> Run:
        """The run with this id, as it is now."""
        return Run(self, self.carry_out(self._core.read(run_id)))

    def runs(self, query: RunQuery = EVERY) -> Iterator[Run]:
        """Runs, newest first, page by page as they are used. On v1 the server has one page."""
        left, cursor = query.limit, None
        while left is None or left > 0:
            page = self.carry_out(self._core.page(query, cursor))
            for info in page.runs[:left]:
                yield Run(self, info)
            left = None if left is None else left - len(page.runs)
            cursor = page.cursor
            if cursor is None:
                return

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

    def carry_out(self, flow: Flow[T]) -> T:
        """Run a flow to its end, doing what it asks for."""
        try:
            effect = next(flow)
            while True:
                try:
                    reply = self._do(effect)
                except httpx2.RequestError as trouble:
                    effect = flow.throw(NoAnswerError(http.described(trouble)))
                else:
                    effect = flow.send(reply)
        except StopIteration as end:
            result: T = end.value
            return result

    def _do(self, effect: Effect) -> Any:
        if isinstance(effect, Send):
            return http.response_of(self._http.send(http.built(self._http, effect.request)))
        if isinstance(effect, Sleep):
            return time.sleep(effect.seconds)
        if isinstance(effect, Block):
            return effect.call()
        if isinstance(effect, NeedToken):
            with self._token_lock:
                return self.carry_out(self._core.token(effect.refused))
        return self._fetch(effect)

    def _fetch(self, effect: Fetch) -> Response:
        answer = self._http.send(http.built(self._http, effect.request), stream=True)
        head = http.head_of(answer)
        try:
            if effect.sink.open(head):
                for chunk in answer.iter_raw(http.CHUNK_BYTES):
                    effect.sink.write(chunk)
        finally:
            effect.sink.close()
            answer.close()
        return head


class Run(RunView):
    """One run. Its properties show it as last seen; `refresh` and `wait` look again."""

    def __init__(self, client: Client, info: RunInfo) -> None:
        self._client = client
        self.info = info

    def refresh(self) -> Run:
        """Look again."""
        self.info = self._client.carry_out(self._client.core.read(self.id))
        return self

    def wait(self, progress: Watcher | None = None, timeout_s: float | None = None) -> Run:
        """Return at the run's end, whatever the end (`check()` raises unless it is complete).

        `progress` is told how the run is doing at least about once a second. `StillRunning`
        after `timeout_s`; the run goes on.
        """
        flow = self._client.core.wait(self.info, watcher=progress, timeout_s=timeout_s)
        self.info = self._client.carry_out(flow)
        return self

    def cancel(self, timeout_s: float | None = None) -> Cancellation:
        """Stop the run, and return when the server says `canceled`: nothing of it runs then.

        Already canceled is success. A run that had ended by itself is no error either:
        `too_late` is true and `info.state` says how it ended.
        """
        answer = self._client.carry_out(self._client.core.cancel(self.id, timeout_s))
        self.info = answer.info
        return answer

    @overload
    def rows(self) -> Iterator[Row]: ...
    @overload
    def rows(self, row_type: type[R]) -> Iterator[R]: ...
    def rows(self, row_type: Any = Row) -> Iterator[Any]:
        """The rows of a json result, waiting for the run's end first.

        `row_type` (a dataclass, TypedDict, msgspec.Struct) gives each row that type: dates become
        dates, decimals keep their digits. The file is downloaded and verified before the first
        row is given, and removed after the last.
        """
        check_rows(self._ended())
        with tempfile.TemporaryDirectory(prefix="queryrun-") as directory:
            yield from read_rows(self.download(Path(directory) / "rows"), row_type)

    def download(
        self, path: str | os.PathLike[str], *, resume: bool = True, decrypt: bool = True
    ) -> Path:
        """Fetch the result file to `path` (or into that directory), waiting for the run first.

        Continues what an earlier call left when `resume` is set; verifies size and SHA-256 where
        the server tells them; puts the file in place in one step. With the client's private key
        an encrypted file is decrypted, unless `decrypt` is false.
        """
        key = http.private_key(self._client.core.options) if decrypt else None
        wish = DownloadWish(Path(path), resume, key)
        return self._client.carry_out(download(self._client.core, self._ended(), wish))

    def to_arrow(self) -> Any:
        """The result as a `pyarrow.Table`; needs pyarrow."""
        info = self._ended()
        with tempfile.TemporaryDirectory(prefix="queryrun-") as directory:
            return read_arrow(self.download(Path(directory) / "table"), info)

    def to_pandas(self) -> Any:
        """The result as a `pandas.DataFrame`; needs pyarrow and pandas."""
        return pandas_of(self.to_arrow())

    def to_polars(self) -> Any:
        """The result as a `polars.DataFrame`; needs pyarrow and polars."""
        return polars_of(self.to_arrow())

    def _ended(self) -> RunInfo:
        if not self.ended:
            self.wait()
        self.check()
        return self.info

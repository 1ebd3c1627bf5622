"""Which tables a source has, as a node sees it: asked of a process of its own, remembered briefly.

No slot and no worker is taken, and nothing is read on the event loop.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from time import monotonic

import msgspec
import structlog

from queryrun.engines.source_spec import SourceSpec
from queryrun.errors import FailureCode, Unavailable
from queryrun.processes.child_process import ChildProcess
from queryrun.processes.errors import ForkServerLost
from queryrun.processes.fork_client import ForkClient
from queryrun.processes.frames import encode, receive_body
from queryrun.services.catalog.frames import TableShape, TablesRequest, TablesResponse

_log = structlog.get_logger(__name__)

ROLE = "catalog"
"""Of its processes, in the fork server's table."""

SpecOf = Callable[[str, str], Awaitable[SourceSpec]]
"""(source, entity id) -> which data it is."""

Tables = tuple[TableShape, ...]

MOST_FILES = 10_000
"""Looked at to see whether a directory has changed; with more, only time makes an answer old."""


@dataclass(frozen=True, slots=True)
class CatalogOptions:
    """How long a question may take, how many at once, how long and how many answers are kept."""

    budget_s: float = 15.0
    remote_budget_s: float = 50.0
    """An engine elsewhere is asked about one table after another. Below a request's time."""
    processes: int = 2
    fresh_s: float = 30.0
    """An embedded source's answer, while its files look the same."""
    remote_fresh_s: float = 60.0
    """Of an engine elsewhere nobody tells what has changed."""
    remembered: int = 64
    """Answers kept, each of at most 8 MB and mostly some kB."""


@dataclass(frozen=True, slots=True)
class _Remembered:
    tables: Tables
    state: int
    until_s: float


class TableReader:
    """A `runs.tables.TableCatalog`. Used from the event loop of the main thread alone."""

    def __init__(
        self, fork_client: ForkClient, spec_of: SpecOf, options: CatalogOptions | None = None
    ) -> None:
        self._fork_client = fork_client
        self._spec_of = spec_of
        self._options = options or CatalogOptions()
        self._turns = asyncio.Semaphore(self._options.processes)
        self._kept: OrderedDict[tuple[str, str, str | None], _Remembered] = OrderedDict()
        self._asking: dict[tuple[str, str, str | None], asyncio.Task[Tables]] = {}

    async def tables(self, source: str, entity_id: str) -> Tables:
        """All tables, by name. Raises `Unavailable` when the source cannot say."""
        return await self._answer((source, entity_id, None))

    async def table(self, source: str, entity_id: str, name: str) -> TableShape | None:
        """One table; None when there is none of this name. Raises `Unavailable` likewise."""
        key = name.lower()
        if (source, entity_id, None) in self._kept:
            known = await self._answer((source, entity_id, None))
        else:
            known = await self._answer((source, entity_id, key))
        return next((table for table in known if table.name == key), None)

    async def close(self) -> None:
        """Give up on what is asked, and reap its processes. Idempotent."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def _answer(self, key: tuple[str, str, str | None]) -> Tables:
        """Remembered, or asked; who asks the same at the same time shares the answer."""
        spec = await self._spec_of(key[0], key[1])
        state = await asyncio.to_thread(state_of, spec)
        kept = self._kept.get(key)
        if kept is not None and kept.state == state and monotonic() < kept.until_s:
            self._kept.move_to_end(key)
            return kept.tables
        if key not in self._asking:
            task = asyncio.create_task(self._ask(key, spec, state), name="catalog")
            self._asking[key] = task
            task.add_done_callback(lambda done: self._asked(key, done))
        return await asyncio.shield(self._asking[key])

    def _asked(self, key: tuple[str, str, str | None], done: asyncio.Task[Tables]) -> None:
        del self._asking[key]
        if not done.cancelled():
            done.exception()  # whoever waited has it; nobody may have

    async def _ask(self, key: tuple[str, str, str | None], spec: SourceSpec, state: int) -> Tables:
        source, _, table = key
        async with self._turns:
            found = await self._asked_of_a_process(source, TablesRequest(spec, table))
        options = self._options
        fresh_s = options.remote_fresh_s if spec.kind.is_remote else options.fresh_s
        self._kept[key] = _Remembered(found.tables, state, monotonic() + fresh_s)
        self._kept.move_to_end(key)
        if len(self._kept) > options.remembered:
            self._kept.popitem(last=False)
        return found.tables

    async def _asked_of_a_process(self, source: str, asked: TablesRequest) -> TablesResponse:
        try:
            process, control = await self._fork_client.fork(ROLE)
        except (ForkServerLost, OSError) as error:
            raise Unavailable("tables cannot be listed at the moment") from error
        is_remote = asked.source.kind.is_remote
        budget_s = self._options.remote_budget_s if is_remote else self._options.budget_s
        try:
            async with asyncio.timeout(budget_s):
                answer = await _exchange(control, asked)
        except TimeoutError:
            _log.warning("catalog_out_of_time", source=source, budget_s=budget_s)
            raise Unavailable(f"source '{source}' did not list its tables in time") from None
        finally:
            await asyncio.shield(_end(process))
        if answer is None:
            raise Unavailable(f"the tables of source '{source}' cannot be listed")
        if answer.problem is not None:
            _log.warning("catalog_failed", source=source, code=answer.code)
            raise Unavailable(_words(source, answer))
        return answer


def state_of(spec: SourceSpec) -> int:
    """A number that changes when an embedded source's files do: names, sizes, times of change."""
    place = spec.options.get("data_dir") or spec.options.get("database")
    if place is None:
        return 0
    return hash(tuple(_looks(place)))


def _looks(place: str) -> Iterator[tuple[str, int, int]]:
    if os.path.isfile(place):  # noqa: PTH113 - as the rest here: thousands of entries, no objects
        found = os.stat(place)  # noqa: PTH116
        yield place, found.st_size, found.st_mtime_ns
        return
    files = 0
    for parent, _, names in os.walk(place):
        for name in names:
            files += 1
            if files > MOST_FILES:
                return
            try:
                found = os.stat(os.path.join(parent, name))  # noqa: PTH116, PTH118
            except FileNotFoundError:
                continue
            yield os.path.join(parent, name), found.st_size, found.st_mtime_ns  # noqa: PTH118


async def _exchange(control: socket.socket, asked: TablesRequest) -> TablesResponse | None:
    """The process's answer; None when it died instead."""
    reader, writer = await asyncio.open_unix_connection(sock=control)
    try:
        writer.write(encode(asked))
        body = await receive_body(reader)
        return msgspec.msgpack.decode(body, type=TablesResponse)
    except (OSError, EOFError, ValueError, msgspec.MsgspecError):
        return None
    finally:
        writer.close()


async def _end(process: ChildProcess) -> None:
    process.kill()
    await process.reap()


def _words(source: str, answer: TablesResponse) -> str:
    """What the caller is told; only messages that are meant for people come from engines."""
    if answer.code == FailureCode.INTERNAL_ERROR:
        return f"the tables of source '{source}' cannot be listed"
    return f"source '{source}': {answer.problem}"

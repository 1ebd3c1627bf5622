"""The tables of a source as a node sees them: listed by a process, cached briefly.

This uses no slot and no worker, and reads nothing on the event loop.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from time import monotonic

import msgspec
import structlog

from queryrun.engines.source_spec import SourceSpec
from queryrun.errors import FailureCode, Unavailable
from queryrun.processes.fork_client import ForkClient
from queryrun.processes.frames import encode
from queryrun.results.bounded_threads import BoundedThreads
from queryrun.services.base import RecentResults, ServiceProcesses
from queryrun.services.catalog.frames import TableShape, TablesRequest, TablesResponse
from queryrun.services.turns import TurnSlots

_log = structlog.get_logger(__name__)

ROLE = "catalog"
"""Of its processes, in the fork server's table."""
MAX_PROCESSES = 2
_SCANS = 2
"""Directories that are looked through at once; entities take turns here too."""
MAX_CACHED_LISTS = 64
"""Each has at most 8 MB, usually a few kB."""
REMOTE_TIMEOUT_S = 50.0
"""A remote engine describes one table after another. Below the timeout of a request."""
REMOTE_LIFETIME_S = 60.0
"""Of a cached list: a remote engine does not report changes."""
MAX_FAILURES = 4
"""Processes that one list may cost: a table that one fails or hangs at is left out of the next."""
MAX_FILES = 10_000
"""Inspected to see whether a directory has changed; with more, only time expires a list."""

SpecOf = Callable[[str, str], Awaitable[SourceSpec]]
"""(source, entity id) -> which data it is."""

Tables = tuple[TableShape, ...]


@dataclass(frozen=True, slots=True)
class CatalogOptions:
    """How long an embedded source may take to list its tables, and how long a list is cached."""

    timeout_s: float = 15.0
    lifetime_s: float = 30.0
    """While its files are unchanged."""


@dataclass(frozen=True, slots=True)
class _CacheKey:
    source: str
    entity_id: str
    table: str | None
    """None: all tables."""


@dataclass(frozen=True, slots=True)
class _CachedTables:
    tables: Tables
    version: int
    expires_at_s: float
    is_complete: bool = True
    slow: frozenset[str] = frozenset()
    """Tables that were given up on, because they took too long beside others."""

    def has_described(self, name: str) -> bool:
        """Whether a description of this table alone could say no more."""
        return self.is_complete and name not in self.slow


class CatalogClient:
    """A `runs.tables.TableCatalog`. Used from the event loop of the main thread alone."""

    def __init__(
        self, fork_client: ForkClient, spec_of: SpecOf, options: CatalogOptions | None = None
    ) -> None:
        self._spec_of = spec_of
        self._options = options or CatalogOptions()
        decode = msgspec.msgpack.Decoder(TablesResponse).decode
        self._processes = ServiceProcesses(
            fork_client, ROLE, decode, "tables cannot be listed at the moment"
        )
        self._turns = TurnSlots(MAX_PROCESSES)
        self._scans = BoundedThreads("catalog", threads=_SCANS, max_waiting=2000)
        self._scan_turns = TurnSlots(_SCANS, max_waiting_per_key=200)
        self._cache: RecentResults[_CacheKey, _CachedTables] = RecentResults(MAX_CACHED_LISTS)
        self._pending: dict[_CacheKey, asyncio.Task[_CachedTables]] = {}

    async def tables(self, source: str, entity_id: str) -> Tables:
        """All tables, by name. Raises `Unavailable` when the source cannot list them."""
        return await self._find(_CacheKey(source, entity_id, None))

    async def table(self, source: str, entity_id: str, name: str) -> TableShape | None:
        """One table; None when there is none of this name. Raises `Unavailable` likewise.

        One that a list had no time for is described alone: it then has all the time.
        """
        cached = self._cache.get(_CacheKey(source, entity_id, None))
        is_listed = cached is not None and cached.has_described(name.lower())
        key = _CacheKey(source, entity_id, None if is_listed else name.lower())
        found = await self._find(key)
        return next((table for table in found if table.name == name.lower()), None)

    async def close(self) -> None:
        """Abandon pending requests, and reap their processes. Idempotent."""
        pending = list(self._pending.values())
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        self._scans.close()
        await self._processes.close()

    async def _find(self, key: _CacheKey) -> Tables:
        """Cached, or requested; concurrent calls for the same tables share one process."""
        spec = await self._spec_of(key.source, key.entity_id)
        async with self._scan_turns.slot(key.entity_id):
            version = await self._scans.run(lambda: data_version(spec))
        cached = self._cache.get(key)
        is_current = cached is not None and cached.version == version
        if cached and is_current and cached.is_complete and monotonic() < cached.expires_at_s:
            return cached.tables
        if key not in self._pending:
            task = asyncio.create_task(self._request(key, spec, version), name="catalog")
            self._pending[key] = task
            task.add_done_callback(lambda done: self._forget_pending(key, done))
        return (await asyncio.shield(self._pending[key])).tables

    def _forget_pending(self, key: _CacheKey, done: asyncio.Task[_CachedTables]) -> None:
        del self._pending[key]
        if not done.cancelled():
            done.exception()  # marks it as retrieved: every caller may have been cancelled

    async def _request(self, key: _CacheKey, spec: SourceSpec, version: int) -> _CachedTables:
        """`version` is from before the request: files that change meanwhile expire the list.

        A list that was not finished in time is kept as far as it goes, and the next request goes
        on from there.
        """
        before = self._cache.get(key)
        known: Tables = ()
        if before is not None and before.version == version and not before.is_complete:
            known = tuple(table for table in before.tables if table.problem != _LATE)
        async with self._turns.slot(key.entity_id):
            listing = await self._list(key, spec, known)
        if before is not None and known:
            listing.slow |= before.slow
        lifetime_s = REMOTE_LIFETIME_S if spec.kind.is_remote else self._options.lifetime_s
        found = _CachedTables(
            listing.tables(),
            version,
            monotonic() + lifetime_s,
            is_complete=not listing.unread(),
            slow=frozenset(listing.slow),
        )
        self._cache.put(key, found)
        return found

    async def _list(self, key: _CacheKey, spec: SourceSpec, known: Tables) -> _Listing:
        """Raises `Unavailable` when not even the names are known, or the one table is slow."""
        timeout_s = REMOTE_TIMEOUT_S if spec.kind.is_remote else self._options.timeout_s
        listing = _Listing({table.name: table for table in known})
        ends_at_s = monotonic() + timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                for _ in range(MAX_FAILURES):
                    await self._read(key, spec, listing, ends_at_s)
                    if not listing.unread():
                        break
        except TimeoutError:
            _log.warning("catalog_timeout", source=key.source, timeout_s=timeout_s)
            if key.table is not None:
                raise Unavailable(f"table '{key.table}': {_SLOW.format(timeout_s)}") from None
            if not listing.unread():
                message = f"source '{key.source}' did not list its tables in time"
                raise Unavailable(message) from None
            listing.give_up_on(listing.unread()[0], _SLOW.format(timeout_s))
        return listing

    async def _read(
        self, key: _CacheKey, spec: SourceSpec, listing: _Listing, ends_at_s: float
    ) -> None:
        """One process, until it has said everything, or one table has made it fail or hang."""
        request = TablesRequest(spec, key.table, tuple(listing.found))
        async with self._processes.one() as process:
            process.send(encode(request))
            while True:
                share_s = listing.share_s(ends_at_s - monotonic())
                try:
                    async with asyncio.timeout(share_s):
                        response = await process.receive()
                except TimeoutError:
                    table = listing.unread()[0]
                    _log.warning("catalog_slow", source=key.source, table=table)
                    listing.slow.add(table)
                    listing.give_up_on(table, _SLOW_BESIDE_OTHERS.format(share_s))
                    return
                if response is None and listing.unread():
                    table = listing.unread()[0]
                    _log.warning("catalog_crashed", source=key.source, table=table)
                    listing.give_up_on(table, _CRASHED)
                    return
                if response is None and listing.names:
                    return
                if response is None:
                    raise Unavailable(f"the tables of source '{key.source}' cannot be listed")
                if response.problem is not None:
                    _log.warning("catalog_failed", source=key.source, code=response.code)
                    raise Unavailable(_message(key.source, response))
                listing.names = response.names or listing.names
                listing.found |= {table.name: table for table in response.tables}
                if response.is_last:
                    listing.names = ()
                    return


@dataclass(slots=True)
class _Listing:
    """What is known of a list while it is read."""

    found: dict[str, TableShape]
    names: tuple[str, ...] = ()
    """Those that the process was to describe, in its order; empty once it has."""
    slow: set[str] = field(default_factory=set)
    """Those of `found` that others were not to wait for."""

    def unread(self) -> list[str]:
        """What has not been described yet. The first one is what the process is busy with."""
        return [name for name in self.names if name not in self.found]

    def give_up_on(self, name: str, problem: str) -> None:
        """One table keeps its name alone; the others may be asked for again."""
        self.found[name] = TableShape(name, None, problem=problem)

    def share_s(self, left_s: float) -> float | None:
        """How long the next table may take: half of what is left when others wait behind it.

        None when none does: the end of the whole time ends the wait then.
        """
        return max(left_s / 2, 0.0) if len(self.unread()) > 1 else None

    def tables(self) -> Tables:
        """By name. What there was no time for has no columns."""
        late = {name: TableShape(name, None, problem=_LATE) for name in self.unread()}
        return tuple(table for _, table in sorted((self.found | late).items()))


_SLOW = (
    "its data could not be described within {:.0f} s. A run that reads the table takes the time it "
    "needs; its columns are known afterwards"
)
_SLOW_BESIDE_OTHERS = (
    "its data could not be described within {:.1f} s, and others waited behind it. Ask for this "
    "table alone, which has more time"
)
_LATE = "there was no time to describe it. ask again, or for this table alone"
_CRASHED = (
    "the process that describes it was ended by its data, or while it read them. Look at its files "
    "with `queryrun tables check`; other tables are not affected"
)


def data_version(spec: SourceSpec) -> int:
    """A number that changes when an embedded source's files do: names, sizes, times of change."""
    path = spec.options.get("data_dir") or spec.options.get("database")
    if path is None:
        return 0
    return hash(tuple(_file_states(path)))


def _file_states(root: str) -> Iterator[tuple[str, int, int]]:
    """Plain strings and `os` calls: `pathlib` takes twice the time for thousands of files."""
    if os.path.isfile(root):  # noqa: PTH113
        found = os.stat(root)  # noqa: PTH116
        yield root, found.st_size, found.st_mtime_ns
        return
    files = 0
    for parent, _, names in os.walk(root):
        for name in names:
            files += 1
            if files > MAX_FILES:
                return
            try:
                found = os.stat(os.path.join(parent, name))  # noqa: PTH116, PTH118
            except OSError:  # gone, or a link in a circle
                continue
            yield os.path.join(parent, name), found.st_size, found.st_mtime_ns  # noqa: PTH118


def _message(source: str, response: TablesResponse) -> str:
    """What the caller sees. An internal error's text may quote anything, so it is left out."""
    if response.code == FailureCode.INTERNAL_ERROR:
        return f"the tables of source '{source}' cannot be listed"
    return f"source '{source}': {response.problem}"

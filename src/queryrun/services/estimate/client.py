"""Estimates as a node sees them: from processes of single entities, the last used ones kept.

This uses no slot and no worker, and plans nothing on the event loop.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import structlog

from queryrun.engines.base import EngineLimits, RowFilter
from queryrun.engines.estimates import StatementEstimate
from queryrun.engines.source_spec import SourceSpec
from queryrun.errors import Failure, FailureCode, RunFailed, Unavailable
from queryrun.processes.fork_client import ForkClient
from queryrun.processes.frames import encode
from queryrun.processes.remove_tree import remove_tree
from queryrun.services.base import ServiceProcess, ServiceProcesses
from queryrun.services.copies.client import Write
from queryrun.services.estimate.frames import Copied, EstimateRequest, EstimateResponse
from queryrun.services.turns import TurnSlots
from queryrun.sql.parameters import Parameter
from queryrun.tables.text.requests import CopiesMade, CopiesRequest

_log = structlog.get_logger(__name__)

ROLE = "estimate"
"""Of its processes, in the fork server's table."""
MAX_PROCESSES = 2
"""Statements that are planned at once; entities take turns."""
MAX_IDLE = 4
"""Processes that are kept for the next statement of their entity; about 60 MB each."""
MAX_WAITING = 20
"""Statements of one entity that wait."""
MAX_RESIDENT_BYTES = 384 * 1024**2
"""A process that holds more than this afterwards is not kept."""
_WORK_PREFIX = "worker-estimate-"
"""Begins as the workers' do: what a killed node leaves behind goes the same way."""

_COPIES_LIMITS = EngineLimits(256 * 1024**2, threads=1, spill_dir="", spill_bytes=0)
"""As planning has them: nothing of the node's slots is used."""

SpecOf = Callable[[str, str, Sequence[str]], Awaitable[SourceSpec]]
"""(source, entity id, orgs) -> which data it is."""


@dataclass(frozen=True, slots=True)
class EstimateOptions:
    """Where processes may write, and how long one statement may take."""

    work_root: Path
    time_zone: str = "UTC"
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    """A process, and what it has opened."""

    source: SourceSpec
    process: ServiceProcess[EstimateResponse]
    work_dir: Path


@dataclass(frozen=True, slots=True)
class _Statement:
    """What is estimated."""

    sql: str = field(repr=False)
    row_filter: RowFilter
    parameters: tuple[Parameter, ...] = field(repr=False)


@dataclass(slots=True)
class EstimateClient:
    """A `runs.estimate.StatementEstimates`. Used from the event loop of the main thread alone."""

    fork_client: ForkClient
    spec_of: SpecOf
    options: EstimateOptions
    write_copies: Write | None = None
    """Who converts text files; None: each process does for itself, each time."""
    _idle: OrderedDict[int, _Opened] = field(default_factory=OrderedDict)
    _turns: TurnSlots = field(init=False)
    _processes: ServiceProcesses[EstimateResponse] = field(init=False)

    def __post_init__(self) -> None:
        decode = msgspec.msgpack.Decoder(EstimateResponse).decode
        self._processes = ServiceProcesses(
            self.fork_client, ROLE, decode, "statements cannot be estimated at the moment"
        )
        self._turns = TurnSlots(MAX_PROCESSES, max_waiting_per_key=MAX_WAITING)

    async def estimate(
        self,
        source: str,
        entity_id: str,
        sql: str,
        row_filter: RowFilter,
        parameters: tuple[Parameter, ...] = (),
    ) -> StatementEstimate | None:
        """What the statement would read; None when the source's engine does not say.

        Raises `RunFailed` as the run would before it reads, and `Unavailable` when it takes too
        long, kills its process, or too many of the entity's wait.
        """
        spec = await self.spec_of(source, entity_id, row_filter.org_ids)
        if not spec.kind.estimator:
            return None
        async with self._turns.slot(entity_id, self.options.timeout_s):
            response = await self._response(spec, _Statement(sql, row_filter, parameters))
        if response.estimate is not None:
            return response.estimate
        raise RunFailed(
            Failure(FailureCode(response.code), response.message, response.line, response.column)
        )

    async def close(self) -> None:
        """Kill every process. Estimates in progress fail. Idempotent."""
        await self._processes.close()
        while self._idle:
            _, opened = self._idle.popitem()
            await asyncio.to_thread(remove_tree, opened.work_dir)

    async def _response(self, spec: SourceSpec, statement: _Statement) -> EstimateResponse:
        """A kept process may have died meanwhile: that is not the statement's fault."""
        if (kept := self._taken(spec)) is not None:
            response = await self._response_of(kept, statement)
            if response is not None:
                return response
        response = await self._response_of(await self._open(spec), statement)
        if response is None:
            raise Unavailable("the statement makes the process that plans it fail")
        return response

    async def _response_of(self, opened: _Opened, statement: _Statement) -> EstimateResponse | None:
        """A process is used again only after a response."""
        response = None
        request = EstimateRequest(
            opened.source,
            str(opened.work_dir),
            self.options.time_zone,
            statement.sql,
            statement.row_filter,
            statement.parameters,
        )
        try:
            async with asyncio.timeout(self.options.timeout_s):
                response = await opened.process.request(encode(request))
                while response is not None and response.copies is not None:
                    response = await self._with_copies(opened, response.copies)
        except TimeoutError:
            _log.warning("estimate_timeout", timeout_s=self.options.timeout_s)
            message = f"the statement could not be planned within {self.options.timeout_s:.0f} s"
            raise Unavailable(f"{message}; submit it without dry_run") from None
        finally:
            await self._put_back(opened, is_reusable=response is not None)
        return response

    async def _with_copies(self, opened: _Opened, needed: CopiesRequest) -> EstimateResponse | None:
        """Its next response, once text files that it needs are converted. None: it broke the
        protocol."""
        if not needed.is_valid:
            return None
        made = CopiesMade()
        if self.write_copies is not None:
            handle = opened.process.child.handle
            made = await self.write_copies(opened.source, needed, _COPIES_LIMITS, handle)
        return await opened.process.request(encode(Copied(made)))

    def _taken(self, spec: SourceSpec) -> _Opened | None:
        """The process that was used last for this source, if one is idle and lives."""
        for key, opened in reversed(self._idle.items()):
            if opened.source == spec and not opened.process.child.is_exiting:
                return self._idle.pop(key)
        return None

    async def _open(self, spec: SourceSpec) -> _Opened:
        work_dir = self.options.work_root / f"{_WORK_PREFIX}{secrets.token_hex(8)}"
        await asyncio.to_thread(work_dir.mkdir, mode=0o700, parents=True)
        try:
            return _Opened(spec, await self._processes.start(), work_dir)
        except BaseException:
            remove_tree(work_dir)
            raise

    async def _put_back(self, opened: _Opened, *, is_reusable: bool) -> None:
        if is_reusable and opened.process.child.resident_bytes() <= MAX_RESIDENT_BYTES:
            self._idle[id(opened)] = opened
            if len(self._idle) <= MAX_IDLE:
                return
            _, opened = self._idle.popitem(last=False)
        await self._processes.end(opened.process)
        await asyncio.to_thread(remove_tree, opened.work_dir)

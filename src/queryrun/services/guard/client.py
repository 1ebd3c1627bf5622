"""The statement guard as a node sees it: verdicts from processes that may stall or crash.

Parsing 1,000,000 characters takes seconds and a deep nesting overflows the parser's stack;
neither may happen in the process that serves requests.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import structlog

from queryrun.errors import Unavailable
from queryrun.processes.fork_client import ForkClient
from queryrun.processes.frames import encode
from queryrun.services.base import RecentResults, ServiceProcess, ServiceProcesses
from queryrun.services.guard.frames import (
    CheckRequest,
    CheckResponse,
    ValidateRequest,
    ValidateResponse,
)
from queryrun.services.turns import TurnSlots
from queryrun.sql.guard.validation import TableColumns, Validation
from queryrun.sql.guard.verdict import MAX_STATEMENT_CHARS, Refusal, Verdict
from queryrun.sql.parameters import Parameter

_log = structlog.get_logger(__name__)

ROLE = "guard"
"""Of its processes, in the fork server's table."""
SMALL_CHARS = 20_000
"""Up to here a statement is small: parsed in milliseconds, its verdict cached."""
SMALL_PROCESSES, LARGE_PROCESSES = 2, 2
"""Checks at once of each size."""
MAX_LARGE_PER_ENTITY = 1
"""The other process is left to others: a large check may take seconds."""
MAX_WAITING_SMALL, MAX_WAITING_LARGE = 1000, 64
"""Checks of one entity that wait: at most 20 and 64 MB of statements in memory."""
VALIDATING_PROCESSES = 1
"""Compiles statements while they are written: a convenience, so it gets one core at most."""
MAX_WAITING_VALIDATIONS = 20
"""Of one entity. Each holds a statement of 20 kB and a list of tables that is shared."""
MAX_RESIDENT_BYTES = 192 * 1024**2
"""A process that holds more than this after a check is replaced."""

MIN_USED = 0.1
"""A check that ran out of time has used this share of it at least, in CPU time: or else the machine
is busy or stood still, and the check gets the time again."""
MAX_WAITS = 4
"""How often it gets it."""

_BUSY = "statements cannot be checked in time at the moment"
_MAX_ATTEMPTS = 2
"""A process may die for an unrelated reason; a statement that kills two is refused."""


@dataclass(frozen=True, slots=True)
class GuardOptions:
    """How long a check may take, and how many verdicts are cached."""

    small_timeout_s: float = 2.0
    large_timeout_s: float = 10.0
    cached_verdicts: int = 1024
    """With statements of at most `SMALL_CHARS` each, some 20 MB at most."""


_Response = CheckResponse | ValidateResponse


class GuardClient:
    """A `runs.context.StatementGuard` that no statement can stall or crash."""

    def __init__(self, fork_client: ForkClient, options: GuardOptions | None = None) -> None:
        options = options or GuardOptions()
        self._small = _GuardPool(
            fork_client,
            TurnSlots(SMALL_PROCESSES, max_waiting_per_key=MAX_WAITING_SMALL),
            options.small_timeout_s,
        )
        self._large = _GuardPool(
            fork_client,
            TurnSlots(
                LARGE_PROCESSES,
                max_per_key=MAX_LARGE_PER_ENTITY,
                max_waiting_per_key=MAX_WAITING_LARGE,
            ),
            options.large_timeout_s,
        )
        self._validating = _GuardPool(
            fork_client,
            TurnSlots(VALIDATING_PROCESSES, max_waiting_per_key=MAX_WAITING_VALIDATIONS),
            options.small_timeout_s,
        )
        self._verdicts: RecentResults[bytes, Verdict] = RecentResults(options.cached_verdicts)

    async def check(
        self,
        statement: str,
        dialect: str = "duckdb",
        entity_id: str = "",
        parameters: Sequence[Parameter] = (),
    ) -> Verdict:
        """The verdict on one statement; `TOO_COMPLEX` when it takes too long or kills its process.

        Small statements never wait behind large ones, and entities take turns. Raises
        `Unavailable` when no process can be started, which is no statement's fault, and when
        too many of the entity's statements wait; nothing else.
        """
        if len(statement) > MAX_STATEMENT_CHARS:
            return _too_long(statement)
        if len(statement) > SMALL_CHARS:
            return await self._large.check(statement, dialect, entity_id, parameters)
        if parameters:  # they differ from one run to the next, and are not kept
            return await self._small.check(statement, dialect, entity_id, parameters)
        key = _digest(statement, dialect)
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = await self._small.check(statement, dialect, entity_id, ())
            if verdict.refusal is not Refusal.TOO_COMPLEX:  # the machine may have been busy
                self._verdicts.put(key, verdict)
        return verdict

    async def validate(
        self,
        statement: str,
        tables: tuple[TableColumns, ...] | None,
        entity_id: str = "",
        parameters: Sequence[Parameter] = (),
    ) -> Validation:
        """What the compiler says of a statement in Trino's SQL that the guard has accepted.

        Of a statement that is too long or takes too long it says that, and no more. It has a
        process of its own: those who write do not wait for each other's checks at submit, nor
        the other way round. Raises `Unavailable` as `check` does.
        """
        if len(statement) > SMALL_CHARS:
            return Validation(f"Only {SMALL_CHARS:,} characters are checked before a run.")
        return await self._validating.validate(statement, tables, entity_id, parameters)

    async def close(self) -> None:
        """Kill and reap every process. Checks in progress are refused. Idempotent."""
        await self._small.close()
        await self._large.close()
        await self._validating.close()


class _GuardPool:
    """Processes for statements of one size: started when needed, one statement at a time each."""

    def __init__(self, fork_client: ForkClient, turns: TurnSlots, timeout_s: float) -> None:
        decode = msgspec.msgpack.Decoder(_Response).decode
        self._processes = ServiceProcesses(
            fork_client, ROLE, decode, "statements cannot be checked at the moment"
        )
        self._free: list[ServiceProcess[_Response]] = []
        self._turns = turns
        self._timeout_s = timeout_s

    async def check(
        self, statement: str, dialect: str, entity_id: str, parameters: Sequence[Parameter]
    ) -> Verdict:
        try:
            request = encode(CheckRequest(statement, dialect, tuple(parameters)))
        except UnicodeEncodeError:
            return Verdict(statement, Refusal.BAD_CHARACTER, "The statement is not valid text.")
        async with self._turns.slot(entity_id):
            response = await self._response(request)
        verdict = response.verdict if isinstance(response, CheckResponse) else None
        return verdict or _too_complex(statement)

    async def validate(
        self,
        statement: str,
        tables: tuple[TableColumns, ...] | None,
        entity_id: str,
        parameters: Sequence[Parameter],
    ) -> Validation:
        try:
            request = encode(ValidateRequest(statement, tables, tuple(parameters)))
        except UnicodeEncodeError:
            return Validation("The statement is not valid text.")
        async with self._turns.slot(entity_id):
            response = await self._response(request)
        if isinstance(response, ValidateResponse):
            return response.validation
        return Validation("The statement is too complex to be checked before it runs.")

    async def close(self) -> None:
        await self._processes.close()

    async def _response(self, request: bytes) -> _Response | None:
        """None: no process responded, and that was the statement's fault. A process is used again
        only after a response.

        The second attempt is made in a new process: whatever killed the first one may have killed
        all others that there were.
        """
        for number in range(_MAX_ATTEMPTS):
            process = await (self._processes.start() if number else self._acquire())
            response = None
            try:
                response = await self._within_limit(process, request)
            except TimeoutError:
                return None
            finally:
                await self._release(process, reusable=response is not None)
            if response is not None:
                return response
        return None

    async def _within_limit(
        self, process: ServiceProcess[_Response], request: bytes
    ) -> _Response | None:
        """`TimeoutError` when the check has used its time. Raises `Unavailable` when it got none:
        the machine is busy, or stood still."""
        before_s = process.child.cpu_s()
        checking = asyncio.ensure_future(process.request(request))
        try:
            for _ in range(MAX_WAITS):
                await asyncio.wait({checking}, timeout=self._timeout_s)
                if checking.done():
                    return checking.result()
                cpu_s = process.child.cpu_s() - before_s
                _log.warning("guard_timeout", timeout_s=self._timeout_s, cpu_s=round(cpu_s, 3))
                if cpu_s >= self._timeout_s * MIN_USED:
                    raise TimeoutError
        finally:
            checking.cancel()
        raise Unavailable(_BUSY)

    async def _acquire(self) -> ServiceProcess[_Response]:
        while self._free:
            process = self._free.pop()
            if not process.child.is_exiting:
                return process
            await self._processes.end(process)
        return await self._processes.start()

    async def _release(self, process: ServiceProcess[_Response], *, reusable: bool) -> None:
        if reusable and process.child.resident_bytes() <= MAX_RESIDENT_BYTES:
            self._free.append(process)
        else:
            await self._processes.end(process)


def _digest(statement: str, dialect: str) -> bytes:
    return hashlib.sha256(f"{dialect}:{statement}".encode("utf-8", "surrogatepass")).digest()


def _too_long(statement: str) -> Verdict:
    message = f"A statement may have at most {MAX_STATEMENT_CHARS:,} characters."
    return Verdict(statement, Refusal.TOO_LONG, message)


def _too_complex(statement: str) -> Verdict:
    return Verdict(statement, Refusal.TOO_COMPLEX, "The statement is too complex to be checked.")

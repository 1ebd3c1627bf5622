"""The statement guard as a node sees it: verdicts from processes that may stall or crash.

Parsing 1,000,000 characters takes seconds and a deep nesting overflows the parser's stack;
neither may happen in the process that serves requests.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections import OrderedDict
from dataclasses import dataclass

import msgspec
import structlog

from queryrun.errors import Unavailable
from queryrun.processes.child_process import ChildProcess
from queryrun.processes.errors import ForkServerLost
from queryrun.processes.fork_client import ForkClient
from queryrun.processes.frames import encode, receive_body
from queryrun.services.guard.frames import CheckRequest, CheckResponse
from queryrun.sql.guard import MAX_STATEMENT_CHARS, Refusal, Verdict

_log = structlog.get_logger(__name__)

ROLE = "guard"
"""Of its processes, in the fork server's table."""
SMALL_CHARS = 20_000
"""Up to here a statement is small: parsed in milliseconds, its verdict remembered."""
MAX_RESIDENT_BYTES = 192 * 1024**2
"""A checker that holds more than this after a check is replaced."""

_TRIES = 2
"""A checker may die for another reason; a statement that kills two is refused."""


@dataclass(frozen=True, slots=True)
class CheckerOptions:
    """How long a check may take, how many at once, how many verdicts are remembered."""

    small_budget_s: float = 2.0
    large_budget_s: float = 10.0
    small_processes: int = 2
    large_processes: int = 1
    remembered: int = 1024
    """Verdicts kept; with statements of at most `SMALL_CHARS` each, some 20 MB at most."""


class StatementChecker:
    """A `runs.context.StatementGuard` that never stalls the event loop nor dies of a statement."""

    def __init__(self, fork_client: ForkClient, options: CheckerOptions | None = None) -> None:
        options = options or CheckerOptions()
        self._small = _Lane(fork_client, options.small_processes, options.small_budget_s)
        self._large = _Lane(fork_client, options.large_processes, options.large_budget_s)
        self._known = _Remembered(options.remembered)

    async def check(self, statement: str, dialect: str = "duckdb") -> Verdict:
        """The verdict on one statement; `TOO_COMPLEX` when it takes too long or kills its checker.

        Small statements never wait behind large ones. Raises `Unavailable` when no checker can
        be started, which is no statement's fault; nothing else.
        """
        if len(statement) > MAX_STATEMENT_CHARS:
            return _too_long(statement)
        if len(statement) > SMALL_CHARS:
            return await self._large.check(statement, dialect)
        verdict = self._known.get(statement, dialect)
        if verdict is None:
            verdict = await self._small.check(statement, dialect)
            self._known.put(statement, dialect, verdict)
        return verdict

    async def close(self) -> None:
        """Kill and reap every checker. Checks under way are refused. Idempotent."""
        await self._small.close()
        await self._large.close()


class _Lane:
    """Checkers for one kind of statement: started when needed, one statement at a time each."""

    def __init__(self, fork_client: ForkClient, processes: int, budget_s: float) -> None:
        self._fork_client = fork_client
        self._budget_s = budget_s
        self._free: list[_Checker] = []
        self._living: set[_Checker] = set()
        self._starting: set[asyncio.Task[_Checker]] = set()
        self._turns = asyncio.Semaphore(processes)

    async def check(self, statement: str, dialect: str) -> Verdict:
        try:
            asked = encode(CheckRequest(statement, dialect))
        except UnicodeEncodeError:
            return Verdict(statement, Refusal.BAD_CHARACTER, "The statement is not valid text.")
        async with self._turns:
            return await self._ask(asked) or _too_complex(statement)

    async def close(self) -> None:
        await asyncio.gather(*self._starting, return_exceptions=True)
        for checker in list(self._living):
            await self._end(checker)

    async def _ask(self, asked: bytes) -> Verdict | None:
        for _ in range(_TRIES):
            checker = await self._any()
            verdict = None
            try:
                async with asyncio.timeout(self._budget_s):
                    verdict = await checker.ask(asked)
            except TimeoutError:
                _log.warning("checker_out_of_time", budget_s=self._budget_s)
                return None
            finally:
                await asyncio.shield(self._after(checker, answered=verdict is not None))
            if verdict is not None:
                return verdict
        return None

    async def _any(self) -> _Checker:
        while self._free:
            checker = self._free.pop()
            if not checker.process.is_doomed:
                return checker
            await self._end(checker)
        starting = asyncio.ensure_future(self._start())
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            starting.add_done_callback(self._keep_for_another)
            raise

    async def _start(self) -> _Checker:
        try:
            process, control = await self._fork_client.fork(ROLE)
        except (ForkServerLost, OSError) as error:
            raise Unavailable("statements cannot be checked at the moment") from error
        checker = _Checker(process)
        self._living.add(checker)
        await checker.connect(control)
        return checker

    def _keep_for_another(self, starting: asyncio.Task[_Checker]) -> None:
        if starting.exception() is None:
            self._free.append(starting.result())

    async def _after(self, checker: _Checker, *, answered: bool) -> None:
        if answered and checker.process.resident_bytes() <= MAX_RESIDENT_BYTES:
            self._free.append(checker)
        else:
            await self._end(checker)

    async def _end(self, checker: _Checker) -> None:
        if checker not in self._living:
            return
        self._living.discard(checker)
        if checker in self._free:
            self._free.remove(checker)
        await checker.end()


class _Checker:
    """One checker process."""

    def __init__(self, process: ChildProcess) -> None:
        self.process = process
        self._answers = msgspec.msgpack.Decoder(CheckResponse)

    async def connect(self, control: socket.socket) -> None:
        self._reader, self._writer = await asyncio.open_unix_connection(sock=control)

    async def ask(self, asked: bytes) -> Verdict | None:
        """Its verdict; None when it died or talked nonsense."""
        try:
            self._writer.write(asked)
            body = await receive_body(self._reader)
            return self._answers.decode(body).verdict
        except (OSError, EOFError, ValueError, msgspec.MsgspecError):
            return None

    async def end(self) -> None:
        self.process.kill()
        await self.process.reap()
        self._writer.close()


class _Remembered:
    """The last verdicts by digest of the statement; the one unused for longest makes room."""

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._verdicts: OrderedDict[bytes, Verdict] = OrderedDict()

    def get(self, statement: str, dialect: str) -> Verdict | None:
        key = _digest(statement, dialect)
        verdict = self._verdicts.get(key)
        if verdict is not None:
            self._verdicts.move_to_end(key)
        return verdict

    def put(self, statement: str, dialect: str, verdict: Verdict) -> None:
        """Not for `TOO_COMPLEX`: that may have been the machine's bad moment."""
        if verdict.refusal is Refusal.TOO_COMPLEX:
            return
        self._verdicts[_digest(statement, dialect)] = verdict
        if len(self._verdicts) > self._entries:
            self._verdicts.popitem(last=False)


def _digest(statement: str, dialect: str) -> bytes:
    return hashlib.sha256(f"{dialect}:{statement}".encode("utf-8", "surrogatepass")).digest()


def _too_long(statement: str) -> Verdict:
    message = f"A statement may have at most {MAX_STATEMENT_CHARS:,} characters."
    return Verdict(statement, Refusal.TOO_LONG, message)


def _too_complex(statement: str) -> Verdict:
    return Verdict(statement, Refusal.TOO_COMPLEX, "The statement is too complex to be checked.")

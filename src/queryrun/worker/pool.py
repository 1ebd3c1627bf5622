"""The pool of worker processes as a node sees it: take one, use it, stop it for certain.

    hired ──► warm ──take(config)► in use ──give_back──► idle ──take(equal config)──► in use
                                      │                    │
                                      └──────── stop ──────┴──► buried: reaped, spill removed

Every process is watched from its birth by one task that buries it when it ends, whoever ended
it. `stop` only makes it end, and waits for the burial.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
import structlog

from queryrun.processes.child_process import describe_exit
from queryrun.processes.errors import ForkServerLost, NotReaped
from queryrun.processes.fork_client import ForkClient, Roles
from queryrun.results.sigv4 import Credentials
from queryrun.worker.errors import PoolClosed
from queryrun.worker.frames import Failed, WorkerConfig
from queryrun.worker.spill import SpillRoot
from queryrun.worker.worker import Worker

_log = structlog.get_logger(__name__)

ROLE = "worker"
"""Of its processes, in the fork server's table."""
GRACE_S = 0.025
"""What a statement that heeds interrupts usually needs; longer would only delay the kill."""
REAP_BOUND_S = 10.0
"""How long a killed process may take to end before we call it stuck (`NotReaped`)."""
HEAVY_BYTES = 256 * 1024**2
"""From this resident memory on, a stop kills without grace: giving back memory takes the kernel
60-90 ms per GB, and only for a process that was killed can we help it (`release.py`)."""
SETTLE_BOUND_S = 5.0
"""How long a worker may take after a run to open its next session before it is replaced."""
_HIRE_AGAIN_AFTER_S = (0.05, 0.2, 1.0, 5.0)
_DISCONNECT_BOUND_S = 1.0


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """How many workers, and when one is replaced. `spill_root` is this node's alone."""

    spill_root: Path
    max_workers: int = 8
    """Processes at once: in use, idle, warm and being stopped."""
    warm: int = 2
    """Spare processes kept ready: unbound ones and idle bound ones count, one is unbound."""
    max_idle: int = 4
    """Bound workers kept for their entity after a run."""
    idle_s: float = 60.0
    """An idle bound worker beyond `warm` is let go after this."""
    max_runs: int = 200
    max_age_s: float = 3600.0
    max_resident_bytes: int = 256 * 1024**2
    """A worker that holds more than this after a run is replaced."""


class StopHow(StrEnum):
    """How a worker ended; the values are those of `runs.model.EngineStop`."""

    NEVER_STARTED = "never_started"
    """Its user had not sent it a statement."""
    INTERRUPTED = "interrupted"
    """The engine heeded, and the worker left by itself."""
    KILLED = "killed"
    """It was killed, by us or before us."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Proof that a worker is gone: reaped, its memory and spill given back.

    `stop_s` is from the first call of `stop` to here; `exit_code` as in `WorkerDied`.
    """

    how: StopHow
    exit_code: int | None
    stop_s: float


class WorkerPool:
    """Warm workers for one node. Used from the event loop of the main thread alone."""

    def __init__(self, options: PoolOptions, roles: Roles) -> None:
        self.fork_client = ForkClient(roles)
        """Shared with the services; `close` ends it."""
        self._options = options
        self._spill = SpillRoot(options.spill_root)
        self._warm: list[Worker] = []
        self._idle: list[Worker] = []
        self._let_go_at: dict[Worker, asyncio.TimerHandle] = {}
        self._living: set[Worker] = set()
        self._directories: dict[Worker, Path] = {}
        self._stops: WeakKeyDictionary[Worker, asyncio.Task[Stopped]] = WeakKeyDictionary()
        self._waiting: list[asyncio.Future[None]] = []
        self._hiring = 0
        self._hires_failed = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._closed = False
        self._credentials: Credentials | None = None
        """The newest of the S3 store, once they have changed."""

    @property
    def size(self) -> int:
        """Processes alive or not yet proven dead, whatever they do."""
        return len(self._living)

    @property
    def spares(self) -> int:
        """Processes that `take` could give out now."""
        return len(self._warm) + len(self._idle)

    async def start(self) -> None:
        """Claim the spill root, empty it, and begin to warm up. Does not wait for any process.

        Raises `ConfigurationError` when another node uses the spill root.
        """
        await asyncio.to_thread(self._spill.open)
        self.fork_client.start()
        self._tend()

    async def close(self) -> None:
        """Kill and bury every worker, end the fork-server. Idempotent.

        Those who wait get `PoolClosed` or `WorkerDied`. Raises `NotReaped` when a process does
        not end.
        """
        self._closed = True
        self._wake_waiting()
        if self._retry is not None:
            self._retry.cancel()
        while self._hiring or self._living:
            await asyncio.gather(*(self.stop(worker, grace_s=0.0) for worker in self._living))
            if self._hiring:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        await self.fork_client.close()
        self._spill.close()

    async def take(self, config: WorkerConfig) -> Worker:
        """A worker bound to `config`, whose `spill_dir` is left empty: the pool fills it in.

        An idle one with an equal config, else a warm one, else a new one; waits while there are
        `max_workers`. It may still be opening its source: `Worker.execute` waits for that.
        The caller must hand it to `give_back` or `stop`. Cancelling this call costs nothing.

        Raises `PoolClosed`, and `ForkServerLost` when no process can be started.
        """
        while not self._closed:
            config = self._with_new_credentials(config)
            worker = self._pick_idle(config) or self._pick_warm(config)
            if worker is not None:
                worker.started = False
                self._tend()
                return worker
            await self._change()
        raise PoolClosed("the pool is closed")

    def renew_credentials(self, credentials: Credentials) -> None:
        """Give new S3 credentials to every worker that has some, and to those bound later."""
        self._credentials = credentials
        for worker in self._living:
            worker.renew_credentials(credentials)

    def give_back(self, worker: Worker) -> None:
        """The user is done with it. Kept for the same config if it ended cleanly and is still good.

        Otherwise it is stopped in the background. Returns at once. One that was never sent a
        statement may be given back too.
        """
        if self._is_worth_keeping(worker):
            self._keep(worker)
        elif not worker.is_gone:
            self._in_background(self.stop(worker, grace_s=0.0))
        self._wake_waiting()
        self._tend()

    async def stop(self, worker: Worker, grace_s: float = GRACE_S) -> Stopped:
        """End a worker and return when it is proven gone. The only way to end one.

        Asks it to interrupt its statement, waits `grace_s` for it to leave (not when it has
        started nothing, or holds more than `HEAVY_BYTES`), then kills its process group,
        reaps it and removes its spill directory. What it may have started dies with the
        group, but only the worker itself is waited for: no engine of ours starts processes.

        Idempotent, and safe to call from several tasks: all get the same answer. Cancelling
        the call does not cancel the stop.

        Raises `NotReaped` when it does not end within `REAP_BOUND_S` after the kill: it may
        still work, so hold on to its slot. Calling again tries again.
        """
        task = self._stops.get(worker)
        if task is None or (task.done() and task.exception() is not None):
            self._forget_spare(worker)
            worker.interrupt()  # before anything waits: from here on nothing starts on it
            task = asyncio.get_running_loop().create_task(self._stop(worker, grace_s))
            self._stops[worker] = task
            self._hold(task)
        return await asyncio.shield(task)

    # --- ending ---------------------------------------------------------------------------

    async def _stop(self, worker: Worker, grace_s: float) -> Stopped:
        began = asyncio.get_running_loop().time()
        started, ended_before = worker.started, worker.process.exited.is_set()
        left = ended_before or await self._left_by_itself(worker, grace_s if started else 0.0)
        worker.process.kill()
        exit_code = await self._buried(worker)
        heeded = worker.heeded or (left and exit_code == 0)
        how = StopHow.INTERRUPTED if heeded else StopHow.KILLED
        took = asyncio.get_running_loop().time() - began
        return Stopped(how if started else StopHow.NEVER_STARTED, exit_code, took)

    async def _left_by_itself(self, worker: Worker, grace_s: float) -> bool:
        if grace_s <= 0 or worker.process.resident_bytes() > HEAVY_BYTES:
            return False
        try:
            async with asyncio.timeout(grace_s):
                await worker.process.exited.wait()
        except TimeoutError:
            return False
        return True

    async def _buried(self, worker: Worker) -> int | None:
        try:
            async with asyncio.timeout(REAP_BOUND_S):
                return await worker.gone()
        except TimeoutError:
            _log.error("worker_not_reaped", pid=worker.pid)
            raise NotReaped(worker.pid) from None

    async def _watch(self, worker: Worker) -> None:
        """Bury it when it ends: the one way out of the pool for every process."""
        await worker.process.exited.wait()
        self._forget_spare(worker)
        worker.clean = False
        await self._hear_it_out(worker)
        directory = self._directories.pop(worker, None)
        if directory is not None:
            await asyncio.to_thread(self._spill.remove, directory)
        exit_code = await worker.process.reap()
        if worker not in self._stops:
            _log.warning("worker_died", pid=worker.pid, exit=describe_exit(exit_code))
        self._living.discard(worker)
        worker.set_gone(exit_code)
        self._wake_waiting()
        self._tend()

    async def _hear_it_out(self, worker: Worker) -> None:
        """Its last words may still be in the socket: a `Done` counts although it died after it."""
        try:
            async with asyncio.timeout(_DISCONNECT_BOUND_S):
                await worker.disconnected.wait()
        except TimeoutError:
            _log.warning("worker_socket_stays_open", pid=worker.pid)

    # --- giving out -----------------------------------------------------------------------

    def _with_new_credentials(self, config: WorkerConfig) -> WorkerConfig:
        """A configuration may be older than the last renewal, which no worker must miss."""
        if self._credentials is None or config.results.credentials is None:
            return config
        results = msgspec.structs.replace(config.results, credentials=self._credentials)
        return msgspec.structs.replace(config, results=results)

    def _pick_idle(self, config: WorkerConfig) -> Worker | None:
        self._drop_doomed()
        fitting = [w for w in self._idle if w.template == config and w.clean]
        worker = next((w for w in fitting if w.is_ready), fitting[0] if fitting else None)
        if worker is not None:
            self._forget_spare(worker)
        return worker

    def _pick_warm(self, config: WorkerConfig) -> Worker | None:
        if not self._warm:
            return None
        worker = self._warm.pop(0)
        self._directories[worker] = self._spill.new()
        worker.bind(config, str(self._directories[worker]))
        return worker

    def _drop_doomed(self) -> None:
        """Their death would cost the taker an attempt; `_watch` buries them in its own time."""
        for worker in [w for w in (*self._warm, *self._idle) if w.process.is_exiting]:
            self._forget_spare(worker)

    async def _change(self) -> None:
        """Wait until a worker was hired, given back or buried, having asked for one more."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self._tend()
        try:
            await waiting
        finally:
            if waiting in self._waiting:
                self._waiting.remove(waiting)

    def _wake_waiting(self, error: Exception | None = None) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if one.done():
                continue
            one.set_exception(error) if error is not None else one.set_result(None)

    # --- keeping spares -------------------------------------------------------------------

    def _is_worth_keeping(self, worker: Worker) -> bool:
        age_s = asyncio.get_running_loop().time() - worker.born_at
        return (
            worker.clean
            and not self._closed
            and worker not in self._stops
            and worker.runs < self._options.max_runs
            and age_s < self._options.max_age_s
            and len(self._idle) < self._options.max_idle
            and worker.process.resident_bytes() <= self._options.max_resident_bytes
        )

    def _keep(self, worker: Worker) -> None:
        self._idle.append(worker)
        self._let_go_later(worker)
        self._in_background(self._settle(worker))

    def _let_go_later(self, worker: Worker) -> None:
        loop = asyncio.get_running_loop()
        self._let_go_at[worker] = loop.call_later(self._options.idle_s, self._let_go, worker)

    def _let_go(self, worker: Worker) -> None:
        if self.spares > self._options.warm:
            self._in_background(self.stop(worker, grace_s=0.0))
        else:
            self._let_go_later(worker)

    async def _settle(self, worker: Worker) -> None:
        """See that it opens its next session; replace it when it can't."""
        try:
            async with asyncio.timeout(SETTLE_BOUND_S):
                opened = await worker.ready()
        except Exception:  # late or dead, it is no spare
            opened = None
        if worker in self._idle and (opened is None or isinstance(opened, Failed)):
            await self.stop(worker, grace_s=0.0)

    def _forget_spare(self, worker: Worker) -> None:
        if worker in self._warm:
            self._warm.remove(worker)
        if worker in self._idle:
            self._idle.remove(worker)
            self._let_go_at.pop(worker).cancel()

    def _tend(self) -> None:
        """Hire what is missing, evict what is in the way. Cheap; called after every change."""
        if self._closed:
            return
        while self._is_short() and self._retry is None:
            if len(self._living) + self._hiring >= self._options.max_workers:
                self._make_room()
                return
            self._hiring += 1
            self._in_background(self._hire())

    def _is_short(self) -> bool:
        wanted = len(self._waiting)
        unbound = len(self._warm) + self._hiring
        target = self._options.warm
        spare = unbound + len(self._idle)
        return unbound < wanted + min(1, target) or spare < wanted + target

    def _make_room(self) -> None:
        """At the limit someone waits while idle workers are bound to others: let the oldest go."""
        leaving = sum(worker in self._stops for worker in self._living)
        if self._idle and leaving + self._hiring < len(self._waiting):
            worker = self._idle[0]
            self._forget_spare(worker)
            self._in_background(self.stop(worker, grace_s=0.0))

    async def _hire(self) -> None:
        try:
            process, control = await self.fork_client.fork(ROLE)
        except (ForkServerLost, OSError) as error:
            self._hiring -= 1
            self._hire_later(error)
            return
        worker = Worker(process)
        self._living.add(worker)
        self._hiring -= 1
        self._hires_failed = 0
        await worker.connect(control)
        self._in_background(self._watch(worker))
        if not worker.process.is_exiting:
            self._warm.append(worker)
        self._wake_waiting()
        self._tend()

    def _hire_later(self, error: Exception) -> None:
        _log.error("worker_not_started", reason=str(error), failures=self._hires_failed + 1)
        wait_s = _HIRE_AGAIN_AFTER_S[min(self._hires_failed, len(_HIRE_AGAIN_AFTER_S) - 1)]
        self._hires_failed += 1
        self._wake_waiting(ForkServerLost(str(error)) if self._hires_failed > 1 else None)
        if self._retry is None and not self._closed:
            self._retry = asyncio.get_running_loop().call_later(wait_s, self._hire_again)

    def _hire_again(self) -> None:
        self._retry = None
        self._tend()

    def _in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        self._hold(asyncio.get_running_loop().create_task(work))

    def _hold(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._release)

    def _release(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and isinstance(task.exception(), NotReaped):
            return  # told to whoever asked, and logged
        if not task.cancelled() and task.exception() is not None:
            _log.error("pool_task_failed", exception=type(task.exception()).__name__)

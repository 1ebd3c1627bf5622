"""The pool of worker processes as a node sees it: take one, use it, stop it and confirm that.

    spawned ──► warm ──take(config)──► in use ──give_back──► idle ──take(equal config)──► in use
                                        │                      │
                                        └───────── stop ───────┴──► reaped, spill removed

One task per process watches it from its start and reaps it when it exits, for whatever cause.
`stop` only makes it exit, and waits until it is reaped.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import structlog

from queryrun.causes import Cause, cause_of
from queryrun.processes.child_process import describe_exit
from queryrun.processes.errors import ForkServerLost, NotReaped
from queryrun.processes.fork_client import ForkClient, Roles
from queryrun.processes.frames import encode
from queryrun.processes.given_sockets import send_descriptor
from queryrun.processes.sandbox import SandboxMode
from queryrun.worker.errors import NoDirectory, PoolClosed
from queryrun.worker.frames import Failed, RelayConfig, WorkerConfig
from queryrun.worker.relay_targets import addresses_of
from queryrun.worker.spill import SpillRoot, make_outbox, outbox_in
from queryrun.worker.worker import Worker, WriteCopies

_log = structlog.get_logger(__name__)

ROLE, RELAY_ROLE = "worker", "relay"
"""Of its processes, in the fork server's table."""
GRACE_S = 0.025
"""What a statement that reacts to interrupts usually needs; longer would only delay the kill."""
REAP_TIMEOUT_S = 10.0
"""How long a killed process may take to exit before it counts as stuck (`NotReaped`)."""
NO_GRACE_BYTES = 256 * 1024**2
"""Above this resident memory, a stop kills without grace: releasing memory takes the kernel
60-90 ms per GB, and only a kill allows us to speed that up (`processes/release.py`)."""
SESSION_TIMEOUT_S = 5.0
"""How long a worker may take after a run to open its next session before it is replaced."""
MAX_IDLE_WORKERS = 4
"""Kept for their entities after a run."""
MAX_AGE_S = 3600.0
"""A worker of this age is replaced after its run."""
_SPAWN_RETRY_S = (0.05, 0.2, 1.0, 5.0)
_DISCONNECT_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """How many workers, and when one is replaced. `spill_root` is this node's alone."""

    spill_root: Path
    results: Path | None = None
    """The directory of results, unless they go elsewhere."""
    sandbox: SandboxMode = SandboxMode.BEST_EFFORT
    """What processes do on a kernel that lacks a wall."""
    max_workers: int = 8
    """Processes at once: in use, idle, warm and being stopped."""
    warm: int = 2
    """Spare processes kept ready: warm and idle ones count, and at least one is warm."""
    idle_timeout_s: float = 60.0
    """An idle worker beyond `warm` is stopped after this."""
    max_runs: int = 200
    """A worker that has served as many is replaced."""
    max_resident_bytes: int = 256 * 1024**2
    """A worker that holds more than this after a run is replaced."""


class StopHow(StrEnum):
    """How a worker stopped; the values are those of `runs.model.EngineStop`."""

    NEVER_STARTED = "never_started"
    """Its user had not sent it a statement."""
    INTERRUPTED = "interrupted"
    """The interrupt stopped the statement, and the worker exited on its own."""
    KILLED = "killed"
    """It was killed, by us or before us."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Confirms that a worker has exited: reaped, its memory and spill released.

    `exit_code` is as in `WorkerDied`. Times are on the monotonic clock; `killed_s` is None when the
    worker exited by itself.
    """

    how: StopHow
    exit_code: int | None
    interrupted_s: float = 0.0
    killed_s: float | None = None
    reaped_s: float = 0.0


class WorkerPool:
    """Warm workers for one node. Used from the event loop of the main thread alone."""

    def __init__(self, options: PoolOptions, roles: Roles) -> None:
        self.fork_client = ForkClient(roles, options.sandbox)
        """Shared with the services; `close` stops it."""
        self.write_copies: WriteCopies | None = None
        """Who makes the copies that workers need; to be set before the first is taken."""
        self._options = options
        self._spill = SpillRoot(options.spill_root, options.results)
        self._warm: list[Worker] = []
        self._idle: list[Worker] = []
        self._expiry_timers: dict[Worker, asyncio.TimerHandle] = {}
        self._living: set[Worker] = set()
        self._directories: dict[Worker, Path] = {}
        self._stops: WeakKeyDictionary[Worker, asyncio.Task[Stopped]] = WeakKeyDictionary()
        self._waiters: list[asyncio.Future[None]] = []
        self._spawning = 0
        self._spawn_failures = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._closed = False
        self._spawn_error: Exception | None = None
        """Why the last process could not be started; None when it was."""

    @property
    def size(self) -> int:
        """Processes that are not reaped yet, in any state."""
        return len(self._living)

    @property
    def spares(self) -> int:
        """Processes that `take` could give out now."""
        return len(self._warm) + len(self._idle)

    @property
    def spawn_problem(self) -> tuple[Cause, str] | None:
        """Why no process can be started at the moment; None when one could be started last."""
        if self._spawn_error is None or self._spawn_failures < 2:
            return None
        cause = cause_of(self._spawn_error) or Cause.OTHER
        return cause, f"no process can be started: {cause.sentence}"

    async def start(self) -> None:
        """Claim the spill root, empty it, and begin to warm up. Does not wait for any process.

        Raises `ConfigurationError` when another node uses the spill root.
        """
        await asyncio.to_thread(self._spill.open)
        self.fork_client.start()
        self._maintain()

    async def close(self) -> None:
        """Kill and reap every worker, stop the fork server. Idempotent.

        Callers that wait get `PoolClosed` or `WorkerDied`. Raises `NotReaped` when a process does
        not exit.
        """
        self._closed = True
        self._wake_waiters()
        if self._retry is not None:
            self._retry.cancel()
        while self._spawning or self._living:
            await asyncio.gather(*(self.stop(worker, grace_s=0.0) for worker in self._living))
            if self._spawning:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        await self.fork_client.close()
        self._spill.close()

    async def take(self, config: WorkerConfig) -> Worker:
        """A worker bound to `config`, whose `spill_dir` is left empty: the pool fills it in.

        An idle one with an equal config, else a warm one, else a new one; waits while there are
        `max_workers`. It may still be opening its source: `Worker.execute` waits for that.
        The caller must hand it to `give_back` or `stop`. Cancelling this call leaks nothing.

        Raises `PoolClosed`, `ForkServerLost` when no process can be started, and `NoDirectory` when
        there is no room for its files.
        """
        while not self._closed:
            worker = self._pick_idle(config) or self._pick_warm(config)
            if worker is not None:
                worker.started, worker.is_in_use = False, True
                self._maintain()
                return worker
            await self._wait_for_change()
        raise PoolClosed("the pool is closed")

    def give_back(self, worker: Worker) -> None:
        """Return a worker. It is kept for an equal config if it finished cleanly and is reusable.

        Otherwise it is stopped in the background. Returns at once. One that was never sent a
        statement may be given back too.
        """
        worker.is_in_use = False
        if self._is_reusable(worker):
            self._keep_idle(worker)
        elif worker.is_reaped:
            self._in_background(self._remove_outbox(worker))
        else:
            self._in_background(self.stop(worker, grace_s=0.0))
        self._wake_waiters()
        self._maintain()

    async def stop(self, worker: Worker, grace_s: float = GRACE_S) -> Stopped:
        """Stop a worker and return when it is reaped. The only way to stop one.

        Sends it an interrupt, waits `grace_s` for it to exit (not when it has
        started nothing, or holds more than `NO_GRACE_BYTES`), then kills its process group,
        reaps it and removes its spill directory. What it may have started dies with the
        group, but only the worker itself is waited for: no engine of ours starts processes.

        Idempotent, and safe to call from several tasks: all get the same result. Cancelling
        the call does not cancel the stop.

        Raises `NotReaped` when it does not exit within `REAP_TIMEOUT_S` after the kill: it may
        still work, so keep its slot occupied. Another call retries.
        """
        worker.is_in_use = False
        task = self._stops.get(worker)
        if task is None or (task.done() and task.exception() is not None):
            self._remove_spare(worker)
            worker.interrupt()  # before anything waits: from here on nothing starts on it
            task = asyncio.get_running_loop().create_task(self._stop(worker, grace_s))
            self._stops[worker] = task
            self._track(task)
        return await asyncio.shield(task)

    # --- stopping -------------------------------------------------------------------------

    async def _stop(self, worker: Worker, grace_s: float) -> Stopped:
        """Kills even a worker that has exited: members of its process group may still run."""
        interrupted_s = time.monotonic()
        started, had_exited = worker.started, worker.process.exited.is_set()
        exited = had_exited or await self._exits_by_itself(worker, grace_s if started else 0.0)
        killed_s = None if exited else time.monotonic()
        worker.process.kill()
        exit_code = await self._wait_reaped(worker)
        reaped_s = time.monotonic()
        await self._remove_outbox(worker)
        interrupted = worker.interrupted or (exited and exit_code == 0)
        how = StopHow.INTERRUPTED if interrupted else StopHow.KILLED
        how = how if started else StopHow.NEVER_STARTED
        return Stopped(how, exit_code, interrupted_s, killed_s, reaped_s)

    async def _exits_by_itself(self, worker: Worker, grace_s: float) -> bool:
        """A worker with much memory gets no grace: only a killed one frees it quickly."""
        if grace_s <= 0 or worker.process.resident_bytes() > NO_GRACE_BYTES:
            return False
        try:
            async with asyncio.timeout(grace_s):
                await worker.process.exited.wait()
        except TimeoutError:
            return False
        return True

    async def _wait_reaped(self, worker: Worker) -> int | None:
        """Bounded: a process in an uninterruptible system call may survive SIGKILL for long."""
        try:
            async with asyncio.timeout(REAP_TIMEOUT_S):
                return await worker.wait_reaped()
        except TimeoutError:
            _log.error("worker_not_reaped", pid=worker.pid)
            raise NotReaped(worker.pid) from None

    async def _watch(self, worker: Worker) -> None:
        """Reap it when it exits: the one way out of the pool for every process."""
        await worker.process.exited.wait()
        self._remove_spare(worker)
        worker.reusable = False
        await worker.end_copying()
        worker.died_without_directory = worker.has_lost_directory()
        await self._drain_socket(worker)
        directory = self._directories.pop(worker, None)
        if directory is not None:
            await asyncio.to_thread(self._spill.remove, directory)
        exit_code = await worker.process.reap()
        if worker.relay is not None:  # it may still be passing on what the worker sent
            await asyncio.wait([worker.relay])
        if not worker.is_in_use:  # else its user may still take a finished file
            await self._remove_outbox(worker)
        if worker not in self._stops:
            _log.warning("worker_died", pid=worker.pid, exit=describe_exit(exit_code))
        self._living.discard(worker)
        worker.set_reaped(exit_code)
        self._wake_waiters()
        self._maintain()

    async def _remove_outbox(self, worker: Worker) -> None:
        """For a worker that is reaped. Idempotent."""
        if worker.outbox is not None:
            await asyncio.to_thread(self._spill.remove, worker.outbox)

    async def _drain_socket(self, worker: Worker) -> None:
        """Frames may still be in the socket: a `Done` counts although the worker died after it."""
        try:
            async with asyncio.timeout(_DISCONNECT_TIMEOUT_S):
                await worker.disconnected.wait()
        except TimeoutError:
            _log.warning("worker_socket_open_after_exit", pid=worker.pid)

    # --- taking ---------------------------------------------------------------------------

    def _pick_idle(self, config: WorkerConfig) -> Worker | None:
        """Prefers a worker whose session is open, so that the statement starts at once.

        One whose directories somebody has removed is stopped: it may write nowhere else.
        """
        self._drop_exiting()
        for lost in [w for w in self._idle if w.has_lost_directory()]:
            self._remove_spare(lost)
            self._in_background(self.stop(lost, grace_s=0.0))
        matching = [w for w in self._idle if w.config == config and w.reusable]
        worker = next((w for w in matching if w.is_ready), matching[0] if matching else None)
        if worker is not None:
            self._remove_spare(worker)
        return worker

    def _pick_warm(self, config: WorkerConfig) -> Worker | None:
        if not self._warm:
            return None
        spill_dir, outbox = self._new_directories(config)
        worker = self._warm.pop(0)
        self._directories[worker] = spill_dir
        worker.write_copies = self.write_copies
        worker.configure(config, spill_dir, outbox)
        if addresses_of(config.source, config.results):
            worker.relay = asyncio.get_running_loop().create_task(self._run_relay(worker, config))
            self._track(worker.relay)
        return worker

    def _new_directories(self, config: WorkerConfig) -> tuple[Path, Path | None]:
        """A worker's spill directory and outbox. `NoDirectory` names the part that has no room."""
        try:
            spill_dir = self._spill.new()
        except OSError as error:
            raise NoDirectory("spill", cause_of(error)) from error
        try:
            return spill_dir, _new_outbox(config, spill_dir)
        except OSError as error:
            self._spill.remove(spill_dir)
            raise NoDirectory("results", cause_of(error)) from error

    async def _run_relay(self, worker: Worker, config: WorkerConfig) -> None:
        """The relay of a worker, from its start to its end: it never outlives the worker.

        A worker without one, because none could be started, is of no use: it is stopped.
        """
        with worker.requests as requests:
            try:
                process, control = await self.fork_client.fork(RELAY_ROLE)
            except (ForkServerLost, OSError) as error:
                _log.error("relay_not_started", pid=worker.pid, reason=str(error))
                worker.is_cut_off = True
                self._in_background(self.stop(worker, grace_s=0.0))
                return
            with control, contextlib.suppress(OSError):
                send_descriptor(control, requests.fileno())
                control.sendall(encode(RelayConfig(config.source, config.results)))
        await worker.process.exited.wait()
        process.kill()
        await process.reap()

    def _drop_exiting(self) -> None:
        """An exiting worker would cost the caller of `take` an attempt; `_watch` reaps it."""
        for worker in [w for w in (*self._warm, *self._idle) if w.process.is_exiting]:
            self._remove_spare(worker)

    async def _wait_for_change(self) -> None:
        """Wait until a worker was spawned, given back or reaped, after requesting one more."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._maintain()
        try:
            await waiter
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _wake_waiters(self, error: Exception | None = None) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if waiter.done():
                continue
            waiter.set_exception(error) if error is not None else waiter.set_result(None)

    # --- keeping spares -------------------------------------------------------------------

    def _is_reusable(self, worker: Worker) -> bool:
        """Limits on runs, age and memory bound what leaks and fragmentation add up to."""
        age_s = asyncio.get_running_loop().time() - worker.created_at_s
        return (
            worker.reusable
            and not self._closed
            and worker not in self._stops
            and worker.runs < self._options.max_runs
            and age_s < MAX_AGE_S
            and len(self._idle) < MAX_IDLE_WORKERS
            and worker.process.resident_bytes() <= self._options.max_resident_bytes
        )

    def _keep_idle(self, worker: Worker) -> None:
        self._idle.append(worker)
        self._schedule_expiry(worker)
        self._in_background(self._check_session(worker))

    def _schedule_expiry(self, worker: Worker) -> None:
        loop = asyncio.get_running_loop()
        self._expiry_timers[worker] = loop.call_later(
            self._options.idle_timeout_s, self._expire_idle, worker
        )

    def _expire_idle(self, worker: Worker) -> None:
        if self.spares > self._options.warm:
            self._in_background(self.stop(worker, grace_s=0.0))
        else:
            self._schedule_expiry(worker)

    async def _check_session(self, worker: Worker) -> None:
        """Wait until it has opened its next session; replace it when it cannot."""
        try:
            async with asyncio.timeout(SESSION_TIMEOUT_S):
                opened = await worker.ready()
        except Exception:  # late or dead, it cannot serve as a spare
            opened = None
        if worker in self._idle and (opened is None or isinstance(opened, Failed)):
            await self.stop(worker, grace_s=0.0)

    def _remove_spare(self, worker: Worker) -> None:
        if worker in self._warm:
            self._warm.remove(worker)
        if worker in self._idle:
            self._idle.remove(worker)
            self._expiry_timers.pop(worker).cancel()

    def _maintain(self) -> None:
        """Spawn what is missing, evict idle ones at the limit. Cheap; called after every change."""
        if self._closed:
            return
        while self._needs_spawn() and self._retry is None:
            if self.size + self._spawning >= self._options.max_workers:
                self._evict_idle()
                return
            self._spawning += 1
            self._in_background(self._spawn())

    def _needs_spawn(self) -> bool:
        """Idle workers count as spares, but one stays warm: an idle one serves one entity only.

        After a failure one is started although nobody waits: nobody does until one has started.
        """
        if self._spawn_error is not None and not self._spawning:
            return True
        waiters = len(self._waiters)
        warm = len(self._warm) + self._spawning
        target = self._options.warm
        spare = warm + len(self._idle)
        return warm < waiters + min(1, target) or spare < waiters + target

    def _evict_idle(self) -> None:
        """At the limit a caller waits while idle workers serve other entities: stop the oldest."""
        leaving = sum(worker in self._stops for worker in self._living)
        if self._idle and leaving + self._spawning < len(self._waiters):
            worker = self._idle[0]
            self._remove_spare(worker)
            self._in_background(self.stop(worker, grace_s=0.0))

    async def _spawn(self) -> None:
        """The watch begins before a caller can take the worker, so that each one is reaped."""
        try:
            process, control = await self.fork_client.fork(ROLE)
        except (ForkServerLost, OSError) as error:
            self._spawning -= 1
            self._schedule_spawn_retry(error)
            return
        worker = Worker(process)
        self._living.add(worker)
        self._spawning -= 1
        self._spawn_failures = 0
        self._spawn_error = None
        await worker.connect(control)
        self._in_background(self._watch(worker))
        if not worker.process.is_exiting:
            self._warm.append(worker)
        self._wake_waiters()
        self._maintain()

    def _schedule_spawn_retry(self, error: Exception) -> None:
        """The first failure is retried without an error: a fork server restarts quickly."""
        _log.error("worker_spawn_failed", reason=str(error), failures=self._spawn_failures + 1)
        wait_s = _SPAWN_RETRY_S[min(self._spawn_failures, len(_SPAWN_RETRY_S) - 1)]
        self._spawn_failures += 1
        self._spawn_error = error
        lost = ForkServerLost(str(error), cause_of(error))
        self._wake_waiters(lost if self._spawn_failures > 1 else None)
        if self._retry is None and not self._closed:
            self._retry = asyncio.get_running_loop().call_later(wait_s, self._retry_spawn)

    def _retry_spawn(self) -> None:
        self._retry = None
        self._maintain()

    def _in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        self._track(asyncio.get_running_loop().create_task(work))

    def _track(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)

    def _on_task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and isinstance(task.exception(), NotReaped):
            return  # the caller of `stop` got it, and it is logged
        if not task.cancelled() and task.exception() is not None:
            _log.error("pool_task_failed", exception=type(task.exception()).__name__)


def _new_outbox(config: WorkerConfig, spill_dir: Path) -> Path | None:
    """In the directory of results, so that a finished file is renamed and not copied."""
    if config.results.kind != "local":
        return None
    outbox = outbox_in(Path(config.results.options["directory"]), spill_dir)
    make_outbox(outbox)
    return outbox

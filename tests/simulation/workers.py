"""Workers of a simulation: they compute for a while, and are killed, interrupted or crash."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from queryrun.worker.errors import WorkerDied
from queryrun.worker.frames import Done, Execute, Failed
from queryrun.worker.pool import StopHow, Stopped

_USER_ERROR = Failed("type_mismatch", "no")


class SimWorker:
    """One worker process. It exits at the deadline of its lease, on its own."""

    outbox = None
    internal_error = None
    is_cut_off = False
    died_without_directory = False

    def __init__(self, world: Engines, node: str, number: int) -> None:
        self._world = world
        self.node = node
        self.handle = f"{node}/{number}"
        self.started = False
        self.is_alive = True
        self.run: tuple[str, int] | None = None
        self._end = asyncio.Event()
        self._deadline: asyncio.TimerHandle | None = None

    async def ready(self) -> None:
        """It opens the source."""
        await asyncio.sleep(self._world.dice.choice((0.0, 0.01, 0.5)))

    def has_lost_directory(self) -> bool:
        """Never here."""
        return False

    def extend_lease(self, deadline_s: float) -> None:
        """Exit on its own when this passes."""
        if self._deadline is not None:
            self._deadline.cancel()
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_at(deadline_s, self.die)

    async def execute(
        self, frame: Execute, _on_progress: Callable[[Any], None], _permit: object
    ) -> Done | Failed:
        """Compute, unless it dies before."""
        if not self.is_alive:
            raise WorkerDied(-9)
        self.started, self.run = True, (frame.run_id, frame.attempt)
        self._world.begin(self)
        if frame.lease_deadline_s:
            self.extend_lease(frame.lease_deadline_s)
        duration_s = self._world.dice.choice((0.0, 0.05, 1.0, 6.0, 20.0))
        try:
            async with asyncio.timeout(duration_s):
                await self._end.wait()
        except TimeoutError:
            self.run = None
            return Done(1, 10, "ab" * 32) if self._world.dice.random() < 0.9 else _USER_ERROR
        raise WorkerDied(-9)

    def die(self) -> None:
        """It is gone, with all that it computed."""
        if self._deadline is not None:
            self._deadline.cancel()
        self.is_alive, self.run = False, None
        self._end.set()


class Engines:
    """Every worker of a simulation: what really computes."""

    def __init__(self, dice: random.Random, violated: Callable[[str], None]) -> None:
        self.dice = dice
        self.workers: list[SimWorker] = []
        self.killed: set[tuple[str, int]] = set()
        """Attempts whose worker a fault has killed."""
        self._violated = violated

    def new(self, node: str) -> SimWorker:
        """A worker of this node."""
        worker = SimWorker(self, node, len(self.workers))
        self.workers.append(worker)
        return worker

    def computing(self, run_id: str) -> list[SimWorker]:
        """The workers that compute this run."""
        return [one for one in self.workers if one.run is not None and one.run[0] == run_id]

    def begin(self, worker: SimWorker) -> None:
        """It starts to compute: nobody else may."""
        assert worker.run is not None
        if len(self.computing(worker.run[0])) > 1:
            self._violated(f"two workers compute {worker.run[0]}")

    def crash(self, node: str) -> None:
        """All workers of the node die."""
        for worker in self.workers:
            if worker.node == node and worker.is_alive:
                if worker.run is not None:
                    self.killed.add(worker.run)
                worker.die()


class SimPool:
    """`Workers` of one node."""

    def __init__(self, engines: Engines, node: str) -> None:
        self._engines = engines
        self._node = node

    async def take(self, _config: object) -> SimWorker:
        """A new worker."""
        await asyncio.sleep(self._engines.dice.choice((0.0, 0.01, 0.2)))
        return self._engines.new(self._node)

    def give_back(self, worker: SimWorker) -> None:
        """It ends here: every attempt gets a new one."""
        worker.die()

    async def stop(self, worker: SimWorker) -> Stopped:
        """Kill and reap it."""
        await asyncio.sleep(self._engines.dice.choice((0.0, 0.05, 0.4)))
        how = StopHow.KILLED if worker.started else StopHow.NEVER_STARTED
        worker.die()
        return Stopped(how, -9)

"""One simulation: nodes made of the real core over a simulated store, network and workers."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from prometheus_client import CollectorRegistry

from queryrun.errors import NotCancellable, QueryrunError, Unavailable
from queryrun.results.formats import ContentType
from queryrun.runs.attempt import AttemptRunner
from queryrun.runs.context import AttemptContext
from queryrun.runs.dispatch import Dispatcher, DispatchOptions
from queryrun.runs.health import NodeHealth
from queryrun.runs.leader import AlwaysLeader
from queryrun.runs.metrics import RunMetrics
from queryrun.runs.model import AttemptRef, EngineStop, Output, RunRequest, StopReason
from queryrun.runs.notify import ChangeNotifier
from queryrun.runs.outages import NoMarker, ShutdownMarker, StoreOutages
from queryrun.runs.quotas import Quota, Quotas
from queryrun.runs.reap import Reaper, ReapOptions
from queryrun.runs.remote import RemoteWork
from queryrun.runs.retry import RetryPolicy
from queryrun.runs.shortages import WaitReasons
from queryrun.runs.source_policy import SourcePolicy
from queryrun.runs.sources import SourceHealth
from queryrun.runs.store import CancelRequested
from tests.simulation.schedule import Happening, Kind, Schedule
from tests.simulation.store import Link, StoreBackend
from tests.simulation.virtual import VirtualLoop, virtual_time
from tests.simulation.workers import Engines, SimPool

LEASE_S = 9.0
FENCE_S = 7.0
SETTLE_S = 400.0
"""After the last fault all runs have ended within this time."""
AFTER_END_S = 20.0
"""More than two leases, and than the time after which a late write is committed."""
RETRY = RetryPolicy(first_s=1.0, factor=4.0, max_s=20.0)
CANCEL = CancelRequested(StopReason.USER, "client-1")
_NO_MARKER = NoMarker()
_START = datetime(2026, 11, 24, 12, tzinfo=UTC)
_NODE = contextvars.ContextVar[str]("node", default="")


class Results:
    """A store of files that needs nothing of the node; `results/` has tests of its own."""

    def upload_permit(self, _key: str) -> None:
        """None is needed."""

    def take_over(self, *_: object, **__: object) -> bool:
        """The file is there."""
        return True


class Files:
    """Removes files at once; `runs/file_removal.py` has tests of its own."""

    def __init__(self) -> None:
        self.discarded: set[str] = set()

    async def discard(self, key: str | None) -> None:
        """It is gone for good."""
        if key is not None:
            self.discarded.add(key)


class Marker:
    """In the home of a node: the process that is started in its place finds it."""

    def __init__(self) -> None:
        self._is_set = False

    def is_set(self) -> bool:
        """As the last process has left it."""
        return self._is_set

    def set(self) -> None:
        """Attempts may be left."""
        self._is_set = True

    def clear(self) -> None:
        """None are left."""
        self._is_set = False


@dataclass
class SimNode:
    """One node process. `kill` ends it as SIGKILL does: nothing of it goes on."""

    name: str
    link: Link
    dispatcher: Dispatcher
    reaper: Reaper
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    is_owner: bool = False


@dataclass(frozen=True, slots=True)
class Put:
    """Faults of the past that are put back, to show that the simulation finds them."""

    own_clocks: bool = False
    """Nodes count pauses on their own clocks."""
    settles_itself: bool = False
    """A node's reaper takes over what the node itself runs."""
    forgets_lost_replies: bool = False
    """An attempt whose completion was accepted, and the reply lost, removes its file."""


class World:
    """Everything that exists in one simulation, and what it was seen to do wrong."""

    def __init__(self, schedule: Schedule, put: Put, loop: VirtualLoop) -> None:
        self.schedule = schedule
        self.violations: list[str] = []
        self._put = put
        self._loop = loop
        self._dice = random.Random(schedule.seed)  # noqa: S311 - no secret
        self._step_s = 0.0
        self._tasks: dict[str, set[asyncio.Task[Any]]] = {}
        loop.set_task_factory(self._new_task)
        self.backend = StoreBackend(self.now)
        self.engines = Engines(self._dice, self.violations.append)
        self.files = Files()
        self.nodes: list[SimNode | None] = []
        self.markers = [Marker() for _ in schedule.skews_s]
        self.accepted: dict[int, str] = {}
        self.canceled: set[str] = set()
        self.faults = 0
        """What may cost a run a retry: killed workers and nodes, and nodes that were cut off."""
        self._started = 0

    def _new_task(self, loop: Any, coro: Any, context: Any = None) -> asyncio.Task[Any]:
        """Note whose task it is, so that a node can be killed with all that it does."""
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, context=context)
        node = (context or contextvars.copy_context()).get(_NODE, "")
        own = self._tasks.setdefault(node, set())
        own.add(task)
        task.add_done_callback(own.discard)
        return task

    def now(self) -> datetime:
        """The store's time."""
        return _START + timedelta(seconds=self._loop.time() + self._step_s)

    # --- nodes -------------------------------------------------------------------------------

    async def start_node(self, index: int) -> SimNode:
        """A new process in the place of the one that was there."""
        self._started += 1
        name = f"node-{index}-{self._started}"
        is_owner = len(self.schedule.skews_s) == 1
        node = self._build(name, index, is_owner)
        context = contextvars.copy_context()
        context.run(_NODE.set, name)
        starting = self._loop.create_task(self._start(node), context=context)
        await asyncio.wait({starting}, timeout=30)
        return node

    async def _start(self, node: SimNode) -> None:
        while node.is_owner:
            try:
                await node.reaper.recover()
                break
            except Unavailable:
                await asyncio.sleep(0.5)
        node.dispatcher.start()
        node.reaper.start()

    def _build(self, name: str, index: int, is_owner: bool) -> SimNode:
        link = Link(self.backend, self._dice)
        store = cast("Any", link)
        if self._put.own_clocks:
            store = OwnClockStore(link, self.schedule.skews_s[index])
        options = DispatchOptions(
            slots=2,
            lease_s=LEASE_S,
            heartbeat_s=2.0,
            poll_s=1.0,
            fence_s=None if is_owner else FENCE_S,
        )
        context = self.context(name, store, self.markers[index])
        dispatcher = Dispatcher(context, options, lambda: ["live"])
        holds = (lambda _ref: False) if self._put.settles_itself else dispatcher.holds
        reaper = self.reaper(context, holds)
        return SimNode(name, link, dispatcher, reaper, is_owner=is_owner)

    def reaper(
        self, context: AttemptContext, holds: Callable[[AttemptRef], bool] = lambda _ref: False
    ) -> Reaper:
        """The reaper of the context's node."""

        async def kill(handle: str) -> EngineStop:
            return await self._kill(context.node, handle)

        reap = ReapOptions(interval_s=2.0, lease_s=LEASE_S)
        return Reaper(context, reap, kill, AlwaysLeader(), holds)

    def context(self, name: str, store: Any, marker: ShutdownMarker = _NO_MARKER) -> AttemptContext:
        """What an attempt on this node needs of it, with this way to the store."""
        unused = cast("Any", None)
        quotas = Quotas(store, Quota(), Quota())
        policy = SourcePolicy(running_per_tenant=0, time_limit_s=3600)
        config = cast("Any", _no_config)
        return AttemptContext(
            node=name,
            store=store,
            workers=cast("Any", SimPool(self.engines, name)),
            results=cast("Any", Results()),
            files=cast("Any", self.files),
            notifier=ChangeNotifier(),
            policy=lambda _source: policy,
            worker_config=config,
            remote=RemoteWork((), unused, unused),
            sources=SourceHealth(("live",), (), unused, unused),
            health=NodeHealth((), CollectorRegistry()),
            wait_reasons=WaitReasons(),
            retry=RETRY,
            metrics=RunMetrics(),
            quotas=quotas,
            now=self.now,
            outages=StoreOutages(marker),
        )

    async def _kill(self, node: str, handle: str) -> EngineStop:
        """A node can kill workers of its own machine alone."""
        await asyncio.sleep(0.01)
        for worker in self.engines.workers:
            if worker.handle == handle and worker.node.rsplit("-", 1)[0] == node.rsplit("-", 1)[0]:
                worker.die()
        return EngineStop.KILLED

    def kill_node(self, index: int) -> None:
        """SIGKILL, and the kernel takes its workers along."""
        node = self.nodes[index]
        if node is None:
            return
        node.link.is_dead = True
        self.engines.crash(node.name)
        for task in self._tasks.pop(node.name, set()):
            task.cancel()
        self.nodes[index] = None

    # --- what happens ------------------------------------------------------------------------

    async def happen(self, one: Happening) -> None:
        """One entry of the schedule."""
        index = one.index
        match one.kind:
            case Kind.SUBMIT:
                await self._submit(index)
            case Kind.CANCEL:
                await self._cancel(index)
            case Kind.KILL_NODE:
                self.faults += 1
                self.kill_node(index)
                await asyncio.sleep(one.duration_s)
                await self._restart(index)
            case Kind.DRAIN_NODE:
                await self._drain(index)
            case Kind.CRASH_WORKER:
                node = self.nodes[index]
                if node is not None:
                    self.faults += 1
                    self.engines.crash(node.name)
            case Kind.CUT_NODE:
                self.faults += 1
                await self._during(index, "is_cut", one.duration_s)
            case Kind.LOSE_REPLIES:
                self.faults += 1
                await self._during(index, "loses_replies", one.duration_s)
            case Kind.LATE_COMMITS:
                self.faults += 1
                await self._during(index, "commits_late", one.duration_s)
            case Kind.STORE_AWAY:
                self.backend.is_away = True
                await asyncio.sleep(one.duration_s)
                self.backend.is_away = False
            case Kind.STEP_CLOCK:
                self._step_s += 60.0

    async def _submit(self, number: int) -> None:
        request = RunRequest(
            "t", "e", "client-1", "live", f"SELECT {number}", Output(ContentType.CSV)
        )
        run_id = str(UUID(int=self._dice.getrandbits(128), version=4))
        await self.backend.runs.accept(request, run_id=run_id)
        self.accepted[number] = run_id

    async def _cancel(self, number: int) -> None:
        run_id = self.accepted.get(number)
        if run_id is None:
            return
        try:
            await self.backend.runs.cancel(run_id, CANCEL)
        except NotCancellable:
            return
        except QueryrunError as error:
            self.violations.append(f"a cancel was refused: {error}")
        self.canceled.add(run_id)

    async def _drain(self, index: int) -> None:
        node = self.nodes[index]
        if node is None:
            return
        self.nodes[index] = None
        context = contextvars.copy_context()
        context.run(_NODE.set, node.name)
        drain = self._loop.create_task(node.dispatcher.drain(2.0), context=context)
        await asyncio.wait({drain}, timeout=120)
        await node.reaper.close()
        await self._restart(index)

    async def _restart(self, index: int) -> None:
        if self.nodes[index] is None:
            self.nodes[index] = await self.start_node(index)

    async def _during(self, index: int, flag: str, duration_s: float) -> None:
        node = self.nodes[index]
        if node is None:
            return
        setattr(node.link, flag, True)
        await asyncio.sleep(duration_s)
        setattr(node.link, flag, False)

    # --- the whole ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Play the schedule, let everything settle, and judge what is in the store."""
        for index in range(len(self.schedule.skews_s)):
            self.nodes.append(await self.start_node(index))
        begun_s, playing = self._loop.time(), []
        for one in self.schedule.happenings:
            await asyncio.sleep(max(0.0, begun_s + one.at_s - self._loop.time()))
            playing.append(asyncio.ensure_future(self.happen(one)))
        await asyncio.gather(*playing)
        await self._settle()

    async def _settle(self) -> None:
        """Until all runs have ended, and then for as long as a late write or a lease can matter."""
        deadline_s = self._loop.time() + SETTLE_S
        while self._unfinished() and self._loop.time() < deadline_s:
            self._check_now()
            await asyncio.sleep(1.0)
        await asyncio.sleep(AFTER_END_S)

    def _unfinished(self) -> int:
        [(count,)] = self.backend.query(
            "SELECT count(*) FROM runs WHERE state NOT IN ('complete', 'failed', 'canceled')"
        )
        return int(count)

    def _check_now(self) -> None:
        """Nothing computes for a run that reads as ended."""
        for worker in self.engines.workers:
            if worker.run is None:
                continue
            [(state,)] = self.backend.query("SELECT state FROM runs WHERE id = ?", worker.run[0])
            if state == "canceled":
                self.violations.append(f"{worker.run[0]} is canceled, and computes")


async def _no_config(*_: object, **__: object) -> object:
    return object()


class OwnClockStore:
    """The store as it was when nodes reckoned the end of a pause on their own clocks."""

    def __init__(self, link: Link, skew_s: float) -> None:
        self._link = link
        self._skew_s = skew_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    async def requeue(self, ref: Any, detail: Any) -> Any:
        """Ready when the node's own clock says so."""
        return await self._link.requeue(ref, replace(detail, delay_s=detail.delay_s + self._skew_s))


async def _nothing(_runner: AttemptRunner) -> None:
    """Not even asked."""


@contextmanager
def _put_back(put: Put) -> Iterator[None]:
    """The faults that are in the core itself."""
    if not put.forgets_lost_replies:
        yield
        return
    right = AttemptRunner._completed_before
    setattr(AttemptRunner, "_completed_before", _nothing)  # noqa: B010 - as it was before
    try:
        yield
    finally:
        setattr(AttemptRunner, "_completed_before", right)  # noqa: B010


def simulate(schedule: Schedule, put: Put = Put()) -> list[str]:
    """Play the schedule; returns what was violated, in the order it was found."""
    from tests.simulation.judge import judge

    with virtual_time() as loop, _put_back(put):
        world = World(schedule, put, loop)
        loop.run_until_complete(world.run())
        judge(world)
        return list(dict.fromkeys(world.violations))

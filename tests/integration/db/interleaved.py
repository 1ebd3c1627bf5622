"""Two nodes' writes on one PostgreSQL, interleaved statement by statement, move by move.

A state change is one statement, and PostgreSQL lets a statement that waits for another one's row go
on with what that one left. So a pair of writes is played in these ways: the first is done and not
committed when the second begins, and then commits or rolls back; or the first is done and committed
between two statements of the second. What comes of it has to be what one after the other gives.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import psycopg

from queryrun.db.postgres.connect import Connection, connect
from queryrun.db.postgres.connections import create_functions
from queryrun.db.postgres.runs import PostgresRunStore
from queryrun.db.postgres.statements import statements
from queryrun.errors import QueryrunError
from queryrun.runs.model import AttemptRef
from queryrun.runs.store import Accepted, Failed, QueueLimits
from tests.contract.run_store_fixtures import (
    BAD_NAME,
    BY_USER,
    FILE,
    KILLED,
    LEASE_S,
    back,
    idempotent,
    limits,
    request,
)
from tests.postgres_server import TEST_NOW

RUN, OTHER, NEW, LATER = (str(UUID(int=number)) for number in (1, 2, 3, 4))
FIRST, SECOND = AttemptRef(RUN, 1), AttemptRef(RUN, 2)
DAY_S = 24 * 3600.0
_TABLES = (
    "run_events",
    "run_tags",
    "attempts",
    "run_requests",
    "runs",
    "file_removals",
    "usage",
    "usage_records",
    "usage_sums",
    "entity_turns",
    "idempotency_keys",
)
_EMPTY = "; ".join(f"DELETE FROM {table}" for table in _TABLES)
_DUMP = (
    "SELECT id, state, attempt, remaining_attempts, failure_code, cancel_reason, file_key FROM runs"
    " ORDER BY id",
    "SELECT r.id, a.number, a.node, a.handle, a.outcome, a.failure_code, a.stop_engine,"
    " a.ended_ms IS NULL FROM attempts a JOIN runs r ON r.seq = a.run_seq ORDER BY 1, 2",
    "SELECT r.id, e.attempt, e.event, e.state FROM run_events e JOIN runs r ON r.seq = e.run_seq"
    " ORDER BY r.id, e.at_ms",
    "SELECT file_key FROM file_removals ORDER BY 1",
    "SELECT sum(statement_bytes), sum(result_bytes), sum(written_bytes) FROM usage",
    "SELECT idempotency_key, run_id, reserved_until_ms IS NULL FROM idempotency_keys ORDER BY 1",
)

Op = Callable[[PostgresRunStore, str], Coroutine[Any, Any, object]]
"""`new` is the id of the run that it creates, if it does."""
Content = tuple[object, ...]


def _twice_full() -> QueueLimits:
    return QueueLimits(per_entity=2, per_client=2, per_tenant=2)


OPERATIONS: dict[str, Op] = {
    "claim": lambda store, _new: store.claim("node-b", lease_s=LEASE_S, limits=limits(slots=5)),
    "claim within a limit": lambda store, _new: store.claim(
        "node-c", lease_s=LEASE_S, limits=limits(slots=5, running=1)
    ),
    "cancel": lambda store, _new: store.cancel(RUN, BY_USER),
    "cancel with a key": lambda store, _new: store.cancel(RUN, BY_USER, idempotent=idempotent()),
    "complete": lambda store, _new: store.complete(FIRST, FILE),
    "fail": lambda store, _new: store.fail(FIRST, Failed(BAD_NAME)),
    "requeue": lambda store, _new: store.requeue(FIRST, back()),
    "requeue uncharged": lambda store, _new: store.requeue(FIRST, back(charge=False)),
    "freed": lambda store, _new: store.freed(FIRST, KILLED),
    "save the handle": lambda store, _new: store.save_handle(FIRST, handle="h", file_key="f"),
    "extend": lambda store, _new: store.extend("node-a", [FIRST], lease_s=LEASE_S),
    "take over": lambda store, _new: store.take_over(FIRST, "node-b", lease_s=LEASE_S),
    "complete the next": lambda store, _new: store.complete(SECOND, FILE),
    "accept with a key": lambda store, new: store.accept(
        request(), run_id=new, idempotent=idempotent()
    ),
    "accept within a limit": lambda store, new: store.accept(
        request(), run_id=new, queue_limits=_twice_full()
    ),
    "remove what is expired": lambda store, _new: store.remove_expired(retention_s=DAY_S, limit=10),
}


async def _claimed(store: PostgresRunStore, new: str = "") -> None:
    await store.accept(request(), run_id=RUN)
    await store.claim("node-a", lease_s=LEASE_S, limits=limits(slots=1))
    await store.accept(request(), run_id=OTHER)


async def _waiting(store: PostgresRunStore, new: str = "") -> None:
    await store.accept(request(), run_id=RUN)


async def _canceling(store: PostgresRunStore, new: str = "") -> None:
    await _claimed(store)
    await store.cancel(RUN, BY_USER)


async def _on_its_second(store: PostgresRunStore, new: str = "") -> None:
    await _claimed(store)
    await store.requeue(FIRST, back())
    await store.claim("node-b", lease_s=LEASE_S, limits=limits(slots=5))


async def _complete(store: PostgresRunStore, new: str = "") -> None:
    await _claimed(store)
    await store.complete(FIRST, FILE)


STATES: dict[str, tuple[Op, float]] = {
    "waiting": (_waiting, 0),
    "running": (_claimed, 0),
    "running, expired": (_claimed, LEASE_S + 1),
    "canceling, expired": (_canceling, LEASE_S + 1),
    "on its second attempt": (_on_its_second, 0),
    "complete, past retention": (_complete, 2 * DAY_S),
}
"""How a case begins, and how much time has passed then."""


@dataclass(frozen=True, slots=True)
class Case:
    """Two writes on a state."""

    state: str
    first: str
    second: str

    def __str__(self) -> str:
        return f"{self.state}: {self.first}, {self.second}"


CASES = [
    Case(state, first, second) for state in STATES for first in OPERATIONS for second in OPERATIONS
]


class Node:
    """A node's store on one connection of its own, on whatever thread calls."""

    def __init__(self, url: str) -> None:
        self.connection: Connection = connect(url, durable=False)
        self.sql = statements(TEST_NOW)
        create_functions(self.connection, self.sql)
        self.pid = self.connection.info.backend_pid
        self.store = PostgresRunStore(cast("Any", self))
        self._between: Callable[[], None] | None = None
        self._left = 0

    async def read(self, unit: Callable[[Any], Any]) -> Any:
        """As `Connections` does."""
        return unit(self)

    async def write(self, unit: Callable[[Any], Any], *, durable: bool) -> Any:
        """As `Connections` does."""
        assert durable in {True, False}
        return unit(self)

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        """As a connection does; before one of the statements, something else happens."""
        if self._between is not None:
            self._left -= 1
            if self._left < 0:
                between, self._between = self._between, None
                between()
        return self.connection.execute(*args, **kwargs)

    def transaction(self) -> Any:
        """As a connection does."""
        return self.connection.transaction()

    def do(self, operation: Op, new: str = NEW) -> object:
        """Run it to its end; what it returned or raised, without what is random."""
        try:
            operation(self.store, new).send(None)
        except StopIteration as done:
            return _plain(done.value)
        except QueryrunError as error:
            return type(error).__name__
        raise AssertionError("a store on one connection waits for nothing")

    def do_with(self, operation: Op, between: Callable[[], None], after: int) -> object:
        """Run it; `between` happens before the statement of this number. None: there is none."""
        self._between, self._left = between, after
        outcome = self.do(operation, LATER)
        has_happened, self._between = self._between is None, None
        return outcome if has_happened else None

    @contextmanager
    def undone(self) -> Iterator[None]:
        """What is done inside is rolled back."""
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            self.connection.execute("ROLLBACK")

    def content(self) -> Content:
        """What is in the store, without times and numbers that differ from case to case."""
        return tuple(tuple(self.connection.execute(one).fetchall()) for one in _DUMP)


def _plain(value: Any) -> object:
    if isinstance(value, list):
        return tuple(sorted(map(str, map(_plain, value))))
    if isinstance(value, Accepted):
        return value.run.id, value.replay
    if hasattr(value, "ref"):
        return str(value.ref)
    if hasattr(value, "state"):
        return value.id, str(value.state)
    return value


class Stage:
    """One database and two nodes on it."""

    def __init__(self, url: str) -> None:
        self.nodes = Node(url), Node(url)
        self._watch = psycopg.connect(url, autocommit=True)
        self._now_ms = 1_800_000_000_000

    def close(self) -> None:
        """Leave the database."""
        for node in self.nodes:
            node.connection.close()
        self._watch.close()

    def violations(self, case: Case) -> list[str]:
        """Play the case in every way."""
        self._serial = {
            (outcome[1], outcome[0], content) if is_swapped else (*outcome, content)
            for is_swapped in (False, True)
            for outcome, content in [self._one_after_the_other(case, is_swapped)]
        }
        alone = {self._alone(case)}
        if case.second.startswith("claim"):  # it takes no row that another node holds
            self._begin(case)
            alone.add(((), self.nodes[0].content()))
            self._serial |= {
                (outcome, (), content) for outcome, content in [self._alone(case, is_first=True)]
            }
        found = [self._judge(case, "committed", *self._overlapping(case, "COMMIT"))]
        _, second, content = self._overlapping(case, "ROLLBACK")
        if (second, content) not in alone:
            found.append(f"{case}: rolled back, {second} and {content}, alone: {alone}")
        found += [
            self._judge(case, f"after {after}", *self._between(case, after)) for after in (1, 2)
        ]
        return [one for one in found if one]

    def _begin(self, case: Case) -> None:
        build, passed_s = STATES[case.state]
        self._watch.execute(_EMPTY)
        self._set_clock()
        self.nodes[0].do(build)
        self._now_ms += int(passed_s * 1000)
        self._set_clock()

    def _set_clock(self) -> None:
        self._watch.execute("UPDATE test_clock SET ms = %s", (self._now_ms,))

    def _one_after_the_other(
        self, case: Case, is_swapped: bool
    ) -> tuple[tuple[object, object], Content]:
        self._begin(case)
        order = [(case.first, NEW), (case.second, LATER)]
        with self.nodes[0].undone():
            one, other = (
                self.nodes[0].do(OPERATIONS[name], new)
                for name, new in (reversed(order) if is_swapped else order)
            )
            return (one, other), self.nodes[0].content()

    def _alone(self, case: Case, *, is_first: bool = False) -> tuple[object, Content]:
        self._begin(case)
        name, new = (case.first, NEW) if is_first else (case.second, LATER)
        with self.nodes[0].undone():
            return self.nodes[0].do(OPERATIONS[name], new), self.nodes[0].content()

    def _overlapping(self, case: Case, end: str) -> tuple[object, object, Content]:
        """The second begins while the first has done all but to commit."""
        one, other = self.nodes
        self._begin(case)
        outcomes: list[object] = []
        one.connection.execute("BEGIN")
        first = one.do(OPERATIONS[case.first])
        thread = threading.Thread(
            target=lambda: outcomes.append(other.do(OPERATIONS[case.second], LATER))
        )
        thread.start()
        self._until_it_waits(other, thread)
        one.connection.execute(end.encode())
        thread.join()
        return first, outcomes[0], one.content()

    def _until_it_waits(self, node: Node, thread: threading.Thread) -> None:
        waits = "SELECT cardinality(pg_blocking_pids(%s)) > 0"
        while thread.is_alive() and not self._watch.execute(waits, (node.pid,)).fetchone()[0]:  # type: ignore[index]
            thread.join(0.001)

    def _between(self, case: Case, after: int) -> tuple[object, object, Content] | tuple[()]:
        """The first is done, and committed, before a later statement of the second."""
        one, other = self.nodes
        self._begin(case)
        first: list[object] = []

        def between() -> None:
            with suppress(psycopg.errors.LockNotAvailable):  # it would wait: no such interleaving
                first.append(one.do(OPERATIONS[case.first]))

        one.connection.execute("SET lock_timeout = '50ms'")
        try:
            second = other.do_with(OPERATIONS[case.second], between, after)
        finally:
            one.connection.execute("SET lock_timeout = 0")
        return (first[0], second, one.content()) if second is not None and first else ()

    def _judge(self, case: Case, how: str, *played: object) -> str:
        if not played or played in self._serial:
            return ""
        return f"{case}: {how}, {played}, one after the other: {self._serial}"

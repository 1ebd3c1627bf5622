"""The lifecycle machine fails when the guarantee is broken. Each mutant breaks one rule of it."""

from __future__ import annotations

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from queryrun.db.sqlite.database import SqliteDatabase
from queryrun.db.sqlite.runs import SqliteRunStore
from queryrun.errors import LostRace
from queryrun.runs.model import AttemptRef, IdempotentWrite, Run
from queryrun.runs.state import RunState
from queryrun.runs.store import (
    CancelRequested,
    Completed,
    Failed,
    Freed,
    Requeued,
    RunStore,
)
from tests.conftest import Clock
from tests.stateful.run_lifecycle import KILLED, RunLifecycle
from tests.stateful.sqlite_lifecycle import SqliteLifecycle

QUICK = settings(
    max_examples=1000,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
)
"""Enough examples to find each mutant, no time spent on making the story short."""


def broken(database: SqliteDatabase, mutant: type[SqliteRunStore], clock: Clock) -> RunStore:
    """The mutant instead of the real store, on the same database."""
    return mutant(database.writer, database.reader, clock)


class CancelsStraightAway(SqliteRunStore):
    """Writes `canceled` and hopes that the engine stops."""

    async def cancel(
        self, run_id: str, detail: CancelRequested, *, idempotent: IdempotentWrite | None = None
    ) -> Run:
        """Cancel and free in one breath."""
        run = await super().cancel(run_id, detail, idempotent=idempotent)
        if run.state is RunState.CANCELING:
            return await super().freed(AttemptRef(run_id, run.attempt), KILLED)
        return run


class HasNoFence(SqliteRunStore):
    """Accepts any attempt: treats every write as one of the newest."""

    async def complete(self, ref: AttemptRef, detail: Completed) -> Run:
        """Unfenced."""
        return await super().complete(await self._newest(ref), detail)

    async def fail(self, ref: AttemptRef, detail: Failed) -> Run:
        """Unfenced."""
        return await super().fail(await self._newest(ref), detail)

    async def requeue(self, ref: AttemptRef, detail: Requeued) -> Run:
        """Unfenced."""
        return await super().requeue(await self._newest(ref), detail)

    async def freed(self, ref: AttemptRef, detail: Freed) -> Run:
        """Unfenced."""
        return await super().freed(await self._newest(ref), detail)

    async def _newest(self, ref: AttemptRef) -> AttemptRef:
        run = await self.get(ref.run_id)
        return AttemptRef(ref.run_id, run.attempt) if run else ref


class BelievesTheDead(SqliteRunStore):
    """Lets an attempt complete its run although a cancel or a reaper preceded it."""

    async def complete(self, ref: AttemptRef, detail: Completed) -> Run:
        """Write the late result anyway."""
        try:
            return await super().complete(ref, detail)
        except LostRace:
            await self._writer.write(
                lambda db: (
                    db.execute(
                        "UPDATE runs SET state = 'complete', file_key = ?, file_size_bytes = 1,"
                        " file_sha256 = '', file_rows = 1 WHERE id = ?",
                        (detail.file.key, ref.run_id),
                    ).rowcount
                ),
                durable=True,
            )
            run = await self.get(ref.run_id)
            if run is None:
                raise
            return run


class StraightToCanceled(SqliteLifecycle):
    """cancel: straight to `canceled` while the engine works."""

    def make_store(self, database: SqliteDatabase, clock: Clock) -> RunStore:
        """The broken store."""
        return broken(database, CancelsStraightAway, clock)


class RequeueWithoutKill(SqliteLifecycle):
    """requeue: the next attempt may start while the last one still works."""

    def stop_before_requeue(self, ref: AttemptRef) -> None:
        """Forgotten."""


class NoFence(SqliteLifecycle):
    """attempts: any of them may write."""

    def make_store(self, database: SqliteDatabase, clock: Clock) -> RunStore:
        """The broken store."""
        return broken(database, HasNoFence, clock)


class LateReportAccepted(SqliteLifecycle):
    """complete: a dead attempt's result is taken."""

    def make_store(self, database: SqliteDatabase, clock: Clock) -> RunStore:
        """The broken store."""
        return broken(database, BelievesTheDead, clock)


@pytest.mark.parametrize(
    "mutant", [StraightToCanceled, RequeueWithoutKill, NoFence, LateReportAccepted]
)
def test_the_machine_catches(mutant: type[RunLifecycle]) -> None:
    with pytest.raises(AssertionError):
        run_state_machine_as_test(mutant, settings=QUICK)

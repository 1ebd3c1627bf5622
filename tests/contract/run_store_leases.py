"""What every RunStore must do with the leases of attempts: extend, report progress, take over."""

from __future__ import annotations

import asyncio
import math
from uuid import uuid4

import pytest

from queryrun.errors import (
    LostRace,
)
from queryrun.runs.model import (
    AttemptProgress,
    AttemptRef,
    Stage,
)
from queryrun.runs.state import RunState
from queryrun.runs.store import (
    Failed,
    HeldAttempt,
    RunStore,
)
from tests.contract.run_store_fixtures import (
    BAD_NAME,
    BY_USER,
    FILE,
    KILLED,
    LEASE_S,
    RawDatabase,
    back,
    claimed,
    started,
)


class LeasesContract:
    """Who may act for an attempt, and what is known of it meanwhile."""

    pytestmark = pytest.mark.anyio

    # --- handles and leases ----------------------------------------------------------------------

    async def test_a_saved_handle_is_found_by_the_reaper(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        attempt = await started(store)
        await store.save_handle(attempt.ref, handle="pid 7", file_key="run_1.csv")
        await raw.pass_time(LEASE_S)
        [expired] = await store.expired_leases()
        assert (expired.handle, expired.file_key) == ("pid 7", "run_1.csv")
        assert (expired.ref, expired.node, expired.run) == (
            attempt.ref,
            "node-a",
            attempt.run,
        )

    async def test_no_handle_is_saved_after_a_cancel(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        attempt = await started(store)
        await store.cancel(attempt.ref.run_id, BY_USER)
        with pytest.raises(LostRace):
            await store.save_handle(attempt.ref, handle="pid 7", file_key="k")
        [record] = await raw.attempts(attempt.ref.run_id)
        assert record.handle is None

    async def test_no_handle_is_saved_for_an_older_attempt(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        old = await started(store)
        await store.requeue(old.ref, back())
        new = await claimed(store)
        with pytest.raises(LostRace):
            await store.save_handle(old.ref, handle="pid 7", file_key="k")
        await store.save_handle(new.ref, handle="pid 8", file_key="k")
        first, second = await raw.attempts(old.ref.run_id)
        assert (first.handle, second.handle) == (None, "pid 8")

    async def test_no_handle_is_saved_for_an_unknown_run(self, store: RunStore) -> None:
        with pytest.raises(LostRace):
            await store.save_handle(AttemptRef(str(uuid4()), 1), handle="h", file_key="k")

    async def test_an_extension_renews_the_leases_of_its_node_alone(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        own = await started(store, node="node-a")
        theirs = await started(store, node="node-b")
        await raw.pass_time(LEASE_S - 1)
        held = await store.extend("node-a", [own.ref, theirs.ref], lease_s=LEASE_S)
        assert held == [HeldAttempt(own.ref, RunState.IN_PROGRESS)]
        await raw.pass_time(1)
        assert [attempt.ref for attempt in await store.expired_leases()] == [theirs.ref]

    async def test_an_extension_returns_the_runs_to_stop(self, store: RunStore) -> None:
        attempt = await started(store)
        await store.cancel(attempt.ref.run_id, BY_USER)
        held = await store.extend("node-a", [attempt.ref], lease_s=LEASE_S)
        assert held == [HeldAttempt(attempt.ref, RunState.CANCELING)]

    async def test_an_attempt_that_its_node_does_not_name_expires(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        """Its claim was committed but the response lost: no node runs it, none may keep it."""
        lived, unheard = [await started(store) for _ in range(2)]
        await raw.pass_time(LEASE_S - 1)
        assert [
            item.ref for item in await store.extend("node-a", [lived.ref], lease_s=LEASE_S)
        ] == [lived.ref]
        await raw.pass_time(1)
        assert [attempt.ref for attempt in await store.expired_leases()] == [unheard.ref]

    async def test_a_finished_attempt_is_missing_from_the_extension(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        done, failed, queued, stopped = [await started(store) for _ in range(4)]
        await store.complete(done.ref, FILE)
        await store.fail(failed.ref, Failed(BAD_NAME))
        await store.requeue(queued.ref, back())
        await store.cancel(stopped.ref.run_id, BY_USER)
        await store.freed(stopped.ref, KILLED)
        refs = [attempt.ref for attempt in (done, failed, queued, stopped)]
        assert await store.extend("node-a", refs, lease_s=LEASE_S) == []

    # --- progress --------------------------------------------------------------------------------

    async def test_progress_is_that_of_the_last_extension(self, store: RunStore) -> None:
        attempt, other = await started(store), await started(store)
        ref, run_id = attempt.ref, attempt.ref.run_id
        assert await store.progress(run_id) is None, "nothing has been said yet"
        for progress in (
            AttemptProgress(Stage.PLANNING),
            AttemptProgress(Stage.EXECUTING, 12.5, 3, 40),
            AttemptProgress(Stage.WRITING, None, 2**40, 2**41),
        ):
            await store.extend(
                "node-a", [ref, other.ref], lease_s=LEASE_S, progress={ref: progress}
            )
            assert await store.progress(run_id) == progress
        assert await store.progress(other.ref.run_id) is None

    async def test_an_extension_without_progress_leaves_it_unchanged(self, store: RunStore) -> None:
        attempt = await started(store)
        progress = {attempt.ref: AttemptProgress(Stage.EXECUTING, 50.0, 3, 40)}
        await store.extend("node-a", [attempt.ref], lease_s=LEASE_S, progress=progress)
        await store.extend("node-a", [attempt.ref], lease_s=LEASE_S)
        assert await store.progress(attempt.ref.run_id) == progress[attempt.ref]

    async def test_another_nodes_extension_does_not_change_progress(self, store: RunStore) -> None:
        attempt = await started(store)
        progress = {attempt.ref: AttemptProgress(Stage.EXECUTING, 50.0, 3, 40)}
        await store.extend("node-b", [attempt.ref], lease_s=LEASE_S, progress=progress)
        assert await store.progress(attempt.ref.run_id) is None

    async def test_progress_does_not_change_the_run(self, store: RunStore) -> None:
        attempt = await started(store)
        before = await store.get(attempt.ref.run_id)
        progress = {attempt.ref: AttemptProgress(Stage.EXECUTING)}
        await store.extend("node-a", [attempt.ref], lease_s=LEASE_S, progress=progress)
        assert await store.get(attempt.ref.run_id) == before

    async def test_a_canceling_attempt_has_progress_and_a_finished_one_has_none(
        self, store: RunStore
    ) -> None:
        attempt = await started(store)
        progress = {attempt.ref: AttemptProgress(Stage.EXECUTING, 50.0, 3, 40)}
        await store.extend("node-a", [attempt.ref], lease_s=LEASE_S, progress=progress)
        await store.cancel(attempt.ref.run_id, BY_USER)
        assert await store.progress(attempt.ref.run_id) == progress[attempt.ref]
        await store.freed(attempt.ref, KILLED)
        assert await store.progress(attempt.ref.run_id) is None

    async def test_another_attempt_begins_without_progress(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        old = await started(store)
        progress = {old.ref: AttemptProgress(Stage.EXECUTING, 50.0, 3, 40)}
        await store.extend("node-a", [old.ref], lease_s=LEASE_S, progress=progress)
        await store.requeue(old.ref, back())
        assert await store.progress(old.ref.run_id) is None
        await claimed(store)
        assert await store.progress(old.ref.run_id) is None

    async def test_an_attempt_that_a_reaper_took_over_has_no_progress(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        attempt = await started(store)
        progress = {attempt.ref: AttemptProgress(Stage.EXECUTING, 50.0, 3, 40)}
        await store.extend("node-a", [attempt.ref], lease_s=LEASE_S, progress=progress)
        await raw.pass_time(LEASE_S)
        assert await store.take_over(attempt.ref, "node-b", lease_s=LEASE_S)
        assert await store.progress(attempt.ref.run_id) is None

    async def test_an_unknown_run_has_no_progress(self, store: RunStore) -> None:
        assert await store.progress(str(uuid4())) is None

    # --- outages -----------------------------------------------------------------------------

    async def test_the_latest_outage_on_record_counts(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        assert await store.outage_age_s() == math.inf
        await store.record_outage(age_s=40.0)
        assert 40.0 <= await store.outage_age_s() < 70.0
        await store.record_outage(age_s=10.0)
        await store.record_outage(age_s=500.0)
        assert 10.0 <= await store.outage_age_s() < 40.0
        await raw.pass_time(100.0)
        assert 110.0 <= await store.outage_age_s() < 140.0

    # --- taking over -----------------------------------------------------------------------------

    async def test_expired_attempts_come_oldest_first_and_limited(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        expected = []
        for _ in range(3):
            expected.append((await started(store)).ref)
            await raw.pass_time(1)
        assert await store.expired_leases() == []
        await raw.pass_time(LEASE_S)
        assert [attempt.ref for attempt in await store.expired_leases()] == expected
        assert [attempt.ref for attempt in await store.expired_leases(limit=2)] == expected[:2]

    async def test_a_canceling_attempt_expires_too(self, store: RunStore, raw: RawDatabase) -> None:
        attempt = await started(store)
        await store.cancel(attempt.ref.run_id, BY_USER)
        await raw.pass_time(LEASE_S)
        [expired] = await store.expired_leases()
        assert expired.run.state is RunState.CANCELING

    async def test_on_a_private_store_a_node_finds_attempts_of_earlier_nodes(
        self, store: RunStore
    ) -> None:
        own = await started(store, node="node-a")
        left = await started(store, node="node-b")
        assert [attempt.ref for attempt in await store.expired_leases(exclude_node="node-a")] == [
            left.ref
        ]
        assert await store.take_over(left.ref, "node-a", lease_s=LEASE_S)
        assert not await store.take_over(own.ref, "node-c", lease_s=LEASE_S)
        held = await store.extend("node-a", [own.ref, left.ref], lease_s=LEASE_S)
        assert {item.ref for item in held} == {own.ref, left.ref}

    async def test_one_reaper_takes_over_an_expired_attempt(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        attempt = await started(store)
        assert not await store.take_over(attempt.ref, "node-b", lease_s=LEASE_S)
        await raw.pass_time(LEASE_S)
        won = await asyncio.gather(
            *(store.take_over(attempt.ref, f"node-{n}", lease_s=LEASE_S) for n in "bcd")
        )
        assert sorted(won) == [False, False, True]
        assert await store.extend("node-a", [attempt.ref], lease_s=LEASE_S) == []
        assert await store.expired_leases() == []
        await raw.pass_time(LEASE_S)
        [left] = await store.expired_leases()
        assert left.node == "node-a", "the record names who ran it, not who settles it"

    async def test_a_lease_extended_in_time_is_not_taken_over(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        attempt = await started(store)
        await raw.pass_time(LEASE_S)
        [expired] = await store.expired_leases()
        await store.extend("node-a", [attempt.ref], lease_s=LEASE_S)
        assert not await store.take_over(expired.ref, "node-b", lease_s=LEASE_S)
        assert (await store.extend("node-a", [attempt.ref], lease_s=LEASE_S))[0].ref == attempt.ref

    async def test_a_finished_attempt_is_not_taken_over(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        attempt = await started(store)
        await store.requeue(attempt.ref, back())
        await raw.pass_time(LEASE_S)
        assert not await store.take_over(attempt.ref, "node-b", lease_s=LEASE_S)
        await claimed(store, node="node-c")
        await raw.pass_time(LEASE_S)
        assert not await store.take_over(attempt.ref, "node-b", lease_s=LEASE_S)

"""What every RunStore must do with its queue: accept, claim, lease, take over."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from queryrun.errors import (
    IdempotencyInFlight,
    IdempotencyMismatch,
    LostRace,
    QueueFull,
)
from queryrun.results.formats import ContentEncoding, ContentType
from queryrun.runs.idempotency import IdempotencyStore
from queryrun.runs.model import (
    DEFAULT_MAX_RETRIES,
    AttemptProgress,
    AttemptRef,
    DeletedRows,
    Output,
    RunRequest,
    Stage,
)
from queryrun.runs.state import RunState
from queryrun.runs.store import (
    ClaimLimits,
    Failed,
    HeldAttempt,
    RunStore,
)
from tests.contract.run_store_fixtures import (
    BAD_NAME,
    BY_USER,
    CLIENT,
    ENTITY,
    FILE,
    KILLED,
    LEASE_S,
    TENANT,
    RawDatabase,
    back,
    claimed,
    idempotent,
    limits,
    read,
    request,
    started,
    submitted,
)


class QueueContract:
    """From the request to the attempt, and who may act for it."""

    pytestmark = pytest.mark.anyio

    # --- accept ----------------------------------------------------------------------------------

    async def test_an_accepted_run_reads_as_it_was_answered(self, store: RunStore) -> None:
        run = await submitted(store)
        assert run.state is RunState.ACCEPTED
        assert (run.attempt, run.remaining_attempts) == (0, DEFAULT_MAX_RETRIES)
        assert run.created_time == run.updated_time == run.ready_time
        assert await store.get(run.id) == run

    async def test_a_request_is_kept_whole(self, store: RunStore) -> None:
        whole = RunRequest(
            tenant_id="täñant",
            entity_id=ENTITY,
            client_id=CLIENT,
            source="warehouse",
            sql="SELECT 'ü\U0001f600', ';--' FROM t\n",
            output=Output(ContentType.DSV, ContentEncoding.ZIP, "|", "a key"),
            deleted_rows=DeletedRows.ONLY,
            timeout_s=12.5,
            tags=(("team", 'a"b'), ("team", "c")),
            org_ids=("o1", "o2"),
            extras=(("useIndexJoin", "true"),),
        )
        run = await submitted(store, whole)
        assert (await read(store, run.id)).request == whole

    async def test_an_unknown_run_is_none(self, store: RunStore) -> None:
        assert await store.get(str(uuid4())) is None

    async def test_a_full_queue_refuses_and_writes_nothing(self, store: RunStore) -> None:
        for _ in range(2):
            await store.accept(request(), run_id=str(uuid4()), queue_limit=2)
        refused = str(uuid4())
        with pytest.raises(QueueFull):
            await store.accept(request(), run_id=refused, queue_limit=2)
        assert await store.get(refused) is None

    async def test_the_queue_limit_counts_one_tenant_on_one_source(self, store: RunStore) -> None:
        await store.accept(request(), run_id=str(uuid4()), queue_limit=1)
        for other in (request(tenant="tenant-2"), request(source="warehouse")):
            await store.accept(other, run_id=str(uuid4()), queue_limit=1)
        with pytest.raises(QueueFull):
            await store.accept(request(entity="entity-2"), run_id=str(uuid4()), queue_limit=1)

    async def test_a_running_run_does_not_fill_the_queue(self, store: RunStore) -> None:
        await started(store)
        await store.accept(request(), run_id=str(uuid4()), queue_limit=1)

    # --- accept, idempotent ----------------------------------------------------------------------

    async def test_a_repeat_returns_the_first_run_and_its_answer(self, store: RunStore) -> None:
        first = await store.accept(
            request(), run_id=str(uuid4()), queue_limit=0, idempotent=idempotent()
        )
        await store.cancel(first.run.id, BY_USER)
        second = await store.accept(
            request(), run_id=str(uuid4()), queue_limit=0, idempotent=idempotent()
        )
        assert first.replay is None
        assert second.replay == first.run.id.encode()
        assert second.run == await read(store, first.run.id)

    async def test_a_repeat_writes_nothing_even_when_the_queue_is_full(
        self, store: RunStore
    ) -> None:
        await store.accept(request(), run_id=str(uuid4()), queue_limit=1, idempotent=idempotent())
        unwanted = str(uuid4())
        await store.accept(request(), run_id=unwanted, queue_limit=1, idempotent=idempotent())
        assert await store.get(unwanted) is None

    async def test_another_request_under_the_key_is_a_mismatch(self, store: RunStore) -> None:
        await store.accept(request(), run_id=str(uuid4()), queue_limit=0, idempotent=idempotent())
        unwanted = str(uuid4())
        with pytest.raises(IdempotencyMismatch):
            await store.accept(
                request(), run_id=unwanted, queue_limit=0, idempotent=idempotent(fingerprint="fp-2")
            )
        assert await store.get(unwanted) is None

    async def test_tenants_have_their_own_keys(self, store: RunStore) -> None:
        own = await store.accept(
            request(), run_id=str(uuid4()), queue_limit=0, idempotent=idempotent()
        )
        theirs = await store.accept(
            request(tenant="tenant-2"),
            run_id=str(uuid4()),
            queue_limit=0,
            idempotent=idempotent(tenant="tenant-2", fingerprint="fp-2"),
        )
        assert theirs.replay is None
        assert theirs.run.id != own.run.id

    async def test_a_key_in_flight_turns_the_repeat_away(
        self, store: RunStore, idempotency_store: IdempotencyStore
    ) -> None:
        await idempotency_store.reserve_key(idempotent().idempotency_key)
        with pytest.raises(IdempotencyInFlight):
            await store.accept(
                request(), run_id=str(uuid4()), queue_limit=0, idempotent=idempotent()
            )

    async def test_a_refused_run_does_not_use_the_key_up(self, store: RunStore) -> None:
        await submitted(store)
        with pytest.raises(QueueFull):
            await store.accept(
                request(), run_id=str(uuid4()), queue_limit=1, idempotent=idempotent()
            )
        accepted = await store.accept(
            request(), run_id=str(uuid4()), queue_limit=0, idempotent=idempotent()
        )
        assert accepted.replay is None

    async def test_of_two_first_requests_at_once_one_makes_the_run(self, store: RunStore) -> None:
        accepts = await asyncio.gather(
            *(
                store.accept(request(), run_id=str(uuid4()), queue_limit=0, idempotent=idempotent())
                for _ in range(8)
            )
        )
        assert len({accepted.run.id for accepted in accepts}) == 1
        assert sum(accepted.replay is None for accepted in accepts) == 1

    async def test_a_key_counts_as_unused_after_a_day(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        first = await store.accept(
            request(), run_id=str(uuid4()), queue_limit=0, idempotent=idempotent()
        )
        await raw.pass_time(24 * 3600)
        second = await store.accept(
            request(), run_id=str(uuid4()), queue_limit=0, idempotent=idempotent()
        )
        assert second.replay is None
        assert second.run.id != first.run.id

    # --- claim -----------------------------------------------------------------------------------

    async def test_a_claim_starts_an_attempt(self, store: RunStore, raw: RawDatabase) -> None:
        run = await submitted(store)
        await raw.pass_time(2)
        attempt = await claimed(store)
        assert attempt.ref == AttemptRef(run.id, 1)
        assert attempt.run.state is RunState.IN_PROGRESS
        assert attempt.run.started_time == raw.now()
        assert attempt.lease_until == raw.now() + timedelta(seconds=LEASE_S)
        assert attempt.run == await read(store, run.id)

    async def test_nothing_waiting_is_an_empty_list(self, store: RunStore) -> None:
        await started(store)
        assert await store.claim("node-b", lease_s=LEASE_S, limits=limits()) == []

    async def test_no_run_is_claimed_twice(self, store: RunStore) -> None:
        for _ in range(6):
            await submitted(store)
        shares = await asyncio.gather(
            *(store.claim(f"node-{n}", lease_s=LEASE_S, limits=limits(slots=2)) for n in range(4))
        )
        refs = [attempt.ref for share in shares for attempt in share]
        assert len(refs) == len(set(refs)) == 6

    async def test_a_claim_takes_no_more_than_the_free_slots(self, store: RunStore) -> None:
        for _ in range(3):
            await submitted(store)
        for slots, expected in ((0, 0), (2, 2), (5, 1)):
            taken = await store.claim("node-a", lease_s=LEASE_S, limits=limits(slots=slots))
            assert len(taken) == expected

    async def test_a_claim_takes_only_from_the_sources_it_can_run(self, store: RunStore) -> None:
        await submitted(store, request(source="warehouse"))
        assert await store.claim("node-a", lease_s=LEASE_S, limits=limits("live")) == []
        assert await store.claim("node-a", lease_s=LEASE_S, limits=ClaimLimits((), 10, {})) == []
        assert (await claimed(store, "live", "warehouse")).run.request.source == "warehouse"

    async def test_a_back_off_is_waited_out(self, store: RunStore, raw: RawDatabase) -> None:
        attempt = await started(store)
        await store.requeue(attempt.ref, back(raw.now() + timedelta(seconds=5)))
        await raw.pass_time(4.999)
        assert await store.claim("node-a", lease_s=LEASE_S, limits=limits()) == []
        await raw.pass_time(0.001)
        assert (await claimed(store)).ref == AttemptRef(attempt.ref.run_id, 2)

    async def test_a_back_off_does_not_hold_up_the_runs_behind_it(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        attempt = await started(store)
        await store.requeue(attempt.ref, back(raw.now() + timedelta(seconds=5)))
        other = await submitted(store)
        taken = await store.claim("node-a", lease_s=LEASE_S, limits=limits())
        assert [attempt.ref.run_id for attempt in taken] == [other.id]

    async def test_the_oldest_run_of_an_entity_comes_first(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        expected = []
        for _ in range(4):
            expected.append((await submitted(store)).id)
            await raw.pass_time(0.5)
        taken = await store.claim("node-a", lease_s=LEASE_S, limits=limits())
        assert [attempt.ref.run_id for attempt in taken] == expected

    async def test_runs_of_the_same_instant_keep_their_order(self, store: RunStore) -> None:
        expected = [(await submitted(store)).id for _ in range(4)]
        taken = await store.claim("node-a", lease_s=LEASE_S, limits=limits())
        assert [attempt.ref.run_id for attempt in taken] == expected

    async def test_entities_take_turns_within_one_claim(self, store: RunStore) -> None:
        for entity in ("a", "a", "a", "b", "b", "c"):
            await submitted(store, request(entity=entity))
        taken = await store.claim("node-a", lease_s=LEASE_S, limits=limits())
        assert [attempt.run.request.entity_id for attempt in taken] == list("abcaba")

    async def test_entities_take_turns_between_claims(self, store: RunStore) -> None:
        for entity in ("a", "a", "a"):
            await submitted(store, request(entity=entity))
        first = (await claimed(store)).run.request.entity_id
        await submitted(store, request(entity="b"))
        later = [(await claimed(store)).run.request.entity_id for _ in range(3)]
        assert [first, *later] == ["a", "b", "a", "a"]

    async def test_a_turn_taken_on_one_source_counts_on_the_other(self, store: RunStore) -> None:
        await submitted(store, request(entity="a", source="live"))
        await submitted(store, request(entity="a", source="warehouse"))
        await submitted(store, request(entity="b", source="warehouse"))
        taken = await store.claim("n", lease_s=LEASE_S, limits=limits("live", "warehouse"))
        assert [attempt.run.request.entity_id for attempt in taken] == ["a", "b", "a"]

    async def test_a_tenant_runs_no_more_than_its_limit(self, store: RunStore) -> None:
        for tenant in (TENANT, TENANT, TENANT, "tenant-2"):
            await submitted(store, request(tenant=tenant))
        taken = await store.claim("node-a", lease_s=LEASE_S, limits=limits(running=2))
        assert sorted(attempt.run.request.tenant_id for attempt in taken) == [
            TENANT,
            TENANT,
            "tenant-2",
        ]
        assert await store.claim("node-b", lease_s=LEASE_S, limits=limits(running=2)) == []

    async def test_the_running_limit_spans_the_entities_of_a_tenant(self, store: RunStore) -> None:
        for entity in ("a", "b", "c"):
            await submitted(store, request(entity=entity))
        taken = await store.claim("node-a", lease_s=LEASE_S, limits=limits(running=2))
        assert len(taken) == 2

    async def test_sources_have_their_own_running_limits(self, store: RunStore) -> None:
        for source in ("live", "live", "warehouse", "warehouse", "warehouse"):
            await submitted(store, request(source=source))
        two_of = ClaimLimits(("live", "warehouse"), 10, {"live": 1, "warehouse": 2})
        taken = await store.claim("node-a", lease_s=LEASE_S, limits=two_of)
        sources = sorted(attempt.run.request.source for attempt in taken)
        assert sources == ["live", "warehouse", "warehouse"]

    async def test_a_canceling_run_holds_its_slot_until_it_is_freed(self, store: RunStore) -> None:
        attempt = await started(store)
        waiting = await submitted(store)
        await store.cancel(attempt.ref.run_id, BY_USER)
        assert await store.claim("node-a", lease_s=LEASE_S, limits=limits(running=1)) == []
        await store.freed(attempt.ref, KILLED)
        [following] = await store.claim("node-a", lease_s=LEASE_S, limits=limits(running=1))
        assert following.ref.run_id == waiting.id

    async def test_the_next_ready_time_is_the_earliest_back_off(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        assert await store.next_ready_time(["live"]) is None
        times = [raw.now() + timedelta(seconds=s) for s in (9, 4, 6)]
        for entity in ("a", "a", "b"):
            await submitted(store, request(entity=entity))
        attempts = await store.claim("node-a", lease_s=LEASE_S, limits=limits())
        for attempt, time in zip(attempts, times, strict=True):
            await store.requeue(attempt.ref, back(time))
        await submitted(store, request(entity="a"))
        assert await store.next_ready_time(["live"]) == times[1]
        assert await store.next_ready_time(["warehouse"]) is None
        assert await store.next_ready_time([]) is None
        await raw.pass_time(4)
        assert await store.next_ready_time(["live", "warehouse"]) == times[2]

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

    async def test_no_handle_is_saved_once_a_cancel_came(
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
        await store.requeue(old.ref, back(raw.now()))
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

    async def test_an_extension_says_which_runs_must_be_stopped(self, store: RunStore) -> None:
        attempt = await started(store)
        await store.cancel(attempt.ref.run_id, BY_USER)
        held = await store.extend("node-a", [attempt.ref], lease_s=LEASE_S)
        assert held == [HeldAttempt(attempt.ref, RunState.CANCELING)]

    async def test_an_attempt_that_its_node_does_not_name_lapses(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        """Its claim was committed and the answer lost: nobody lives it, so nobody may keep it."""
        lived, unheard = [await started(store) for _ in range(2)]
        await raw.pass_time(LEASE_S - 1)
        assert [
            item.ref for item in await store.extend("node-a", [lived.ref], lease_s=LEASE_S)
        ] == [lived.ref]
        await raw.pass_time(1)
        assert [attempt.ref for attempt in await store.expired_leases()] == [unheard.ref]

    async def test_an_attempt_that_ended_is_missing_from_the_extension(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        done, failed, queued, stopped = [await started(store) for _ in range(4)]
        await store.complete(done.ref, FILE)
        await store.fail(failed.ref, Failed(BAD_NAME))
        await store.requeue(queued.ref, back(raw.now()))
        await store.cancel(stopped.ref.run_id, BY_USER)
        await store.freed(stopped.ref, KILLED)
        refs = [attempt.ref for attempt in (done, failed, queued, stopped)]
        assert await store.extend("node-a", refs, lease_s=LEASE_S) == []

    # --- progress --------------------------------------------------------------------------------

    async def test_progress_is_what_the_last_extension_said(self, store: RunStore) -> None:
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

    async def test_an_extension_that_says_nothing_of_progress_leaves_it(
        self, store: RunStore
    ) -> None:
        attempt = await started(store)
        progress = {attempt.ref: AttemptProgress(Stage.EXECUTING, 50.0, 3, 40)}
        await store.extend("node-a", [attempt.ref], lease_s=LEASE_S, progress=progress)
        await store.extend("node-a", [attempt.ref], lease_s=LEASE_S)
        assert await store.progress(attempt.ref.run_id) == progress[attempt.ref]

    async def test_another_nodes_extension_says_nothing_of_progress(self, store: RunStore) -> None:
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

    async def test_a_canceling_attempt_has_progress_and_one_that_ended_has_none(
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
        await store.requeue(old.ref, back(raw.now()))
        assert await store.progress(old.ref.run_id) is None
        await claimed(store)
        assert await store.progress(old.ref.run_id) is None

    async def test_nobody_works_on_what_a_reaper_has_taken_over(
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

    # --- taking over -----------------------------------------------------------------------------

    async def test_lapsed_attempts_come_oldest_first_and_limited(
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

    async def test_a_canceling_attempt_lapses_too(self, store: RunStore, raw: RawDatabase) -> None:
        attempt = await started(store)
        await store.cancel(attempt.ref.run_id, BY_USER)
        await raw.pass_time(LEASE_S)
        [expired] = await store.expired_leases()
        assert expired.run.state is RunState.CANCELING

    async def test_on_a_store_of_its_own_a_node_finds_what_others_left(
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

    async def test_one_reaper_takes_a_lapsed_attempt_over(
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

    async def test_a_lease_extended_in_time_is_not_taken_over(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        attempt = await started(store)
        await raw.pass_time(LEASE_S)
        [expired] = await store.expired_leases()
        await store.extend("node-a", [attempt.ref], lease_s=LEASE_S)
        assert not await store.take_over(expired.ref, "node-b", lease_s=LEASE_S)
        assert (await store.extend("node-a", [attempt.ref], lease_s=LEASE_S))[0].ref == attempt.ref

    async def test_an_attempt_that_ended_is_not_taken_over(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        attempt = await started(store)
        await store.requeue(attempt.ref, back(raw.now()))
        await raw.pass_time(LEASE_S)
        assert not await store.take_over(attempt.ref, "node-b", lease_s=LEASE_S)
        await claimed(store, node="node-c")
        await raw.pass_time(LEASE_S)
        assert not await store.take_over(attempt.ref, "node-b", lease_s=LEASE_S)

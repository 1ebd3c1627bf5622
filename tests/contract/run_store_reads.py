"""What every RunStore must do when runs are listed, counted and forgotten."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from queryrun.runs.state import RunState
from queryrun.runs.store import (
    RunQuery,
    RunStore,
)
from tests.contract.run_store_fixtures import (
    BY_USER,
    CLIENT,
    FILE,
    TENANT,
    RawDatabase,
    back,
    claimed,
    idempotent,
    read,
    request,
    started,
    submitted,
)


class ReadsContract:
    """Lists, queue positions, counts and retention."""

    pytestmark = pytest.mark.anyio

    # --- lists -----------------------------------------------------------------------------------

    async def test_lists_are_newest_first_by_default(self, store: RunStore) -> None:
        ids = [(await submitted(store)).id for _ in range(3)]
        newest = await store.find(RunQuery(TENANT))
        oldest = await store.find(RunQuery(TENANT, oldest_first=True))
        assert [run.id for run in newest.runs] == ids[::-1]
        assert [run.id for run in oldest.runs] == ids
        assert newest.next_after is oldest.next_after is None

    @pytest.mark.parametrize("oldest_first", [False, True])
    async def test_pages_neither_skip_nor_repeat_while_runs_arrive(
        self, store: RunStore, oldest_first: bool
    ) -> None:
        ids = [(await submitted(store)).id for _ in range(5)]
        seen: list[str] = []
        query: RunQuery | None = RunQuery(TENANT, limit=2, oldest_first=oldest_first)
        while query is not None and len(seen) < 5:
            page = await store.find(query)
            seen += [run.id for run in page.runs]
            await submitted(store)
            after = page.next_after
            query = None if after is None else replace(query, after=after)
        assert seen[:5] == (ids if oldest_first else ids[::-1])

    async def test_a_list_shows_only_what_its_query_names(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        early = await submitted(store, request(tags=(("team", "a"), ("env", "x"))))
        await raw.pass_time(10)
        middle = raw.now()
        warehouse = await submitted(store, request(source="warehouse", tags=(("team", "b"),)))
        entity = await submitted(store, request(entity="entity-2"))
        client = await submitted(store, request(client="client-2"))
        await submitted(store, request(tenant="tenant-2"))
        await store.cancel(early.id, BY_USER)
        everything = RunQuery(TENANT, oldest_first=True)
        for query, expected in (
            (everything, [early, warehouse, entity, client]),
            (replace(everything, entity_id="entity-2"), [entity]),
            (replace(everything, client_id="client-2"), [client]),
            (replace(everything, client_id=CLIENT), [early, warehouse, entity]),
            (RunQuery("tenant-2", client_id="client-2"), []),
            (replace(everything, sources=frozenset({"warehouse"})), [warehouse]),
            (replace(everything, states=frozenset({RunState.CANCELED})), [early]),
            (replace(everything, created_from=middle), [warehouse, entity, client]),
            (replace(everything, created_before=middle), [early]),
            (replace(everything, tags=(("team", "b"),)), [warehouse]),
            (replace(everything, tags=(("team", "a"), ("env", "x"))), [early]),
            (replace(everything, tags=(("team", "a"), ("env", "y"))), []),
            (replace(everything, tags=(("team", "x"),)), []),
        ):
            found = await store.find(query)
            assert [run.id for run in found.runs] == [run.id for run in expected], query

    async def test_a_tag_of_many_runs_is_found_behind_those_that_the_filter_leaves_out(
        self, store: RunStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in ("sqlite", "postgres"):
            monkeypatch.setattr(f"queryrun.db.{module}.list_query.TAGGED", 2)
        tags = (("team", "a"), ("env", "x"))
        first = await submitted(store, request(source="warehouse", tags=tags))
        for _ in range(3):
            await submitted(store, request(tags=(("team", "a"),)))
        tagged = RunQuery(TENANT, tags=(("team", "a"),), limit=2)
        page = await store.find(tagged)
        rest = await store.find(replace(tagged, after=page.next_after))
        assert [run.id for run in rest.runs][-1] == first.id
        for query in (
            replace(tagged, sources=frozenset({"warehouse"})),
            replace(tagged, tags=tags),
        ):
            assert [run.id for run in (await store.find(query)).runs] == [first.id]

    async def test_a_list_and_a_read_agree(self, store: RunStore) -> None:
        attempt = await started(store)
        await store.complete(attempt.ref, FILE)
        page = await store.find(RunQuery(TENANT))
        assert page.runs == (await read(store, attempt.ref.run_id),)

    async def test_a_waiting_run_has_its_queue_position(self, store: RunStore) -> None:
        runs = [await submitted(store) for _ in range(3)]
        await submitted(store, request(entity="entity-2"))
        await submitted(store, request(source="warehouse"))
        assert [await store.queue_position(run.id) for run in runs] == [0, 1, 2]
        await claimed(store)
        assert [await store.queue_position(run.id) for run in runs] == [None, 0, 1]
        assert await store.queue_position(str(uuid4())) is None

    async def test_the_longest_queues_are_those_of_entities_on_a_source(
        self, store: RunStore
    ) -> None:
        for entity, source, count in (
            ("entity-1", "live", 3),
            ("entity-2", "live", 1),
            ("entity-1", "warehouse", 2),
        ):
            for _ in range(count):
                await submitted(store, request(entity=entity, source=source))
        await claimed(store, "warehouse")
        longest = {("live", "entity-1"): 3, ("live", "entity-2"): 1}
        assert await store.longest_queues(limit=2) == longest

    async def test_counts_are_by_source_and_state(self, store: RunStore) -> None:
        done, stopped, _ = [await started(store) for _ in range(3)]
        await store.complete(done.ref, FILE)
        await store.cancel(stopped.ref.run_id, BY_USER)
        for source in ("live", "warehouse", "warehouse"):
            await submitted(store, request(source=source))
        ages_s = await store.unfinished_ages_s()
        assert len(ages_s) == sum(
            count
            for (_, state), count in (await store.counts()).items()
            if state is not RunState.ACCEPTED
        )
        assert all(age_s >= 0 for age_s in ages_s)
        assert await store.counts() == {
            ("live", RunState.ACCEPTED): 1,
            ("live", RunState.IN_PROGRESS): 1,
            ("live", RunState.CANCELING): 1,
            ("warehouse", RunState.ACCEPTED): 2,
        }

    async def test_a_store_that_can_read_is_healthy(self, store: RunStore) -> None:
        assert await store.healthy()

    # --- retention -------------------------------------------------------------------------------

    async def test_finished_runs_are_removed_with_all_their_rows(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        attempt = await started(store)
        run_id = attempt.ref.run_id
        await store.save_handle(attempt.ref, handle="h", file_key="try_1.csv")
        await store.requeue(attempt.ref, back())
        second = await claimed(store)
        await store.save_handle(second.ref, handle="h", file_key=FILE.file.key)
        await store.complete(second.ref, FILE)
        await raw.pass_time(10)
        assert await store.remove_expired(retention_s=0, limit=10) == 1
        assert set(await store.recorded_removals(limit=10)) == {"try_1.csv", FILE.file.key}
        assert await store.get(run_id) is None
        assert await raw.rows_about(run_id) == 0

    async def test_retention_keeps_recent_and_unfinished_runs(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        canceling = await started(store)
        await store.cancel(canceling.ref.run_id, BY_USER)
        running = await started(store)
        waiting = await submitted(store)
        await raw.pass_time(10)
        young = await submitted(store)
        await store.cancel(young.id, BY_USER)
        await raw.pass_time(10)
        share = await store.expired_share(retention_s=11, max_expired=10)
        assert (share.finished, share.expired) == (1, 0)
        assert await store.remove_expired(retention_s=11, limit=10) == 0
        for run_id in (canceling.ref.run_id, running.ref.run_id, waiting.id, young.id):
            assert await store.get(run_id) is not None

    async def test_retention_stops_at_its_limit(self, store: RunStore, raw: RawDatabase) -> None:
        for _ in range(5):
            await store.cancel((await submitted(store)).id, BY_USER)
        await raw.pass_time(10)
        share = await store.expired_share(retention_s=0, max_expired=3)
        assert (share.finished, share.expired) == (5, 3)
        removed = [await store.remove_expired(retention_s=0, limit=2) for _ in range(4)]
        assert removed == [2, 2, 1, 0]

    async def test_a_recorded_removal_that_fails_goes_behind_the_others(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        await store.record_removals(["b.csv", "a.csv"])
        await raw.pass_time(1)
        await store.record_removals(["c.csv", "a.csv"])
        assert await store.recorded_removals(limit=2) == ["b.csv", "a.csv"]
        await store.forget_removals(["b.csv", "unknown.csv"])
        assert await store.recorded_removals(limit=9) == ["a.csv", "c.csv"]

    async def test_a_key_whose_run_is_gone_makes_a_new_run(
        self, store: RunStore, raw: RawDatabase
    ) -> None:
        first = await store.accept(request(), run_id=str(uuid4()), idempotent=idempotent())
        await store.cancel(first.run.id, BY_USER)
        await raw.pass_time(10)
        await store.remove_expired(retention_s=0, limit=10)
        second = await store.accept(request(), run_id=str(uuid4()), idempotent=idempotent())
        assert second.replay is None
        assert await store.get(second.run.id) == second.run

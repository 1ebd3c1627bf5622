"""What every UsageStore must do, together with the RunStore that writes its records.

An implementation provides the fixtures `store`, `usage_store`, `auth_store` and `raw`.
"""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from datetime import timedelta
from functools import reduce
from operator import add

import pytest

from queryrun.auth.store import AuthStore
from queryrun.engines.base import TableRead
from queryrun.errors import LostRace
from queryrun.runs.model import AttemptOutcome, AttemptProgress, AttemptRef, Run, Stage
from queryrun.runs.store import CancelRequested, Failed, RunStore
from queryrun.runs.usage import (
    NO_USAGE,
    AttemptCount,
    AttemptUsage,
    SumsQuery,
    UsageDimension,
    UsageKey,
    UsageQuery,
    UsageStore,
    UsageSums,
    UsageTotals,
    sum_of,
)
from tests.contract.run_store_fixtures import (
    BAD_NAME,
    BY_USER,
    FILE,
    KILLED,
    LEASE_S,
    TENANT,
    WORKER_LOST,
    RawDatabase,
    back,
    claimed,
    limits,
    request,
    started,
    submitted,
)

USED = AttemptUsage(1500, 4096, read_bytes=1000, read_rows=10, spilled_bytes=7)
MORE = AttemptUsage(500, 8192, read_bytes=24, read_rows=2, spilled_bytes=0)
DAY_S = 24 * 3600.0


def everything(raw: RawDatabase, *group_by: UsageDimension, tag: str = "") -> UsageQuery:
    """All days up to today's, grouped."""
    today = raw.now().date()
    first = today - timedelta(days=400)
    return UsageQuery(TENANT, first, today, group_by=frozenset(group_by), tag=tag)


async def total(usage: UsageStore, raw: RawDatabase) -> UsageTotals:
    """The tenant's whole ledger."""
    [(key, sums)] = (await usage.report(everything(raw))).rows
    assert key == UsageKey()
    return sums


async def from_records(usage: UsageStore, query: UsageQuery) -> UsageTotals:
    """A report by tag is not made of the sums that are kept."""
    by_tag = query.group_by | {UsageDimension.TAG}
    page = await usage.report(replace(query, group_by=by_tag, tag="team", limit=1000))
    assert page.next_after is None
    return sum_of(sums for _, sums in page.rows)


async def ledger_and_sums(usage: UsageStore, query: SumsQuery) -> tuple[UsageSums, UsageSums]:
    """What limits count, added up from the records, and as it is kept."""
    totals = await from_records(usage, UsageQuery(**asdict(query)))
    figures = {one.name: getattr(totals, one.name) for one in fields(UsageSums)}
    return UsageSums(**figures), await usage.sums(query)


class UsageStoreContract:
    """Inherit this, provide `store`, `usage_store`, `auth_store` and `raw`."""

    pytestmark = pytest.mark.anyio

    async def test_the_end_of_an_attempt_records_what_it_used(
        self, store: RunStore, usage_store: UsageStore, raw: RawDatabase
    ) -> None:
        attempt = await started(store)
        await raw.pass_time(3)
        run = await store.complete(attempt.ref, replace(FILE, usage=USED))
        used = await usage_store.run_usage(run.id)
        assert used.attempts == (AttemptCount(AttemptOutcome.COMPLETE, "complete", 1),)
        assert used.wall_ms >= 2900
        assert replace(used, wall_ms=0, attempts=()) == UsageTotals(
            cpu_ms=1500,
            peak_memory_bytes=4096,
            read_bytes=1000,
            read_rows=10,
            spilled_bytes=7,
            written_bytes=FILE.file.size_bytes,
            result_rows=FILE.file.rows,
        )
        assert await total(usage_store, raw) == used

    async def test_what_was_read_is_added_up_by_table(
        self, store: RunStore, usage_store: UsageStore, raw: RawDatabase
    ) -> None:
        first = (TableRead("a", 10, 1), TableRead("\N{SNOWMAN}'\"", 5, 2))
        second = (TableRead("a", 7, 3), TableRead("b", None, 4))
        attempt = await started(store)
        await store.requeue(attempt.ref, replace(back(), usage=replace(USED, tables=first)))
        again = await claimed(store)
        run = await store.complete(again.ref, replace(FILE, usage=replace(MORE, tables=second)))
        assert (await usage_store.run_usage(run.id)).tables == (
            TableRead("a", 17, 4),
            TableRead("b", None, 4),
            TableRead("\N{SNOWMAN}'\"", 5, 2),
        )
        assert (await total(usage_store, raw)).tables == ()

    async def test_attempts_are_counted_by_what_ended_them(
        self, store: RunStore, usage_store: UsageStore, raw: RawDatabase
    ) -> None:
        attempt = await started(store)
        await store.requeue(attempt.ref, replace(back(), usage=USED))
        second = await claimed(store)
        run = await store.fail(second.ref, Failed(BAD_NAME, usage=MORE))
        used = await usage_store.run_usage(run.id)
        assert used.attempts == (
            AttemptCount(AttemptOutcome.FAILED, BAD_NAME.code, 1),
            AttemptCount(AttemptOutcome.REQUEUED, WORKER_LOST.code, 1),
        )
        assert (used.cpu_ms, used.peak_memory_bytes, used.read_bytes) == (2000, 8192, 1024)

    async def test_a_canceled_attempt_is_recorded_under_the_reason_of_its_cancel(
        self, store: RunStore, usage_store: UsageStore
    ) -> None:
        attempt = await started(store)
        await store.cancel(attempt.ref.run_id, BY_USER)
        assert await usage_store.run_usage(attempt.ref.run_id) == NO_USAGE
        run = await store.freed(attempt.ref, replace(KILLED, usage=USED))
        used = await usage_store.run_usage(run.id)
        assert used.attempts == (AttemptCount(AttemptOutcome.CANCELED, "user", 1),)
        assert used.cpu_ms == 1500

    async def test_a_run_that_never_started_has_used_nothing(
        self, store: RunStore, usage_store: UsageStore, raw: RawDatabase
    ) -> None:
        run = await submitted(store)
        await store.cancel(run.id, CancelRequested(BY_USER.reason, None))
        assert await usage_store.run_usage(run.id) == NO_USAGE
        assert await total(usage_store, raw) == NO_USAGE

    async def test_an_attempt_whose_node_is_lost_has_used_what_it_reported_last(
        self, store: RunStore, usage_store: UsageStore, raw: RawDatabase
    ) -> None:
        attempt = await started(store)
        progress = AttemptProgress(Stage.EXECUTING, 10.0, 5, 77, cpu_ms=900, peak_memory_bytes=11)
        await store.extend(
            "node-a", [attempt.ref], lease_s=LEASE_S, progress={attempt.ref: progress}
        )
        await raw.pass_time(LEASE_S + 1)
        assert await store.take_over(attempt.ref, "node-b", lease_s=LEASE_S)
        run = await store.requeue(attempt.ref, back())
        used = await usage_store.run_usage(run.id)
        assert (used.cpu_ms, used.peak_memory_bytes, used.written_bytes) == (900, 11, 77)
        assert (used.read_bytes, used.attempts_not_counted) == (0, 1)

    async def test_an_end_that_comes_too_late_records_nothing(
        self, store: RunStore, usage_store: UsageStore
    ) -> None:
        attempt = await started(store)
        run = await store.complete(attempt.ref, replace(FILE, usage=USED))
        before = await usage_store.run_usage(run.id)
        for late in (AttemptRef(run.id, 1), AttemptRef(run.id, 2)):
            with pytest.raises(LostRace):
                await store.complete(late, replace(FILE, usage=MORE))
        assert await usage_store.run_usage(run.id) == before

    async def test_downloads_are_counted_with_their_run_and_are_no_attempts(
        self, store: RunStore, usage_store: UsageStore, raw: RawDatabase
    ) -> None:
        attempt = await started(store)
        run = await store.complete(attempt.ref, replace(FILE, usage=USED))
        await usage_store.add_download(run.id, 12)
        await usage_store.add_download(run.id, 5)
        await raw.pass_time(DAY_S)
        await usage_store.add_download(run.id, 1)
        await usage_store.add_download("no such run", 99)
        used = await usage_store.run_usage(run.id)
        assert (used.downloads, used.downloaded_bytes, used.attempts_not_counted) == (3, 18, 0)
        assert len(used.attempts) == 1
        assert await total(usage_store, raw) == used

    async def test_the_ledger_is_the_sum_of_the_runs_however_it_is_grouped(
        self, store: RunStore, usage_store: UsageStore, raw: RawDatabase
    ) -> None:
        runs = await _various_runs(store, raw)
        expected = reduce(add, [await usage_store.run_usage(run.id) for run in runs])
        assert await total(usage_store, raw) == expected
        assert await from_records(usage_store, everything(raw)) == expected
        for dimension in UsageDimension:
            page = await usage_store.report(everything(raw, dimension, tag="team"))
            assert reduce(add, (sums for _, sums in page.rows)) == expected

    async def test_downloads_stops_and_tries_are_in_the_kept_sums_as_in_the_records(
        self, store: RunStore, usage_store: UsageStore, raw: RawDatabase
    ) -> None:
        runs = await _various_runs(store, raw)
        for number, run in enumerate(runs):
            for size_bytes in range(number + 1):
                await usage_store.add_download(run.id, size_bytes)
        await submitted(store)
        attempt = await claimed(store)
        progress = AttemptProgress(Stage.EXECUTING, 10.0, 5, 77, cpu_ms=9, peak_memory_bytes=99999)
        extended = {attempt.ref: progress}
        await store.extend("node-a", [attempt.ref], lease_s=LEASE_S, progress=extended)
        stopped = AttemptUsage(1, 2, read_bytes=3)
        await store.requeue(attempt.ref, replace(back(), usage=stopped))
        again = await claimed(store)
        await store.complete(again.ref, replace(FILE, usage=USED))
        for dimension in set(UsageDimension) - {UsageDimension.TAG}:
            query = everything(raw, dimension)
            by_tag = replace(query, group_by=query.group_by | {UsageDimension.TAG}, tag="none")
            kept, added_up = await usage_store.report(query), await usage_store.report(by_tag)
            assert kept == added_up
            assert sum(sums.downloads for _, sums in kept.rows) == 10
            assert sum(sums.attempts_not_counted for _, sums in kept.rows) == 1

    async def test_a_report_names_what_each_row_is_about(
        self, store: RunStore, usage_store: UsageStore, raw: RawDatabase
    ) -> None:
        await _various_runs(store, raw)
        by = everything(raw, UsageDimension.ENTITY, UsageDimension.TAG, tag="team")
        keys = [key for key, _ in (await usage_store.report(by)).rows]
        assert keys == [
            UsageKey(entity_id="entity-1", tag=""),
            UsageKey(entity_id="entity-1", tag="Blue"),
            UsageKey(entity_id="entity-2", tag="red"),
        ]
        days = [key.day for key, _ in (await usage_store.report(_by_day(raw))).rows]
        assert days == [raw.now().date() - timedelta(days=1), raw.now().date()]

    async def test_pages_continue_after_their_last_key_and_end(
        self, store: RunStore, usage_store: UsageStore, raw: RawDatabase
    ) -> None:
        await _various_runs(store, raw)
        query = replace(everything(raw, *UsageDimension, tag="team"), limit=100)
        whole = await usage_store.report(query)
        assert whole.next_after is None
        paged: list[tuple[UsageKey, UsageTotals]] = []
        after = None
        while True:
            page = await usage_store.report(replace(query, limit=1, after=after))
            paged += page.rows
            if (after := page.next_after) is None:
                break
        assert tuple(paged) == whole.rows

    async def test_a_report_keeps_to_its_tenant_days_entity_client_and_source(
        self, store: RunStore, usage_store: UsageStore, raw: RawDatabase
    ) -> None:
        await _various_runs(store, raw)
        query = everything(raw)
        today = raw.now().date()
        for narrowed, attempts in (
            (replace(query, tenant_id="tenant-2"), 1),
            (replace(query, tenant_id="tenant-3"), 0),
            (replace(query, entity_id="entity-2"), 1),
            (replace(query, client_id="client-2"), 1),
            (replace(query, source="warehouse"), 1),
            (replace(query, first_day=today), 1),
            (replace(query, last_day=today - timedelta(days=1)), 3),
        ):
            [(_, sums)] = (await usage_store.report(narrowed)).rows
            assert sum(one.count for one in sums.attempts) == attempts

    async def test_the_sums_that_limits_count_are_those_of_the_ledger(
        self, store: RunStore, usage_store: UsageStore, raw: RawDatabase
    ) -> None:
        first_day = raw.now().date()
        runs = await _various_runs(store, raw)
        await submitted(store)
        attempt = await claimed(store)
        await store.requeue(attempt.ref, replace(back(), usage=MORE))
        for size_bytes in (12, 5):
            await usage_store.add_download(runs[0].id, size_bytes)
        today = raw.now().date()
        everything = SumsQuery(TENANT, first_day, today)
        queries = [
            everything,
            replace(everything, tenant_id="tenant-2"),
            replace(everything, tenant_id="tenant-3"),
            replace(everything, entity_id="entity-2"),
            replace(everything, entity_id="entity-1", client_id="client-1"),
            replace(everything, source="warehouse"),
            replace(everything, first_day=today),
            replace(everything, last_day=first_day),
        ]
        for query in queries:
            ledger, sums = await ledger_and_sums(usage_store, query)
            assert sums == ledger
        whole = await usage_store.sums(everything)
        assert (whole.runs, whole.read_bytes, whole.downloaded_bytes) == (4, 3048, 17)

    async def test_a_run_that_goes_on_over_midnight_counts_whole_on_the_day_of_its_end(
        self, store: RunStore, usage_store: UsageStore, raw: RawDatabase
    ) -> None:
        before = raw.now().date()
        attempt = await started(store)
        await raw.pass_time(DAY_S)
        await store.complete(attempt.ref, replace(FILE, usage=USED))
        today = raw.now().date()
        [(key, used)] = (await usage_store.report(_by_day(raw))).rows
        assert (key.day, used.cpu_ms, used.runs) == (today, USED.cpu_ms, 1)
        assert used.wall_ms >= DAY_S * 1000 - 100
        assert (await usage_store.sums(SumsQuery(TENANT, before, before))) == UsageSums()
        assert (await usage_store.sums(SumsQuery(TENANT, today, today))).wall_ms == used.wall_ms

    async def test_sums_do_not_go_with_the_records_but_after_their_own_retention(
        self,
        store: RunStore,
        usage_store: UsageStore,
        auth_store: AuthStore,
        raw: RawDatabase,
    ) -> None:
        await auth_store.add_tenant(TENANT, "Tenant 1")
        query = SumsQuery(TENANT, raw.now().date(), raw.now().date())
        attempt = await started(store)
        await store.complete(attempt.ref, replace(FILE, usage=USED))
        await raw.pass_time(DAY_S)
        before = await usage_store.sums(query)
        assert await usage_store.remove_expired_usage(finished_before=raw.now()) == 1
        assert await usage_store.sums(query) == before != UsageSums()
        assert await from_records(usage_store, UsageQuery(**asdict(query))) == NO_USAGE
        today = raw.now()
        assert await usage_store.remove_expired_sums(finished_before=today - timedelta(1)) == 0
        assert await usage_store.remove_expired_sums(finished_before=today) == 1
        assert await usage_store.sums(query) == UsageSums()

    async def test_records_outlive_their_runs_until_their_own_retention(
        self,
        store: RunStore,
        usage_store: UsageStore,
        auth_store: AuthStore,
        raw: RawDatabase,
    ) -> None:
        attempt = await started(store)
        await store.complete(attempt.ref, replace(FILE, usage=USED))
        before = await total(usage_store, raw)
        await raw.pass_time(2 * DAY_S)
        assert await store.remove_expired(retention_s=DAY_S, limit=10)
        assert await total(usage_store, raw) == before
        await auth_store.add_tenant(TENANT, "Tenant 1")
        assert await usage_store.remove_expired_usage(finished_before=raw.now()) == 1
        assert await usage_store.remove_expired_sums(finished_before=raw.now()) == 1
        assert await total(usage_store, raw) == NO_USAGE

    async def test_records_of_days_that_are_not_over_stay(
        self,
        store: RunStore,
        usage_store: UsageStore,
        auth_store: AuthStore,
        raw: RawDatabase,
    ) -> None:
        await auth_store.add_tenant(TENANT, "Tenant 1")
        attempt = await started(store)
        await store.complete(attempt.ref, replace(FILE, usage=USED))
        assert await usage_store.remove_expired_usage(finished_before=raw.now()) == 0


def _by_day(raw: RawDatabase) -> UsageQuery:
    return everything(raw, UsageDimension.DAY)


async def _various_runs(store: RunStore, raw: RawDatabase) -> list[Run]:
    """Four runs of the tenant on two days, one of them of another entity, client and source, with
    one attempt each; and one of another tenant, which is not returned."""
    blue, red = (("team", "Blue"),), (("other", "x"), ("team", "red"))
    runs = []
    for given in (
        request(),
        request(tags=blue),
        request(entity="entity-2", client="client-2", source="warehouse", tags=red),
    ):
        await submitted(store, given)
        attempt = await claimed(store, given.source)
        runs.append(await store.complete(attempt.ref, replace(FILE, usage=USED)))
    await submitted(store, request(tenant="tenant-2"))
    foreign = await claimed(store)
    await store.complete(foreign.ref, replace(FILE, usage=MORE))
    await raw.pass_time(DAY_S)
    await submitted(store)
    [attempt] = await store.claim("node-a", lease_s=LEASE_S, limits=limits(slots=1))
    runs.append(await store.fail(attempt.ref, Failed(BAD_NAME, usage=MORE)))
    return runs

"""What every AuditStore must do. An implementation provides `store`, `runs` and `raw`."""

from __future__ import annotations

import asyncio
from itertools import product
from uuid import uuid4

import pytest

from queryrun.audit.chain import ChainVerifier
from queryrun.audit.model import AuditEntry, AuditEvent
from queryrun.audit.store import SEALED_AT_ONCE, AuditStore
from queryrun.errors import QueueFull
from queryrun.runs.store import QueueLimits, RunStore
from tests.contract.run_store_fixtures import RawDatabase, idempotent, request

DAY_S = 24 * 3600.0


def entry(subject: str, **detail: object) -> AuditEntry:
    """An entry about something."""
    return AuditEntry(
        AuditEvent.CLIENT_CREATED, "tenant-1", "", "client-1", subject, "192.0.2.1", detail
    )


async def verified(store: AuditStore) -> list[str]:
    """The subjects of the sealed entries, which form an intact chain."""
    head = await store.head()
    verifier, subjects = ChainVerifier(head), []
    for one in await store.entries(after=0, limit=10_000):
        verifier.feed(one)
        subjects.append(one.fields["subject"])
    verifier.finish(are_some_waiting=(await store.waiting()).count > 0)
    assert verifier.faults == []
    return subjects


TAMPERED = [
    *(f"UPDATE audit_log SET {change} WHERE position = {{at}}" for change in (
        "content = replace(content, '192.0.2.1', '192.0.2.2')",
        "content = content || ' '",
        "at_ms = at_ms + 1",
        "digest = upper(digest)",
        "digest = (SELECT digest FROM audit_head)",
        "position = position + 1000",
        "position = -position",
    )),
    "DELETE FROM audit_log WHERE position = {at}",
    "UPDATE audit_log SET position = CASE position WHEN {at} THEN 3000 ELSE 3001 END"
    " WHERE position IN ({at}, {at} + 1)",
    "UPDATE audit_log SET content = (SELECT content FROM audit_log WHERE position = 5)"
    " WHERE position = {at}",
    "INSERT INTO audit_log SELECT position + 1000, at_ms, content, digest FROM audit_log"
    " WHERE position = {at}",
]  # fmt: skip
"""Every column of an entry changed, an entry removed, moved, replaced by another or repeated."""


async def faults(store: AuditStore) -> list[str]:
    """What a verification names."""
    verifier = ChainVerifier(await store.head())
    for one in await store.entries(after=-(2**62), limit=10_000):
        verifier.feed(one)
    verifier.finish(are_some_waiting=(await store.waiting()).count > 0)
    return verifier.faults


class AuditStoreContract:
    """Inherit this, provide `store`, `runs` and `raw`."""

    pytestmark = pytest.mark.anyio

    async def test_an_entry_is_in_the_chain_or_waits_and_is_in_it_once_sealed(
        self, store: AuditStore, raw: RawDatabase
    ) -> None:
        await store.append(entry("a"), durable=True)
        waiting, sealed = await store.waiting(), await store.entries(after=0, limit=10)
        assert sealed == await store.entries_before(before=None, limit=10)
        assert waiting.count + len(sealed) == 1
        assert waiting.oldest == (raw.now() if waiting.count else None)
        assert await store.seal() == waiting.count
        assert (await store.waiting()).count == 0
        assert await verified(store) == ["a"]
        assert await store.seal() == 0

    async def test_entries_are_read_from_the_end_backwards(self, store: AuditStore) -> None:
        for subject in "abcd":
            await store.append(entry(subject))
        await store.seal()
        newest = await store.entries_before(before=None, limit=2)
        older = await store.entries_before(before=newest[-1].position, limit=9)
        assert [one.fields["subject"] for one in (*newest, *older)] == list("dcba")

    async def test_an_entry_is_read_as_it_was_appended(self, store: AuditStore) -> None:
        await store.append(entry("a", name="Zoë \u0000", count=3))
        await store.seal()
        [found] = await store.entries(after=0, limit=10)
        assert found.position == 1
        assert found.fields == {
            "event": "client_created",
            "tenant_id": "tenant-1",
            "entity_id": "",
            "client_id": "client-1",
            "subject": "a",
            "remote_address": "192.0.2.1",
            "detail": {"name": "Zoë \u0000", "count": 3},
        }
        assert "\n" not in found.content
        assert (await store.head()).digest == found.digest

    async def test_entries_are_chained_in_order_over_several_seals(self, store: AuditStore) -> None:
        for subject in ("a", "b", "c"):
            await store.append(entry(subject))
            await store.seal()
        await store.append(entry("d"))
        await store.append(entry("e"))
        await store.seal()
        assert await verified(store) == ["a", "b", "c", "d", "e"]
        assert [one.fields["subject"] for one in await store.entries(after=2, limit=2)] == [
            "c",
            "d",
        ]

    async def test_concurrent_appends_and_seals_make_one_chain(self, store: AuditStore) -> None:
        names = [f"s{n}" for n in range(40)]

        async def seal() -> None:
            for _ in range(10):
                await store.seal()

        await asyncio.gather(seal(), seal(), *(store.append(entry(name)) for name in names))
        while await store.seal():
            pass
        assert sorted(await verified(store)) == sorted(names)
        assert SEALED_AT_ONCE > 1

    async def test_a_run_is_accepted_together_with_its_entry(
        self, store: AuditStore, runs: RunStore
    ) -> None:
        run_id = str(uuid4())
        await runs.accept(request(), run_id=run_id, audit=entry(run_id))
        await runs.accept(request(), run_id=str(uuid4()))
        await store.seal()
        assert await verified(store) == [run_id]

    async def test_a_refused_run_and_a_replay_have_no_entry(
        self, store: AuditStore, runs: RunStore
    ) -> None:
        full = QueueLimits(per_entity=1)
        first = str(uuid4())
        write = idempotent()
        await runs.accept(request(), run_id=first, idempotent=write, audit=entry(first))
        await runs.accept(request(), run_id=str(uuid4()), idempotent=write, audit=entry("replay"))
        with pytest.raises(QueueFull):
            await runs.accept(
                request(), run_id=str(uuid4()), queue_limits=full, audit=entry("refused")
            )
        await store.seal()
        assert await verified(store) == [first]

    async def test_the_retention_removes_the_beginning_and_says_so(
        self, store: AuditStore, raw: RawDatabase
    ) -> None:
        for subject in ("a", "b"):
            await store.append(entry(subject))
        await store.seal()
        await raw.pass_time(DAY_S)
        await store.append(entry("c"))
        await store.seal()
        assert await store.remove_expired_entries(before=raw.now(), limit=1) == 1
        assert await store.remove_expired_entries(before=raw.now(), limit=10) == 1
        assert await store.remove_expired_entries(before=raw.now(), limit=10) == 0
        await store.seal()
        assert await verified(store) == ["c", "", ""]
        assert (await store.head()).base_position == 2
        [*_, last] = await store.entries(after=0, limit=10)
        assert last.fields["event"] == "entries_removed"

    async def test_whatever_is_changed_in_the_log_is_found_also_after_the_retention(
        self, store: AuditStore, raw: RawDatabase
    ) -> None:
        for subject in "abcdef":
            await store.append(entry(subject))
        await store.seal()
        await _tamper(store, raw, (1, 3, 6))
        await raw.pass_time(DAY_S)
        assert await store.remove_expired_entries(before=raw.now(), limit=3) == 3
        await store.seal()
        await _tamper(store, raw, (4, 7))


async def _tamper(store: AuditStore, raw: RawDatabase, positions: tuple[int, ...]) -> None:
    """Each change at each position is found, and nothing once it is undone."""
    raw.execute("DROP TABLE IF EXISTS kept")
    raw.execute("CREATE TABLE kept AS SELECT * FROM audit_log")
    for at, statement in product(positions, TAMPERED):
        before = await store.entries(after=0, limit=10)
        raw.execute(statement.format(at=at))
        after = await store.entries(after=0, limit=10)
        assert (await faults(store) != []) == (before != after), statement.format(at=at)
        raw.execute("DELETE FROM audit_log")
        raw.execute("INSERT INTO audit_log SELECT * FROM kept")
        assert await faults(store) == []
    raw.execute("DROP TABLE kept")

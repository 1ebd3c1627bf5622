"""The runs of a revoked client are canceled by whichever node notices the revocation.

Two nodes are two handles on one database. On PostgreSQL the same statements run
(tests/contract/run_store.py has them on both).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from queryrun.auth.clients import ClientOptions, create_client, revoke_client
from queryrun.auth.model import Entity, RevokedLogin, Scope
from queryrun.db.sqlite.database import SqliteDatabase, open_sqlite
from queryrun.runs.model import Run, StopReason
from queryrun.runs.revoke import FOLLOW_S, RevocationWatch
from queryrun.runs.state import RunState
from tests.contract.run_store_fixtures import TENANT, claimed, read, request, submitted

pytestmark = pytest.mark.anyio
ACME = Entity("11111111-1111-4111-8111-111111111111", TENANT, "acme")


def now() -> datetime:
    """The clock of both nodes."""
    return datetime.now(UTC)


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[SqliteDatabase, SqliteDatabase]]:
    """Two nodes' handles on one database."""
    opened = (open_sqlite(tmp_path / "runs.db", now), open_sqlite(tmp_path / "runs.db", now))
    yield opened
    for one in opened:
        one.close()


def watch(node: SqliteDatabase, canceled: list[str]) -> RevocationWatch:
    """The node's own, which has not been started."""

    def on_canceled(run: Run) -> None:
        canceled.append(run.id)

    return RevocationWatch(node.auth, node.runs, on_canceled, now)


async def test_a_revocation_on_one_node_cancels_what_another_node_has(
    nodes: tuple[SqliteDatabase, SqliteDatabase],
) -> None:
    here, there = nodes
    await here.auth.add_tenant(TENANT, TENANT)
    await here.auth.add_entity(ACME)
    options = ClientOptions("agent", (ACME,), frozenset({Scope.SUBMIT}))
    client = (await create_client(here.auth, options, now)).client
    running = await submitted(there.runs, request(client=client.id))
    await claimed(there.runs, node="there")
    waiting = await submitted(there.runs, request(client=client.id))
    others = await submitted(there.runs, request(client="somebody-else"))
    canceled: list[str] = []
    second = watch(there, canceled)
    await second.check()
    assert canceled == []

    await revoke_client(here.auth, client.id, now)
    await second.check()
    assert sorted(canceled) == sorted([running.id, waiting.id])
    stopping, gone = await read(here.runs, running.id), await read(here.runs, waiting.id)
    assert (stopping.state, gone.state) == (RunState.CANCELING, RunState.CANCELED)
    assert gone.cancellation is not None
    assert gone.cancellation.reason is StopReason.ADMIN
    assert (await read(here.runs, others.id)).state is RunState.ACCEPTED


async def test_both_nodes_may_notice_and_a_run_that_was_being_accepted_is_canceled_too(
    nodes: tuple[SqliteDatabase, SqliteDatabase],
) -> None:
    here, there = nodes
    await here.auth.add_tenant(TENANT, TENANT)
    await here.auth.add_entity(ACME)
    options = ClientOptions("agent", (ACME,), frozenset({Scope.SUBMIT}))
    client = (await create_client(here.auth, options, now)).client
    await revoke_client(here.auth, client.id, now)
    canceled: list[str] = []
    first, second = watch(here, canceled), watch(there, canceled)
    await first.check()
    late = await submitted(there.runs, request(client=client.id))
    await second.check()
    await first.check()
    await second.check()
    assert canceled == [late.id]
    assert (await read(here.runs, late.id)).state is RunState.CANCELED


async def test_what_an_expired_client_and_a_revoked_login_have_is_canceled(
    nodes: tuple[SqliteDatabase, SqliteDatabase],
) -> None:
    here, there = nodes
    await here.auth.add_tenant(TENANT, TENANT)
    await here.auth.add_entity(ACME)
    ends = now() + timedelta(milliseconds=1)
    options = ClientOptions("agent", (ACME,), frozenset({Scope.SUBMIT}), expires_time=ends)
    client = (await create_client(here.auth, options, now)).client
    runs = [
        await submitted(there.runs, request(client=who))
        for who in (client.id, "login-1", "somebody-else")
    ]
    await here.auth.revoke_login(RevokedLogin(TENANT, "login-1", "ann", now()))
    canceled: list[str] = []
    second = watch(there, canceled)
    while now() <= ends:
        pass
    await second.check()
    assert sorted(canceled) == sorted(run.id for run in runs[:2])
    assert (await read(here.runs, runs[2].id)).state is RunState.ACCEPTED


async def test_what_ended_while_no_node_ran_is_found_by_the_first_round(
    nodes: tuple[SqliteDatabase, SqliteDatabase],
) -> None:
    here, there = nodes
    await here.auth.add_tenant(TENANT, TENANT)
    long_ago = now() - timedelta(seconds=FOLLOW_S * 10)
    await here.auth.revoke_login(RevokedLogin(TENANT, "login-1", "ann", long_ago))
    run = await submitted(here.runs, request(client="login-1"))
    canceled: list[str] = []
    second = watch(there, canceled)
    await second.check()
    assert canceled == [run.id]
    await submitted(here.runs, request(client="login-1"))
    await second.check()
    assert canceled == [run.id], "later rounds look at what ended lately"

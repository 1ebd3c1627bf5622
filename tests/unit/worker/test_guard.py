"""A verdict always comes back, whatever the statement does to the process that reads it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from queryrun.errors import Unavailable
from queryrun.processes.fork_client import ForkClient
from queryrun.services.guard.client import SMALL_CHARS, GuardClient, GuardOptions
from queryrun.sql.guard import MAX_STATEMENT_CHARS, Refusal
from queryrun.wiring.child_roles import CHILD_ROLES
from tests.unit.worker.pool_harness import SCRIPTED, children

pytestmark = pytest.mark.anyio

_HURRIED = GuardOptions(small_timeout_s=1.0, large_timeout_s=1.0, cached_verdicts=2)


@pytest.fixture
async def fork_server() -> AsyncIterator[ForkClient]:
    """Forks checkers that obey the first word of a statement; leaves no process behind."""
    fork_server = ForkClient(SCRIPTED)
    yield fork_server
    await fork_server.close()
    assert children() == set()


@pytest.fixture
async def checker(fork_server: ForkClient) -> AsyncIterator[GuardClient]:
    """A checker in a hurry."""
    checker = GuardClient(fork_server, _HURRIED)
    yield checker
    await checker.close()


@pytest.fixture
async def real_checker() -> AsyncIterator[GuardClient]:
    """A checker on the guard that runs in production."""
    fork_server = ForkClient(CHILD_ROLES)
    checker = GuardClient(fork_server)
    yield checker
    await checker.close()
    await fork_server.close()


async def test_a_statement_is_checked_in_another_process(checker: GuardClient) -> None:
    verdict = await checker.check("SELECT")
    assert verdict.accepted
    assert verdict.statement != f"SELECT {os.getpid()}"


async def test_one_process_answers_one_after_another(checker: GuardClient) -> None:
    verdicts = [await checker.check(f"{number}") for number in range(3)]
    assert len({verdict.statement.split()[1] for verdict in verdicts}) == 1


async def test_a_verdict_is_remembered(checker: GuardClient) -> None:
    first = await checker.check("SELECT")
    assert await checker.check("SELECT") is first


async def test_what_is_remembered_is_bounded(checker: GuardClient) -> None:
    first = await checker.check("one")
    await checker.check("two")
    await checker.check("three")
    assert await checker.check("one") is not first


async def test_a_statement_that_kills_its_checker_is_too_complex(
    checker: GuardClient,
) -> None:
    assert (await checker.check("crash")).refusal is Refusal.TOO_COMPLEX
    assert (await checker.check("SELECT")).accepted


async def test_a_statement_that_stalls_its_checker_is_too_complex(
    checker: GuardClient,
) -> None:
    assert (await checker.check("stall")).refusal is Refusal.TOO_COMPLEX
    assert (await checker.check("SELECT")).accepted


async def test_a_statement_is_not_blamed_for_a_checker_that_had_died(
    checker: GuardClient, fork_server: ForkClient
) -> None:
    await checker.check("one")
    checkers = children() - {fork_server.pid}
    assert checkers
    for pid in checkers:
        os.kill(pid, signal.SIGKILL)
    assert (await checker.check("two")).accepted


async def test_small_statements_do_not_wait_behind_a_large_one(checker: GuardClient) -> None:
    large = asyncio.ensure_future(checker.check("stall" + " " * SMALL_CHARS))
    assert (await checker.check("SELECT")).accepted
    assert not large.done()
    assert (await large).refusal is Refusal.TOO_COMPLEX


async def test_a_cancelled_check_leaves_the_checker_usable(checker: GuardClient) -> None:
    check = asyncio.ensure_future(checker.check("stall"))
    await asyncio.wait([check], timeout=0.01)
    check.cancel()
    assert (await checker.check("SELECT")).accepted


async def test_text_that_cannot_be_encoded_is_refused(checker: GuardClient) -> None:
    assert (await checker.check("SELECT '\ud800'")).refusal is Refusal.BAD_CHARACTER


async def test_a_statement_beyond_the_limit_starts_no_process(checker: GuardClient) -> None:
    verdict = await checker.check("x" * (MAX_STATEMENT_CHARS + 1))
    assert verdict.refusal is Refusal.TOO_LONG
    assert children() == set()


async def test_without_checkers_the_service_is_unavailable() -> None:
    fork_server = ForkClient({**CHILD_ROLES, "guard": "queryrun.nowhere:nothing"})
    checker = GuardClient(fork_server)
    with pytest.raises(Unavailable):
        await checker.check("SELECT")
    await fork_server.close()


async def test_the_real_guard_answers_behind_its_walls(real_checker: GuardClient) -> None:
    assert (await real_checker.check("SELECT 1;")).statement == "SELECT 1"
    refused = await real_checker.check("DROP TABLE t")
    assert refused.refusal is Refusal.NOT_READ_ONLY


@pytest.mark.parametrize(
    "text", ["(" * 19_000, "SELECT " + "-" * 19_000 + "1", "SELECT " + "[" * 400_000]
)
async def test_a_deeply_nested_statement_gets_a_verdict(
    real_checker: GuardClient, text: str
) -> None:
    verdict = await real_checker.check(text)
    assert verdict.refusal in (None, Refusal.TOO_COMPLEX, Refusal.NOT_ALLOWED, Refusal.BLANK)

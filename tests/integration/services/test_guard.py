"""A verdict always comes back, whatever the statement does to the process that parses it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from queryrun.errors import Unavailable
from queryrun.processes.fork_client import ForkClient
from queryrun.services.guard.client import SMALL_CHARS, GuardClient, GuardOptions
from queryrun.sql.guard.validation import NamedType, TableColumns
from queryrun.sql.guard.verdict import MAX_STATEMENT_CHARS, Refusal
from queryrun.wiring.child_roles import CHILD_ROLES
from tests.integration.worker.pool_harness import SCRIPTED, children

pytestmark = pytest.mark.anyio

_HURRIED = GuardOptions(small_timeout_s=1.0, large_timeout_s=1.0, cached_verdicts=2)


@pytest.fixture
async def fork_server() -> AsyncIterator[ForkClient]:
    """Forks guards that execute the first word of a statement; leaves no process behind."""
    fork_server = ForkClient(SCRIPTED)
    yield fork_server
    await fork_server.close()
    assert children() == set()


@pytest.fixture
async def guard(fork_server: ForkClient) -> AsyncIterator[GuardClient]:
    """A guard with short timeouts."""
    guard = GuardClient(fork_server, _HURRIED)
    yield guard
    await guard.close()


@pytest.fixture
async def real_guard() -> AsyncIterator[GuardClient]:
    """The real guard."""
    fork_server = ForkClient(CHILD_ROLES)
    guard = GuardClient(fork_server)
    yield guard
    await guard.close()
    await fork_server.close()


async def test_a_statement_is_checked_in_another_process(guard: GuardClient) -> None:
    verdict = await guard.check("SELECT")
    assert verdict.accepted
    assert verdict.statement != f"SELECT {os.getpid()}"


async def test_one_process_checks_one_statement_after_another(guard: GuardClient) -> None:
    verdicts = [await guard.check(f"{number}") for number in range(3)]
    assert len({verdict.statement.split()[1] for verdict in verdicts}) == 1


async def test_a_verdict_is_cached(guard: GuardClient) -> None:
    first = await guard.check("SELECT")
    assert await guard.check("SELECT") is first


async def test_the_cache_is_bounded(guard: GuardClient) -> None:
    first = await guard.check("one")
    await guard.check("two")
    await guard.check("three")
    assert await guard.check("one") is not first


async def test_a_statement_that_kills_its_process_is_too_complex(
    guard: GuardClient,
) -> None:
    assert (await guard.check("crash")).refusal is Refusal.TOO_COMPLEX
    assert (await guard.check("SELECT")).accepted


async def test_a_statement_that_stalls_its_process_is_too_complex(
    guard: GuardClient,
) -> None:
    assert (await guard.check("stall")).refusal is Refusal.TOO_COMPLEX
    assert (await guard.check("SELECT")).accepted


async def test_a_statement_is_not_to_blame_for_a_process_that_gets_no_time(
    guard: GuardClient,
) -> None:
    with pytest.raises(Unavailable, match="in time"):
        await guard.check("wait")
    assert (await guard.check("SELECT")).accepted


async def test_a_statement_is_not_refused_because_an_idle_process_had_died(
    guard: GuardClient, fork_server: ForkClient
) -> None:
    await guard.check("one")
    checkers = children() - {fork_server.pid}
    assert checkers
    for pid in checkers:
        os.kill(pid, signal.SIGKILL)
    assert (await guard.check("two")).accepted


async def test_small_statements_do_not_wait_behind_a_large_one(guard: GuardClient) -> None:
    large = asyncio.ensure_future(guard.check("stall" + " " * SMALL_CHARS))
    assert (await guard.check("SELECT")).accepted
    assert not large.done()
    assert (await large).refusal is Refusal.TOO_COMPLEX


async def test_a_cancelled_check_leaves_the_guard_usable(guard: GuardClient) -> None:
    check = asyncio.ensure_future(guard.check("stall"))
    await asyncio.wait([check], timeout=0.01)
    check.cancel()
    assert (await guard.check("SELECT")).accepted


async def test_text_that_cannot_be_encoded_is_refused(guard: GuardClient) -> None:
    assert (await guard.check("SELECT '\ud800'")).refusal is Refusal.BAD_CHARACTER


async def test_a_statement_beyond_the_limit_starts_no_process(guard: GuardClient) -> None:
    verdict = await guard.check("x" * (MAX_STATEMENT_CHARS + 1))
    assert verdict.refusal is Refusal.TOO_LONG
    assert children() == set()


async def test_without_a_process_the_service_is_unavailable() -> None:
    fork_server = ForkClient({**CHILD_ROLES, "guard": "queryrun.nowhere:nothing"})
    guard = GuardClient(fork_server)
    with pytest.raises(Unavailable):
        await guard.check("SELECT")
    await fork_server.close()


async def test_the_real_guard_works_in_its_sandbox(real_guard: GuardClient) -> None:
    assert (await real_guard.check("SELECT 1;")).statement == "SELECT 1"
    refused = await real_guard.check("DROP TABLE t")
    assert refused.refusal is Refusal.NOT_READ_ONLY


@pytest.mark.parametrize(
    "text", ["(" * 19_000, "SELECT " + "-" * 19_000 + "1", "SELECT " + "[" * 400_000]
)
async def test_a_deeply_nested_statement_gets_a_verdict(real_guard: GuardClient, text: str) -> None:
    verdict = await real_guard.check(text)
    assert verdict.refusal in (None, Refusal.TOO_COMPLEX, Refusal.NOT_ALLOWED, Refusal.BLANK)


def test_the_guard_survives_nesting_with_the_stack_of_a_fresh_process() -> None:
    """Main threads have the small stack of the system; a crash here would end the guard process."""
    program = (
        "from queryrun.sql.guard.duckdb import check_statement as c\n"
        "for n in (900, 10_000, 400_000):\n"
        "    for left, right in (('(', ')'), ('[', ']'), ('NOT ', '')):\n"
        "        c('SELECT ' + left * n + '1' + right * n)\n"
        "print('alive')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "alive\n", done.stderr[-500:]


async def test_a_statement_that_is_being_written_is_compiled_in_another_process(
    real_guard: GuardClient,
) -> None:
    tables = (TableColumns("account", (NamedType("id", "bigint"),)),)
    found = await real_guard.validate("SELECT idd FROM account", tables)
    assert (found.line, found.column) == (1, 8)
    assert "Did you mean 'id'" in found.message
    fine = await real_guard.validate("SELECT id FROM account", tables)
    assert fine.columns == (NamedType("id", "bigint"),)


async def test_a_long_statement_that_is_being_written_is_left_to_its_run(
    real_guard: GuardClient,
) -> None:
    found = await real_guard.validate(f"SELECT {'1' * SMALL_CHARS}", ())
    assert "checked before a run" in found.message

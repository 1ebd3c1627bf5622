"""How runs on a real Trino end when Trino, its administrator or a limit of ours ends them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager

import httpx2 as httpx
import pytest

from queryrun.cli.home import MadeHome
from queryrun.errors import FailureCode
from queryrun.runs.limits import Level
from queryrun.runs.model import EngineStop, Run, StopReason
from queryrun.runs.read import await_end
from queryrun.runs.state import RunState
from tests.faults.node_harness import NodeHarness, open_node
from tests.trino_gateway import gateway
from tests.trino_server import TrinoServer
from tests.trino_server import trino_server as trino_server  # a fixture

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

BOUND_S = 60
ENDLESS = (
    "SELECT count(*) AS n FROM lineitem a CROSS JOIN lineitem b CROSS JOIN lineitem c "
    "WHERE a.orderkey + b.orderkey * c.orderkey = -1"
)
LARGE_STATE = (
    "SELECT count(*) AS n FROM (SELECT DISTINCT a.comment, b.orderkey FROM lineitem a, lineitem b)"
)
LIMITS = (
    (
        {"query_max_execution_time": "1s"},
        ENDLESS,
        FailureCode.TIME_LIMIT_EXCEEDED,
        "Query exceeded a time limit of the engine: maximum execution time limit of 1.00s",
    ),
    (
        {"query_max_cpu_time": "1s"},
        ENDLESS,
        FailureCode.TIME_LIMIT_EXCEEDED,
        "Query exceeded a time limit of the engine: CPU limit of 1.00s",
    ),
    (
        {"query_max_memory_per_node": "20MB"},
        LARGE_STATE,
        FailureCode.MEMORY_LIMIT_EXCEEDED,
        "Query exceeded the maximum memory: per-node memory limit of 20MB",
    ),
    (
        {"query_max_scan_physical_bytes": "1kB"},
        ENDLESS,
        FailureCode.STATEMENT_FAILED,
        "Query exceeded the engine's limit of data to be read: scan limit of 1kB",
    ),
)
"""Session properties of Trino, a statement that passes them, and how its run ends."""


@pytest.fixture(scope="module")
def schema(trino_server: TrinoServer) -> str:
    """A table of some megabytes in memory."""
    schema = trino_server.new_schema()
    columns = "l_orderkey AS orderkey, l_comment AS comment"
    query = f"SELECT {columns} FROM tpch.tiny.lineitem"
    trino_server.make(f"CREATE TABLE memory.{schema}.lineitem AS {query}")
    return schema


@asynccontextmanager
async def open_on_trino(made: MadeHome, schema: str, *urls: str) -> AsyncIterator[NodeHarness]:
    """A node with sources `trino0`, `trino1`, …, each on a Trino at one of the addresses."""
    environ: dict[str, str] = {}
    for number, url in enumerate(urls):
        options = {
            "ENGINE": "trino",
            "DIALECT": "trino",
            "URL": url,
            "CATALOG": "memory",
            "SCHEMA": schema,
        }
        prefix = f"QUERYRUN_SOURCES__TRINO{number}__"
        environ |= {f"{prefix}{name}": value for name, value in options.items()}
    async with open_node(made, environ=environ) as harness:
        yield harness


def queries_of(server: TrinoServer, run_id: str, states: str) -> list[str]:
    """Trino's own ids of the run's queries in these states."""
    found = server.query(
        f"SELECT query_id FROM system.runtime.queries WHERE source = 'queryrun-{run_id}-1'"
        f" AND state IN ({states})"
    )
    return [str(row[0]) for row in found.rows]


async def running_query(server: TrinoServer, run_id: str) -> str:
    """Trino's id of the run's query once it runs. Polls: Trino notifies nobody."""
    deadline = time.monotonic() + BOUND_S
    while not (found := await asyncio.to_thread(queries_of, server, run_id, "'RUNNING'")):
        assert time.monotonic() < deadline, f"Trino does not run {run_id}"
        await asyncio.sleep(0.1)
    return found[0]


async def finished(harness: NodeHarness, run_id: str) -> Run:
    """The run in a terminal state."""
    run = await await_end(harness.node.runs, await harness.read(run_id), BOUND_S)
    assert run.state.is_terminal, run
    return run


def assert_failed_once(run: Run, code: FailureCode, message: str) -> None:
    """It is final: no further attempt was made."""
    assert run.failure is not None
    assert (run.state, run.attempt) == (RunState.FAILED, 1)
    assert (run.failure.code, run.failure.message) == (code, message)


async def test_a_kill_by_trinos_administrator_is_final_and_keeps_its_reason(
    made: MadeHome, trino_server: TrinoServer, schema: str
) -> None:
    reported = "The query was killed by an administrator of the engine"
    reason = ", message => 'the month''s books are being closed'"
    kills = {reason: f"{reported}: the month's books are being closed", "": reported}
    async with open_on_trino(made, schema, trino_server.url) as harness:
        for arguments, message in kills.items():
            run_id = await harness.submit(ENDLESS, source="trino0")
            query_id = await running_query(trino_server, run_id)
            call = f"CALL system.runtime.kill_query(query_id => '{query_id}'{arguments})"
            await asyncio.to_thread(trino_server.make, call)
            run = await finished(harness, run_id)
            assert_failed_once(run, FailureCode.STATEMENT_FAILED, message)


async def test_a_limit_of_trinos_own_is_final_and_named(
    made: MadeHome, trino_server: TrinoServer, schema: str
) -> None:
    with ExitStack() as stack:
        urls = [stack.enter_context(gateway(trino_server.url, one[0])) for one in LIMITS]
        async with open_on_trino(made, schema, *urls) as harness:
            for number, (_, sql, code, message) in enumerate(LIMITS):
                run_id = await harness.submit(sql, source=f"trino{number}")
                assert_failed_once(await finished(harness, run_id), code, message)


async def test_a_cap_of_ours_stops_a_query_at_trino_and_is_on_record(
    made: MadeHome, trino_server: TrinoServer, schema: str
) -> None:
    async with open_on_trino(made, schema, trino_server.url) as harness:
        for name, value in (("read_bytes", 1000), ("cpu_s", 1), ("time_s", 10)):
            run = await stopped_by_cap(harness, name, value)
            assert queries_of(trino_server, run.id, "'QUEUED', 'PLANNING', 'RUNNING'") == []
            used = await harness.node.database.usage.run_usage(run.id)
            counted: Mapping[str, float] = {
                "read_bytes": used.read_bytes,
                "cpu_s": used.cpu_ms / 1000,
                "time_s": used.wall_ms / 1000,
            }
            assert counted[name] >= value


async def stopped_by_cap(harness: NodeHarness, name: str, value: int) -> Run:
    """A run whose entity has this limit for so long."""
    limits, entity_id = harness.node.database.limits, harness.made.entity.id
    limiter = harness.node.runs.limiter
    assert limiter is not None
    await limits.set_limit(Level.ENTITY, entity_id, name, value)
    limiter.forget()
    run = await finished(harness, await harness.submit(ENDLESS, source="trino0"))
    await limits.set_limit(Level.ENTITY, entity_id, name, None)
    assert run.failure is not None
    assert run.cancellation is not None
    assert run.failure.code is FailureCode.QUOTA_EXCEEDED
    assert f"'{name}'" in run.failure.message
    assert run.cancellation.reason is StopReason.LIMIT
    assert run.cancellation.engine_stop is EngineStop.REMOTE_CONFIRMED
    return run


async def test_trino_knows_the_trace_of_a_run(
    made: MadeHome, trino_server: TrinoServer, schema: str
) -> None:
    """Its trace token is the trace that the caller of our API began."""
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    async with open_on_trino(made, schema, trino_server.url) as harness, harness.http() as http:
        body = {"sql": "SELECT 1 AS a", "content_type": "csv", "source": "trino0"}
        headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
        response = await http.post("/v2/query_runs", json=body, headers=headers)
        run = await finished(harness, response.json()["id"])
    assert run.state is RunState.COMPLETE
    [query_id] = queries_of(trino_server, run.id, "'FINISHED'")
    url, user = f"{trino_server.url}/v1/query/{query_id}", {"x-trino-user": "queryrun"}
    assert httpx.get(url, headers=user).json()["session"]["traceToken"] == trace_id

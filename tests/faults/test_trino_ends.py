"""How runs on a real Trino end when Trino, its administrator or a limit of ours ends them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx2 as httpx
import pytest

from queryrun.cli.home import MadeHome
from queryrun.errors import FailureCode
from queryrun.runs.limits import Level
from queryrun.runs.model import EngineStop, Run, StopReason
from queryrun.runs.state import RunState
from tests.faults.node_harness import NodeHarness, open_node, until
from tests.trino_gateway import gateway
from tests.trino_server import TrinoServer
from tests.trino_server import trino_server as trino_server  # a fixture

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

ENDLESS = (
    "SELECT count(*) AS n FROM lineitem a CROSS JOIN lineitem b CROSS JOIN lineitem c "
    "WHERE a.orderkey + b.orderkey * c.orderkey = -1"
)
LARGE_STATE = (
    "SELECT count(*) AS n FROM (SELECT DISTINCT a.comment, b.orderkey FROM lineitem a, lineitem b)"
)


@pytest.fixture(scope="module")
def schema(trino_server: TrinoServer) -> str:
    """A table of some megabytes in memory."""
    schema = trino_server.new_schema()
    columns = "l_orderkey AS orderkey, l_comment AS comment"
    query = f"SELECT {columns} FROM tpch.tiny.lineitem"
    trino_server.make(f"CREATE TABLE memory.{schema}.lineitem AS {query}")
    return schema


@asynccontextmanager
async def open_on_trino(made: MadeHome, url: str, schema: str) -> AsyncIterator[NodeHarness]:
    """A node with a further source, on a Trino at this address."""
    options = {
        "ENGINE": "trino",
        "DIALECT": "trino",
        "URL": url,
        "CATALOG": "memory",
        "SCHEMA": schema,
    }
    environ = {f"QUERYRUN_SOURCES__TRINO__{name}": value for name, value in options.items()}
    async with open_node(made, environ=environ) as harness:
        yield harness


def queries_of(server: TrinoServer, run_id: str, states: str = "'RUNNING'") -> list[str]:
    """Trino's own ids of the run's queries in these states."""
    found = server.query(
        f"SELECT query_id FROM system.runtime.queries WHERE source = 'queryrun-{run_id}-1'"
        f" AND state IN ({states})"
    )
    return [str(row[0]) for row in found.rows]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ", message => 'the month''s books are being closed'",
            "The query was killed by an administrator of the engine: "
            "the month's books are being closed",
        ),
        ("", "The query was killed by an administrator of the engine"),
    ],
)
async def test_a_kill_by_trinos_administrator_is_final_and_keeps_its_reason(
    made: MadeHome, trino_server: TrinoServer, schema: str, arguments: str, message: str
) -> None:
    async with open_on_trino(made, trino_server.url, schema) as harness:
        run_id = await harness.submit(ENDLESS, source="trino")
        await until(lambda: bool(queries_of(trino_server, run_id)), "the query on Trino")
        [query_id] = queries_of(trino_server, run_id)
        trino_server.make(f"CALL system.runtime.kill_query(query_id => '{query_id}'{arguments})")
        run = await harness.wait_finished(run_id)
        assert_failed_once(run, FailureCode.STATEMENT_FAILED, message)


def assert_failed_once(run: Run, code: FailureCode, message: str) -> None:
    """It is final: no further attempt was made."""
    assert run.failure is not None
    assert (run.state, run.attempt) == (RunState.FAILED, 1)
    assert (run.failure.code, run.failure.message) == (code, message)


@pytest.mark.parametrize(
    ("properties", "sql", "code", "message"),
    [
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
            "Query exceeded the engine's limit of data to be read: physical scan limit of 1kB",
        ),
    ],
)
async def test_a_limit_of_trinos_own_is_final_and_named(
    made: MadeHome,
    trino_server: TrinoServer,
    schema: str,
    properties: Mapping[str, str],
    sql: str,
    code: FailureCode,
    message: str,
) -> None:
    with gateway(trino_server.url, properties) as url:
        async with open_on_trino(made, url, schema) as harness:
            run = await harness.wait_finished(await harness.submit(sql, source="trino"))
            assert_failed_once(run, code, message)


@pytest.mark.parametrize(("name", "value"), [("read_bytes", 1000), ("cpu_s", 1), ("time_s", 1)])
async def test_a_cap_of_ours_stops_a_query_at_trino_and_is_on_record(
    made: MadeHome, trino_server: TrinoServer, schema: str, name: str, value: int
) -> None:
    async with open_on_trino(made, trino_server.url, schema) as harness:
        limits = harness.node.database.limits
        await limits.set_limit(Level.ENTITY, made.entity.id, name, value)
        run = await harness.wait_finished(await harness.submit(ENDLESS, source="trino"))
        assert run.failure is not None
        assert run.cancellation is not None
        assert run.failure.code is FailureCode.QUOTA_EXCEEDED
        assert f"'{name}'" in run.failure.message
        assert run.cancellation.reason is StopReason.LIMIT
        assert run.cancellation.engine_stop is EngineStop.REMOTE_CONFIRMED
        assert queries_of(trino_server, run.id, "'QUEUED', 'PLANNING', 'RUNNING'") == []
        used = await harness.node.database.usage.run_usage(run.id)
        counted = {"read_bytes": used.read_bytes, "cpu_s": used.cpu_ms / 1000}
        assert counted.get(name, value) >= value


async def test_trino_knows_the_trace_of_a_run(
    made: MadeHome, trino_server: TrinoServer, schema: str
) -> None:
    """Its trace token is the trace that the caller of our API began."""
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    async with open_on_trino(made, trino_server.url, schema) as harness, harness.http() as http:
        body = {"sql": "SELECT 1 AS a", "content_type": "csv", "source": "trino"}
        headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
        response = await http.post("/v2/query_runs", json=body, headers=headers)
        run = await harness.wait_finished(response.json()["id"])
    assert run.state is RunState.COMPLETE
    [query_id] = queries_of(trino_server, run.id, "'FINISHED'")
    detail = httpx.get(
        f"{trino_server.url}/v1/query/{query_id}", headers={"x-trino-user": "queryrun"}
    )
    assert detail.json()["session"]["traceToken"] == trace_id

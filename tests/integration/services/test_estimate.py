"""Statements are estimated by a process that can read only its entity's data, and is kept."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NoReturn

import duckdb
import pytest

from queryrun.engines.base import RowFilter
from queryrun.engines.estimates import Certainty, Estimator, StatementEstimate
from queryrun.engines.source_spec import SourceSpec
from queryrun.errors import FailureCode, RunFailed, Unavailable
from queryrun.processes.fork_client import ForkClient
from queryrun.services.estimate.client import EstimateClient, EstimateOptions
from queryrun.services.estimate.frames import EstimateRequest
from queryrun.services.estimate.process import run_estimates
from queryrun.sql.trino.markers import Value
from tests.integration.worker.pool_harness import SCRIPTED, children

pytestmark = pytest.mark.anyio

ALL = RowFilter(marks_deleted=False)


class FaultyEstimator:
    """Says the pid of its process as a column, or does what the statement says."""

    def __init__(self, request: EstimateRequest) -> None:
        self._options = request.source.options

    def estimate(
        self, statement: str, row_filter: RowFilter, values: Sequence[Value] = ()
    ) -> StatementEstimate:
        """The pid, and whether it can read what it should not."""
        if statement == "dies":
            os._exit(9)
        if statement == "hangs":
            threading.Event().wait()
        try:
            Path(self._options["other"]).read_text(encoding="utf-8")
        except PermissionError:
            return StatementEstimate(((str(os.getpid()), "walled"),), ())
        return StatementEstimate(((str(os.getpid()), "open"),), ())

    def prepare(self) -> None:
        """Nothing to prepare."""

    def release_files(self) -> None:
        """Nothing to release."""

    def close(self) -> None:
        """Nothing to release."""


def faulty_main(control: socket.socket) -> NoReturn:
    """The entry point of a faulty process."""

    def open_faulty(request: EstimateRequest) -> Estimator:
        return FaultyEstimator(request)

    run_estimates(control, open_faulty)


FAULTY = {**SCRIPTED, "estimate": "tests.integration.services.test_estimate:faulty_main"}


class Data:
    """Two entities' data, and clients."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root / "work"
        for entity in ("e1", "e2"):
            (root / entity).mkdir()
            rows = "SELECT i AS id FROM range(1000) x(i)"
            duckdb.sql(f"COPY ({rows}) TO '{root / entity / 'account.parquet'}'")

    async def spec(self, _source: str, entity_id: str, _org_ids: Sequence[str] = ()) -> SourceSpec:
        """Which directory an entity has."""
        other = self.root / ("e2" if entity_id == "e1" else "e1") / "account.parquet"
        options = {
            "data_dir": str(self.root / entity_id),
            "dialect": "trino",
            "other": str(other),
        }
        if entity_id == "gone":
            options["data_dir"] = str(self.root / "nowhere")
        return SourceSpec("duckdb", options)

    def client(self, fork_client: ForkClient, timeout_s: float = 30.0) -> EstimateClient:
        """A client of these entities."""
        return EstimateClient(
            fork_client, self.spec, EstimateOptions(self.work, timeout_s=timeout_s)
        )


@pytest.fixture
def data(tmp_path: Path) -> Data:
    return Data(tmp_path)


@pytest.fixture
async def real() -> AsyncIterator[ForkClient]:
    client = ForkClient(SCRIPTED)
    yield client
    await client.close()
    assert children() == set()


@pytest.fixture
async def faulty() -> AsyncIterator[ForkClient]:
    client = ForkClient(FAULTY)
    yield client
    await client.close()
    assert children() == set()


async def test_a_statement_is_estimated_in_the_sandbox(data: Data, real: ForkClient) -> None:
    client = data.client(real)
    found = await client.estimate("live", "e1", "SELECT id FROM account", ALL)
    assert found is not None
    assert (found.columns, found.certainty) == ((("id", "bigint"),), Certainty.EXACT)
    assert found.read_rows == 1000
    with pytest.raises(RunFailed) as failed:
        await client.estimate("live", "e1", "SELECT nothing FROM account", ALL)
    assert failed.value.failure.code is FailureCode.NAME_NOT_FOUND
    assert failed.value.failure.line == 1
    with pytest.raises(RunFailed):
        await client.estimate("live", "gone", "SELECT 1", ALL)
    await client.close()
    assert list(data.work.iterdir()) == []


async def pid_of(client: EstimateClient, entity: str, sql: str = "pid") -> str:
    """The process that estimated."""
    found = await client.estimate("live", entity, sql, ALL)
    assert found is not None
    ((pid, access),) = found.columns
    assert access == "walled"
    return pid


async def test_a_process_is_kept_for_its_entity_and_reads_no_other(
    data: Data, faulty: ForkClient
) -> None:
    client = data.client(faulty)
    first, other = await pid_of(client, "e1"), await pid_of(client, "e2")
    assert first != other
    assert await pid_of(client, "e1") == first
    await client.close()


async def test_a_statement_that_kills_or_stalls_its_process_is_refused(
    data: Data, faulty: ForkClient
) -> None:
    client = data.client(faulty, timeout_s=1.0)
    first = await pid_of(client, "e1")
    for sql in ("dies", "hangs"):
        with pytest.raises(Unavailable):
            await client.estimate("live", "e1", sql, ALL)
    assert await pid_of(client, "e1") != first
    await client.close()
    assert list(data.work.iterdir()) == []


async def test_an_idle_process_that_somebody_killed_is_replaced(
    data: Data, faulty: ForkClient
) -> None:
    client = data.client(faulty)
    first = await pid_of(client, "e1")
    os.kill(int(first), signal.SIGKILL)
    assert await pid_of(client, "e1") != first
    await client.close()

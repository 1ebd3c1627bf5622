"""Our client on v1 of a real server; its unit tests use a stand-in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from queryrun_client import BadRequest, CancelOutcome, Client, RunFailed, RunQuery, State
from tests.e2e.conftest import RUNAWAY, Server


@pytest.fixture
def server(common: Server) -> Server:
    """One server for all tests, and a client of each test's own."""
    return common


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    issued = server.made.issued
    with Client(server.url, issued.client.id, issued.secret, api_version="v1") as client:
        yield client


def test_a_statement_becomes_rows(client: Client) -> None:
    run = client.submit("SELECT i, 'x' || i AS t FROM range(2) r(i) ORDER BY i")
    assert list(run.rows()) == [{"i": 0, "t": "x0"}, {"i": 1, "t": "x1"}]
    assert (run.state, run.number_of_rows, run.info.source) == (State.COMPLETE, 2, "live")


def test_waiting_is_one_request(client: Client, server: Server) -> None:
    """`Prefer: wait` is honoured on v1 too."""
    run = client.submit("SELECT 1")
    response = server.http.get(f"/query/jobs/{run.id}", headers={"prefer": "wait=30"})
    assert response.json()["data"]["queryStatus"] == "completed"


def test_cancel_returns_when_the_worker_has_exited(client: Client, server: Server) -> None:
    run = client.submit(RUNAWAY)
    pid = server.computing_worker(run.id)
    assert run.cancel().outcome is CancelOutcome.CANCELED
    assert pid not in server.workers()
    assert run.cancel().outcome is CancelOutcome.ALREADY_CANCELED


def test_a_late_cancel_reports_the_final_state(client: Client) -> None:
    run = client.submit("SELECT 1").wait()
    response = run.cancel()
    assert response.outcome is CancelOutcome.TOO_LATE
    assert response.info.state is State.COMPLETE


def test_errors_are_raised(client: Client) -> None:
    with pytest.raises(BadRequest):
        client.submit("DROP TABLE account")
    with pytest.raises(RunFailed, match="acount"):
        list(client.submit("SELECT * FROM acount").rows())


def test_runs_are_listed(client: Client) -> None:
    run = client.submit("SELECT 1").wait()
    found = list(client.runs(RunQuery(state=State.COMPLETE, limit=5)))
    assert [one.id for one in found] == [run.id]

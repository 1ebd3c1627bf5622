"""The client on API v1, against a stand-in, which documents what this proves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from queryrun_client import (
    AsyncClient,
    BadRequest,
    CancelOutcome,
    Client,
    NotFound,
    RunFailed,
    RunQuery,
    State,
    Unsupported,
)
from tests.unit.client.v1_stand_in import StandIn, v1_stand_in


@pytest.fixture
def service() -> Iterator[StandIn]:
    with v1_stand_in() as service:
        yield service


@pytest.fixture
def client(service: StandIn) -> Iterator[Client]:
    with Client(service.url, "i" * 36, "s", api_version="v1") as client:
        yield client


def test_a_job_becomes_a_run_with_the_names_of_v2(client: Client) -> None:
    run = client.submit("SELECT id, balance FROM account")
    assert run.state is State.ACCEPTED
    assert list(run.rows()) == [{"id": 1, "balance": 230.0}, {"id": 2, "balance": None}]
    assert (run.state, run.number_of_rows, run.info.processing_ms) == (State.COMPLETE, 2, 6519)
    assert run.info.source == "live"


def test_the_submission_is_written_with_the_names_of_v1(client: Client, service: StandIn) -> None:
    client.submit("SELECT 1", content_type="csv", content_encoding="gzip", source="warehouse")
    _, path, headers, body = service.seen[-1]
    assert path == "/query/jobs"
    assert body == {
        "query": "SELECT 1",
        "outputFormat": "CSV",
        "compression": "GZIP",
        "output": {"target": "S3"},
        "sourceData": "WAREHOUSE",
    }
    assert headers["idempotency-key"]
    assert headers["authorization"] == f"Bearer {'f' * 32}"


def test_a_link_gets_no_token(client: Client, service: StandIn) -> None:
    list(client.submit("SELECT 1").rows())
    fetches = [headers for _, path, headers, _ in service.seen if path.startswith("/files/")]
    assert len(fetches) == 1
    assert "authorization" not in fetches[0]


def test_options_that_v1_does_not_have_are_an_error(client: Client) -> None:
    with pytest.raises(Unsupported):
        client.submit("SELECT 1", timeout_s=5)
    with pytest.raises(Unsupported):
        client.submit("SELECT 1", tags={"a": "b"})


def test_a_failed_job_has_its_message(client: Client) -> None:
    run = client.submit("SELECT * FROM acount").wait()
    with pytest.raises(RunFailed, match=r"owl\.data\.acount"):
        run.check()


def test_cancel_and_its_three_outcomes(client: Client, service: StandIn) -> None:
    run = client.submit("slow")
    assert run.cancel().outcome is CancelOutcome.CANCELED
    assert run.cancel().outcome is CancelOutcome.ALREADY_CANCELED
    done = client.submit("SELECT 1").wait()
    assert done.cancel().outcome is CancelOutcome.TOO_LATE
    deletes = [headers for method, _, headers, _ in service.seen if method == "DELETE"]
    assert all("idempotency-key" not in headers for headers in deletes)


def test_error_responses_are_read(client: Client) -> None:
    with pytest.raises(BadRequest, match="Unable to process JSON"):
        client.submit("SELECT 1", content_type="xml")
    with pytest.raises(NotFound, match="Job not found"):
        client.run("6a1d1c5e-8f5f-4f0e-9a37-0f3c2f1b7d90")


def test_jobs_are_listed_newest_first_and_filtered(client: Client) -> None:
    runs = [client.submit(f"SELECT {n}") for n in range(3)]
    runs[1].cancel()
    assert [run.id for run in client.runs()] == [run.id for run in reversed(runs)]
    assert [run.id for run in client.runs(RunQuery(state=State.CANCELED))] == [runs[1].id]
    assert len(list(client.runs(RunQuery(limit=2)))) == 2
    assert [run.id for run in client.runs(state="canceled", limit=2)] == [runs[1].id]
    with pytest.raises(TypeError, match=r"runs\(\) has no option 'limt': did you mean 'limit'"):
        client.runs(limt=2)  # type: ignore[call-arg]


@pytest.mark.anyio
async def test_the_async_client_does_the_same(service: StandIn) -> None:
    async with AsyncClient(service.url, "i" * 36, "s", api_version="v1") as client:
        run = await client.submit("SELECT 1")
        assert [row["id"] async for row in run.rows()] == [1, 2]
        assert [one.id async for one in client.runs(limit=1)] == [run.id]

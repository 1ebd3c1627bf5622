"""Work on Spark ends by its name, in whatever phase it is, and nothing starts under it again."""

from __future__ import annotations

import json
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from queryrun.engines.base import EngineLimits, RemoteEndpoint, work_name
from queryrun.engines.spark.client import SparkClient
from queryrun.engines.spark.endpoint import endpoint_from_options, session_id_of
from queryrun.engines.spark.error_details import SparkError
from queryrun.engines.spark.remote import SparkRemote
from queryrun.engines.spark.session import SparkSession, open_session
from queryrun.errors import FailureCode, RunFailed
from tests.contract.spark_worker import Order
from tests.retrying_remote import RetryingRemote
from tests.spark_server import SparkServer

pytestmark = pytest.mark.xdist_group("spark_server")

SPARK = RetryingRemote(SparkRemote())
ENDLESS = (
    "SELECT count(*) FROM range(10000000) a CROSS JOIN range(10000000) b WHERE a.id * b.id = 3"
)
MANY_ROWS = "SELECT id, id * 2 AS twice, 'some text' AS text FROM range(5000000)"


@pytest.fixture
def options(spark_server: SparkServer) -> dict[str, str]:
    """The engine's options of a source on the cluster."""
    return {"url": spark_server.url, "ui_url": spark_server.ui_url, "user": "ann"}


@pytest.fixture
def endpoint(options: dict[str, str]) -> RemoteEndpoint:
    """The same, for remote stops."""
    return RemoteEndpoint(options)


@pytest.fixture
def name() -> str:
    """What one attempt's work is called."""
    return work_name(uuid.uuid4().hex, 1)


@pytest.fixture
def session(options: dict[str, str], tmp_path: Path) -> Iterator[SparkSession]:
    """A worker's session."""
    spill = tmp_path / "spill"
    spill.mkdir()
    limits = EngineLimits(256 * 1024**2, 2, str(spill), 64 * 1024**2)
    with closing(open_session(options, limits)) as session:
        yield session


@contextmanager
def running(
    session: SparkSession, name: str, statement: str = ENDLESS
) -> Iterator[list[RunFailed]]:
    """A statement that is planned and read in its own thread, and the error it failed with."""
    failures: list[RunFailed] = []

    def run() -> None:
        try:
            planned = session.plan(statement, None, name)
            planned.connection.execute(f"FROM (\n{planned.relation}\n)").fetchall()
        except Exception as error:
            failure = session.failure_of(error)
            assert isinstance(failure, RunFailed)
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield failures
    finally:
        thread.join()


def wait_for(is_so: Callable[[], object]) -> None:
    """Return when it is so. The test's own time limit bounds this."""
    turn = threading.Event()
    while not is_so():
        turn.wait(0.002)


def interrupt_until(session: SparkSession, failures: list[RunFailed]) -> None:
    """Interrupt as a worker does: repeatedly, until the statement has stopped."""

    def is_interrupted() -> bool:
        session.interrupt()
        return bool(failures)

    wait_for(is_interrupted)


PHASES = ("pending", "opening", "planning", "running")


def has_come_to(phase: str, session: SparkSession, endpoint: RemoteEndpoint, name: str) -> bool:
    """Whether a statement is that far."""
    if phase == "running":
        return name in SPARK.names(endpoint)
    inside = {"pending": session, "opening": session._client, "planning": session._stream}
    return inside[phase] is not None


@pytest.mark.parametrize("phase", PHASES)
def test_a_stop_in_any_phase_leaves_nothing(
    session: SparkSession, endpoint: RemoteEndpoint, name: str, phase: str
) -> None:
    with running(session, name) as failures:
        wait_for(lambda: failures or has_come_to(phase, session, endpoint, name))
        SPARK.stop(endpoint, name)
    assert failures
    assert name not in SPARK.names(endpoint)


@pytest.mark.parametrize("phase", ["planning", "running"])
def test_an_interrupt_and_then_a_stop_leave_nothing(
    session: SparkSession, endpoint: RemoteEndpoint, name: str, phase: str
) -> None:
    """Spark calls it cancelled, and may submit a job of it a moment later (`stop.py`)."""
    with running(session, name) as failures:
        wait_for(lambda: failures or has_come_to(phase, session, endpoint, name))
        interrupt_until(session, failures)
    SPARK.stop(endpoint, name)
    assert failures[0].failure.message == "The statement was interrupted"
    assert name not in SPARK.names(endpoint)


def test_work_of_another_user_is_stopped_by_its_name(
    session: SparkSession, endpoint: RemoteEndpoint, name: str
) -> None:
    """A session belongs to one user; the sweep for orphans has one user for all."""
    with running(session, name) as failures:
        wait_for(lambda: has_come_to("running", session, endpoint, name))
        SPARK.stop(RemoteEndpoint({**endpoint.options, "user": "sweeper"}), name)
    assert failures
    assert name not in SPARK.names(endpoint)


def test_a_stop_while_rows_are_fetched_stops_the_statement(
    session: SparkSession, endpoint: RemoteEndpoint, name: str
) -> None:
    many = "SELECT id, repeat('x', 100) FROM range(0, 20000000, 1, 400)"
    planned = session.plan(many, None, name)
    planned.connection.execute(planned.relation).fetchmany(10)
    SPARK.stop(endpoint, name)
    assert name not in SPARK.names(endpoint)


def test_nothing_starts_under_a_name_that_was_stopped(
    session: SparkSession, endpoint: RemoteEndpoint, name: str
) -> None:
    """Also when nothing of it had ever reached Spark: the name is known before the work."""
    SPARK.stop(endpoint, name)
    with pytest.raises(RunFailed) as failed:
        session.plan("SELECT 1", None, name)
    assert failed.value.failure.code is FailureCode.ENGINE_UNAVAILABLE


def test_a_late_call_starts_nothing(
    options: dict[str, str], endpoint: RemoteEndpoint, name: str
) -> None:
    """A killed client's last call may still be in flight when the work is stopped."""
    with closing(SparkClient(endpoint_from_options(options, None), session_id_of(name))) as client:
        client.open({})
        SPARK.stop(endpoint, name)
        with pytest.raises(SparkError, match="SESSION_CLOSED"):
            client.command("SELECT 1", name)


def test_a_very_late_call_finds_another_session_and_starts_nothing(
    options: dict[str, str], name: str
) -> None:
    """The server forgets released sessions in the end, and its restart forgets all."""
    with closing(SparkClient(endpoint_from_options(options, None), session_id_of(name))) as client:
        client.open({})
        client.release(for_good=False)
        with pytest.raises(SparkError, match="SESSION_CHANGED"):
            client.command("SELECT 1", name)


def test_a_killed_workers_work_is_stopped(
    options: dict[str, str], endpoint: RemoteEndpoint, tmp_path: Path
) -> None:
    run_id = uuid.uuid4().hex
    order = Order(options, str(tmp_path), run_id, ENDLESS)
    name = work_name(run_id, 1)
    with subprocess.Popen(order.command(), stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout
        assert [next(worker.stdout).strip() for _ in range(2)] == ["planning", "executing"]
        wait_for(lambda: name in SPARK.names(endpoint))
        worker.kill()
    assert name in SPARK.names(endpoint)  # Spark would let it run for five minutes
    SPARK.stop(endpoint, name)
    assert name not in SPARK.names(endpoint)


def test_a_lost_session_is_retryable(
    session: SparkSession, options: dict[str, str], endpoint: RemoteEndpoint, name: str
) -> None:
    with running(session, name) as failures:
        wait_for(lambda: has_come_to("running", session, endpoint, name))
        client = SparkClient(endpoint_from_options(options, None), session_id_of(name))
        with closing(client):
            client.release()
    assert failures[0].failure.code.retryable
    SPARK.stop(endpoint, name)


def test_many_rows_need_little_memory(options: dict[str, str], tmp_path: Path) -> None:
    """In a worker's sandbox, with its memory limit."""
    order = Order(options, str(tmp_path), uuid.uuid4().hex, MANY_ROWS)
    worker = subprocess.run(order.command(), stdout=subprocess.PIPE, text=True, check=True)
    report = json.loads(worker.stdout.splitlines()[-1])
    assert report["rows"] == 5_000_000
    assert report["largest_bytes"] < 1024**3


def test_a_server_that_takes_statements_passes_the_check(endpoint: RemoteEndpoint) -> None:
    SPARK.check(endpoint)


def test_an_unreachable_server_proves_nothing(endpoint: RemoteEndpoint, name: str) -> None:
    nowhere = RemoteEndpoint({**endpoint.options, "url": "sc://127.0.0.1:1"})
    with pytest.raises(RunFailed, match="engine_unavailable"):
        SparkRemote().check(nowhere)
    with pytest.raises(RunFailed, match="engine_unavailable"):
        SparkRemote().stop(nowhere, name)


def test_a_wrong_address_of_the_ui_proves_nothing(endpoint: RemoteEndpoint, name: str) -> None:
    blind = RemoteEndpoint({**endpoint.options, "ui_url": "http://127.0.0.1:1"})
    with pytest.raises(RunFailed):
        SparkRemote().names(blind)

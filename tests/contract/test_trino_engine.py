"""Trino satisfies the contract of Engine, on a real server; stopped queries end in Trino."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from queryrun.demo.write import write_sample_data
from queryrun.engines.base import (
    EngineLimits,
    EngineSession,
    RemoteEndpoint,
    RowFilter,
    Rows,
    work_name,
)
from queryrun.engines.duckdb.session import open_session as open_embedded
from queryrun.engines.trino.remote import ALIVE, TrinoRemote
from queryrun.engines.trino.session import TrinoSession, open_session
from queryrun.errors import Failure, FailureCode, RunFailed
from tests.contract.engine import EngineContract, Statements
from tests.contract.parameters import ParameterContract
from tests.contract.relayed import relayed_session
from tests.retrying_remote import RetryingRemote
from tests.trino_server import TrinoServer

pytestmark = pytest.mark.timeout(300)
"""The server of the run may have to be started first."""

TRINO = RetryingRemote(TrinoRemote())
ENDLESS = "SELECT count(*) FROM tpch.sf10000.lineitem WHERE l_comment = 'nobody wrote this'"
"""Takes CPU for days and no memory: a join of large tables has the server busy with its heap."""
MANY_ROWS = "SELECT l_orderkey, l_comment FROM tpch.sf100.lineitem"
_numbers = count(1)


@pytest.fixture(scope="module")
def schema(trino_server: TrinoServer) -> str:
    """A schema with the contract's table, and some whose rows are not all to be seen."""
    schema = trino_server.new_schema()
    for table, query in {
        "account": "SELECT id FROM (VALUES 1, 2, 3) AS v (id)",
        "marked": (
            "SELECT * FROM (VALUES (1, 'a', CAST(NULL AS boolean)), (2, 'b', true), "
            "(3, 'b', false)) AS v (id, org, deleted)"
        ),
    }.items():
        trino_server.make(f"CREATE TABLE memory.{schema}.{table} AS {query}")
    return schema


@pytest.fixture
def limits(tmp_path: Path) -> EngineLimits:
    """Enough for small results."""
    spill = tmp_path / "spill"
    spill.mkdir()
    return EngineLimits(256 * 1024**2, 2, str(spill), 64 * 1024**2)


@pytest.fixture
def session(trino_server: TrinoServer, schema: str, limits: EngineLimits) -> Iterator[TrinoSession]:
    """A session in the contract's schema, as a worker has it."""
    session = relayed_session("trino", trino_server.options(schema=schema), limits)
    assert isinstance(session, TrinoSession)
    yield session
    session.close()


@pytest.fixture
def free(trino_server: TrinoServer, limits: EngineLimits) -> Iterator[TrinoSession]:
    """A session that may read the generated tables."""
    session = open_session(trino_server.options(name_scope="all"), limits)
    yield session
    session.close()


@pytest.fixture
def name() -> str:
    """A work name that no other test has."""
    return work_name(f"test{os.getpid()}x{next(_numbers)}", 1)


@pytest.fixture
def endpoint(trino_server: TrinoServer) -> RemoteEndpoint:
    """What a remote stop knows."""
    return trino_server.endpoint()


def read(rows: Rows) -> list[tuple[object, ...]]:
    """All rows of a plan."""
    return rows.connection.execute(f"SELECT * FROM (\n{rows.relation})").fetchall()


class TestTrino(ParameterContract, EngineContract):
    """Over the memory connector."""

    @pytest.fixture
    def statements(self) -> Statements:
        """Without a table: a source reaches no other catalog."""
        return Statements(
            endless=(
                "SELECT count(*) FROM UNNEST(sequence(1, 10000)) a (x), "
                "UNNEST(sequence(1, 10000)) b (x), UNNEST(sequence(1, 10000)) c (x), "
                "UNNEST(sequence(1, 10000)) d (x) WHERE a.x + b.x < c.x * d.x"
            ),
            bad_cast="SELECT id,\n CAST('v' || CAST(id AS varchar) AS integer) FROM account",
        )

    def test_an_error_while_it_runs_is_translated(
        self, session: EngineSession, statements: Statements
    ) -> None:
        """As in the contract, but Trino reports no position for an error of a value."""
        with pytest.raises(Exception) as raised:
            read(session.plan(statements.bad_cast))
        failed = session.failure_of(raised.value)
        assert isinstance(failed, RunFailed)
        assert failed.failure.code is FailureCode.INVALID_VALUE

    def test_a_division_in_a_statement_without_tables_has_its_position(
        self, session: EngineSession
    ) -> None:
        with pytest.raises(Exception) as raised:
            read(session.plan("SELECT 1,\n 1/0"))
        failed = session.failure_of(raised.value)
        assert isinstance(failed, RunFailed)
        assert failed.failure == Failure(FailureCode.INVALID_VALUE, "Division by zero", 2, 3)


# --- stopping -------------------------------------------------------------------------------


def test_stopping_a_name_that_never_started_anything_returns(
    endpoint: RemoteEndpoint, name: str
) -> None:
    TRINO.stop(endpoint, name)


def test_stop_cancels_a_running_query_by_its_name(
    trino_server: TrinoServer, free: TrinoSession, endpoint: RemoteEndpoint, name: str
) -> None:
    free.plan(MANY_ROWS, name=name)
    assert trino_server.alive(name)
    assert name in TRINO.names(endpoint)
    TRINO.stop(endpoint, name)
    assert not trino_server.alive(name)
    assert name not in TRINO.names(endpoint)


def test_the_list_can_be_filtered_by_several_states_at_once(
    trino_server: TrinoServer, free: TrinoSession, name: str
) -> None:
    """What `stop` relies on: each state is known to Trino, and none hides another."""
    free.plan(MANY_ROWS, name=name)
    assert name in _sources(trino_server, *ALIVE)
    assert name in _sources(trino_server, *reversed(ALIVE))
    assert name not in _sources(trino_server, *sorted({*ALIVE} - {"RUNNING", "FINISHING"}))


def _sources(trino_server: TrinoServer, *states: str) -> set[str]:
    """Whose queries are in one of these states."""
    import httpx2 as httpx

    result = httpx.get(
        f"{trino_server.url}/v1/query",
        params=[("state", state) for state in states],
        headers={"x-trino-user": "queryrun"},
    )
    assert result.status_code == 200, result.text
    assert {query["state"] for query in result.json()} <= {*states}
    return {str(query["session"].get("source")) for query in result.json()}


def test_stop_leaves_other_work_alone(
    trino_server: TrinoServer, free: TrinoSession, endpoint: RemoteEndpoint, name: str
) -> None:
    free.plan(MANY_ROWS, name=f"{name}1")
    TRINO.stop(endpoint, name)
    assert trino_server.alive(f"{name}1")


def test_an_interrupted_plan_leaves_nothing_at_trino(
    trino_server: TrinoServer, free: TrinoSession, endpoint: RemoteEndpoint, name: str
) -> None:
    """Wherever it was: on its way, queued, planned, or running without a row yet."""
    is_finished = threading.Event()
    failures: list[BaseException] = []

    def plan() -> None:
        try:
            read(free.plan(ENDLESS, name=name))
        except Exception as error:
            failures.append(free.failure_of(error))
        is_finished.set()

    thread = threading.Thread(target=plan)
    thread.start()
    while not is_finished.wait(0.005):
        free.interrupt()
    thread.join()
    assert isinstance(failures[0], RunFailed)
    TRINO.stop(endpoint, name)
    assert not trino_server.alive(name)


@pytest.mark.parametrize("state", ["QUEUED", "PLANNING", "RUNNING"])
def test_a_cancel_in_any_state_reaches_trino(
    trino_server: TrinoServer, free: TrinoSession, name: str, state: str
) -> None:
    """Interrupts alone end it too, without a remote stop. A state may pass unseen."""
    thread = threading.Thread(target=_swallow, args=(free, ENDLESS, name))
    thread.start()
    later = {"QUEUED": {"PLANNING", "STARTING", "RUNNING"}, "PLANNING": {"STARTING", "RUNNING"}}
    trino_server.wait_until_alive(name, {state, *later.get(state, set())})
    assert thread.is_alive()
    free.interrupt()
    thread.join()
    trino_server.wait_until_none_is_alive(name, meanwhile=free.interrupt)


def _swallow(session: TrinoSession, statement: str, name: str) -> None:
    with pytest.raises(Exception) as raised:
        read(session.plan(statement, name=name))
    assert isinstance(session.failure_of(raised.value), RunFailed)


def test_a_cancel_while_rows_are_fetched_reaches_trino(
    trino_server: TrinoServer, free: TrinoSession, endpoint: RemoteEndpoint, name: str
) -> None:
    rows = free.plan(MANY_ROWS, name=name)
    reader = rows.connection.execute(f"FROM (\n{rows.relation})")
    assert reader.fetchone()
    free.interrupt()
    free.renew()
    TRINO.stop(endpoint, name)
    assert not trino_server.alive(name)


def test_rows_that_are_no_longer_read_are_no_longer_computed(
    trino_server: TrinoServer, free: TrinoSession, name: str
) -> None:
    """A format without a count reads one row too many and no more."""
    rows = free.plan(MANY_ROWS, name=name)
    rows.connection.execute(f"SELECT * FROM (\n{rows.relation}) LIMIT 3").fetchall()
    free.renew()
    trino_server.wait_until_none_is_alive(name)


_CHILD = """
import json, sys
from queryrun.engines.base import EngineLimits
from queryrun.engines.trino.session import open_session
options, spill, name, statement = sys.argv[1:]
session = open_session(json.loads(options), EngineLimits(256 * 1024**2, 1, spill, 0))
rows = session.plan(statement, name=name)
print("planned", flush=True)
rows.connection.execute(f"FROM ({rows.relation})").fetchall()
"""


@pytest.mark.parametrize(("statement", "waits"), [(MANY_ROWS, True), (ENDLESS, False)])
def test_a_killed_process_leaves_nothing_after_a_stop(
    trino_server: TrinoServer,
    endpoint: RemoteEndpoint,
    name: str,
    tmp_path: Path,
    statement: str,
    waits: bool,
) -> None:
    """Killed while its rows arrive, and while it still waits for the first responses."""
    options = json.dumps(trino_server.options(name_scope="all"))
    arguments = [options, str(tmp_path), name, statement]
    process = subprocess.Popen([sys.executable, "-c", _CHILD, *arguments], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        if waits:
            assert process.stdout.readline()
        trino_server.wait_until_alive(name)
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    TRINO.stop(endpoint, name)
    assert not trino_server.alive(name)


def test_a_statement_that_was_only_sent_never_begins(
    trino_server: TrinoServer, endpoint: RemoteEndpoint, name: str
) -> None:
    """What `stop` relies on: Trino begins a statement when its first page is requested."""
    import httpx2 as httpx

    headers = {"x-trino-user": "queryrun", "x-trino-source": name}
    httpx.post(f"{trino_server.url}/v1/statement", content="SELECT 1", headers=headers)
    assert not trino_server.alive(name)
    assert name not in TRINO.names(endpoint)


def test_a_server_that_is_up_passes_the_check(endpoint: RemoteEndpoint) -> None:
    TRINO.check(endpoint)


@pytest.mark.parametrize("call", ["stop", "names", "check"])
def test_an_unreachable_server_proves_nothing(call: str) -> None:
    endpoint = RemoteEndpoint({"url": "http://127.0.0.1:1"})
    calls: dict[str, Callable[[], object]] = {
        "stop": lambda: TrinoRemote().stop(endpoint, "queryrun-x-1"),
        "names": lambda: TrinoRemote().names(endpoint),
        "check": lambda: TrinoRemote().check(endpoint),
    }
    with pytest.raises(RunFailed) as failed:
        calls[call]()
    assert failed.value.failure.code is FailureCode.ENGINE_UNAVAILABLE


def test_a_statement_for_an_unreachable_server_may_be_retried(limits: EngineLimits) -> None:
    session = open_session({"url": "http://127.0.0.1:1"}, limits)
    with pytest.raises(RunFailed) as failed:
        session.plan("SELECT 1")
    assert failed.value.failure.code is FailureCode.ENGINE_UNAVAILABLE
    assert "127.0.0.1" not in failed.value.failure.message
    session.close()


# --- which rows and tables are seen ---------------------------------------------------------


@pytest.mark.parametrize(
    ("row_filter", "ids"),
    [
        (RowFilter(), [1, 3]),
        (RowFilter("include"), [1, 2, 3]),
        (RowFilter("only"), [2]),
        (RowFilter("include", "org", ("b",)), [2, 3]),
        (RowFilter("exclude", "ORG", ("b",)), [3]),
        (RowFilter("exclude", "other", ("b",)), [1, 3]),
    ],
)
def test_only_visible_rows_are_seen(
    session: TrinoSession, row_filter: RowFilter, ids: list[int]
) -> None:
    rows = session.plan("SELECT id FROM marked ORDER BY id", row_filter)
    assert read(rows) == [(one,) for one in ids]


@pytest.mark.parametrize(
    "predicate", ["1 / (CASE org WHEN 'b' THEN 1 ELSE 0 END) = 1", "CAST(org AS tinyint) = 1"]
)
def test_nothing_of_the_callers_is_evaluated_on_rows_of_other_orgs(
    session: TrinoSession, predicate: str
) -> None:
    """The plan shows it too: no predicate is moved across a LIMIT."""
    by_org = RowFilter("include", "org", ("b",))
    if "CASE" in predicate:
        rows = session.plan(f"SELECT id FROM marked WHERE {predicate} ORDER BY id", by_org)
        assert read(rows) == [(2,), (3,)]
    rows = session.plan(
        f"SELECT id FROM marked WHERE org <> 'b' AND {predicate} ORDER BY id", by_org
    )
    assert read(rows) == []


def test_selecting_the_mark_shows_deleted_rows(session: TrinoSession) -> None:
    rows = session.plan("SELECT m.id, m.deleted FROM marked AS m ORDER BY id")
    assert read(rows) == [(1, None), (2, True), (3, False)]


def test_an_error_after_a_restricted_table_keeps_its_position(session: TrinoSession) -> None:
    with pytest.raises(RunFailed) as failed:
        session.plan("SELECT id FROM marked WHERE\n  nothing = 1")
    assert (failed.value.failure.line, failed.value.failure.column) == (2, 3)


def test_one_unknown_table_among_others_fails_with_its_position(session: TrinoSession) -> None:
    with pytest.raises(RunFailed) as failed:
        session.plan("SELECT 1 FROM marked,\n account,\n  nothing")
    assert (failed.value.failure.line, failed.value.failure.column) == (3, 3)
    assert "nothing' does not exist" in failed.value.failure.message


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM system.runtime.queries",
        "SELECT * FROM tpch.tiny.nation",
        "SELECT * FROM default.account",
        "SELECT * FROM information_schema.roles",
        "DESCRIBE tpch.tiny.nation",
        "EXPLAIN SELECT * FROM system.runtime.queries",
        "WITH w AS (SELECT 1) SELECT * FROM w WHERE EXISTS (TABLE system.runtime.nodes)",
    ],
)
def test_tables_outside_the_sources_schema_are_refused(
    session: TrinoSession, statement: str
) -> None:
    with pytest.raises(RunFailed) as failed:
        session.plan(statement)
    assert failed.value.failure.code is FailureCode.NOT_ALLOWED


@pytest.mark.parametrize(
    "statement",
    [
        "EXPLAIN ANALYZE INSERT INTO account VALUES (4)",
        "WITH w AS (INSERT INTO account VALUES (4)) SELECT * FROM w",
        "DROP TABLE account",
        "SELECT 1; DROP TABLE account",
        "SELECT * FROM TABLE(sequence(1, 5))",
        "CALL system.runtime.kill_query('x')",
        "SET SESSION query_max_run_time = '1s'",
    ],
)
def test_nothing_but_a_query_gets_through(
    trino_server: TrinoServer, session: TrinoSession, statement: str, name: str
) -> None:
    with pytest.raises(RunFailed):
        session.plan(statement, name=name)
    listed = trino_server.query(
        f"SELECT count(*) FROM system.runtime.queries WHERE source = '{name}'"
    )
    assert listed.rows == [[0]]


def test_a_carriage_return_does_not_hide_a_table(session: TrinoSession) -> None:
    """Trino ends a comment there: what we have not read must not be read by Trino either."""
    rows = session.plan("SELECT id --\r FROM marked, account\nFROM account ORDER BY id")
    assert read(rows) == [(1,), (2,), (3,)]


# --- metadata -------------------------------------------------------------------------------


def test_metadata_statements_have_trinos_columns(session: TrinoSession) -> None:
    rows = session.plan("SHOW TABLES LIKE 'm%'")
    assert [column.name for column in rows.columns] == ["Table"]
    assert read(rows) == [("marked",)]
    rows = session.plan("DESCRIBE marked")
    assert [column.name for column in rows.columns] == ["Column", "Type", "Extra", "Comment"]
    assert read(rows)[0][:2] == ("id", "integer")
    assert [c.name for c in session.plan("SHOW FUNCTIONS").columns] == [
        "Function", "Return Type", "Argument Types", "Function Type", "Deterministic",
        "Description",
    ]  # fmt: skip


def test_only_the_sources_own_schema_and_catalog_are_visible(
    session: TrinoSession, schema: str
) -> None:
    assert read(session.plan("SHOW SCHEMAS")) == [("information_schema",), (schema,)]
    assert read(session.plan("SHOW TABLES FROM default")) == [("account",), ("marked",)]
    assert read(session.plan("SHOW CATALOGS")) == [("memory",)]
    assert read(session.plan("SHOW CATALOGS LIKE 'tp%'")) == []
    names = read(session.plan("SELECT table_name FROM information_schema.tables ORDER BY 1"))
    assert names == [("account",), ("marked",)]


def test_a_plan_can_be_explained(session: TrinoSession) -> None:
    rows = session.plan("EXPLAIN SELECT id FROM marked")
    assert [column.name for column in rows.columns] == ["Query Plan"]
    assert "ScanFilter" in str(read(rows)[0][0])


# --- rows -----------------------------------------------------------------------------------


@pytest.mark.parametrize("encodings", [(), ("json",), ("json+zstd",), ("json+lz4",)])
def test_rows_are_the_same_over_every_protocol(
    trino_server: TrinoServer, limits: EngineLimits, encodings: tuple[str, ...]
) -> None:
    if encodings and not trino_server.spool_url:
        pytest.skip("this Trino spools nothing: `make s3-server` builds what it would spool to")
    session = open_session(trino_server.options(name_scope="all"), limits, encodings=encodings)
    rows = session.plan("SELECT * FROM tpch.tiny.orders")
    sql = (
        "SELECT count(*), sum(o_orderkey), sum(o_totalprice), min(o_orderdate), "
        f"md5(string_agg(o_comment, '' ORDER BY o_orderkey)) FROM ({rows.relation})"
    )
    found = rows.connection.execute(sql).fetchone()
    session.close()
    expected = trino_server.query(
        "SELECT count(*), sum(o_orderkey), CAST(sum(o_totalprice) AS varchar), "
        "CAST(min(o_orderdate) AS varchar), lower(to_hex(md5(to_utf8("
        "array_join(array_agg(o_comment ORDER BY o_orderkey), ''))))) "
        "FROM tpch.tiny.orders"
    )
    assert found is not None
    assert [str(cell) for cell in found] == [str(cell) for cell in expected.rows[0]]


def test_progress_is_trinos(free: TrinoSession) -> None:
    rows = free.plan("SELECT count(*) FROM tpch.tiny.orders")
    read(rows)
    assert free.progress().percent == 100


_SANDBOXED = """
import sys
from queryrun.processes.sandbox import SandboxPolicy, apply_sandbox
url, spill = sys.argv[1:]
apply_sandbox(SandboxPolicy(read_write=(spill,), network=True))
from queryrun.engines.base import EngineLimits
from queryrun.engines.trino.session import open_session
session = open_session({"url": url}, EngineLimits(256 * 1024**2, 1, spill, 0), "Asia/Tokyo")
rows = session.plan(
    "SELECT 1, timestamp '2020-01-01 00:00:00 Europe/Berlin' FROM UNNEST(sequence(1, 2000))"
)
print(len(rows.connection.execute(f"FROM ({rows.relation})").fetchall()))
"""


def test_a_session_works_in_the_sandbox_of_a_worker(
    trino_server: TrinoServer, tmp_path: Path
) -> None:
    """Libraries that read files late (time zones, certificates) find what they need."""
    command = [sys.executable, "-c", _SANDBOXED, trino_server.url, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("2000\n", "")


def test_sample_data_reads_the_same_on_trino_and_embedded(
    trino_server: TrinoServer, limits: EngineLimits, tmp_path: Path
) -> None:
    """The same files, the same statement with deleted rows and joins in it, the same rows."""
    data = tmp_path / "data"
    data.mkdir()
    write_sample_data(data, factor=0.2)
    schema = f"sample{os.getpid()}"
    trino_server.offer(schema, data)
    statement = (
        "SELECT a.status, count(*), sum(i.amount), count(DISTINCT i.accountid), "
        "max(i.invoicedate) FROM account a JOIN invoice i ON i.accountid = a.id "
        "GROUP BY a.status ORDER BY a.status"
    )
    there = open_session(trino_server.options(catalog="files", schema=schema), limits)
    here = open_embedded({"data_dir": str(data), "dialect": "trino"}, limits)
    for row_filter in (RowFilter(), RowFilter("include"), RowFilter("only")):
        assert read(there.plan(statement, row_filter)) == read(here.plan(statement, row_filter))
    tables = read(there.plan("SHOW TABLES"))
    assert tables == read(here.plan("SHOW TABLES"))
    there.close()
    here.close()


_STREAM = """
import json, sys
from queryrun.engines.base import EngineLimits
from queryrun.engines.trino.session import open_session
from tests.memory import PeakMemory
options, spill, statement = sys.argv[1:]
session = open_session(json.loads(options), EngineLimits(64 * 1024**2, 1, spill, 0))
rows = session.plan(statement)
reader = rows.connection.execute(f"FROM ({rows.relation})")
size = 0
while some := reader.fetchmany(2048):
    size += sum(len(text) for (text,) in some)
print(size, PeakMemory().peak_bytes())
"""


def test_a_result_is_larger_than_the_memory_that_it_takes(
    trino_server: TrinoServer, tmp_path: Path
) -> None:
    statement = (
        "SELECT lpad(CAST(a.x * b.x AS varchar), 1000, 'x') "
        "FROM UNNEST(sequence(1, 5000)) a (x), UNNEST(sequence(1, 200)) b (x)"
    )
    arguments = [json.dumps(trino_server.options()), str(tmp_path), statement]
    command = [sys.executable, "-c", _STREAM, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    size_bytes, peak_bytes = map(int, done.stdout.split())
    assert size_bytes == 1_000_000_000
    assert peak_bytes < size_bytes / 2

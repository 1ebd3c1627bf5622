"""The main job over HTTP on a real server with real workers: submit, wait, download, cancel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from queryrun.cli.clients import NewClient, create
from queryrun.cli.home import init_home
from tests.e2e.conftest import RUNAWAY, Server, ServerHarness


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose entity has a Parquet table, a CSV table and a directory of files."""
    root = tmp_path_factory.mktemp("main-road")
    harness = ServerHarness(init_home(root / "home", entity="main", factor=None), root / "log")
    directory = harness.made.data_dir
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT i AS id, i * 1.5 AS balance FROM range(1000) t(i)) "
            f"TO '{directory / 'account.parquet'}'"
        )
        (directory / "Rates.csv").write_text("code,rate\neur,1.5\nusd,2.5\n")
        (directory / "events").mkdir()
        for part in range(3):
            connection.execute(
                f"COPY (SELECT {part} AS part, i FROM range(10) t(i)) "
                f"TO '{directory / 'events' / f'{part}.parquet'}'"
            )
    yield harness.serve()
    harness.close()


def test_a_statement_becomes_a_file(server: Server) -> None:
    run = server.submit("SELECT count(*) AS n, sum(balance) AS total FROM account")
    assert run["state"] == "accepted"
    assert "file" not in run
    done = server.finished(run["id"])
    assert (done["state"], done["number_of_rows"]) == ("complete", 1)
    assert done["processing_duration"] >= 0
    assert done["file"]["id"].startswith(run["id"] + "_")
    assert server.file_text(done) == "n,total\n1000,749250.0\n"


@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        ("json", '{"code":"eur","rate":1.5}\n{"code":"usd","rate":2.5}\n'),
        ("csv", "code,rate\neur,1.5\nusd,2.5\n"),
        ("tsv", "code\trate\neur\t1.5\nusd\t2.5\n"),
        ("dsv", "code|rate\neur|1.5\nusd|2.5\n"),
    ],
)
def test_every_format_of_the_contract_is_written(
    server: Server, content_type: str, text: str
) -> None:
    more = {"column_separator": "|"} if content_type == "dsv" else {}
    run = server.submit("SELECT * FROM rates ORDER BY code", content_type, **more)
    done = server.finished(run["id"])
    assert done["state"] == "complete", done
    assert server.file_text(done) == text


def test_a_directory_of_files_is_one_table(server: Server) -> None:
    done = server.finished(server.submit("SELECT count(*) AS n FROM EVENTS")["id"])
    assert server.file_text(done) == "n\n30\n"


def test_a_file_added_later_is_seen_by_the_next_run(server: Server) -> None:
    first = server.finished(server.submit("SELECT * FROM late")["id"])
    assert first["state"] == "failed"
    (server.made.data_dir / "late.csv").write_text("a\n1\n")
    second = server.finished(server.submit("SELECT * FROM late")["id"])
    assert server.file_text(second) == "a\n1\n"


def test_a_duckdb_file_is_a_source_and_is_not_modified(harness: ServerHarness) -> None:
    database = harness.made.data_dir / "billing.duckdb"
    with duckdb.connect(str(database)) as connection:
        connection.execute("CREATE TABLE Account AS SELECT i AS id FROM range(7) t(i)")
    before = database.read_bytes()
    server = harness.serve({"QUERYRUN_SOURCES__LIVE__DATA": "data/{entity}/billing.duckdb"})
    done = server.finished(server.submit("SELECT count(*) AS n FROM account")["id"])
    assert server.file_text(done) == "n\n7\n"
    assert database.read_bytes() == before


def test_an_unknown_column_fails_the_run_with_a_reason_and_a_position(
    server: Server,
) -> None:
    done = server.finished(server.submit("SELECT id,\n  balanc FROM account")["id"])
    assert done["state"] == "failed"
    error = done["error"]
    assert error["code"] == "name_not_found"
    assert "cannot be resolved" in error["message"]
    assert "balance" in error["message"], "the error should suggest the similar name"
    assert (error["line"], error["column"]) == (2, 3)
    assert error["retryable"] is False


def test_a_write_is_refused_at_submit_and_nothing_is_written(server: Server) -> None:
    data = server.made.data_dir
    before = sorted(path.name for path in data.rglob("*"))
    for sql in (
        "CREATE TABLE t AS SELECT 1",
        "SELECT 1; SELECT 2",
        "WITH x AS (INSERT INTO account VALUES (1, 2) RETURNING *) SELECT * FROM x",
        f"COPY account TO '{data / 'stolen.csv'}'",
    ):
        response = server.http.post("/v2/query_runs", json={"sql": sql, "content_type": "csv"})
        assert response.status_code == 400, sql
        assert response.json()["errors"][0]["parameter"] == "sql"
    assert sorted(path.name for path in data.rglob("*")) == before


def test_a_cancel_of_a_statement_that_ignores_interrupts_kills_its_worker(
    server: Server,
) -> None:
    run = server.submit(RUNAWAY, "json")
    worker = server.computing_worker(run["id"])
    response = server.cancel(run["id"])
    assert response.status_code == 200
    assert response.json()["state"] == "canceled"
    assert not Path(f"/proc/{worker}").exists()
    record = server.get(run["id"], "cancellation")["cancellation"]
    assert (record["reason"], record["engine_stop"]) == ("user", "killed")
    assert record["requested_time"] <= record["canceled_time"]
    steps = record["steps"]
    assert [one["step"] for one in steps] == [
        "interrupt_sent",
        "kill_sent",
        "reaped",
        "file_removed",
    ]
    assert steps == sorted(steps, key=lambda one: one["after_ms"])
    assert not [name for name in server.result_files() if run["id"] in name]


def test_a_waiting_run_is_canceled_immediately(harness: ServerHarness) -> None:
    server = harness.serve({"QUERYRUN_WORKERS__SLOTS": "1"})
    first = server.submit(RUNAWAY)
    second = server.submit("SELECT 1")
    canceled = server.cancel(second["id"]).json()
    assert canceled["state"] == "canceled"
    assert server.get(second["id"], "cancellation")["cancellation"]["stage"] == "queued"
    assert server.cancel(first["id"]).json()["state"] == "canceled"


def test_a_second_cancel_reports_that_the_run_is_already_canceled(server: Server) -> None:
    run = server.submit(RUNAWAY)
    server.cancel(run["id"])
    response = server.cancel(run["id"])
    assert response.status_code == 400
    assert response.json()["errors"][0]["code"] == "run_already_canceled"


def test_too_many_rows_fail_the_run_and_leave_no_file(harness: ServerHarness) -> None:
    """Exceeded means failed, never truncated (contract F7)."""
    server = harness.serve({"QUERYRUN_SOURCES__LIVE__MAX_OUTPUT_ROWS": "1000"})
    fits = server.finished(server.submit("SELECT i FROM range(1000) t(i)")["id"])
    assert fits["number_of_rows"] == 1000
    over = server.finished(server.submit("SELECT i FROM range(1001) t(i)")["id"])
    assert over["error"]["code"] == "row_limit_exceeded"
    endless = server.finished(server.submit("SELECT i FROM range(1000000000) t(i)")["id"])
    assert endless["error"]["code"] == "row_limit_exceeded"
    record = server.get(endless["id"], "cancellation")["cancellation"]
    assert record["reason"] == "limit"
    assert len(server.result_files()) == 1


def test_the_time_limit_fails_the_run_and_stops_its_worker(server: Server) -> None:
    run = server.submit(RUNAWAY, timeout_seconds=1)
    done = server.finished(run["id"])
    assert done["error"]["code"] == "time_limit_exceeded"
    assert done["error"]["message"] == "Query exceeded the maximum time limit of 1.00s"
    assert server.get(run["id"], "cancellation")["cancellation"]["reason"] == "timeout"


def test_too_much_memory_fails_the_run_with_a_clear_reason(harness: ServerHarness) -> None:
    server = harness.serve({"QUERYRUN_SOURCES__LIVE__MEMORY": "100MB"})
    sql = "SELECT list(i) AS l FROM range(100000000) t(i)"
    done = server.finished(server.submit(sql, "json")["id"])
    assert done["error"]["code"] == "memory_limit_exceeded"


def test_another_clients_run_does_not_exist(common: Server, common_harness: ServerHarness) -> None:
    other = create(common.made.home, NewClient(["main"], name="other"))
    run = common.submit("SELECT 1")
    with common_harness.as_client(common, other) as http:
        for response in (
            http.get(f"/v2/query_runs/{run['id']}"),
            http.post(f"/v2/query_runs/{run['id']}/cancel"),
        ):
            assert response.status_code == 404
            assert response.json()["errors"][0]["code"] == "resource_not_found"


def test_an_entity_cannot_read_another_entitys_data(harness: ServerHarness) -> None:
    (harness.made.data_dir / "secret.csv").write_text("a\n1\n")
    other = create(harness.made.home, NewClient(["other"], name="other"))
    server = harness.serve()
    with harness.as_client(server, other) as http:
        for sql in (
            "SELECT * FROM secret",
            f"SELECT * FROM '{harness.made.data_dir / 'secret.csv'}'",
        ):
            response = http.post("/v2/query_runs", json={"sql": sql, "content_type": "csv"})
            if response.status_code == 201:
                run = http.get(
                    f"/v2/query_runs/{response.json()['id']}", headers={"prefer": "wait=20"}
                ).json()
                assert run["state"] == "failed", run
            else:
                assert response.status_code == 400


def test_the_log_names_a_run_by_its_id_and_never_contains_its_statement(
    harness: ServerHarness,
) -> None:
    server = harness.serve()
    run = server.submit("SELECT 'xyzzy-marker' AS a")
    server.finished(run["id"])
    failed = server.submit("SELECT xyzzy_marker_column")
    server.finished(failed["id"])
    server.terminate()
    text = harness.log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert any(line.get("run_id") == run["id"] and "attempt" in line for line in lines)
    assert "xyzzy" not in text
    assert harness.made.issued.secret not in text

"""The Python client against a real server process."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from queryrun.cli.home import init_home
from queryrun_client import (
    AsyncClient,
    BadRequest,
    CancelOutcome,
    Client,
    DecryptFailed,
    NotFound,
    Options,
    Retry,
    RunCanceled,
    RunFailed,
    RunInfo,
    RunQuery,
    State,
    StillRunning,
    Unauthorized,
    Unreachable,
    Unsupported,
)
from tests.e2e.conftest import RUNAWAY, Server, ServerHarness
from tests.e2e.lossy import lossy_proxy

Serve = Callable[..., Server]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for the tests that do nothing to it that another would notice."""
    directory = tmp_path_factory.mktemp("client")
    harness = ServerHarness(
        init_home(directory / "home", entity="main", factor=None), directory / "log"
    )
    yield harness.serve()
    harness.close()


def client_of(server: Server, **more: Any) -> Client:
    issued = server.made.issued
    return Client(server.url, issued.client.id, issued.secret, options=Options(**more))


def test_a_statement_becomes_rows(server: Server) -> None:
    with client_of(server) as client:
        run = client.submit("SELECT i, 'x' || i AS t FROM range(3) r(i) ORDER BY i")
        rows = list(run.rows())
    assert rows == [{"i": 0, "t": "x0"}, {"i": 1, "t": "x1"}, {"i": 2, "t": "x2"}]
    assert (run.state, run.number_of_rows) == (State.COMPLETE, 3)


@dataclass
class Balance:
    day: date
    amount: Decimal


def test_rows_have_the_requested_type(server: Server) -> None:
    sql = "SELECT DATE '2026-11-24' AS day, CAST('12.30' AS DECIMAL(18, 2)) AS amount"
    with client_of(server) as client:
        (row,) = client.submit(sql).rows(Balance)
    assert row == Balance(date(2026, 11, 24), Decimal("12.30"))


@pytest.mark.parametrize("encoding", ["none", "gzip", "zip", "zstd"])
def test_rows_are_read_through_every_compression(server: Server, encoding: str) -> None:
    with client_of(server) as client:
        run = client.submit("SELECT i FROM range(1000) r(i)", content_encoding=encoding)
        assert sum(row["i"] for row in run.rows()) == 499_500


def test_an_empty_result_has_no_rows(server: Server) -> None:
    with client_of(server) as client:
        assert list(client.submit("SELECT 1 AS a WHERE false").rows()) == []


@pytest.mark.parametrize("kind", ["json", "csv", "tsv", "parquet", "arrow"])
def test_a_result_becomes_an_arrow_table(server: Server, kind: str) -> None:
    with client_of(server) as client:
        run = client.submit("SELECT i FROM range(5) r(i) ORDER BY i", content_type=kind)
        assert run.to_arrow().column("i").to_pylist() == [0, 1, 2, 3, 4]


EXACT = """
SELECT * FROM (VALUES
  (1, 9007199254740993, 12.30, '2024-01-01', '007', true, DATE '2024-02-29', TIME '10:00:00.5',
   TIMESTAMP '2024-01-01 00:00:00.123456', TIMESTAMPTZ '2024-06-30 23:30:00+00',
   'ab\\x00'::BLOB, [1.50, NULL], {'a b': 1, 'c': 'x'}, MAP {1: 0.10}, 0.1::DOUBLE,
   99999999999999999999999999999999999999::DECIMAL(38, 0), '[1, {"a": 1.25}]'::JSON, '', 'null'),
  (2, NULL, NULL, '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
   NULL, 'a "quoted", line
')
) t(i, big, "Amount", text, digits, flag, day, clock, local, instant, bytes, list, "record", pairs,
    ratio, wide, doc, hollow, word)
ORDER BY i
"""


@pytest.mark.parametrize("kind", ["json", "csv", "tsv"])
def test_a_text_format_becomes_the_same_arrow_table_as_arrow(server: Server, kind: str) -> None:
    """The server's own Arrow file is the oracle. Arrow writes documents as text, too."""
    with client_of(server) as client:
        expected = client.submit(EXACT, content_type="arrow").to_arrow()
        found = client.submit(EXACT, content_type=kind).to_arrow()
        empty = client.submit(f"FROM ({EXACT}) WHERE i > 2", content_type=kind).to_arrow()
    assert found.column_names == empty.column_names == expected.column_names
    assert found.schema.types == empty.schema.types
    assert empty.num_rows == 0
    for name in found.column_names:
        values, expected_values = (table.column(name).to_pylist() for table in (found, expected))
        if name == "doc":  # the same document, with or without blanks
            values, expected_values = (
                [one and one.replace(" ", "") for one in v] for v in (values, expected_values)
            )
        assert values == expected_values, name


@pytest.mark.parametrize("kind", ["json", "csv", "tsv"])
def test_a_missing_value_of_the_only_column_is_a_row(server: Server, kind: str) -> None:
    sql = "SELECT * FROM (VALUES (NULL), ('x'), (''), (NULL)) t(a)"
    with client_of(server) as client:
        table = client.submit(sql, content_type=kind).to_arrow()
    assert table.column("a").to_pylist() == [None, "x", "", None]


def test_rows_and_frames_have_the_values_types(server: Server) -> None:
    with client_of(server) as client:
        run = client.submit(EXACT)
        first, second = run.rows()
        frame = run.to_pandas()
    assert (first["Amount"], first["day"]) == (Decimal("12.30"), date(2024, 2, 29))
    assert (first["big"], first["digits"], first["text"]) == (9007199254740993, "007", "2024-01-01")
    assert (first["list"], first["pairs"]) == ([Decimal("1.50"), None], {1: Decimal("0.10")})
    assert (first["hollow"], second["hollow"], second["digits"]) == ("", None, None)
    assert next(iter(frame["big"].astype(object))) == 9007199254740993
    assert str(frame["big"].dtype) == "Int64"
    assert frame["digits"][0] == "007"


def test_rows_of_csv_are_refused_with_an_alternative(server: Server) -> None:
    with client_of(server) as client:
        run = client.submit("SELECT 1 AS a", content_type="csv")
        with pytest.raises(Unsupported, match="download"):
            list(run.rows())


def test_a_download_replaces_its_target_in_one_step(server: Server, tmp_path: Path) -> None:
    with client_of(server) as client:
        run = client.submit("SELECT 42 AS a", content_type="csv", content_encoding="gzip")
        path = run.download(tmp_path)
        assert run.file is not None
        assert path == tmp_path / run.file.id
        assert gzip.decompress(path.read_bytes()) == b"a\n42\n"
        again = run.download(tmp_path / "mine.gz")
    assert sorted(file.name for file in tmp_path.iterdir() if file.is_file()) == sorted(
        [path.name, again.name]
    )


def test_an_interrupted_download_is_resumed_and_verified(server: Server, tmp_path: Path) -> None:
    """A part left by an earlier try is not fetched again: its first bytes are marked."""
    from queryrun_client import ChecksumMismatch
    from queryrun_client.download import PartFile

    with client_of(server) as client:
        run = client.submit("SELECT i FROM range(50000) r(i)", content_type="csv").wait()
        whole = run.download(tmp_path / "whole.csv").read_bytes()
        assert run.file is not None
        part = PartFile(tmp_path / "again.csv", run.file.id)
        part.path.write_bytes(whole[:100_000])
        assert run.download(tmp_path / "again.csv").read_bytes() == whole
        part.path.write_bytes(b"?" * 100_000)
        with pytest.raises(ChecksumMismatch):
            run.download(tmp_path / "again.csv")
        assert not part.path.exists()
        assert run.download(tmp_path / "again.csv").read_bytes() == whole


def test_a_failed_run_has_message_and_position(server: Server) -> None:
    with client_of(server) as client:
        run = client.submit("SELECT nothing_of_this_name").wait()
        assert run.state is State.FAILED
        with pytest.raises(RunFailed) as caught:
            list(run.rows())
    assert (caught.value.code, run.error and run.error.line) == ("name_not_found", 1)


def test_a_refused_statement_names_its_parameter(server: Server) -> None:
    with client_of(server) as client, pytest.raises(BadRequest) as caught:
        client.submit("DROP TABLE account")
    assert (caught.value.status, caught.value.parameter) == (400, "sql")


def test_an_unknown_run_is_not_found(server: Server) -> None:
    with client_of(server) as client, pytest.raises(NotFound):
        client.run("6a1d1c5e-8f5f-4f0e-9a37-0f3c2f1b7d90")


def test_a_wrong_secret_is_unauthorized(server: Server) -> None:
    with (
        Client(server.url, server.made.issued.client.id, "wrong") as client,
        pytest.raises(Unauthorized, match="invalid_client"),
    ):
        client.submit("SELECT 1")


def test_cancel_returns_when_the_worker_has_exited(common: Server) -> None:
    with client_of(common) as client:
        run = client.submit(RUNAWAY)
        worker = common.computing_worker(run.id)
        response = run.cancel()
        assert (response.outcome, run.state) == (CancelOutcome.CANCELED, State.CANCELED)
        assert not Path(f"/proc/{worker}").exists()
        with pytest.raises(RunCanceled):
            run.download("nowhere")


def test_a_second_cancel_succeeds_and_a_late_one_is_reported(common: Server) -> None:
    with client_of(common) as client:
        run = client.submit(RUNAWAY)
        run.cancel()
        assert run.cancel().outcome is CancelOutcome.ALREADY_CANCELED
        done = client.submit("SELECT 1 AS a").wait()
        late = done.cancel()
        assert (late.too_late, late.info.state) == (True, State.COMPLETE)
        assert list(done.rows()) == [{"a": 1}]


def test_a_statement_becomes_an_exact_table_at_once(serve: Serve) -> None:
    """Texts that look like numbers and dates stay texts; an empty result keeps its columns."""
    server = serve({"QUERYRUN_SOURCES__LIVE__DIALECT": "trino"})
    sql = (
        "SELECT '007' AS code, '2024-01-01' AS day, CAST('12.30' AS decimal(38,6)) AS price, "
        "nan() AS n, CAST(NULL AS bigint) AS missing, 9007199254740993 AS big"
    )
    with client_of(server) as client:
        table = client.to_arrow(sql)
        assert table.column_names == ["code", "day", "price", "n", "missing", "big"]
        (row,) = table.to_pylist()
        assert (row["code"], row["day"]) == ("007", "2024-01-01")
        assert (str(row["price"]), row["missing"]) == ("12.300000", None)
        assert (str(row["n"]), row["big"]) == ("nan", 9007199254740993)
        empty = client.to_pandas(f"{sql} WHERE false")
        assert (list(empty.columns), len(empty)) == (table.column_names, 0)
        frame = client.to_pandas("SELECT '007' AS code")
        assert list(frame["code"]) == ["007"]


def test_tables_are_listed_and_all_runs_canceled(serve: Serve) -> None:
    server = serve({"QUERYRUN_SOURCES__LIVE__RUNNING_PER_TENANT": "1"})
    (server.made.data_dir / "rates.csv").write_text("code,rate\neur,1.5\n")
    with client_of(server) as client:
        assert client.sources() == ["live"]
        assert [table.name for table in client.tables()] == ["rates"]
        table = client.describe("rates")
        assert [(one.name, one.type) for one in table.columns or ()] == [
            ("code", "varchar"),
            ("rate", "double"),
        ]
        assert (table.format, table.size_bytes) == ("csv", 18)
        with pytest.raises(NotFound, match="rates"):
            client.describe("rate")
        kept = client.submit(RUNAWAY, tags={"team": "a"})
        others = [client.submit(RUNAWAY, tags={"team": "b"}) for _ in range(3)]
        done = client.cancel_all(RunQuery(tags={"team": "b"}))
        assert {one.info.id for one in done} == {run.id for run in others}
        assert all(one.info.state is State.CANCELED for one in done)
        assert not kept.refresh().is_finished
        assert [one.info.id for one in client.cancel_all()] == [kept.id]
        assert client.cancel_all() == []


def test_an_option_that_does_not_exist_is_named() -> None:
    with Client("http://x", options=Options(token="t")) as client:
        with pytest.raises(TypeError, match=r"'content_typ': did you mean 'content_type'\?"):
            client.submit("SELECT 1", content_typ="csv")  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="'wobble': there are content_type, "):
            client.submit("SELECT 1", wobble=1)  # type: ignore[call-arg]


def test_progress_is_reported_from_start_to_end(server: Server) -> None:
    seen: list[RunInfo] = []
    with client_of(server) as client:
        client.submit("SELECT 1 AS a").wait(progress=seen.append)
    assert seen[0].state is State.ACCEPTED
    assert seen[-1].state is State.COMPLETE


def test_a_wait_that_times_out_leaves_the_run_running(common: Server) -> None:
    with client_of(common) as client:
        run = client.submit(RUNAWAY)
        with pytest.raises(StillRunning) as caught:
            run.wait(timeout_s=0.3)
        assert not caught.value.run.state.is_terminal
        assert run.cancel().outcome is CancelOutcome.CANCELED


def test_one_idempotency_key_makes_one_run(common: Server) -> None:
    with client_of(common) as client:
        runs = [client.submit("SELECT 1 AS a", idempotency_key="client").id for _ in range(2)]
    assert runs[0] == runs[1]


def test_an_invalid_token_is_renewed_once(common: Server) -> None:
    with client_of(common) as client:
        client.submit("SELECT 1 AS a")
        client.core._token = "0" * 32
        assert list(client.submit("SELECT 2 AS a").rows()) == [{"a": 2}]


def test_tags_source_and_timeout_are_sent(server: Server) -> None:
    with client_of(server) as client:
        run = client.submit("SELECT 1", tags={"team": "ops"}, source="live", timeout_s=30)
        run.refresh()
        assert (run.info.tags, run.info.source) == ({"team": "ops"}, "live")
        late = client.submit(RUNAWAY, timeout_s=0.5).wait()
    assert late.error is not None
    assert late.error.code == "time_limit_exceeded"


def test_a_lost_response_never_makes_a_second_run(common: Server) -> None:
    """The server acted and the client cannot know: the same key brings the same run back."""
    with lossy_proxy(common.url) as proxy, Client(proxy.url, *credentials(common)) as client:
        proxy.lose.add("/query_runs")
        run = client.submit("SELECT 1 AS a")
        (lost,) = proxy.lost
        assert json.loads(lost)["id"] == run.id


def test_a_lost_response_to_a_cancel_is_no_failure(common: Server) -> None:
    with lossy_proxy(common.url) as proxy, Client(proxy.url, *credentials(common)) as client:
        run = client.submit(RUNAWAY)
        proxy.lose.add("/cancel")
        assert run.cancel().outcome is CancelOutcome.CANCELED
        assert len(proxy.lost) == 1


def test_a_stopped_server_is_unreachable(serve: Serve) -> None:
    server = serve()
    with client_of(server, retry=Retry(attempts=1)) as client:
        server.terminate()
        with pytest.raises(Unreachable):
            client.submit("SELECT 1")


def credentials(server: Server) -> tuple[str, str]:
    return server.made.issued.client.id, server.made.issued.secret


def test_an_encrypted_result_is_read_with_the_private_key_alone(
    common: Server, tmp_path: Path
) -> None:
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    sql = "SELECT i FROM range(300000) r(i)"
    with client_of(common, private_key=private) as client:
        run = client.submit(sql, encryption_key=public.decode(), content_encoding="gzip")
        assert sum(row["i"] for row in run.rows()) == 44_999_850_000
        path = run.download(tmp_path / "plain.gz")
        assert gzip.decompress(path.read_bytes()).startswith(b'{"i":0}')
        sealed = run.download(tmp_path / "sealed", decrypt=False)
        assert sealed.read_bytes().startswith(b"QRUNENC1")
    with client_of(common) as stranger, pytest.raises(DecryptFailed, match="private key"):
        list(stranger.run(run.id).rows())


@pytest.mark.anyio
async def test_the_async_client_does_the_same(common: Server, tmp_path: Path) -> None:
    async with AsyncClient(common.url, *credentials(common)) as client:
        run = await client.submit("SELECT i FROM range(1200) r(i) ORDER BY i")
        assert [row["i"] async for row in run.rows()] == list(range(1200))
        assert (await run.download(tmp_path / "a.json")).read_bytes().startswith(b'{"i":0}')
        runaway = await client.submit(RUNAWAY)
        assert (await runaway.cancel()).outcome is CancelOutcome.CANCELED
        assert (await runaway.cancel()).outcome is CancelOutcome.ALREADY_CANCELED

"""The whole pipeline over the real engine and the real directory."""

from __future__ import annotations

import base64
import contextlib
import csv
import gzip
import hashlib
import io
import json
import os
import resource
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pyarrow
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from pyarrow import parquet

from queryrun.engines.base import Column, EngineLimits, Rows
from queryrun.engines.duckdb.session import DuckDBSession, open_session
from queryrun.errors import FailureCode, RunFailed
from queryrun.results.formats import ContentEncoding, ContentType
from queryrun.results.local import LocalResultStore
from queryrun.results.request import WriteRequest, WrittenResult
from queryrun.results.write import write_result
from queryrun_client.decrypt import PrivateKey, plain_frames

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

REQUEST = WriteRequest("SELECT i AS id FROM range(100000) t(i)", "run_1.csv", ContentType.CSV)
FORMATS = ["json", "csv", "tsv", "dsv", "parquet", "arrow"]
ENDLESS = "SELECT i AS id FROM range(1000000000000) t(i)"


@dataclass
class RecordingReport:
    """A report that records its calls."""

    stages: list[str] = field(default_factory=list)
    numbers: list[tuple[int, int]] = field(default_factory=list)

    def stage(self, stage: str) -> None:
        """Keep the stage."""
        self.stages.append(stage)

    def written(self, rows: int, size_bytes: int) -> None:
        """Keep the numbers."""
        self.numbers.append((rows, size_bytes))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """The directory of the result files."""
    directory = tmp_path / "results"
    directory.mkdir()
    return directory


@pytest.fixture
def spill(tmp_path: Path) -> Path:
    """The session's spill directory."""
    directory = tmp_path / "spill"
    directory.mkdir()
    return directory


@pytest.fixture
def session(tmp_path: Path, spill: Path) -> Iterator[DuckDBSession]:
    """A session over an empty directory."""
    (tmp_path / "data").mkdir()
    limits = EngineLimits(512 * 1024**2, 2, str(spill), 64 * 1024**2)
    session = open_session({"data_dir": str(tmp_path / "data")}, limits)
    yield session
    session.close()


def _write(
    session: DuckDBSession, results: Path, request: WriteRequest
) -> tuple[WrittenResult, bytes]:
    written = write_result(session, request, LocalResultStore(results), RecordingReport())
    return written, (results / request.file_key).read_bytes()


def _failure(session: DuckDBSession, results: Path, request: WriteRequest) -> RunFailed:
    with pytest.raises(RunFailed) as failed:
        write_result(session, request, LocalResultStore(results), RecordingReport())
    return failed.value


@pytest.mark.parametrize("content_type", FORMATS)
def test_rows_size_and_digest_are_those_of_the_file(
    session: DuckDBSession, results: Path, spill: Path, content_type: str
) -> None:
    request = replace(REQUEST, content_type=ContentType(content_type), column_separator=";")
    written, data = _write(session, results, request)
    assert written.rows == 100_000
    assert written.size_bytes == len(data)
    assert written.sha256 == hashlib.sha256(data).hexdigest()
    assert os.listdir(results) == ["run_1.csv"]  # noqa: PTH208 - names are what we compare
    assert not list(spill.iterdir())


def test_an_arrow_stream_reads_back(session: DuckDBSession, results: Path) -> None:
    _, data = _write(session, results, replace(REQUEST, content_type=ContentType.ARROW))
    table = pyarrow.ipc.open_stream(data).read_all()
    assert table.column("id").to_pylist() == list(range(100_000))


CLASHING = (
    'SELECT 1 AS Id, \'x"y\' AS "ID", CAST(NULL AS double) AS "a,b", 2.5e0 AS "A,B", ID AS id '
    "FROM t"
)
CLASHING_ROWS = [("Id", 1), ("ID", 'x"y'), ("a,b", None), ("A,B", 2.5), ("id", 7)]


@pytest.fixture
def trino_session(tmp_path: Path, spill: Path) -> Iterator[DuckDBSession]:
    """A session that speaks Trino's dialect, over a table `t` with the column `id`."""
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "t.csv").write_text("id\n7\n")
    limits = EngineLimits(512 * 1024**2, 2, str(spill), 64 * 1024**2)
    session = open_session({"data_dir": str(tmp_path / "tables"), "dialect": "trino"}, limits)
    yield session
    session.close()


@pytest.mark.parametrize("encoding", [ContentEncoding.NONE, ContentEncoding.GZIP])
@pytest.mark.parametrize("content_type", FORMATS)
def test_columns_whose_names_differ_by_case_only_are_written_under_their_names(
    trino_session: DuckDBSession, results: Path, content_type: str, encoding: ContentEncoding
) -> None:
    """In every format (contract F2)."""
    request = replace(
        REQUEST,
        sql=CLASHING,
        content_type=ContentType(content_type),
        content_encoding=encoding,
        column_separator=";",
    )
    written, data = _write(trino_session, results, request)
    assert written.rows == 1
    assert written.sha256 == hashlib.sha256(data).hexdigest()
    plain = data if encoding is ContentEncoding.NONE else gzip.decompress(data)
    assert _named_values(request.content_type, plain) == CLASHING_ROWS


@pytest.mark.parametrize("content_type", FORMATS)
def test_a_result_without_rows_has_such_names_too(
    trino_session: DuckDBSession, results: Path, content_type: str
) -> None:
    request = replace(
        REQUEST,
        sql=f"{CLASHING} WHERE false",
        content_type=ContentType(content_type),
        column_separator=";",
    )
    written, data = _write(trino_session, results, request)
    assert written.rows == 0
    if request.content_type.spec.is_delimited:
        separator = request.content_type.spec.separator_for(";")
        header = next(csv.reader([data.decode()], delimiter=separator))
        assert header == [name for name, _ in CLASHING_ROWS]
    elif content_type != "json":
        assert _table(request.content_type, data).column_names == [n for n, _ in CLASHING_ROWS]


def _named_values(content_type: ContentType, data: bytes) -> list[tuple[str, object]]:
    """Names and values of a file's only row."""
    if content_type.spec.is_delimited:
        reader = csv.reader(
            io.StringIO(data.decode()), delimiter=content_type.spec.separator_for(";")
        )
        names, row = reader
        typed = [int(row[0]), row[1], row[2] or None, float(row[3]), int(row[4])]
        return list(zip(names, typed, strict=True))
    if content_type is ContentType.JSON:
        pairs: list[tuple[str, object]] = json.loads(data, object_pairs_hook=list)
        return pairs
    table = _table(content_type, data)
    values = [column.to_pylist()[0] for column in table.columns]
    return list(zip(table.column_names, values, strict=True))


def _table(content_type: ContentType, data: bytes) -> Any:
    if content_type is ContentType.PARQUET:
        return parquet.read_table(io.BytesIO(data))
    return pyarrow.ipc.open_stream(data).read_all()


def test_compression_is_applied_before_encryption(session: DuckDBSession, results: Path) -> None:
    private = rsa.generate_private_key(65537, 2048)
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    request = replace(
        REQUEST,
        content_encoding=ContentEncoding.GZIP,
        encryption_key=base64.b64encode(public).decode(),
    )
    written, data = _write(session, results, request)
    plain = gzip.decompress(b"".join(plain_frames(io.BytesIO(data), PrivateKey(pem))))
    assert plain.count(b"\n") == written.rows + 1


def test_a_zips_member_is_named_like_the_file(session: DuckDBSession, results: Path) -> None:
    request = replace(REQUEST, content_encoding=ContentEncoding.ZIP, file_key="run_1.csv.zip")
    _, data = _write(session, results, request)
    assert zipfile.ZipFile(io.BytesIO(data)).namelist() == ["run_1.csv"]


def test_metadata_statements_are_results_like_others(session: DuckDBSession, results: Path) -> None:
    statement = "DESCRIBE SELECT 1 AS a"
    written, data = _write(
        session, results, replace(REQUEST, sql=statement, content_type=ContentType.JSON)
    )
    assert written.rows == 1
    assert json.loads(data)["column_name"] == "a"


@pytest.mark.parametrize(
    "statement", ["SELECT 1 AS a -- end", "SELECT 1 AS a /* x */", "VALUES (1)"]
)
def test_a_comment_at_the_end_hides_nothing(
    session: DuckDBSession, results: Path, statement: str
) -> None:
    assert _write(session, results, replace(REQUEST, sql=statement))[0].rows == 1


def test_the_stages_and_numbers_are_reported_in_order(
    session: DuckDBSession, results: Path
) -> None:
    report = RecordingReport()
    written = write_result(session, REQUEST, LocalResultStore(results), report)
    assert report.stages == ["planning", "executing", "writing", "committing"]
    assert report.numbers == sorted(report.numbers)
    assert report.numbers[-1] == (written.rows, written.size_bytes)


def test_a_header_alone_is_not_yet_writing(session: DuckDBSession, results: Path) -> None:
    """The engine writes it when it starts, and may then compute for hours."""
    report = RecordingReport()
    request = replace(REQUEST, sql="SELECT i AS id FROM range(10) t(i) WHERE i < 0")
    assert write_result(session, request, LocalResultStore(results), report).size_bytes == 3
    assert report.stages == ["planning", "executing", "committing"]


@pytest.mark.parametrize("content_type", FORMATS)
def test_as_many_rows_as_the_limit_are_fine_and_one_more_is_not(
    session: DuckDBSession, results: Path, content_type: str
) -> None:
    request = replace(
        REQUEST, content_type=ContentType(content_type), column_separator=";", row_limit=100_000
    )
    assert _write(session, results, request)[0].rows == 100_000
    LocalResultStore(results).discard(request.file_key)
    failure = _failure(session, results, replace(request, row_limit=99_999)).failure
    assert failure.code is FailureCode.ROW_LIMIT_EXCEEDED
    assert "99999" in failure.message
    assert not list(results.iterdir())


@pytest.mark.parametrize("content_type", FORMATS)
def test_a_result_without_end_stops_at_the_limit(
    session: DuckDBSession, results: Path, content_type: str
) -> None:
    request = replace(
        REQUEST,
        sql=ENDLESS,
        content_type=ContentType(content_type),
        column_separator=";",
        row_limit=1000,
    )
    failure = _failure(session, results, request).failure
    assert failure.code is FailureCode.ROW_LIMIT_EXCEEDED


@pytest.mark.parametrize("encoding", ["none", "gzip", "zip", "zstd"])
def test_a_file_over_its_size_fails(session: DuckDBSession, results: Path, encoding: str) -> None:
    request = replace(
        REQUEST, sql=ENDLESS, content_encoding=ContentEncoding(encoding), size_limit_bytes=1_000_000
    )
    failure = _failure(session, results, request).failure
    assert failure.code is FailureCode.SIZE_LIMIT_EXCEEDED
    assert not list(results.iterdir())


@pytest.mark.parametrize("content_type", FORMATS)
def test_an_error_while_rows_are_written_leaves_no_file_and_has_a_position(
    session: DuckDBSession, results: Path, content_type: str
) -> None:
    statement = "SELECT 'x'::BLOB AS b,\n CAST('v' || i AS INTEGER) FROM range(10) t(i)"
    request = replace(
        REQUEST, sql=statement, content_type=ContentType(content_type), column_separator=";"
    )
    failure = _failure(session, results, request).failure
    assert (failure.code, failure.line, failure.column) == (FailureCode.INVALID_VALUE, 2, 2)
    assert not list(results.iterdir())


def test_a_session_can_be_used_after_a_failure(session: DuckDBSession, results: Path) -> None:
    _failure(session, results, replace(REQUEST, sql="SELECT missing"))
    _failure(session, results, replace(REQUEST, sql="SELECT error('x')"))
    assert _write(session, results, REQUEST)[0].rows == 100_000


def test_a_missing_result_directory_is_the_storages_fault(
    session: DuckDBSession, tmp_path: Path
) -> None:
    failure = _failure(session, tmp_path / "nowhere", REQUEST).failure
    assert failure.code is FailureCode.STORAGE_FAILED
    assert failure.code.retryable


def test_a_full_disk_is_reported_as_full_and_leaves_nothing(
    session: DuckDBSession, results: Path
) -> None:
    """/dev/full takes no byte: every write into it fails as on a full disk."""
    (results / ".run_1.csv.part").symlink_to("/dev/full")
    failure = _failure(
        session, results, replace(REQUEST, content_encoding=ContentEncoding.GZIP)
    ).failure
    assert failure.code is FailureCode.STORAGE_FULL
    assert not list(results.iterdir())


@contextlib.contextmanager
def _file_size_limit(size_bytes: int) -> Iterator[None]:
    """The kernel refuses larger ones, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_the_engine_finds_full_is_reported_and_leaves_nothing(
    session: DuckDBSession, results: Path, spill: Path
) -> None:
    with _file_size_limit(100_000):
        failure = _failure(session, results, REQUEST).failure
    assert (failure.code, failure.message) == (
        FailureCode.STORAGE_FULL,
        "There is no space left for result files",
    )
    assert not list(results.iterdir())
    assert not list(spill.iterdir())


def test_a_size_limit_is_named_also_where_the_kernel_was_quicker(
    session: DuckDBSession, results: Path
) -> None:
    with _file_size_limit(100_000):
        failure = _failure(session, results, replace(REQUEST, size_limit_bytes=99_999)).failure
    assert failure.code is FailureCode.SIZE_LIMIT_EXCEEDED


@pytest.mark.parametrize("encoding", ["none", "gzip"])
@pytest.mark.parametrize("content_type", ["json", "csv"])
def test_line_ends_in_values_are_not_counted_as_rows(
    session: DuckDBSession, results: Path, content_type: str, encoding: str
) -> None:
    """Where rows are estimated while writing, the limit still counts actual rows."""
    statement = "SELECT repeat('a\n', 20) AS a, i FROM range(200000) t(i)"
    request = replace(
        REQUEST,
        sql=statement,
        content_type=ContentType(content_type),
        content_encoding=ContentEncoding(encoding),
    )
    assert _write(session, results, replace(request, row_limit=200_000))[0].rows == 200_000


def test_values_with_zero_bytes_are_digested_like_others(
    session: DuckDBSession, results: Path
) -> None:
    statement = "SELECT 'a' || chr(0) || 'b' AS a, i FROM range(300000) t(i)"
    written, data = _write(session, results, replace(REQUEST, sql=statement))
    assert b"\0" in data
    assert written.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.slow
def test_the_digest_is_that_of_the_file_also_when_many_threads_write_it(
    session: DuckDBSession, results: Path
) -> None:
    statement = "SELECT i, hash(i) AS h, 'é' || i AS t FROM range(2000000) t(i)"
    for content_type in ("json", "csv", "parquet"):
        request = replace(REQUEST, sql=statement, content_type=ContentType(content_type))
        written, data = _write(session, results, request)
        assert written.sha256 == hashlib.sha256(data).hexdigest()


def test_an_internal_error_is_not_reported_as_a_failed_run(
    session: DuckDBSession, results: Path
) -> None:
    class Broken(RecordingReport):
        def written(self, rows: int, size_bytes: int) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_result(session, REQUEST, LocalResultStore(results), Broken())
    assert not list(results.iterdir())


class ForgetfulConnection:
    """Copies one row and reports two."""

    def __init__(self, path: str) -> None:
        self._path = path

    def execute(self, sql: str) -> ForgetfulConnection:
        """Write to the pipe."""
        Path(self._path).write_bytes(b"id\n1\n")
        return self

    def fetchone(self) -> tuple[int]:
        """The wrong number."""
        return (2,)


def test_a_file_whose_rows_are_not_those_of_the_engine_is_never_committed(
    session: DuckDBSession, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = cast("DuckDBPyConnection", ForgetfulConnection(session.output_path))
    rows = Rows(connection, "SELECT 1", [Column("id", "INTEGER")])
    monkeypatch.setattr(session, "plan", lambda *_: rows)
    request = replace(REQUEST, content_encoding=ContentEncoding.GZIP)
    assert _failure(session, results, request).failure.code is FailureCode.INTERNAL_ERROR
    assert not list(results.iterdir())

"""A session that may write no copies has them made, by digests, and reads what it would have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from queryrun.engines.base import EngineLimits, RowFilter
from queryrun.engines.duckdb.copies import write_copies
from queryrun.engines.duckdb.session import open_session
from queryrun.errors import FailureCode, RunFailed
from queryrun.tables.text import read
from queryrun.tables.text.requests import MAX_COLUMNS, CopiesRequest, digest_of

LINES = "".join(f"{i},n{i % 7},{i / 2}\n" for i in range(3000))


@dataclass
class Requesting:
    """A session that asks, and what it has requested."""

    root: Path
    converts: bool = True
    requests: list[CopiesRequest] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("data", "copies", "spill", "work"):
            (self.root / name).mkdir()
        self.options = {
            "data_dir": str(self.root / "data"),
            "dialect": "trino",
            "copies_dir": str(self.root / "copies"),
        }
        self.session = open_session(self.options, self._limits("spill"))
        self.session.set_copies(self._request)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """All rows of a statement."""
        planned = self.session.plan(sql, RowFilter(deleted_rows="include"))
        rows = planned.connection.execute(f"SELECT * FROM (\n{planned.relation})").fetchall()
        self.own = sorted(one.name for one in (self.root / "spill").glob("table-*-copies/*"))
        self.session.renew()
        return rows

    @property
    def copies(self) -> dict[str, bytes]:
        """What is kept for all."""
        return {path.name: path.read_bytes() for path in (self.root / "copies").iterdir()}

    def _request(self, request: CopiesRequest) -> None:
        self.requests.append(request)
        if self.converts:
            write_copies(self.options, self._limits("work"), request)

    def _limits(self, directory: str) -> EngineLimits:
        return EngineLimits(256 * 1024**2, 1, str(self.root / directory), 64 * 1024**2)


@pytest.fixture
def requesting(tmp_path: Path) -> Requesting:
    return Requesting(tmp_path)


def one_file(data: Path) -> None:
    """A table of one CSV file."""
    (data / "t.csv").write_text("id,name,half\n" + LINES)


def json_records(data: Path) -> None:
    """A table of JSON."""
    (data / "t.json").write_text("".join(f'{{"id":{i},"name":"n{i % 7}"}}\n' for i in range(3000)))


def many_small(data: Path) -> None:
    """A directory of small files, which are converted together."""
    (data / "t").mkdir()
    for part in range(8):
        rows = "".join(f"{i},n{i % 7},{i / 2}\n" for i in range(part * 375, part * 375 + 375))
        (data / "t" / f"{part}.csv").write_text("id,name,half\n" + rows)


def of_two_types(data: Path) -> None:
    """Files whose columns have a type in common that neither has alone."""
    (data / "t").mkdir()
    (data / "t" / "1.csv").write_text("id,half,name\n0,1,n0\n")
    rows = "".join(f"{i},{i}.5,n{i % 7}\n" for i in range(1, 3000))
    (data / "t" / "2.csv").write_text("id,half,name\n" + rows)


@pytest.mark.parametrize("make", [one_file, json_records, many_small, of_two_types])
def test_what_is_missing_is_made_by_another_and_read(
    requesting: Requesting, make: Callable[[Path], None]
) -> None:
    make(requesting.root / "data")
    sql = "SELECT count(*), sum(id), max(name) FROM t"
    assert requesting.rows(sql) == [(3000, 4498500, "n6")]
    assert requesting.own == [], "the session has converted nothing itself"
    assert requesting.copies
    assert requesting.requests[0].table == digest_of("t")
    before, known = len(requesting.requests), requesting.copies
    assert requesting.rows(sql) == [(3000, 4498500, "n6")]
    assert len(requesting.requests) == before, "a second statement finds the copies"
    assert requesting.copies == known


@pytest.mark.parametrize("make", [one_file, json_records, many_small, of_two_types])
def test_a_session_that_nobody_helps_converts_for_itself_and_leaves_nothing(
    requesting: Requesting, make: Callable[[Path], None]
) -> None:
    make(requesting.root / "data")
    requesting.converts = False
    assert requesting.rows("SELECT count(*), sum(id) FROM t") == [(3000, 4498500)]
    assert requesting.own
    assert requesting.copies == {}


def test_files_that_join_a_table_later_are_examined_by_the_other(requesting: Requesting) -> None:
    """The first file's facts are known from its head alone, and no longer enough."""
    data = requesting.root / "data" / "t"
    data.mkdir()
    (data / "1.csv").write_text("id,v\n" + "".join(f"{i},{i}\n" for i in range(30_000)))
    assert requesting.rows("SELECT count(*), max(v) FROM t") == [(30_000, 29_999)]
    (data / "2.csv").write_text("id,v\n30000,0.5\n")
    assert requesting.rows("SELECT count(*), min(v) FROM t") == [(30_001, 0)]
    assert requesting.own == []


def test_of_a_long_file_the_columns_that_a_statement_names_are_converted(
    requesting: Requesting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "SOME_COLUMNS_BYTES", 1)
    lines = "".join(f"{i},n{i % 7},{i / 2}\n" for i in range(6000))
    (requesting.root / "data" / "t.csv").write_text("id,Name,half\n" + lines)
    assert requesting.rows("SELECT sum(id) FROM t") == [(17997000,)]
    (some,) = [len(data) for name, data in requesting.copies.items() if name.endswith(".parquet")]
    assert requesting.rows("SELECT max(half), max(name) FROM t") == [(2999.5, "n6")]
    assert requesting.own == []
    every = max(len(data) for name, data in requesting.copies.items() if name.endswith(".parquet"))
    assert some < every


def test_a_fault_of_the_file_is_the_one_that_the_session_would_find(requesting: Requesting) -> None:
    (requesting.root / "data" / "t.csv").write_text("id,name\n1,a\n2,b,c\n")
    with pytest.raises(RunFailed) as with_help:
        requesting.rows("SELECT * FROM t")
    requesting.session.renew()
    (requesting.root / "data" / "u.csv").write_text("id,name\n1,a\n2,b,c\n")
    requesting.converts = False
    with pytest.raises(RunFailed) as alone:
        requesting.rows("SELECT * FROM u")
    failure = with_help.value.failure
    assert failure.message.replace("'t", "'u") == alone.value.failure.message
    assert failure.code is FailureCode.DATA_INVALID or failure.code is FailureCode.DATA_UNREADABLE


def test_a_request_says_nothing_that_a_caller_wrote(requesting: Requesting) -> None:
    one_file(requesting.root / "data")
    requesting.rows(
        "SELECT id AS \"secret'); DROP\" FROM t AS whatever WHERE name <> 'hidden text'"
    )
    (request,) = requesting.requests
    assert request.is_valid
    assert request.columns is not None
    assert all(len(digest) == 16 for digest in (request.table, *request.columns))


def test_requests_that_are_none_of_ours_are_told_apart() -> None:
    assert CopiesRequest.of("t", None).is_valid
    assert CopiesRequest.of("t", [str(i) for i in range(MAX_COLUMNS + 1)]).columns is None
    assert not CopiesRequest(b"short").is_valid
    assert not CopiesRequest(digest_of("t"), (b"x" * 17,)).is_valid
    assert not CopiesRequest(digest_of("t"), (digest_of("c"),) * (MAX_COLUMNS + 1)).is_valid


def test_a_table_that_is_not_there_or_of_no_text_is_left_alone(requesting: Requesting) -> None:
    (requesting.root / "data" / "p.parquet").write_bytes(b"no parquet")
    limits = EngineLimits(256 * 1024**2, 1, str(requesting.root / "work"), 0)
    for name in ("nothing", "p", "../data/t"):
        write_copies(requesting.options, limits, CopiesRequest.of(name, None))
    assert requesting.copies == {}

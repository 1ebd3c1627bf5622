"""Two entities' data side by side, and a session over the first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from queryrun.engines.base import EngineLimits
from queryrun.engines.duckdb.session import DuckDBSession, open_session

Open = Callable[..., DuckDBSession]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """The data of one entity: one table per kind of file, and one of several files."""
    directory = tmp_path / "entities" / "one"
    (directory / "usage" / "2024").mkdir(parents=True)
    with duckdb.connect(":memory:") as connection:
        for query, name in (
            ("SELECT i AS id, 'A' || i AS accountnumber FROM range(3) t(i)", "Account.parquet"),
            ("SELECT 1 AS id, 'x' AS note", "note.csv"),
            ("SELECT 1 AS id, 'x' AS note", "packed.csv.gz"),
            ("SELECT 1 AS id, 'x' AS note", "event.jsonl"),
            ("SELECT 1 AS id", "usage/a.parquet"),
            ("SELECT 2 AS id, 'new' AS more", "usage/2024/b.parquet"),
        ):
            connection.execute(f"COPY ({query}) TO '{directory / name}'")
    return directory


@pytest.fixture
def other_dir(data_dir: Path) -> Path:
    """The data of another entity, whose name has the same prefix."""
    directory = data_dir.parent / "one_more"
    directory.mkdir()
    (directory / "secret.csv").write_text("id\n42\n")
    return directory


@pytest.fixture
def limits(tmp_path: Path) -> EngineLimits:
    """Small limits, and a spill directory of one's own."""
    spill = tmp_path / "spill"
    spill.mkdir()
    return EngineLimits(256 * 1024**2, 2, str(spill), 64 * 1024**2)


@pytest.fixture
def open_engine(limits: EngineLimits) -> Iterator[Open]:
    """Opens sessions that are closed after the test."""
    opened: list[DuckDBSession] = []

    def open_one(time_zone: str = "UTC", **options: str) -> DuckDBSession:
        opened.append(open_session(options, limits, time_zone))
        return opened[-1]

    yield open_one
    for session in opened:
        session.close()


@pytest.fixture
def session(open_engine: Open, data_dir: Path) -> DuckDBSession:
    """A session over the first entity's directory."""
    return open_engine(data_dir=str(data_dir))

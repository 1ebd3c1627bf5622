"""Tables that are read while the process may open few more files: rows, or a shortage that passes.

Never a fault of the data: that would be final, and nothing is wrong with the data.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import deltalake
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog.memory import InMemoryCatalog

ROWS = pa.table({"id": [1, 2, 3]})
MORE = 8
"""Descriptors that a child may open more, at the most."""
_CHILD = """
import json, os, resource, sys
from queryrun.engines.base import EngineLimits, RowFilter
from queryrun.engines.duckdb.session import open_session
from queryrun.errors import RunFailed
from queryrun.tables.shortage import shortage_of

options, spill = json.loads(sys.argv[1]), sys.argv[2]
limits = EngineLimits(256 * 1024**2, 1, spill, 64 * 1024**2)
first = open_session(options, limits)  # what is loaded once is loaded
first.plan("SELECT id FROM t", RowFilter(marks_deleted=False))
first.close()
open_files = max(map(int, os.listdir("/proc/self/fd"))) + 1
held = [os.dup(0) for number in range(open_files - len(os.listdir("/proc/self/fd")))]

def outcome():
    session = None
    try:
        session = open_session(options, limits)
        rows = session.plan("SELECT id FROM t ORDER BY id", RowFilter(marks_deleted=False))
        found = rows.connection.execute(rows.relation).fetchall()
        session.verify_rows()
        return str([value for (value,) in found])
    except Exception as error:
        failed = session.failure_of(error) if session else error
        code = failed.failure.code if isinstance(failed, RunFailed) else ""
        is_short = code == "engine_unavailable" or (not code and shortage_of(failed))
        return "short" if is_short else code or repr(failed)
    finally:
        if session:
            session.close()

outcomes = []
for more in range(int(sys.argv[3])):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_files + more, hard))
    outcomes.append(outcome())
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
print(json.dumps(outcomes))
"""


def _csv(data: Path) -> None:
    (data / "t.csv").write_text("id\n1\n2\n3\n")
    (data / "tables.toml").write_text('[tables.t.columns]\nid = "bigint"\n')


def _many_csv(data: Path) -> None:
    (data / "t").mkdir()
    for number in (1, 2, 3):
        (data / "t" / f"{number}.csv").write_text(f"id\n{number}\n")


def _parquet(data: Path) -> None:
    pq.write_table(ROWS, data / "t.parquet")


def _delta(data: Path) -> None:
    deltalake.write_deltalake(data / "t", ROWS.slice(0, 2))
    deltalake.write_deltalake(data / "t", ROWS.slice(2), mode="append")
    deltalake.DeltaTable(data / "t").create_checkpoint()


def _iceberg(data: Path) -> None:
    catalog = InMemoryCatalog("test", warehouse=f"file://{data}")
    catalog.create_namespace("n")
    table = catalog.create_table("n.t", schema=ROWS.schema, location=f"file://{data}/t")
    table.append(ROWS)
    catalog.close()


def _database(data: Path) -> None:
    with duckdb.connect(data / "t.duckdb") as made:
        made.execute("CREATE TABLE t AS SELECT id FROM range(1, 4) one(id)")


@pytest.mark.parametrize("write", [_csv, _many_csv, _parquet, _delta, _iceberg, _database])
def test_a_process_that_may_open_few_files_blames_no_data(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    data, spill = tmp_path / "data", tmp_path / "spill"
    data.mkdir()
    spill.mkdir()
    write(data)
    is_database = write is _database
    options = {"database": str(data / "t.duckdb")} if is_database else {"data_dir": str(data)}
    outcomes = _outcomes({**options, "dialect": "trino"}, spill)
    assert set(outcomes) <= {"[1, 2, 3]", "short"}, outcomes
    assert outcomes[0] == "short", "nothing was short"


def _outcomes(options: dict[str, str], spill: Path) -> list[str]:
    program = [sys.executable, "-c", _CHILD, json.dumps(options), str(spill), str(MORE)]
    child = subprocess.run(program, capture_output=True, text=True, timeout=120, check=True)
    outcomes: list[str] = json.loads(child.stdout)
    return outcomes

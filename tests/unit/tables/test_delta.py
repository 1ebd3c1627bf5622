"""Delta directories, judged by `deltalake` and pyarrow."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest

from queryrun.engines.base import RowFilter
from queryrun.errors import FailureCode
from tests.unit.tables.delta_log import add, field, metadata, protocol, write_log
from tests.unit.tables.reading import Reading, hide_package

IDS = [field("id", "long"), field("note", "string")]


def _judged(reading: Reading, name: str, order: str) -> None:
    """Our rows are those that `deltalake` gives."""
    table = deltalake.DeltaTable(reading.data / name).to_pyarrow_table().sort_by(order)
    columns = ", ".join(table.column_names)
    expected = [tuple(row[c] for c in table.column_names) for row in table.to_pylist()]
    assert reading.rows(f"SELECT {columns} FROM {name} ORDER BY {order}") == expected


def _write(reading: Reading, columns: dict[str, Any], **more: Any) -> None:
    deltalake.write_deltalake(reading.data / "t", pa.table(columns), **more)


def test_only_the_newest_version_is_read_and_not_the_log(reading: Reading) -> None:
    _write(reading, {"id": [1, 2]})
    _write(reading, {"id": [3]}, mode="overwrite")
    _write(reading, {"id": [4]}, mode="append")
    deltalake.DeltaTable(reading.data / "t").create_checkpoint()
    assert reading.rows("SELECT id FROM t ORDER BY 1") == [(3,), (4,)]
    _judged(reading, "t", "id")


def test_partitions_have_the_types_of_the_schema(reading: Reading) -> None:
    columns = {"id": [1, 2, 3, 4], "p": ["a/b", "01", None, "ü %"], "n": [7, 8, 9, None]}
    _write(reading, columns, partition_by=["p", "n"])
    _judged(reading, "t", "id")
    assert reading.rows("SELECT id FROM t WHERE p = '01' AND n = 8") == [(2,)]


def test_a_column_that_came_later_is_null_before(reading: Reading) -> None:
    _write(reading, {"id": [1]})
    _write(reading, {"id": [2], "x": [1.5]}, mode="append", schema_mode="merge")
    _judged(reading, "t", "id")


def test_deleted_and_updated_rows_are_gone(reading: Reading) -> None:
    _write(reading, {"id": list(range(100))})
    table = deltalake.DeltaTable(reading.data / "t")
    table.delete("id % 3 = 0")
    table.update(predicate="id = 1", updates={"id": "1000"})
    _judged(reading, "t", "id")


def test_deletion_vectors_are_applied(reading: Reading) -> None:
    root = reading.data / "t"
    rows = pa.table({"id": list(range(10)), "note": [str(i) for i in range(10)]})
    more = pa.table({"id": [100, 101], "note": ["x", None]})
    actions = [protocol("deletionVectors"), metadata(IDS)]
    files = [add(root, "a.parquet", rows, [0, 3, 9]), add(root, "b.parquet", more)]
    write_log(root, 0, [*actions, *files])
    expected = [1, 2, 4, 5, 6, 7, 8, 100, 101]
    assert reading.rows("SELECT id FROM t ORDER BY 1") == [(i,) for i in expected]
    assert reading.rows("SELECT count(*) FROM t WHERE note IS NULL") == [(1,)]


@pytest.fixture
def in_amsterdam(tmp_path: Path) -> Iterator[Reading]:
    """A client whose zone is not that of the files."""
    found = Reading(tmp_path, "Europe/Amsterdam")
    yield found
    found.session.close()


_AT = datetime(2024, 6, 30, 22, 30, tzinfo=UTC)
_ROW = {"type": "struct", "fields": [field("x", "timestamp"), field("y", "timestamp_ntz")]}
_TIMES = [
    field("at", "timestamp"),
    field("clock", "timestamp_ntz"),
    field("many", {"type": "array", "elementType": "timestamp", "containsNull": True}),
    field("row", _ROW),
]


def _times(zone: str | None) -> pa.Table:
    """Three rows of one instant, and of one time on a clock; the files of Spark say no zone."""
    at, clock = pa.timestamp("us", zone), pa.timestamp("us")
    plain = _AT.replace(tzinfo=None)
    row = pa.struct([("x", at), ("y", clock)])
    value = _AT if zone else plain
    return pa.table(
        {
            "at": pa.array([value] * 3, at),
            "clock": pa.array([plain] * 3, clock),
            "many": pa.array([[value]] * 3, pa.list_(at)),
            "row": pa.array([{"x": value, "y": plain}] * 3, row),
        }
    )


def test_an_instant_is_the_same_in_every_zone_whoever_wrote_it(in_amsterdam: Reading) -> None:
    """Spark writes 96 bits without a zone, and means UTC."""
    root = in_amsterdam.data / "t"
    files = [
        add(root, "spark.parquet", _times(None), use_deprecated_int96_timestamps=True),
        add(root, "marked.parquet", _times(None), [1], use_deprecated_int96_timestamps=True),
        add(root, "zoned.parquet", _times("UTC"), [0]),
        add(root, "old.parquet", _times(None), version="1.0"),
    ]
    features = protocol("deletionVectors", "timestampNtz")
    write_log(root, 0, [features, metadata(_TIMES), *files])
    clock = _AT.replace(tzinfo=None)
    sql = (
        'SELECT to_unixtime(at), clock, to_unixtime(many[1]), to_unixtime("row".x), "row".y FROM t'
    )
    seconds = _AT.timestamp()
    assert in_amsterdam.rows(sql) == [(seconds, clock, seconds, seconds, clock)] * 10


def test_renamed_columns_are_found_by_their_physical_names(reading: Reading) -> None:
    root = reading.data / "t"
    name = "delta.columnMapping.physicalName"
    fields = [
        field("id", "long", **{name: "c1", "delta.columnMapping.id": 1}),
        field("note", "string", **{name: "c9", "delta.columnMapping.id": 2}),
    ]
    mode = {"delta.columnMapping.mode": "name"}
    file = add(root, "a.parquet", pa.table({"c1": [5], "c9": ["kept"], "note": ["dropped"]}))
    write_log(root, 0, [protocol("columnMapping"), metadata(fields, **mode), file])
    assert reading.rows("SELECT * FROM t") == [(5, "kept")]


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        ([protocol("aFeatureToCome"), metadata(IDS)], "features aFeatureToCome, which"),
        ([protocol("variantType"), metadata([field("v", "variant")])], "features variantType"),
        ([protocol("typeWidening"), metadata(IDS)], "features typeWidening, which are not read"),
        ([], "Delta"),
    ],
)
def test_what_is_not_understood_is_refused(
    reading: Reading, actions: list[dict[str, Any]], words: str
) -> None:
    file = add(reading.data / "t", "a.parquet", pa.table({"id": [1], "note": ["x"]}))
    write_log(reading.data / "t", 0, [*actions, file])
    failure = reading.failure("SELECT count(*) FROM t")
    assert failure.code is FailureCode.DATA_INVALID
    assert failure.message.startswith("Table 't' cannot be read")
    assert words in failure.message
    assert str(reading.data) not in failure.message


def test_a_log_that_names_files_outside_is_refused(reading: Reading) -> None:
    add(reading.data / "other", "a.parquet", pa.table({"id": [1], "note": ["x"]}))
    action = add(reading.data / "t", "b.parquet", pa.table({"id": [1], "note": ["x"]}))
    action["add"]["path"] = "../other/a.parquet"
    write_log(reading.data / "t", 0, [protocol("timestampNtz"), metadata(IDS), action])
    assert "outside its directory" in reading.failure("SELECT id FROM t").message


def test_a_table_that_was_moved_is_read_where_it_is(reading: Reading) -> None:
    _write(reading, {"id": [1]})
    shutil.move(reading.data / "t", reading.data / "moved")
    assert reading.rows("SELECT id FROM moved") == [(1,)]


def test_an_empty_table_has_its_columns(reading: Reading) -> None:
    write_log(reading.data / "t", 0, [protocol("timestampNtz"), metadata(IDS)])
    assert reading.rows("SELECT id, note FROM t") == []


def test_without_the_extra_the_table_is_refused_by_name(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(reading, {"id": [1]})
    hide_package(monkeypatch, "deltalake")
    message = reading.failure("SELECT id FROM t").message
    assert "it is a Delta table" in message
    assert "pip install 'deltalake" in message


def test_a_delta_table_below_a_directory_of_files_is_refused(reading: Reading) -> None:
    deltalake.write_deltalake(reading.data / "all" / "t", pa.table({"id": [1]}))
    assert "is a table of its own" in reading.failure('SELECT id FROM "all"').message


@pytest.mark.parametrize(
    "condition", ["g = 2", "g IN (2, 9)", "g > 1", "s = 'a b'", "day = DATE '2024-01-03'", "b"]
)
def test_a_condition_on_a_partition_passes_over_the_other_files(
    reading: Reading, condition: str
) -> None:
    columns = {
        "id": [1, 2, 3],
        "g": [0, 1, 2],
        "s": ["x", "y", "a b"],
        "day": [date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 3)],
        "b": [False, False, True],
    }
    _write(reading, columns, partition_by=["g", "s", "day", "b"])
    sql = f"SELECT id FROM t WHERE {condition}"
    assert reading.rows(sql) == [(3,)]
    planned = reading.session.plan(sql, RowFilter(marks_deleted=False))
    plan = planned.connection.execute(f"EXPLAIN {planned.relation}").fetchall()
    assert "Scanning Files: 1/3" in plan[0][1]


def _log_of_four(reading: Reading) -> Path:
    """The log of a table with four commits and a checkpoint of the second."""
    for number in range(4):
        _write(reading, {"id": [number]}, mode="append")
        if number == 1:
            deltalake.DeltaTable(reading.data / "t").create_checkpoint()
    return reading.data / "t" / "_delta_log"


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _without_first_commits(log: Path) -> Path:
    """As after a clean-up: what the checkpoint has is nowhere else."""
    for version in range(2):
        (log / f"{version:020}.json").unlink()
    return log / f"{1:020}.checkpoint.parquet"


_DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a line cut short": (lambda log: _cut(log / f"{3:020}.json"), f"{3:020}.json' line"),
    "a missing version": (lambda log: (log / f"{2:020}.json").unlink(), f"{2:020}.json' is not"),
    "a line that is no action": (
        lambda log: (log / f"{3:020}.json").write_bytes(b"[1]\n"),
        f"{3:020}.json' line 1 is no action",
    ),
    "an empty commit": (lambda log: (log / f"{2:020}.json").write_bytes(b""), "json' is empty"),
    "an empty last commit": (
        lambda log: (log / f"{3:020}.json").write_bytes(b""),
        f"{3:020}.json' is empty",
    ),
    "a checkpoint cut short": (
        lambda log: _cut(_without_first_commits(log)),
        f"{1:020}.checkpoint.parquet' is damaged",
    ),
    "a missing checkpoint": (
        lambda log: _without_first_commits(log).unlink(),
        "the checkpoint of version 1",
    ),
}


@pytest.mark.parametrize("damage", _DAMAGES)
def test_a_fault_in_the_log_names_its_file_and_what_to_do(reading: Reading, damage: str) -> None:
    break_log, words = _DAMAGES[damage]
    break_log(_log_of_four(reading))
    failure = reading.failure("SELECT count(*) FROM t")
    assert failure.code is FailureCode.DATA_INVALID
    assert failure.message.startswith("Table 't' cannot be read: ")
    assert words in failure.message
    assert failure.message.endswith("; restore it, or write the table anew")
    assert str(reading.data) not in failure.message


def test_a_commit_before_the_checkpoint_may_be_anything(reading: Reading) -> None:
    log = _log_of_four(reading)
    (log / f"{0:020}.json").write_bytes(b"")
    assert reading.rows("SELECT count(*) FROM t") == [(4,)]


def test_a_data_file_that_is_missing_or_damaged_is_named(reading: Reading) -> None:
    _write(reading, {"id": [1]})
    (file,) = (reading.data / "t").glob("*.parquet")
    file.write_bytes(b"none")
    message = reading.failure("SELECT count(id) FROM t").message
    assert f"'t/{file.name}' is damaged, or no Parquet file" in message
    file.unlink()
    message = reading.failure("SELECT count(id) FROM t").message
    assert f"its log names 't/{file.name}', and this file is not there; restore it" in message

"""Iceberg directories, judged by `pyiceberg` and pyarrow."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog.memory import InMemoryCatalog
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.schema import Schema
from pyiceberg.table import FileScanTask
from pyiceberg.types import DoubleType, LongType, NestedField, StringType, StructType

from queryrun.errors import FailureCode, RunFailed
from queryrun.tables.iceberg import _deleted, _unread_file
from queryrun.tables.model import Table
from tests.unit.tables.reading import Reading, hide_package

FIRST = pa.table({"id": pa.array([1, 2, 3], pa.int32()), "name": ["a", "b", None]})


@pytest.fixture
def catalog(reading: Reading) -> Iterator[InMemoryCatalog]:
    """A catalog whose tables are in the data directory's `n`, which is no table itself."""
    found = InMemoryCatalog("test", warehouse=f"file://{reading.data}")
    found.create_namespace("n")
    yield found
    found.close()


def _create(reading: Reading, catalog: InMemoryCatalog, schema: Any) -> Any:
    return catalog.create_table("n.t", schema=schema, location=f"file://{reading.data}/t")


def _judged(reading: Reading, table: Any) -> None:
    judged = table.refresh().scan().to_arrow().sort_by("id")
    columns = ", ".join(judged.column_names)
    expected = [tuple(row[c] for c in judged.column_names) for row in judged.to_pylist()]
    assert reading.rows(f"SELECT {columns} FROM t ORDER BY id") == expected


def test_the_current_snapshot_is_read(reading: Reading, catalog: InMemoryCatalog) -> None:
    table = _create(reading, catalog, FIRST.schema)
    table.append(FIRST)
    table.overwrite(FIRST.slice(1))
    table.append(FIRST.slice(0, 1))
    table.delete("id = 2")
    _judged(reading, table)
    assert reading.rows("SELECT count(*) FROM t") == [(2,)]


def test_renamed_added_widened_and_dropped_columns(
    reading: Reading, catalog: InMemoryCatalog
) -> None:
    table = _create(reading, catalog, FIRST.schema)
    table.append(FIRST)
    with table.update_schema() as update:
        update.rename_column("name", "label")
        update.add_column("x", DoubleType())
        update.update_column("id", LongType())
    more = {"id": pa.array([4], pa.int64()), "label": ["d"], "x": [1.5]}
    table.refresh().append(pa.table(more))
    with table.update_schema(allow_incompatible_changes=True) as update:
        update.delete_column("label")
    with table.update_schema() as update:
        update.add_column("label", StringType())
    _judged(reading, table)
    assert reading.rows("SELECT label FROM t WHERE label IS NOT NULL") == []


def test_a_table_that_was_moved_is_read_where_it_is(
    reading: Reading, catalog: InMemoryCatalog
) -> None:
    table = _create(reading, catalog, FIRST.schema)
    table.append(FIRST)
    shutil.move(reading.data / "t", reading.data / "u")
    assert reading.rows("SELECT id FROM u ORDER BY 1") == [(1,), (2,), (3,)]


def test_an_empty_table_has_its_columns(reading: Reading, catalog: InMemoryCatalog) -> None:
    _create(reading, catalog, FIRST.schema)
    assert reading.rows("SELECT id, name FROM t") == []


def test_changes_inside_of_a_column_are_refused(reading: Reading, catalog: InMemoryCatalog) -> None:
    inner = StructType(NestedField(2, "a", LongType()))
    table = _create(reading, catalog, Schema(NestedField(1, "s", inner)))
    table.append(pa.table({"s": pa.array([{"a": 1}], pa.struct([("a", pa.int64())]))}))
    assert reading.rows("SELECT s.a FROM t") == [(1,)]
    with table.update_schema() as update:
        update.rename_column(("s", "a"), "b")
    failure = reading.failure("SELECT count(*) FROM t")
    assert "the fields inside of 's' were changed" in failure.message


def test_two_newest_metadata_files_are_refused(reading: Reading, catalog: InMemoryCatalog) -> None:
    _create(reading, catalog, FIRST.schema)
    (found,) = (reading.data / "t" / "metadata").glob("*.metadata.json")
    version, _, unique = found.name.removesuffix(".metadata.json").partition("-")
    other = "0" if unique[-1] != "0" else "1"
    shutil.copy(found, found.with_name(f"{version}-{unique[:-1]}{other}.metadata.json"))
    failure = reading.failure("SELECT count(*) FROM t")
    assert failure.code is FailureCode.DATA_INVALID
    assert "two newest metadata files" in failure.message
    (found.parent / "version-hint.text").write_text(found.name)
    assert reading.rows("SELECT count(*) FROM t") == [(0,)]


def test_files_without_field_ids_are_refused(reading: Reading, catalog: InMemoryCatalog) -> None:
    table = _create(reading, catalog, FIRST.schema)
    table.append(FIRST)
    (file,) = (reading.data / "t" / "data").glob("*.parquet")
    pq.write_table(FIRST, file)
    assert "has no field ids" in reading.failure("SELECT name FROM t").message


def _delete_file(path: Path, content: DataFileContent, kind: FileFormat) -> DataFile:
    return DataFile.from_args(
        content=content, file_path=f"file://{path}", file_format=kind, record_count=2
    )


def test_position_deletes_are_applied_to_their_file(tmp_path: Path) -> None:
    root = tmp_path / "t"
    root.mkdir()
    own, other = f"file://{root}/a.parquet", f"file://{root}/b.parquet"
    path = root / "deletes.parquet"
    pq.write_table(pa.table({"file_path": [own, other, own], "pos": [7, 1, 2]}), path)
    data = DataFile.from_args(
        content=DataFileContent.DATA, file_path=own, file_format=FileFormat.PARQUET
    )
    deletes = {_delete_file(path, DataFileContent.POSITION_DELETES, FileFormat.PARQUET)}
    table = Table("t", "iceberg", root=str(root))
    assert _deleted(table, FileScanTask(data, delete_files=deletes), f"file://{root}") == [2, 7]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (DataFileContent.EQUALITY_DELETES, FileFormat.PARQUET),
        (DataFileContent.POSITION_DELETES, FileFormat.PUFFIN),
    ],
)
def test_other_deletes_are_refused(
    tmp_path: Path, content: DataFileContent, kind: FileFormat
) -> None:
    data = DataFile.from_args(
        content=DataFileContent.DATA, file_path="file:///x", file_format=FileFormat.PARQUET
    )
    task = FileScanTask(data, delete_files={_delete_file(tmp_path / "d", content, kind)})
    with pytest.raises(RunFailed) as failed:
        _deleted(Table("t", "iceberg", root=str(tmp_path)), task, f"file://{tmp_path}")
    assert "deletes that are not read" in failed.value.failure.message


def test_without_the_extra_the_table_is_refused_by_name(
    reading: Reading, catalog: InMemoryCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    _create(reading, catalog, FIRST.schema)
    hide_package(monkeypatch, "pyiceberg")
    message = reading.failure("SELECT id FROM t").message
    assert "it is an Iceberg table" in message
    assert "pip install 'deltalake" in message


def _damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _newest(reading: Reading, pattern: str) -> Path:
    found: list[Path] = sorted((reading.data / "t").glob(pattern))
    return max(found, key=lambda path: path.name)


@pytest.mark.parametrize("break_file", [_damage, Path.unlink])
@pytest.mark.parametrize(
    ("pattern", "folder"),
    [
        ("metadata/snap-*.avro", "metadata"),
        ("metadata/*-m0.avro", "metadata"),
        ("data/*.parquet", "t/data"),
    ],
)
def test_a_file_of_the_table_that_cannot_be_read_is_named(
    reading: Reading,
    catalog: InMemoryCatalog,
    break_file: Callable[[Path], object],
    pattern: str,
    folder: str,
) -> None:
    _create(reading, catalog, FIRST.schema).append(FIRST)
    path = _newest(reading, pattern)
    break_file(path)
    failure = reading.failure("SELECT count(name) FROM t")
    assert failure.code is FailureCode.DATA_INVALID
    assert f"'{folder}/{path.name}'" in failure.message
    assert str(reading.data) not in failure.message


def test_damaged_metadata_is_named_with_what_to_do(
    reading: Reading, catalog: InMemoryCatalog
) -> None:
    _create(reading, catalog, FIRST.schema)
    path = _newest(reading, "metadata/*.metadata.json")
    good = path.read_bytes()
    for damaged in (good[:-20], b"\x1f\x8b\x08", b'{"location": "file:///t"}'):
        path.write_bytes(damaged)
        message = reading.failure("SELECT count(*) FROM t").message
        assert f"'metadata/{path.name}'" in message
        assert message.endswith("; restore it, or write the table anew")


class _WithEqualityDeletes:
    """What the planner does not plan: a snapshot with such deletes."""

    io = None
    manifest_path = "m0.avro"
    manifest_list = "snap.avro"

    def current_snapshot(self) -> _WithEqualityDeletes:
        return self

    def manifests(self, _: object) -> list[_WithEqualityDeletes]:
        return [self]

    def fetch_manifest_entry(self, _: object) -> list[SimpleNamespace]:
        kind = DataFileContent.EQUALITY_DELETES
        return [SimpleNamespace(data_file=SimpleNamespace(content=kind))]


def test_equality_deletes_are_said_to_be_what_is_not_read() -> None:
    with pytest.raises(RunFailed) as failed:
        _unread_file(Table("t", "iceberg"), cast("Any", _WithEqualityDeletes()))
    assert "deletes that are not read (equality deletes" in failed.value.failure.message

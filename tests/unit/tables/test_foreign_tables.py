"""Delta and Iceberg tables with a past that other programs gave them, judged by these programs.

Each history is a row of operations in an order that a seed chooses; after every one the rows must
be those that the program itself reads, or the table is refused with a sentence.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import deltalake
import pyarrow as pa
import pytest
from pyiceberg.catalog.memory import InMemoryCatalog
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import DateType, DecimalType, IntegerType, LongType, NestedField, StringType

from tests.unit.tables.reading import Reading

KEYS = ["x", "y/ =%", None, "ü", "__HIVE_DEFAULT_PARTITION__", "NULL", "a'b", "  "]
Operation = Callable[[random.Random], None]


def _plain(value: Any) -> Any:
    """A value that compares: no matter in which zone an instant is shown."""
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value


def _judge(reading: Reading, table: pa.Table) -> None:
    columns = ", ".join(f'"{name}"' for name in table.column_names)
    expected = [tuple(_plain(row[c]) for c in table.column_names) for row in table.to_pylist()]
    found = [tuple(map(_plain, row)) for row in reading.rows(f"SELECT {columns} FROM t")]
    assert sorted(found, key=repr) == sorted(expected, key=repr)


def _rows(chance: random.Random, keys: list[str | None]) -> pa.Table:
    """A few rows; ids overlap with those of other calls."""
    first, count = chance.randrange(200), chance.randint(1, 20)
    ids = range(first, first + count)
    begin = datetime(2024, 6, 30, 22, tzinfo=UTC)
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "k": pa.array([chance.choice(keys) for _ in ids], pa.string()),
            "day": pa.array([date(1969, 12, 1) + timedelta(30 * i) for i in ids], pa.date32()),
            "at": pa.array([begin + timedelta(minutes=i) for i in ids], pa.timestamp("us", "UTC")),
            "amount": pa.array([Decimal(i) / 100 for i in ids], pa.decimal128(9, 2)),
        }
    )


class _Delta:
    """A table that `deltalake` writes."""

    def __init__(self, path: str, chance: random.Random) -> None:
        self._path = path
        keys = chance.choice([["k"], ["k", "day"], []])
        deltalake.write_deltalake(path, _rows(chance, KEYS), partition_by=keys)

    @property
    def table(self) -> deltalake.DeltaTable:
        return deltalake.DeltaTable(self._path)

    def _fitting(self, chance: random.Random) -> pa.Table:
        """Rows with the columns that the table has by now."""
        rows = _rows(chance, KEYS)
        if any(found.name == "Added" for found in self.table.schema().fields):
            rows = rows.append_column("Added", pa.array([2.5] * rows.num_rows))
        return rows

    def append(self, chance: random.Random) -> None:
        deltalake.write_deltalake(self._path, self._fitting(chance), mode="append")

    def add_column(self, chance: random.Random) -> None:
        rows = _rows(chance, KEYS)
        rows = rows.append_column("Added", pa.array([1.5] * rows.num_rows))
        deltalake.write_deltalake(self._path, rows, mode="append", schema_mode="merge")

    def merge(self, chance: random.Random) -> None:
        merger = self.table.merge(self._fitting(chance), "t.id = s.id", "s", "t")
        merger.when_matched_update({"amount": "s.amount"}).when_not_matched_insert_all().execute()

    def delete(self, chance: random.Random) -> None:
        self.table.delete(f"id % 7 = {chance.randrange(7)}")

    def update(self, chance: random.Random) -> None:
        self.table.update({"k": "'changed'"}, predicate=f"id < {chance.randrange(100)}")

    def overwrite(self, chance: random.Random) -> None:
        deltalake.write_deltalake(self._path, self._fitting(chance), mode="overwrite")

    def compact(self, _: random.Random) -> None:
        self.table.optimize.compact()

    def checkpoint(self, _: random.Random) -> None:
        self.table.create_checkpoint()

    def restore(self, chance: random.Random) -> None:
        self.table.restore(chance.randint(0, self.table.version()))


@pytest.mark.parametrize("seed", range(4))
def test_a_delta_table_is_read_as_its_writer_reads_it(reading: Reading, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test's own
    delta = _Delta(str(reading.data / "t"), chance)
    operations: list[Operation] = [
        delta.append,
        delta.add_column,
        delta.merge,
        delta.delete,
        delta.update,
        delta.overwrite,
        delta.compact,
        delta.checkpoint,
        delta.restore,
    ]
    for _ in range(8):
        chance.choice(operations)(chance)
        _judge(reading, delta.table.to_pyarrow_table())


@pytest.fixture
def catalog(reading: Reading) -> Iterator[InMemoryCatalog]:
    """Of one table `t` in the data directory."""
    found = InMemoryCatalog("test", warehouse=f"file://{reading.data}")
    found.create_namespace("n")
    yield found
    found.close()


class _Iceberg:
    """A table that `pyiceberg` writes."""

    def __init__(self, reading: Reading, catalog: InMemoryCatalog) -> None:
        schema = Schema(
            NestedField(1, "id", IntegerType()),
            NestedField(2, "k", StringType()),
            NestedField(3, "day", DateType()),
            NestedField(4, "amount", DecimalType(9, 2)),
        )
        spec = PartitionSpec(PartitionField(2, 1000, IdentityTransform(), "k"))
        location = f"file://{reading.data}/t"
        self.table: Any = catalog.create_table("n.t", schema, location, spec)
        self._names = 0

    def _fitting(self, chance: random.Random) -> pa.Table:
        """Rows with the columns that the table has by now: of a new one none has a value."""
        rows = _rows(chance, [key for key in KEYS if key != "__HIVE_DEFAULT_PARTITION__"])
        arrays = []
        for required in self.table.schema().as_arrow():
            by_id = {1: "id", 2: "k", 3: "day", 4: "amount"}
            field_id = int(required.metadata[b"PARQUET:field_id"])
            known = rows[by_id[field_id]] if field_id in by_id else pa.nulls(rows.num_rows)
            arrays.append(known.cast(required.type))
        return pa.Table.from_arrays(arrays, schema=self.table.schema().as_arrow())

    def append(self, chance: random.Random) -> None:
        self.table.append(self._fitting(chance))

    def delete(self, chance: random.Random) -> None:
        name = self.table.schema().find_column_name(1)
        self.table.delete(f"{name} < {chance.randrange(150)}")

    def overwrite(self, chance: random.Random) -> None:
        name = self.table.schema().find_column_name(1)
        self.table.overwrite(self._fitting(chance), f"{name} >= {chance.randrange(250)}")

    def rename(self, chance: random.Random) -> None:
        name = self.table.schema().find_column_name(chance.choice([1, 2, 4]))
        self._names += 1
        with self.table.update_schema() as update:
            update.rename_column(name, f"name{self._names}")

    def widen(self, _: random.Random) -> None:
        schema = self.table.schema()
        with self.table.update_schema() as update:
            update.update_column(schema.find_column_name(1), LongType())
            update.update_column(schema.find_column_name(4), DecimalType(20, 2))

    def add(self, _: random.Random) -> None:
        self._names += 1
        with self.table.update_schema() as update:
            update.add_column(f"name{self._names}", StringType())
            update.move_first(f"name{self._names}")

    def partition(self, _: random.Random) -> None:
        """Partitions evolve: by another column from now on."""
        names = {found.name for found in self.table.spec().fields}
        with self.table.update_spec() as update:
            if "k" in names:
                update.remove_field("k")
            if "by_day" not in names:
                update.add_field("day", IdentityTransform(), "by_day")

    def drop_and_add(self, _: random.Random) -> None:
        """A new column under an old name has none of the old one's values."""
        added = [f.name for f in self.table.schema().fields if f.field_id > 4]
        if not added:
            return
        with self.table.update_schema() as update:
            update.delete_column(added[0])
        with self.table.update_schema() as update:
            update.add_column(added[0], LongType())


@pytest.mark.filterwarnings("ignore:Delete operation did not match")
@pytest.mark.parametrize("seed", range(4))
def test_an_iceberg_table_is_read_as_its_writer_reads_it(
    reading: Reading, catalog: InMemoryCatalog, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test's own
    iceberg = _Iceberg(reading, catalog)
    iceberg.append(chance)
    operations: list[Operation] = [
        iceberg.append,
        iceberg.delete,
        iceberg.overwrite,
        iceberg.rename,
        iceberg.widen,
        iceberg.add,
        iceberg.partition,
        iceberg.drop_and_add,
    ]
    for _ in range(8):
        chance.choice(operations)(chance)
        _judge(reading, iceberg.table.refresh().scan().to_arrow())

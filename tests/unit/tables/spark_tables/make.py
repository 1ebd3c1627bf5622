"""Writes the tables beside this file with Spark's own writers, and what Spark reads of each.

    PYTHONPATH=.cache/spark python tests/unit/tables/spark_tables/make.py JARS DIRECTORY

`JARS` is a directory with the jars of delta-spark and delta-storage for this Spark; py4j is in
`.cache/spark/pyspark/python/lib`. Each table becomes `DIRECTORY/<name>`, and its rows
`DIRECTORY/<name>.json`: lists of texts, as `CAST(… AS string)` says them, sorted. The tests
need no Spark.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

WAREHOUSE = Path("/tmp/lake")  # noqa: S108 - it becomes a part of the tables' metadata
DELTA = (
    "TBLPROPERTIES ('delta.enableDeletionVectors' = 'true', 'delta.columnMapping.mode' = 'name')"
)

TABLES: dict[str, list[str]] = {
    "delta_plain": [
        "CREATE TABLE {t} (id BIGINT, note STRING, at TIMESTAMP) USING delta",
        "INSERT INTO {t} VALUES (1, 'a', TIMESTAMP '1883-11-18 12:00:00'), (2, NULL, NULL)",
        "INSERT INTO {t} VALUES (3, 'c', TIMESTAMP '2024-06-30 23:30:00.123456')",
        "UPDATE {t} SET note = 'b' WHERE id = 2",
        "DELETE FROM {t} WHERE id = 1",
    ],
    "delta_vectors": [
        f"CREATE TABLE {{t}} (id BIGINT, note STRING) USING delta {DELTA}",
        "INSERT INTO {t} SELECT /*+ COALESCE(1) */ id, concat('n', id) FROM range(0, 50, 1, 1)",
        "DELETE FROM {t} WHERE id % 7 = 3",
        "UPDATE {t} SET note = 'new' WHERE id IN (8, 9)",
        "DELETE FROM {t} WHERE id BETWEEN 20 AND 30",
    ],
    "delta_renamed": [
        f"CREATE TABLE {{t}} (id BIGINT, old STRING, gone INT, p DATE) USING delta "
        f"PARTITIONED BY (p) {DELTA}",
        "INSERT INTO {t} VALUES (1, 'a', 7, DATE '2024-01-02'), (2, 'b', 8, NULL)",
        "ALTER TABLE {t} RENAME COLUMN old TO name",
        "ALTER TABLE {t} DROP COLUMN gone",
        "ALTER TABLE {t} ADD COLUMN gone STRING",
        "ALTER TABLE {t} RENAME COLUMN p TO day",
        "INSERT INTO {t} (id, name, day, gone) VALUES (3, 'c', DATE '1581-01-01', 'x')",
    ],
    "delta_partitions": [
        "CREATE TABLE {t} (id BIGINT, p STRING, q DECIMAL(6,2)) USING delta PARTITIONED BY (p, q)",
        "INSERT INTO {t} VALUES (1, 'a b', 1.50), (2, 'a/b=c', -2), (3, '%2F', NULL), "
        "(4, NULL, 0), (5, 'ü', 3), (6, '01', 4), (7, '__HIVE_DEFAULT_PARTITION', 5)",
    ],
    "delta_checkpoint": [
        "CREATE TABLE {t} (id BIGINT) USING delta TBLPROPERTIES ("
        "'delta.checkpointInterval' = '2', 'delta.checkpointPolicy' = 'v2')",
        *[f"INSERT INTO {{t}} VALUES ({number})" for number in range(5)],
        "DELETE FROM {t} WHERE id = 2",
    ],
}


def session(jars: Path) -> Any:
    """A Spark of one thread and little memory, with Delta's writer."""
    from pyspark.sql import SparkSession

    paths = ",".join(str(path) for path in sorted(jars.glob("*.jar")))
    builder: Any = SparkSession.builder
    settings = {
        "spark.jars": paths,
        "spark.driver.memory": "1g",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "1",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.sql.session.timeZone": "UTC",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.warehouse.dir": str(WAREHOUSE),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    }
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.master("local[1]").getOrCreate()


def make(spark: Any, name: str, statements: list[str], target: Path) -> None:
    """Write one table, and its rows as Spark reads them."""
    table = f"default.{name}"
    for statement in statements:
        spark.sql(statement.format(t=table))
    columns = spark.table(table).columns
    texts = [f"CAST(`{column}` AS STRING)" for column in columns]
    rows = [list(row) for row in spark.table(table).selectExpr(*texts).collect()]
    rows.sort(key=lambda row: [text or "" for text in row])
    shutil.copytree(
        WAREHOUSE / name, target / name, ignore=shutil.ignore_patterns(".*.crc", "*.crc")
    )
    known = {"columns": columns, "rows": rows}
    (target / f"{name}.json").write_text(json.dumps(known, ensure_ascii=False) + "\n")


def main() -> None:
    """All tables; what a writer refuses is printed and left out."""
    jars, target = Path(sys.argv[1]), Path(sys.argv[2])
    shutil.rmtree(WAREHOUSE, ignore_errors=True)
    spark = session(jars)
    for name, statements in TABLES.items():
        try:
            make(spark, name, statements, target)
        except Exception as error:
            print(f"{name}: {str(error)[:300]}")
    spark.stop()


if __name__ == "__main__":
    main()

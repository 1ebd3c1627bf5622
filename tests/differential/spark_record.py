"""The recorded outcome of the suite on a real Spark: verdicts and digests of translations.

The translation is pure: while its text is the same, so is the result of the same Spark.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from queryrun.errors import RunFailed
from queryrun.sql.spark.translate import SparkTables, table_column, to_spark
from tests.differential.outcome import Outcome
from tests.differential.suite import HERE, Case

RECORD = HERE / "spark_record.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """`digest`: of Spark's SQL, or of the words in which the statement was refused."""

    verdict: str
    digest: str


@dataclass(frozen=True, slots=True)
class Record:
    """Entries by a digest of their statement, and the tables of each schema."""

    entries: Mapping[str, Entry]
    tables: Mapping[str, SparkTables]

    def of(self, case: Case) -> Entry | None:
        """The verdict on the statement; None when no Spark has run it yet."""
        return self.entries.get(key_of(case))

    def digest(self, case: Case) -> str:
        """Of the translation as it is now."""
        return digest(case, self.tables[case.schema])


def read_record() -> Record:
    """What is written down."""
    written = json.loads(RECORD.read_text("utf-8"))
    return Record(
        {key: Entry(*entry) for key, entry in written["statements"].items()},
        {schema: _tables(tables) for schema, tables in written["tables"].items()},
    )


def write_record(
    suite: Sequence[Case], outcomes: Mapping[str, Outcome], tables: Mapping[str, SparkTables]
) -> None:
    """Write down these statements' outcomes; what is known of others stays."""
    known = dict(read_record().entries) if RECORD.exists() else {}
    for case in suite:
        known[key_of(case)] = Entry(outcomes[case.id].verdict, digest(case, tables[case.schema]))
    lines = ",\n".join(
        f"{json.dumps(key)}: {json.dumps([e.verdict, e.digest])}"
        for key, e in sorted(known.items())
    )
    columns = json.dumps({schema: _types(of) for schema, of in tables.items()})
    text = f'{{"tables": {columns},\n"statements": {{\n{lines}\n}}}}\n'
    RECORD.write_text(text, encoding="utf-8")


def key_of(case: Case) -> str:
    """A statement's name in the record."""
    return _hash(f"{case.schema} {case.sql}")


def digest(case: Case, tables: SparkTables) -> str:
    """Of the translation over tables called by their own names."""
    try:
        return _hash(to_spark(case.sql, lambda _: SparkTables(tables.columns)).sql)
    except RunFailed as failed:
        return _hash(failed.failure.message)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _types(tables: SparkTables) -> dict[str, dict[str, str]]:
    return {
        table: {column.name: column.engine_type for column in columns}
        for table, columns in tables.columns.items()
    }


def _tables(written: dict[str, dict[str, Any]]) -> SparkTables:
    return SparkTables(
        {
            table: [table_column(column, kind) for column, kind in columns.items()]
            for table, columns in written.items()
        }
    )

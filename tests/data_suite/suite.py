"""Writes generated columns in every format, asks in several shapes, and compares every cell."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import math
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from queryrun.engines.base import EngineLimits
from queryrun.engines.duckdb.session import DuckDBSession, open_session
from queryrun.errors import FailureCode, RunFailed
from queryrun.tables.text import read
from tests.data_suite.generate import column, padded
from tests.data_suite.oracle import JSON_NUMBER, Raw, typed, typed_json

FAR_ROWS = 21_000
"""Behind so many rows no sampled value is."""
MAX_COUNTED_ROWS = 100
"""Of one statement: copies of the same values are compared and not counted."""
FORMATS = ("csv", "tsv", "csv.gz", "csv.bz2", "csv.zst", "json", "jsonl", "parquet")
PACK: dict[str, Callable[[bytes], bytes]] = {
    "csv.gz": gzip.compress,
    "csv.bz2": bz2.compress,
    "csv.zst": zstandard.compress,
}

Values = list[Any]


@dataclass(slots=True)
class Outcome:
    """What was compared. `differences` are silent wrong answers: there must be none."""

    cells: int = 0
    statements: int = 0
    refused: int = 0
    differences: list[str] = field(default_factory=list)


class Suite:
    """Compares until enough cells are. All that it writes is below `directory`."""

    def __init__(self, directory: Path, seed: int) -> None:
        self._root = directory
        self._random = random.Random(seed)  # noqa: S311 - a test's own
        self._data = directory / "data"
        self._session: DuckDBSession | None = None
        self.outcome = Outcome()

    def run(self, cells: int) -> Outcome:
        """Generate tables until `cells` cells have been compared."""
        for name in ("data", "copies"):
            (self._root / name).mkdir(parents=True)
        number = 0
        while self.outcome.cells < cells:
            number += 1
            self._table(number, is_far=number % 40 == 0)
        self._close()
        return self.outcome

    def _table(self, number: int, *, is_far: bool) -> None:
        r = self._random
        read.SOME_COLUMNS_BYTES = 1 if is_far else 2**40
        rows = r.randrange(1, 40)
        columns = [column(r, rows) for _ in range(r.randrange(1, 5))]
        if is_far:
            columns = [padded(r, values, FAR_ROWS) for values in columns]
        names = [f"c{index}" for index in range(len(columns))]
        for kind in FORMATS if not is_far else ("csv", "jsonl"):
            path = self._data / f"t.{kind}"
            expected = self._write(path, kind, names, columns)
            if expected is not None:
                self._query(f"{number} {kind}", dict(zip(names, expected, strict=True)), is_far)
            path.unlink(missing_ok=True)

    # --- files ------------------------------------------------------------------------------

    def _write(
        self, path: Path, kind: str, names: list[str], columns: list[list[str]]
    ) -> list[Values] | None:
        """Write the table, and say what its columns are; None when the format cannot have it."""
        if kind == "parquet":
            return self._write_parquet(path, names, [typed(values) for values in columns])
        if kind.startswith("json"):
            return self._write_json(path, kind, names, columns)
        text = io.StringIO(newline="")
        is_quoted = self._random.random() < 0.5
        writer = csv.writer(
            text,
            delimiter="\t" if kind == "tsv" else ",",
            lineterminator=self._random.choice(["\n", "\r\n"]),
            quoting=csv.QUOTE_ALL if is_quoted else csv.QUOTE_MINIMAL,
        )
        writer.writerows([names, *zip(*columns, strict=True)])
        data = text.getvalue().encode()
        pack = PACK.get(kind)
        path.write_bytes(pack(data) if pack else data)
        read = self._read_csv(data.decode(), "\t" if kind == "tsv" else ",", len(names))
        is_quoted = is_quoted or len(names) == 1
        return [[None if v == "" and not is_quoted else v for v in values] for values in read]

    @staticmethod
    def _read_csv(text: str, delimiter: str, count: int) -> list[Values]:
        """Python's reader."""
        rows = [
            row if row else [""]
            for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        ][1:]
        return [typed([row[index] for row in rows]) for index in range(count)]

    def _write_json(
        self, path: Path, kind: str, names: list[str], columns: list[list[str]]
    ) -> list[Values] | None:
        """Numbers as they are spelled where JSON can spell them; everything else as texts."""
        cells = [[_json_value(value) for value in values] for values in columns]
        expected = [typed_json(values) for values in cells]
        if any(values is None for values in expected):
            return None
        lines = [
            "{"
            + ", ".join(f'"{n}": {_json_text(v)}' for n, v in zip(names, row, strict=True))
            + "}"
            for row in zip(*cells, strict=True)
        ]
        text = "[" + ",\n".join(lines) + "]" if kind == "json" else "\n".join(lines) + "\n"
        path.write_text(text)
        return [values for values in expected if values is not None]

    @staticmethod
    def _write_parquet(path: Path, names: list[str], columns: list[Values]) -> list[Values] | None:
        arrays = [_array(values) for values in columns]
        pq.write_table(pa.table(dict(zip(names, arrays, strict=True))), path)
        return columns

    # --- statements -------------------------------------------------------------------------

    def _query(self, where: str, table: dict[str, Values], is_far: bool) -> None:
        names = list(table)
        self._compare(where, f"SELECT {', '.join(names)} FROM t", zip(*table.values(), strict=True))
        for name in names[:2] if is_far else names:
            values = table[name]
            given = [value for value in values if value is not None]
            self._compare(where, f"SELECT {name} FROM t", ((value,) for value in values))
            self._compare(where, f"SELECT count(*) AS n, count({name}) AS c FROM t",
                          [(len(values), len(given))])  # fmt: skip
            groups = [(value, count) for value, count in Counter(values).items()]
            self._compare(where, f"SELECT {name}, count(*) AS n FROM t GROUP BY {name}", groups)
            if given:
                least, greatest = min(given), max(given)
                self._compare(where, f"SELECT min({name}) AS a, max({name}) AS b FROM t",
                              [(least, greatest)])  # fmt: skip
            self._as_text(where, name, values)
            self._sum(where, name, given)

    def _as_text(self, where: str, name: str, values: Values) -> None:
        """For the types whose text is the same in Python and Trino."""
        if any(isinstance(value, float | datetime | Decimal) for value in values):
            return
        texts = [_text(value) for value in values]
        sql = f"SELECT CAST({name} AS varchar) AS v, {name} IS NULL AS n FROM t"
        self._compare(where, sql, [(text, text is None) for text in texts])
        groups = [(text, count) for text, count in Counter(texts).items()]
        self._compare(
            where, f"SELECT CAST({name} AS varchar) AS v, count(*) AS n FROM t GROUP BY 1", groups
        )

    def _sum(self, where: str, name: str, given: Values) -> None:
        if not given or isinstance(given[0], bool):
            return
        if isinstance(given[0], int) and abs(sum(given)) < 2**63:
            self._compare(where, f"SELECT sum({name}) AS s FROM t", [(sum(given),)])
        elif isinstance(given[0], float):
            self._compare(where, f"SELECT sum({name}) AS s FROM t", [(math.fsum(given),)])

    def _compare(self, where: str, sql: str, expected: Iterable[Sequence[Any]]) -> None:
        self.outcome.statements += 1
        try:
            rows = self._rows(sql)
        except RunFailed as failed:
            if failed.failure.code is FailureCode.INTERNAL_ERROR:
                self.outcome.differences.append(f"{where}: {sql}: {failed.failure.message}")
            self.outcome.refused += 1
            return
        want = sorted((tuple(map(_plain, row)) for row in expected), key=repr)
        got = sorted((tuple(map(_plain, row)) for row in rows), key=repr)
        self.outcome.cells += sum(len(row) for row in want[:MAX_COUNTED_ROWS])
        if not _same(want, got):
            differing = [
                pair for pair in zip(want, got, strict=False) if not _same(*[[p] for p in pair])
            ]
            self.outcome.differences.append(
                f"{where}: {sql}: {len(want)} and {len(got)} rows: {differing[:2]}"
            )

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        session = self._open()
        try:
            planned = session.plan(sql)
            return planned.connection.execute(planned.relation).fetchall()
        except duckdb.Error as error:
            raise session.failure_of(error) from error
        finally:
            if not session.renew():
                self._close()

    def _open(self) -> DuckDBSession:
        if self._session is None:
            spill = self._root / "spill"
            shutil.rmtree(spill, ignore_errors=True)
            spill.mkdir()
            options = {
                "data_dir": str(self._data),
                "dialect": "trino",
                "copies_dir": str(self._root / "copies"),
            }
            self._session = open_session(options, EngineLimits(10**9, 2, str(spill), 10**9))
        return self._session

    def _close(self) -> None:
        if self._session:
            self._session.close()
            self._session = None


def _json_value(text: str) -> Any:
    if text == "":
        return None
    if text in {"true", "false"}:
        return text == "true"
    return Raw(text) if JSON_NUMBER.fullmatch(text) else text


def _json_text(value: Any) -> str:
    return value.text if isinstance(value, Raw) else json.dumps(value)


def _array(values: Values) -> pa.Array:
    """Texts and typed values as the types that pandas and Spark write."""
    given = [value for value in values if value is not None]
    if given and isinstance(given[0], Decimal):
        scale = max(-int(value.as_tuple().exponent) for value in given)
        return pa.array(values, pa.decimal128(38, scale))
    return pa.array(values) if given else pa.array(values, pa.string())


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return value.isoformat()
    return None if value is None else str(value)


def _plain(value: Any) -> Any:
    """Values that are equal, as one: instants in UTC, decimals without zeros at the end."""
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC)
    if isinstance(value, Decimal):
        return value.normalize() if value else Decimal(0)
    if isinstance(value, float) and value == 0:
        return 0.0
    return value


def _same(want: list[tuple[Any, ...]], got: list[tuple[Any, ...]]) -> bool:
    if len(want) != len(got):
        return False
    return all(
        type(a) is type(b)
        and (a == b or (isinstance(a, float) and math.isclose(a, b, rel_tol=1e-12)))
        for x, y in zip(want, got, strict=True)
        for a, b in zip(x, y, strict=True)
    )


def main_lines(outcome: Outcome) -> Iterator[str]:
    """A report."""
    yield f"cells compared     {outcome.cells:>10,}"
    yield f"statements         {outcome.statements:>10,}"
    yield f"refused            {outcome.refused:>10,}"
    yield f"silent differences {len(outcome.differences):>10,}"
    yield from outcome.differences[:20]

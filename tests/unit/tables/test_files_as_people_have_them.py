"""Files of kinds that readers get wrong: the right rows, or a sentence that says why."""

from __future__ import annotations

import base64
import bz2
import gzip
import os
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as encryption
import pytest

from queryrun.engines.duckdb.catalog import open_catalog
from queryrun.engines.source_spec import SourceSpec
from queryrun.errors import FailureCode, RunFailed
from queryrun.services.catalog.client import data_version
from tests.unit.tables.reading import Reading

Files = dict[str, Any]
"""By name: a text, bytes, or what a Parquet file has."""

WIDE = pa.array([Decimal("1" * 45)], pa.decimal256(50, 0))
NOT_UTF8 = pa.Array.from_buffers(
    pa.string(), 1, [None, pa.py_buffer(bytes([0, 0, 0, 0, 1, 0, 0, 0])), pa.py_buffer(b"\xff")]
)
NS, US = pa.timestamp("ns"), pa.timestamp("us")


class _PlainKeys(encryption.KmsClient):  # type: ignore[misc]  # the library has no types
    """Keys that are kept as they are."""

    def wrap_key(self, key_bytes: bytes, _: str) -> bytes:
        return base64.b64encode(key_bytes)


def _write_encrypted(path: Path, *, plaintext_footer: bool) -> None:
    """The column `a` cannot be read without its key; with an encrypted footer nothing can."""
    factory = encryption.CryptoFactory(lambda _: _PlainKeys())
    keys = encryption.EncryptionConfiguration(
        footer_key="f", column_keys={"c": ["a"]}, plaintext_footer=plaintext_footer
    )
    properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), keys)
    rows = pa.table({"a": [1], "b": [2]})
    with pq.ParquetWriter(path, rows.schema, encryption_properties=properties) as writer:
        writer.write_table(rows)


def put(reading: Reading, files: Files) -> None:
    """Write the files into the data directory."""
    for name, content in files.items():
        path = reading.data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            pq.write_table(pa.table(content), path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())


def zstd(text: str) -> bytes:
    """One frame."""
    return bytes(pa.compress(text.encode(), codec="zstd", asbytes=True))


TWO = {"t/1.parquet": {"a": [1]}, "t/2.parquet": {"a": [1.5]}}


@pytest.mark.parametrize(
    ("files", "sql", "rows"),
    [
        ({"t.csv.zst": zstd("a\n1\n")}, "SELECT a FROM t", [(1,)]),
        ({"t.csv.zst": zstd("a\n1\n") + zstd("2\n")}, "SELECT a FROM t", [(1,), (2,)]),
        ({"t.jsonl.zst": zstd('{"a":1}\n')}, "SELECT a FROM t", [(1,)]),
        ({"t.csv": "sep=;\na;b\n1;2,5\n"}, "SELECT a, b FROM t", [(1, "2,5")]),
        ({"a[1].csv": "v\n1\n", "a1.csv": "v\n2\n"}, 'SELECT v FROM "a[1]"', [(1,)]),
        ({"a.csv.parquet": {"v": [1]}}, 'SELECT v FROM "a.csv"', [(1,)]),
        ({"at 10:00?.csv": "v\n1\n"}, 'SELECT v FROM "at 10:00?"', [(1,)]),
        ({"t.parquet/part-0.parquet": {"a": [1]}}, "SELECT a FROM t", [(1,)]),
        ({"t.parquet": {"a": pa.array([2**63 - 1, 1 - 2**63, 2**63 - 500, -501, None], NS)}},
         "SELECT to_unixtime(a) * 1e6 FROM t",
         [(9223372036854776.0,), (-9223372036854776.0,), (9223372036854775.0,), (-1.0,), (None,)]),
        ({"t.parquet": {"a": pa.array([[2**63 - 1]], pa.list_(pa.timestamp("ns", "UTC")))}},
         "SELECT year(a[1]) FROM t", [(2262,)]),
        ({"t/1.json": "[]", "t/2.json": '{"a":1}'}, "SELECT a FROM t", [(1,)]),
        ({"t.jsonl": '{"":1,"b":2}\n'}, "SELECT b, column0 FROM t", [(2, 1)]),
        (TWO, "SELECT sum(a) FROM t", [(2.5,)]),
        (
            {"t/1.parquet": {"a": pa.array([1001], NS)},
             "t/2.parquet": {"a": pa.array([datetime(2300, 1, 1)], US)}},
            "SELECT a FROM t ORDER BY a",
            [(datetime(1970, 1, 1, 0, 0, 0, 1),), (datetime(2300, 1, 1),)],
        ),
        (
            {"t/1.parquet": {"a": pa.array([Decimal("1.5")], pa.decimal128(10, 1))},
             "t/2.parquet": {"a": pa.array([Decimal("1.2345")], pa.decimal128(10, 4))}},
            "SELECT a FROM t ORDER BY a",
            [(Decimal("1.2345"),), (Decimal("1.5"),)],
        ),
        (
            {"t/y=1/1.parquet": {"a": [date(2024, 1, 2)], "z": [1]},
             "t/y=2/2.parquet": {"A": [datetime(2024, 1, 2, 3)]},
             "t/y=3/3.parquet": {"a": pa.nulls(1)}},
            "SELECT y, a, z FROM t ORDER BY y",
            [(1, datetime(2024, 1, 2), 1), (2, datetime(2024, 1, 2, 3), None), (3, None, None)],
        ),
        (
            {"t/1.parquet": {"s": [{"x": 1}]}, "t/2.parquet": {"s": [{"x": 2, "y": "q"}]}},
            "SELECT s.x, s.y FROM t ORDER BY 1",
            [(1, None), (2, "q")],
        ),
        (
            {"t/1.parquet": {"k": [1], "a": [1]}, "t/2.parquet": {"k": [2], "a": ["x"]}},
            "SELECT k FROM t ORDER BY k",
            [(1,), (2,)],
        ),
        (
            {"t/1.parquet": {"k": [1], "a": [1]}, "t/2.parquet": {"k": [2], "a": WIDE}},
            "SELECT k FROM t ORDER BY k",
            [(1,), (2,)],
        ),
        ({"t.csv.bz2": bz2.compress(b"a\n1\n") + bz2.compress(b"2\n")}, "SELECT a FROM t",
         [(1,), (2,)]),
        ({"t/1.csv": "\ufeff", "t/2.csv": "\n\n", "t/3.csv.gz": gzip.compress(b"", mtime=0),
          "t/4.csv": "a\n1\n"}, "SELECT * FROM t", [(1,)]),
        ({"t.json": '{"a":' + "[" * 600 + "]" * 600 + "}"}, "SELECT json_array_length(a) FROM t",
         [(1,)]),
        ({"t/k=01/1.csv": "k,a\n1,1\n", "t/k=2/2.csv": "k,a\n2,3\n"},
         "SELECT k, a FROM t ORDER BY k", [(1, 1), (2, 3)]),
        ({"t/d=2024-01-31/1.parquet": {"d": [datetime(2024, 1, 31, 7)]}}, "SELECT d FROM t",
         [(datetime(2024, 1, 31, 7),)]),
        ({"t/k=%FF/1.csv": "a\n1\n", "t/k=%FE/1.csv": "a\n2\n"}, "SELECT k FROM t ORDER BY k",
         [("%FE",), ("%FF",)]),
        ({"t/k=%5F_HIVE_DEFAULT_PARTITION__/1.csv": "a\n1\n", "t/k=x/1.csv": "a\n2\n"},
         "SELECT k FROM t ORDER BY a", [("__HIVE_DEFAULT_PARTITION__",), ("x",)]),
        ({"t.csv": "\ufeff\ufeffa\n1\n"}, "SELECT a FROM t", [(1,)]),
        ({"t.csv": "\ufeff\ufeffa\n1\n".encode("utf-16-le")}, "SELECT a FROM t", [(1,)]),
        ({"t.json": '\ufeff\ufeff{"a":1}'}, "SELECT a FROM t", [(1,)]),
        ({"tables.toml": '\ufeff[tables.t]\nnulls = ["-"]\n', "t.csv": "a,b\n1,-\n"},
         "SELECT b FROM t", [(None,)]),
        ({"tables.toml": '[tables.t]\nencoding = "utf-16"\n', "t.csv": "a\nЖ\n".encode("utf-16")},
         "SELECT a FROM t", [("Ж",)]),
        ({"tables.toml": '[tables.t]\nfiles = "in/**/*.csv"\n', "in/y=2024/a.csv": "a\n1\n"},
         "SELECT y, a FROM t", [(2024, 1)]),
        ({"tables.toml": '[tables.t]\nfiles = "a[1].csv"\n', "a[1].csv": "a\n1\n"},
         "SELECT a FROM t", [(1,)]),
        ({"tables.toml": '[tables.t]\ndeleted = "x"\n', "t.csv": "a,x\n1,true\n2,\n"},
         "SELECT a FROM t", [(2,)]),
    ],
)  # fmt: skip
def test_the_rows_are_those_of_the_files(
    reading: Reading, files: Files, sql: str, rows: list[tuple[Any, ...]]
) -> None:
    put(reading, files)
    assert reading.rows(sql) == rows


CSV = "a,b\n1,2\n"
LATE = "a\n" + "1\n" * 2_000 + "NULL\n"
DEEP = '{"a":' + "[" * 5_000 + "]" * 5_000 + "}\n"


@pytest.mark.parametrize(
    ("files", "sql", "words"),
    [
        ({"t.csv": LATE}, "SELECT sum(a) FROM t", "'t.csv' line 2002 has 'NULL' among numbers"),
        ({"t.jsonl": DEEP}, "SELECT a FROM t", "line 1 has a value that is nested too deeply"),
        ({"t.json": "[]"}, "SELECT 1 FROM t", "it has no records"),
        ({"t.parquet": b""}, "SELECT 1 FROM t", "'t.parquet' is empty (0 bytes); write it again"),
        ({"t.parquet": {}}, "SELECT 1 FROM t", "'t.parquet' has no columns"),
        ({"t/x.parquet": {"a": [1]}, "t.parquet/x.parquet": {"a": [1]}}, "SELECT a FROM t",
         "'t' and 't.parquet' have the same name"),
        ({"tables.toml": "[tables.t.columns]\na = 'timestamp with time zone'\n",
          "t.csv": "a\nx\n"}, "SELECT a FROM t", "is no timestamp(6) with time zone"),
        ({"t.json": "[{}]"}, "SELECT 1 FROM t", "has records without keys"),
        ({"t.jsonl": b'{"a":1}\n{"a":"\xe9"}\n'}, "SELECT a FROM t",
         "'t.jsonl' line 2 is not UTF-8"),
        ({"t.jsonl": b'{"a":1}\n{"\xe9":1}\n'}, "SELECT a FROM t", "line 2 is not UTF-8"),
        ({"t.json": b'[{"a":1},\n{"a":{"b":["\\n\xc3"]}}]'}, "SELECT 1 FROM t",
         "line 2 is not UTF-8"),
        ({"t.json": b'{"a":1}\xc3'}, "SELECT a FROM t", "'t.json' line 1 is not UTF-8"),
        ({f"t/{n}.jsonl": b'{"a":"\xe9"}\n' for n in range(3)}, "SELECT a FROM t",
         "'t/0.jsonl' line 1 is not UTF-8"),
        ({"t.csv.zst": zstd("a\n" + "1\n" * 9_000)[:-9]}, "SELECT a FROM t", "is damaged"),
        ({"t.csv.gz": gzip.compress(b"a\n1\n", mtime=0)[:-4]}, "SELECT a FROM t", "is damaged"),
        ({"t.csv.bz2": bz2.compress(b"a\n1\n") + b"BZh?"}, "SELECT a FROM t", "is damaged"),
        ({"t.csv.bz2": bz2.compress(b"a\n1\n")[:-4]}, "SELECT a FROM t", "is damaged"),
        ({"t/k=9/1.csv": "k,a\n1,2\n"}, "SELECT k FROM t", "a file and its path have different"),
        ({"t/k=x/1.parquet": {"k": ["y"], "a": [1]}}, "SELECT k FROM t", "correct the directory"),
        ({"t.parquet": {"a": pa.array([2**62], pa.timestamp("ms"))}}, "SELECT a FROM t",
         "'t.parquet' has a timestamp out of range"),
        ({"t.parquet": {"a": pa.array([2**40], pa.time64("us"))}}, "SELECT a FROM t",
         "'t.parquet' has a time of more than a day"),
        ({"t.parquet": {"a": NOT_UTF8}}, "SELECT a FROM t", "'t.parquet' has a text that is not"),
        ({"t.csv.lz4": "x"}, "SELECT a FROM t", "lz4 is not read; compress it with"),
        ({"t.parquet.gz": "x"}, "SELECT a FROM t", "compressed inside; unpack it"),
        ({"t.dat": "x"}, "SELECT a FROM t", "or define the table in tables.toml"),
        ({"t.odd": "x"}, "SELECT a FROM t", "'t.odd': its ending is not known"),
        ({"t": "x"}, "SELECT a FROM t", "'t': its ending is not known"),
        ({"t/a.csv": CSV, "t/b.csv.zip": "x"}, "SELECT a FROM t", "'t/b.csv.zip' would be left"),
        ({"t/m=1/a.csv": "a,m\n1,2\n", "t/m=2/a.csv": "a\n1\n"}, "SELECT a FROM t",
         "others have it from their paths alone"),
        ({"t/1.parquet": {"a": [2**60]}, "t/2.parquet": {"a": [0.5]}}, "SELECT sum(a) FROM t",
         "too large for the doubles"),
        ({"t/1.parquet": {"a": [1]}, "t/2.parquet": {"a": ["x"]}}, "SELECT a FROM t",
         "('t/1.parquet' has bigint and 't/2.parquet' has varchar)"),
        ({"t/1.parquet": {"a": [1]}, "t/2.parquet": {"a": ["x"]}}, "SELECT sum(a) FROM t",
         "do not agree on the type"),
        ({"t/1.parquet": {"a": [1]}, "t/2.parquet": {"a": WIDE}}, "SELECT a FROM t", "38 digits"),
        ({"t.parquet": {"a": [1], "b": [2], "A": [3]}}, "SELECT b FROM t",
         "'t.parquet' has two columns 'a' and 'A', which SQL does not tell apart"),
        ({"t/1.parquet": {"a": [1]}, "t/2.parquet": {"a": [1], "A": [3]}}, "SELECT a FROM t",
         "'t/2.parquet' has two columns 'a' and 'A'"),
        ({"t.parquet": {"s": [[{"é": 1, "É": 2}]], "e": [1]}}, "SELECT e FROM t",
         "two columns 'é' and 'É'"),
        ({"tables.toml": '[table.t]\nheader = true\n', "t.csv": CSV}, "SELECT a FROM t",
         "line 1 column 2: there is only [tables.NAME], not 'table'"),
        ({"tables.toml": 'delimiter = ";"\n', "t.csv": CSV}, "SELECT a FROM t", "not 'delimiter'"),
        ({"tables.toml": b'[tables.t]\nnulls = ["\xff"]', "t.csv": CSV}, "SELECT a FROM t",
         "line 2 is not UTF-8"),
        ({"tables.toml": "rubbish", "t.csv": CSV}, "SELECT a FROM t", "is not TOML"),
        ({"tables.toml": '[tables.u]\nheader = true\n'}, "SELECT a FROM u",
         "no file or directory is named 'u'"),
        ({"tables.toml": '[tables.t]\n[tables.T]\n', "t.csv": CSV}, "SELECT a FROM t", "twice"),
        ({"tables.toml": '[tables.t]\nencoding = "base64"\n', "t.csv": CSV}, "SELECT a FROM t",
         "line 2 column 1: no encoding has this name"),
        ({"tables.toml": '[tables.t]\nencoding = "ascii"\n', "t.csv": "a\n1\nä\n"},
         "SELECT a FROM t", "'t.csv' line 3 is not ascii"),
        ({"tables.toml": '[tables.t]\ndate_format = "%Q"\n', "t.csv": CSV}, "SELECT a FROM t",
         "line 2 column 1: a format is made of"),
        ({"tables.toml": "[tables.t]\ndelimiter = '\"'\n", "t.csv": CSV}, "SELECT a FROM t",
         "line 2 column 1: delimiter, quote, escape and comment must differ"),
        ({"tables.toml": '[tables.t]\nquote = ""\nescape = "\\\\"\n', "t.csv": CSV},
         "SELECT a FROM t", "line 3 column 1: escape says nothing where quote is empty"),
        ({"tables.toml": '[tables.t.columns.a]\ntype = "bigint"\nformat = "%d"\n', "t.csv": CSV},
         "SELECT a FROM t", "line 1 column 19: column 'a': format says nothing of the type bigint"),
        ({"tables.toml": '[tables.t.columns]\na = {type = "date", decimal_comma = true}\n',
          "t.csv": CSV}, "SELECT a FROM t", "decimal_comma says nothing of the type date"),
        ({"tables.toml": '[tables.t.columns]\na = {type = "timestamp", time_zone = "UTC"}\n',
          "t.csv": CSV}, "SELECT a FROM t", "time_zone says nothing of the type timestamp"),
        ({"tables.toml": '[tables]\nt = { heder = false }\n', "t.csv": CSV}, "SELECT a FROM t",
         "line 2 column 7: there is no key 'heder'"),
        ({"tables.toml": '[tables.t]\ndelimiter = ";"\n', "t.json": '{"a":1}'}, "SELECT a FROM t",
         "line 2 column 1: it is given delimiter, which says nothing of JSON files"),
        ({"tables.toml": '[tables.t]\ndeleted = "gone"\n', "t.csv": CSV}, "SELECT a FROM t",
         "it has no boolean column 'gone'"),
        ({"tables.toml": '[tables.t]\ndeleted = "a"\n', "t.csv": CSV}, "SELECT b FROM t",
         "it has no boolean column 'a'"),
    ],
)  # fmt: skip
def test_what_is_not_certain_is_refused_in_words(
    reading: Reading, files: Files, sql: str, words: str
) -> None:
    put(reading, files)
    failure = reading.failure(sql)
    assert failure.code is FailureCode.DATA_INVALID
    assert words in failure.message


def test_a_damaged_page_names_its_table(reading: Reading) -> None:
    path = reading.data / "t.parquet"
    pq.write_table(pa.table({"a": [os.urandom(8) for _ in range(5_000)]}), path, compression="gzip")
    good = path.read_bytes()
    path.write_bytes(good[:2_000] + b"\xff" * 500 + good[2_500:])
    failure = reading.failure("SELECT max(a) FROM t")
    assert failure.code is FailureCode.DATA_INVALID
    assert "'t.parquet' is damaged" in failure.message


def test_a_link_in_a_circle_takes_no_other_table_away(reading: Reading) -> None:
    put(reading, {"good.csv": "a\n1\n"})
    (reading.data / "t.csv").symlink_to("t.csv")
    assert "'t.csv' is a link to nothing" in reading.failure("SELECT a FROM t").message
    assert reading.rows("SELECT a FROM good") == [(1,)]
    assert data_version(SourceSpec("duckdb", {"data_dir": str(reading.data)}))


def test_the_catalog_says_of_a_file_what_a_run_says(reading: Reading) -> None:
    put(reading, {"t.parquet": b"none"})
    options = {"data_dir": str(reading.data), "dialect": "trino"}
    with closing(open_catalog(options)) as catalog, pytest.raises(RunFailed) as failed:
        catalog.columns("t")
    assert failed.value.failure.message == reading.failure("SELECT 1 FROM t").message
    assert "'t.parquet' is damaged, or no Parquet file" in failed.value.failure.message


def test_a_name_of_the_engines_is_refused_with_what_to_do(reading: Reading) -> None:
    put(reading, {"pg_stats.csv": "a\n1\n", "stats.csv": "a\n1\n"})
    assert "rename it" in reading.failure("SELECT a FROM pg_stats").message
    (reading.data / "tables.toml").write_text('[tables.stats_of_pg]\nfiles = "pg_stats.csv"\n')
    assert reading.rows("SELECT a FROM stats_of_pg") == [(1,)]


@pytest.mark.parametrize("plaintext_footer", [False, True])
def test_an_encrypted_file_is_named(reading: Reading, plaintext_footer: bool) -> None:
    _write_encrypted(reading.data / "t.parquet", plaintext_footer=plaintext_footer)
    failure = reading.failure("SELECT a FROM t")
    assert failure.code is FailureCode.DATA_INVALID
    assert "Table 't' cannot be read: 't.parquet' is" in failure.message


_WHOLE_TABLES = {
    "pandas": '{"a":{"0":1,"1":2},"b":{"0":"x","1":null}}',
    "pandas, one column": '{"a":{"0":1,"1":2}}',
    "pandas, by index": '{"x":{"a":1,"b":2},"y":{"a":3,"b":4}}',
    "pandas, split": '{"columns":["a"],"index":[0,1],"data":[[1],[2]]}',
    "pandas, with a schema": '{"schema":{"fields":[]},"data":[{"a":1},{"a":2}]}',
    "columns": '{\n "a": [1, 2],\n "b": ["x", "y"]\n}',
}


@pytest.mark.parametrize("writer", _WHOLE_TABLES)
def test_an_object_that_may_be_a_whole_table_is_not_one_row(reading: Reading, writer: str) -> None:
    text = _WHOLE_TABLES[writer]
    one_line = text.replace("\n", "")
    put(reading, {"t.json": text, "row.json": f"[{text}]", "line.jsonl": f"{one_line}\n"})
    failure = reading.failure("SELECT count(*) FROM t")
    assert failure.code is FailureCode.DATA_INVALID
    assert "'t.json' line 1 is one object of" in failure.message
    assert 'orient="records"' in failure.message
    for table in ("row", "line"):
        assert reading.rows(f'SELECT count(*) FROM "{table}"') == [(1,)]


@pytest.mark.parametrize(
    "text",
    [
        '{"a":{"x":1},"b":{"y":1}}',
        '{"a":{"x":1},"b":2}',
        '{"a":{"x":1}}',
        '{"a":[1,2],"b":[1]}',
        '{"a":[1]}',
        '{"a":{},"b":{}}',
        '{"a":{"0":1},"b":{"0":1}}\n{"a":{"0":2},"b":{"0":1}}',
    ],
)
def test_an_object_that_is_no_table_is_a_row(reading: Reading, text: str) -> None:
    put(reading, {"t.json": text})
    assert reading.rows("SELECT count(*) FROM t") == [(text.count("\n") + 1,)]

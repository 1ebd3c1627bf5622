"""The formats that a table's files may have, one entry each.

All other code asks this registry. An entry names its reader as `module:function`, which is
imported on first use. Endings that people expect and that are not read have an entry in
`UNREAD`, so that the answer is a sentence and not silence.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

COMPRESSIONS: Mapping[str, str] = {".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2"}
"""Endings behind the ending of a text file, and the compression (`text.stream`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFormat:
    """One format of files, or one table format that a directory has."""

    name: str
    label: str
    """As messages name it."""
    endings: tuple[str, ...]
    """In lower case; none for a table format."""
    is_text: bool = False
    """Text may be compressed (`COMPRESSIONS`), and an empty file has no rows."""
    reader: str
    """`module:function`: a `relation.Reader`."""
    planner: str = ""
    """Of a table format: `module:function`, a `snapshot.Planner`."""


_FORMATS = (
    FileFormat(
        name="parquet",
        label="Parquet",
        endings=(".parquet",),
        reader="queryrun.tables.parquet:read_parquet",
    ),
    FileFormat(
        name="csv",
        label="CSV",
        endings=(".csv",),
        is_text=True,
        reader="queryrun.tables.text.read:read_csv",
    ),
    FileFormat(
        name="tsv",
        label="TSV",
        endings=(".tsv",),
        is_text=True,
        reader="queryrun.tables.text.read:read_tsv",
    ),
    FileFormat(
        name="json",
        label="JSON",
        endings=(".json", ".jsonl", ".ndjson"),
        is_text=True,
        reader="queryrun.tables.text.read:read_json",
    ),
    FileFormat(
        name="delta",
        label="Delta",
        endings=(),
        reader="queryrun.tables.plan:read_planned",
        planner="queryrun.tables.delta:plan_delta",
    ),
    FileFormat(
        name="iceberg",
        label="Iceberg",
        endings=(),
        reader="queryrun.tables.plan:read_planned",
        planner="queryrun.tables.iceberg:plan_iceberg",
    ),
)

FORMATS: Mapping[str, FileFormat] = {found.name: found for found in _FORMATS}
"""All formats by name."""

_REPACK = "{} is not read; compress it with gzip, zstd or bzip2"
_UNPACK = "{} archives are not read; unpack it, or compress the file with gzip or zstd"
_CONVERT = "{} is not read; convert it to Parquet"
_SHEET = "{} are not read; save the sheet as CSV"
_DEFINE = "the ending is not known; name it .csv or .tsv, or define the table in tables.toml"
_RENAME = "the ending is not known; name it {}"

UNREAD: Mapping[str, str] = {
    ".xz": _REPACK.format("xz"),
    ".lz4": _REPACK.format("lz4"),
    ".snappy": _REPACK.format("snappy"),
    ".br": _REPACK.format("brotli"),
    ".lzo": _REPACK.format("lzo"),
    ".gzip": _RENAME.format(".gz"),
    ".zstd": _RENAME.format(".zst"),
    ".parquet.gz": "Parquet files are compressed inside; unpack it",
    ".parquet.zst": "Parquet files are compressed inside; unpack it",
    ".zip": _UNPACK.format("zip"),
    ".7z": _UNPACK.format("7z"),
    ".rar": _UNPACK.format("rar"),
    ".tar": _UNPACK.format("tar"),
    ".tar.gz": _UNPACK.format("tar"),
    ".tgz": _UNPACK.format("tar"),
    ".xlsx": _SHEET.format("Excel workbooks"),
    ".xlsm": _SHEET.format("Excel workbooks"),
    ".xlsb": _SHEET.format("Excel workbooks"),
    ".xls": _SHEET.format("Excel workbooks"),
    ".ods": _SHEET.format("OpenDocument sheets"),
    ".orc": _CONVERT.format("ORC"),
    ".avro": _CONVERT.format("Avro"),
    ".arrow": _CONVERT.format("Arrow"),
    ".feather": _CONVERT.format("Arrow"),
    ".xml": "XML is not read; convert it to JSON, CSV or Parquet",
    ".geojson": "GeoJSON is not read; write its features one per line into a .jsonl file",
    ".pq": _RENAME.format(".parquet"),
    ".parq": _RENAME.format(".parquet"),
    ".pqt": _RENAME.format(".parquet"),
    ".txt": _DEFINE,
    ".dat": _DEFINE,
    ".tab": _DEFINE,
    ".psv": _DEFINE,
    ".log": _DEFINE,
    ".duckdb": "a database file is a source of its own: name it in the setting `data`",
    ".db": "a database file is no table; of .duckdb files a source can be made",
    ".sqlite": "SQLite databases are not read; export their tables as CSV or Parquet",
}
"""What to do about endings that are not read."""
_NOTES = {".txt", ".log", ".xml", ".dat", ".db", ".sqlite", ".duckdb"}
"""Of them those that often stand beside a table's files and are none of them."""


@dataclass(frozen=True, slots=True)
class FileName:
    """A file's name taken apart: `a.csv.gz` is the table `a`, CSV, compressed with gzip."""

    table: str
    format: FileFormat
    compression: str = ""


@lru_cache(maxsize=4096)
def split(file: str) -> FileName | None:
    """None when the ending is none of ours, or nothing stands before it."""
    stem, compression = _uncompressed(file)
    for found in _FORMATS:
        for ending in found.endings:
            if stem.lower().endswith(ending) and len(stem) > len(ending):
                if compression and not found.is_text:
                    return None
                return FileName(stem[: -len(ending)], found, compression)
    return None


def why_unread(file: str) -> str:
    """What to do about a file that is not read; empty when nobody would expect it to be."""
    return UNREAD.get(_unread_ending(file), "")


def is_data(file: str) -> bool:
    """Whether a file that is not read would be missed: among files of a table its rows would."""
    ending = _unread_ending(file)
    return bool(ending) and ending not in _NOTES


def unread_table(file: str) -> str:
    """The table that a file would be if its ending were read."""
    ending = _unread_ending(file) or os.path.splitext(file)[1]  # noqa: PTH122
    stem = file[: len(file) - len(ending)]
    known = split(stem)
    return known.table if known else stem


def _unread_ending(file: str) -> str:
    lower = file.lower()
    fitting = (e for e in UNREAD if lower.endswith(e) and len(lower) > len(e))
    return max(fitting, key=len, default="")


def _uncompressed(file: str) -> tuple[str, str]:
    for ending, compression in COMPRESSIONS.items():
        if file.lower().endswith(ending):
            return file[: -len(ending)], compression
    return file, ""

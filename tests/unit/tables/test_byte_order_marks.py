"""A byte order mark behind the start of a text file: joined files, or a character of a text."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from queryrun.errors import FailureCode
from queryrun.tables.text.faults import FileFault
from queryrun.tables.text.stream import CHUNK_BYTES, TextFile, TextStream
from tests.unit.tables.reading import Reading


def zstd(data: bytes) -> bytes:
    """One frame."""
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


MARK = "\ufeff".encode()
ROWS = b"1,2\n" * 300_000
"""More than a chunk."""


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("t.csv", b"a,b\n1,2\n" + MARK + b"a,b\n3,4\n", 3),
        ("t.csv", MARK + b"a,b\r\n1,2\r\n" + MARK + b"a,b\r\n3,4\r\n", 3),
        ("t.csv", b"a,b\r1,2\r" + MARK + b"a,b\r3,4\r", 3),
        ("t.csv", b'a,b\n"1",2\n' + MARK + b'"a","b"\n3,4\n', 3),
        ("t.csv", b"a\n1" + MARK + b"a\n2\n", 2),
        ("t.csv", b"\n" + MARK + b"a,b\n3,4\n", 2),
        ("t.csv", b"a," + MARK + b"b\n3,4\n", 1),
        ("t.csv", b"a,b\n" + ROWS + MARK + b"a,b\n", 300_002),
        ("t.csv", "\ufeffa,b\n1,2\n\ufeffa,b\n".encode("utf-16-le"), 3),
        ("t.csv", "\ufeffa\n1\n".encode("utf-16-le") + "\ufeffa\n".encode("utf-16-be"), 3),
        ("t.tsv", b"a\tb\n1\t2\n" + MARK + b"a\tb\n", 3),
        ("t.jsonl", b'{"a":1}\n' + MARK + b'{"a":2}\n', 2),
        (
            "t.csv.gz",
            gzip.compress(MARK + b"a,b\n1,2\n", mtime=0) + gzip.compress(MARK + b"a,b\n", mtime=0),
            3,
        ),
        ("t.csv.gz", gzip.compress(b"a\n1", mtime=0) + gzip.compress(MARK + b"a\n", mtime=0), 2),
        ("t.csv.zst", zstd(MARK + b"a,b\n1,2\n") + zstd(MARK + b"a,b\n"), 3),
        ("t.csv.bz2", bz2.compress(b"a,b\n1,2\n") + bz2.compress(MARK + b"a,b\n"), 3),
    ],
    ids=[f"case {n}" for n in range(16)],  # bytes are no names
)
def test_a_byte_order_mark_behind_the_start_is_a_fault_with_its_line(
    reading: Reading, name: str, content: bytes, line: int
) -> None:
    (reading.data / name).write_bytes(content)
    failure = reading.failure("SELECT * FROM t")
    assert failure.code is FailureCode.DATA_INVALID
    assert (
        f"Table 't' cannot be read: '{name}' line {line} has a byte order mark" in failure.message
    )


@pytest.mark.parametrize("at", range(-4, 5))
def test_a_mark_is_found_wherever_a_chunk_ends(tmp_path: Path, at: int) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"x" * (CHUNK_BYTES - 1 + at) + b"\n" + MARK + b"a\n")
    with TextStream(TextFile(str(path), "t.csv")) as stream, pytest.raises(FileFault) as found:
        list(iter(lambda: stream.read(CHUNK_BYTES), b""))
    assert found.value.line == 2


@pytest.mark.parametrize(
    ("name", "content"),
    [("t.csv", b"a,b\n1,x" + MARK + b"y\n"), ("t.jsonl", b'{"b":"x' + MARK + b'y"}\n')],
)
def test_a_mark_inside_of_a_line_is_a_character(
    reading: Reading, name: str, content: bytes
) -> None:
    (reading.data / name).write_bytes(content)
    assert reading.rows("SELECT b FROM t") == [("x\ufeffy",)]

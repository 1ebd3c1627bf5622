"""Rows come out alike wherever the blocks of a file end, and wherever its first quote is."""

from __future__ import annotations

import contextlib
import csv
import io
import random
from pathlib import Path

import pyarrow as pa
import pytest

from queryrun.tables.text import delimited, stream
from queryrun.tables.text.delimited import Layout
from queryrun.tables.text.faults import FileFault
from queryrun.tables.text.stream import TextFile, TextStream

LINE_ENDS = ("\n", "\r\n", "\r")


def _read(path: Path, columns: tuple[int, ...] = (), compression: str = "") -> list[list[str]]:
    with contextlib.closing(TextStream(TextFile(str(path), "t.csv", compression))) as text:
        header = delimited.read_header(text, Layout(","))
        return [
            [value or "" for value in row.values()]
            for batch in delimited.batches(text, header, columns)
            for row in batch.to_pylist()
        ]


def _value(chance: random.Random, line_end: str, *, is_quoted: bool) -> str:
    text = "".join(chance.choice("ab1 é") for _ in range(chance.randint(1, 4)))
    if not is_quoted or chance.random() < 0.5:
        return text
    return '"' + "".join(chance.choice([text, '""', ",", line_end]) for _ in range(3)) + '"'


def _text(chance: random.Random) -> str:
    """A header and rows; quotes begin somewhere, or nowhere."""
    line_end = chance.choice(LINE_ENDS)
    rows = chance.randint(0, 12)
    quotes_from = chance.choice([0, rows // 2, rows])
    lines = ["h0,h1"]
    for number in range(rows):
        values = [_value(chance, line_end, is_quoted=number >= quotes_from) for _ in "01"]
        lines.append(",".join(values) if chance.random() > 0.1 else "")
    return line_end.join(lines) + chance.choice(["", line_end])


def test_rows_are_those_that_another_reader_finds_whatever_the_size_of_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(16)  # noqa: S311 - a test's own
    path = tmp_path / "t.csv"
    for _ in range(400):
        text = _text(chance)
        path.write_bytes(text.encode())
        block = chance.choice([120, 128, 200])
        monkeypatch.setattr(stream, "CHUNK_BYTES", chance.choice([1, 2, 3, 7, 64]))
        monkeypatch.setattr(stream, "HEAD_BYTES", chance.choice([30, 1000]))
        monkeypatch.setattr(delimited, "BLOCK_BYTES", block)
        expected = [row for row in csv.reader(io.StringIO(text, newline="")) if row][1:]
        assert _read(path) == expected, text
        assert _read(path, (1,)) == [row[1:] for row in expected], text


def test_an_archive_of_short_members_has_all_its_rows(tmp_path: Path) -> None:
    parts = [b"a,b\r", b"\n"]
    for number in range(50):
        parts += [b"%d,x\r" % number, b"\n"]
    packed = b"".join(pa.compress(part, "zstd", asbytes=True) for part in parts)
    path = tmp_path / "t.csv.zst"
    path.write_bytes(packed)
    assert _read(path, compression="zstd") == [[str(n), "x"] for n in range(50)]


@pytest.mark.parametrize("quotes", ["", '"q",1\n'])
def test_text_that_is_not_utf8_is_a_fault_also_where_no_value_is_read(
    tmp_path: Path, quotes: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n1,2\n" + quotes.encode() + b"3,\xff\n")
    with pytest.raises(FileFault, match="is not UTF-8"):
        _read(path)
    path.write_bytes(b"a,b\n1,2\n3,\xff\n" + quotes.encode())
    with pytest.raises(FileFault, match="is not UTF-8"):
        _read(path, (0,))

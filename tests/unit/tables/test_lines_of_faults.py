"""The line of a fault far behind the start of a file, where several chunks have been read."""

from __future__ import annotations

import bz2

import pytest

from queryrun.tables.text import stream
from tests.unit.tables.reading import Reading

LINES = 3_000
CHUNK_BYTES = 4096
COMMENT = '[tables.t]\ncomment = "#"\n'
WINDOWS = f'{COMMENT}encoding = "windows-1252"\n'


@pytest.fixture(autouse=True)
def _short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "CHUNK_BYTES", CHUNK_BYTES)
    monkeypatch.setattr(stream, "HEAD_BYTES", CHUNK_BYTES)


def _file(fault: bytes, end: bytes = b"\n", at: int = LINES - 10) -> bytes:
    """Rows of two values with `fault` in line `at`, the header's being 1, and comments in front."""
    lines = [b"a,b", b"# no row", *[b"%d,x" % number for number in range(3, LINES)]]
    lines[at - 1] = fault
    return end.join(lines) + end


@pytest.mark.parametrize(
    ("end", "fault", "definition", "problem"),
    [
        (b"\n", b'1,"x"y', COMMENT, "has a quote that is not closed"),
        (b"\r\n", b'1,"x"y', "", "has a quote that is not closed"),
        (b"\r", b"1,\0", COMMENT, "has a NUL byte"),
        (b"\n", b"1", COMMENT, "has 1 values instead of 2"),
        (b"\r", b"1,\xff", "", "is not UTF-8"),
        (b"\r\n", b"1,\xff", COMMENT, "is not UTF-8"),
        (b"\n", b"1,\x81", WINDOWS, "is not cp1252"),
        (b"\r", b"\xef\xbb\xbfa,b", COMMENT, "has a byte order mark behind the start"),
    ],
)
def test_a_fault_far_behind_the_start_has_its_line(
    reading: Reading, end: bytes, fault: bytes, definition: str, problem: str
) -> None:
    text = _file(fault, end) if definition else _file(fault, end).replace(b"# no row", b"2,x")
    (reading.data / "t.csv").write_bytes(text)
    (reading.data / "u.csv.bz2").write_bytes(bz2.compress(text))
    (reading.data / "tables.toml").write_text(definition + definition.replace(".t]", ".u]"))
    for file in ("t.csv", "u.csv.bz2"):
        message = reading.failure(f"SELECT count(*) FROM {file[0]}").message
        assert f"'{file}' line {LINES - 10}" in message
        assert problem in message


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_comments_are_no_rows_whatever_ends_a_line(reading: Reading, end: bytes) -> None:
    (reading.data / "t.csv").write_bytes(_file(b'1,"x\n# a text"', end))
    (reading.data / "tables.toml").write_text(COMMENT)
    rows = reading.rows("SELECT b, count(*) FROM t GROUP BY b ORDER BY 2")
    assert rows == [("x\n# a text", 1), ("x", LINES - 4)]

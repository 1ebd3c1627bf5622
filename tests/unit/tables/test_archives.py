"""Compressed text that is damaged, cut short, or has something behind it: all of it, or a fault.

What another program makes of the same bytes is the oracle: Python's own modules and libzstd.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from queryrun.tables.text.faults import FileFault
from queryrun.tables.text.stream import TextFile, TextStream
from tests.unit.tables.reading import Reading

TEXT = b"a,b\n" + b"".join(b"%d,%d\n" % (n, n * 7919 % 1000) for n in range(60))
MORE = b"61,0\n"
SKIPPABLE = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"


def _gzip(text: bytes) -> bytes:
    return gzip.compress(text, mtime=0)


def _zstd(text: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(text)


PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": _gzip, "bzip2": bz2.compress, "zstd": _zstd}


def _read(path: Path, packed: bytes, compression: str) -> bytes | None:
    """The text; None for a fault."""
    path.write_bytes(packed)
    with contextlib.suppress(FileFault):
        file = TextFile(str(path), path.name, compression)
        with contextlib.closing(TextStream(file)) as stream:
            return stream.read()
    return None


@pytest.mark.parametrize("compression", PACK)
def test_a_damaged_byte_is_a_fault_or_changes_nothing(tmp_path: Path, compression: str) -> None:
    packed, chance = PACK[compression](TEXT), random.Random(compression)  # noqa: S311 - a test's own
    faults = 0
    for at in range(len(packed)):
        damaged = bytearray(packed)
        damaged[at] ^= 1 << chance.randrange(8)
        found = _read(tmp_path / "t.csv", bytes(damaged), compression)
        assert found in (None, TEXT), at
        faults += found is None
    assert faults > len(packed) * 0.9


@pytest.mark.parametrize("compression", PACK)
def test_an_archive_that_was_cut_short_is_a_fault(tmp_path: Path, compression: str) -> None:
    packed = PACK[compression](TEXT)
    second = PACK[compression](MORE)
    for end in range(1, len(packed)):
        assert _read(tmp_path / "t.csv", packed[:end], compression) is None, end
    for end in range(1, len(second)):
        assert _read(tmp_path / "t.csv", packed + second[:end], compression) is None, end


@pytest.mark.parametrize("compression", PACK)
def test_what_stands_behind_an_archive_is_read_or_a_fault(tmp_path: Path, compression: str) -> None:
    packed, second = PACK[compression](TEXT), PACK[compression](MORE)
    empty = PACK[compression](b"")
    path = tmp_path / "t.csv"
    assert _read(path, packed + second, compression) == TEXT + MORE
    assert _read(path, empty + packed + empty + second, compression) == TEXT + MORE
    for junk in (b"x", b"\n", b"61,0\n", b"junk" * 30_000, b"junk" + second):
        assert _read(path, packed + junk, compression) is None, junk[:9]
    for zeros in (1, 3, 512):  # padding, which gzip alone allows
        found = _read(path, packed + bytes(zeros), compression)
        assert found == (TEXT if compression == "gzip" else None)
    found = _read(path, packed + SKIPPABLE + second, compression)
    assert found == (TEXT + MORE if compression == "zstd" else None)


def test_a_damaged_archive_names_its_table(reading: Reading) -> None:
    packed = bytearray(_gzip(TEXT))
    packed[-40] ^= 8
    for name in ("t/1.csv.gz", "t/2.csv.gz", "u.csv.gz"):
        (reading.data / name).parent.mkdir(exist_ok=True)
        (reading.data / name).write_bytes(packed)
    for table, file in (("t", "t/1.csv.gz"), ("u", "u.csv.gz")):
        message = reading.failure(f"SELECT sum(a) FROM {table}").message
        assert f"Table '{table}' cannot be read: '{file}' is damaged" in message

"""JSON files as batches of texts: one string column per key, each value as the file spells it.

A file is one array of objects, or objects one after another (a line each, or not). A value comes
out as it stands there, but for texts: they are decoded, with a quote in front to tell them from
the rest. So no digit of a number is lost before its type is known.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NoReturn

import msgspec
import pyarrow as pa

from queryrun.tables.text.faults import NOT_UTF8, NOT_UTF8_ADVICE, FileFault, cut
from queryrun.tables.text.stream import CHUNK_BYTES, TextStream, line_breaks
from queryrun.tables.text.whole_tables import ADVICE, table_in

MAX_RECORD_BYTES = 16 * 1024**2
MAX_KEYS = 10_000
BATCH_ROWS = 20_000
_BATCH_BYTES = 32 * 1024**2
_KEY = re.compile(rb'"[ \t\r\n]*:')
_SPACE = re.compile(rb"[ \t\r\n]*")

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode

Record = Mapping[str, msgspec.Raw]


def records(stream: TextStream) -> Iterator[tuple[Record, int]]:
    """Every object with the line that it begins in. Raises `FileFault`."""
    reader = _Reader(stream)
    is_array = reader.takes(b"[")
    if is_array and reader.takes(b"]"):
        yield from _require_end(reader)
        return
    count = 0
    while reader.has_more():
        count, line, record = count + 1, reader.line, reader.record()
        yield record, line
        if not is_array:
            continue
        if reader.takes(b"]"):
            yield from _require_end(reader)
            return
        if not reader.takes(b","):
            reader.fail("has no comma between two records, or ends too early", "write it again")
        if not reader.has_more():
            reader.fail("ends in the middle of an array", "write it again")
    if is_array:
        reader.fail("ends in the middle of an array", "write it again")
    if count == 1:
        _require_row(reader, record, line)


def _require_row(reader: _Reader, record: Record, line: int) -> None:
    """An object that is alone in its file, and may be a table, is not taken for a row."""
    shape = table_in(reader.file, record)
    if shape:
        reader.fail(f"is one object {shape}, so it may be a whole table", ADVICE, line)


def _require_end(reader: _Reader) -> Iterator[tuple[Record, int]]:
    if reader.has_more():
        reader.fail("goes on behind the end of its array", "one array is read per file")
    yield from ()


class _Reader:
    """Takes one value after another off a stream; keeps a chunk and a record at most."""

    def __init__(self, stream: TextStream) -> None:
        self._stream = stream
        self._data, self._at, self._is_at_end = b"", 0, False
        self._is_by_line = True
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self.file = stream.file.name
        self.line = 1

    def has_more(self) -> bool:
        """Whether anything but white space is left; passes over the white space."""
        while True:
            space = _SPACE.match(self._data, self._at)
            if space and space.end() > self._at:
                self.line += line_breaks(self._data[self._at : space.end()])
                self._at = space.end()
            if self._at < len(self._data):
                return True
            if self._is_at_end:
                return False
            self._fill()

    def takes(self, mark: bytes) -> bool:
        """Pass over this mark, if it comes next."""
        if not self.has_more() or self._data[self._at : self._at + 1] != mark:
            return False
        self._at += 1
        return True

    def record(self) -> Record:
        """The next value, which must be an object."""
        found = self._by_line() if self._is_by_line else None
        if found is not None:
            return found
        end = self._end_of_value()
        text = self._data[self._at : end]
        record = self._decoded(text)
        self.line += line_breaks(text)
        self._at = end
        return record

    def fail(self, problem: str, advice: str, line: int = 0) -> NoReturn:
        """Raise a fault of this line, or of the one that the reader is at."""
        _fail(self._stream, line or self.line, problem, advice)

    def _by_line(self) -> Record | None:
        """The common case: a line is a record. Given up at the first line that is none."""
        end = self._data.find(b"\n", self._at)
        while end < 0 and not self._is_at_end and len(self._data) - self._at < MAX_RECORD_BYTES:
            self._fill()
            end = self._data.find(b"\n", self._at)
        end = len(self._data) if end < 0 else end
        text = self._data[self._at : end].rstrip(b" \t\r,")
        try:
            record = _decode(text)
        except (msgspec.MsgspecError, RecursionError):
            self._is_by_line = False
            return None
        self._require_distinct(text, record)
        self._at += len(text)
        return record

    def _decoded(self, text: bytes) -> Record:
        try:
            record = _decode(text)
        except RecursionError:
            self.fail("has a value that is nested too deeply", "flatten it")
        except msgspec.ValidationError:
            self.fail("has a value that is no object", "each record must be an object")
        except msgspec.MsgspecError as error:
            at = re.search(r"byte (\d+)", str(error))
            within = line_breaks(text[: int(at[1])]) if at else 0
            self.fail("is not JSON", "look at its quotes and commas", self.line + within)
        self._require_distinct(text, record)
        return record

    def _require_distinct(self, text: bytes, record: Record) -> None:
        """A key that occurs twice is a fault: readers of JSON disagree on which one counts."""
        if len(_KEY.findall(text)) == len(record):
            return

        def check(pairs: list[tuple[str, Any]]) -> None:
            if len({key for key, _ in pairs}) == len(pairs):
                return
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    self.fail(f"has the key '{cut(key)}' twice in one object", "rename one")
                seen.add(key)

        try:
            json.loads(text, object_pairs_hook=check, parse_int=str, parse_float=str)
        except RecursionError:
            self.fail("has a value that is nested too deeply", "flatten it")

    def _end_of_value(self) -> int:
        while True:
            end = _end_of_value(self._data, self._at, is_all=self._is_at_end)
            if end > 0:
                return end
            if self._is_at_end:
                self.fail("ends in the middle of a record", "write it again")
            if len(self._data) - self._at > MAX_RECORD_BYTES:
                self.fail(f"has a record of more than {MAX_RECORD_BYTES} bytes", "split it")
            self._fill()

    def _fill(self) -> None:
        more = self._stream.read(CHUNK_BYTES) or b""
        self._is_at_end = not more
        self._data, self._at = self._data[self._at :] + more, 0
        try:
            self._utf8.decode(more, final=self._is_at_end)
        except UnicodeDecodeError as error:
            valid = len(self._data) - len(error.object) + error.start
            line = self.line + line_breaks(self._data[: max(0, valid)])
            self.fail(NOT_UTF8, NOT_UTF8_ADVICE, line)


class UnknownKeyError(Exception):
    """A record has a key that none of the first records has."""


def columns_of(stream: TextStream, max_records: int = 0) -> list[str]:
    """All keys of all records (or of the first), in the order in which they first occur.

    None for a file without records.
    """
    found: dict[str, None] = {}
    lower: dict[str, str] = {}
    all_records = records(stream)
    is_any = False
    for record, line in islice(all_records, max_records) if max_records else all_records:
        is_any = True
        if record.keys() <= found.keys():
            continue
        for key in record:
            other = lower.setdefault(key.lower(), key)
            if other != key:
                pair = f"'{cut(other)}' and '{cut(key)}'"
                _fail(stream, line, f"has two keys {pair}", "rename one: SQL tells no case apart")
            found[key] = None
        if len(found) > MAX_KEYS:
            _fail(stream, line, f"has more than {MAX_KEYS} keys", "keep them in one object")
    if not found and is_any:
        _fail(stream, 0, "has records without keys", "a table needs a column")
    return list(found)


def batches(stream: TextStream, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """The records as texts, `None` for a key that is missing or null.

    Raises `UnknownKeyError` for a key that is none of `columns`.
    """
    rows: list[list[str | None]] = [[] for _ in columns]
    count = size = 0
    known = set(columns)
    for record, _ in records(stream):
        if not record.keys() <= known:
            raise UnknownKeyError
        for column, values in zip(columns, rows, strict=True):
            raw = record.get(column)
            if raw is None:
                values.append(None)
                continue
            text = bytes(raw)
            size += len(text)
            values.append(value_text(text))
        count += 1
        if count == BATCH_ROWS or size > _BATCH_BYTES:
            yield _batch(rows)
            rows, count, size = [[] for _ in columns], 0, 0
    if count:
        yield _batch(rows)


def value_text(raw: bytes) -> str | None:
    """A value as the columns hold it (see the module)."""
    if raw[:1] == b'"':
        return '"' + (raw[1:-1].decode() if b"\\" not in raw else _decode_text(raw))
    return None if raw == b"null" else raw.decode()


def _batch(rows: list[list[str | None]]) -> pa.RecordBatch:
    arrays = [pa.array(values, pa.string()) for values in rows]
    return pa.RecordBatch.from_arrays(arrays, [f"c{index}" for index in range(len(rows))])


_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.S)
_INSIDE = re.compile(rb'[^"\[\]{}]++')


def _end_of_value(data: bytes, at: int, *, is_all: bool) -> int:
    """Where the value that begins at `at` ends; -1 when it may go on behind `data`."""
    if data[at : at + 1] in (b"{", b"["):
        return _balanced(data, at)
    scalar = _SCALAR.match(data, at)
    if scalar and (scalar.end() < len(data) or is_all):
        return scalar.end()
    return at + 1 if is_all else -1


_SCALAR = re.compile(rb'[^\s,\]\[{}"]+|"(?:[^"\\]|\\.)*"', re.S)


def _balanced(data: bytes, at: int) -> int:
    depth = 0
    while at < len(data):
        match = _INSIDE.match(data, at) or _STRING.match(data, at)
        if match:
            at = match.end()
            continue
        char = data[at : at + 1]
        if char == b'"':
            return -1
        depth += 1 if char in (b"{", b"[") else -1
        at += 1
        if depth == 0:
            return at
    return -1


def _fail(stream: TextStream, line: int, problem: str, advice: str) -> NoReturn:
    fault = FileFault(stream.file.name, problem, advice, line=line)
    stream.fault = stream.fault or fault
    raise fault

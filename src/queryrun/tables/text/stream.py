"""The bytes of a text file as UTF-8: decompressed, decoded, checked, in one pass.

Nothing of a file is kept but the chunk that was just read, so a file may be of any size.
"""

from __future__ import annotations

import bz2
import codecs
import contextlib
import io
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from isal import igzip, isal_zlib

from queryrun.tables.text.faults import FileFault

CHUNK_BYTES = 1024**2
HEAD_BYTES = 1024**2
"""The header must end within these."""
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MARK = re.compile(rb"\xef(?:\xbb\xbf|\xbf\xbe)")
"""A byte order mark, also of the other order, as UTF-8."""
_SIGNATURES = (
    (re.compile(rb"\x1f\x8b"), "a gzip archive", "add .gz to its name"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "a zstd archive", "add .zst to its name"),
    (re.compile(rb"BZh[1-9]1AY&SY"), "a bzip2 archive", "add .bz2 to its name"),
    (re.compile(rb"PK\x03\x04|\xd0\xcf\x11\xe0"), "a workbook or archive", "save it as text"),
    (re.compile(rb"PAR1[\x00-\x1f]"), "a Parquet file", "let its name end in .parquet"),
    (re.compile(rb"SQLite format 3\0|.{8}DUCK", re.S), "a database", "export its tables"),
)
"""How files begin that are no text, whatever their names say."""
_ISAL_ERROR = cast("type[Exception]", isal_zlib.error)  # its types call it an instance
_DAMAGE = (EOFError, ValueError, zlib.error, _ISAL_ERROR, OSError)
"""What the archives' libraries raise; of `OSError` those without a number."""
Check = Callable[[bytes, bool], None]
"""(chunk, is it the last) -> raises `FileFault`."""


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file to be read: `path` is where, `name` what messages call it."""

    path: str
    name: str
    compression: str = ""
    encoding: str = ""
    """As Python calls it; empty: what the byte order mark says, else UTF-8."""
    comment: str = ""
    """Lines that begin with it, outside of quotes, are blank."""


class TextStream(io.RawIOBase):
    """A text file as UTF-8 bytes without a byte order mark.

    Raises `FileFault` for bytes that are not of the encoding, for NUL, and for a damaged archive.
    `check` sees every chunk before the reader does.
    """

    def __init__(self, file: TextFile) -> None:
        self.file = file
        self.position = 0
        """How many bytes of the text have been handed on."""
        self.fault: FileFault | None = None
        self.check: Check | None = None
        self.is_of_one_column = False
        """Then a byte order mark is a fault wherever it stands: no other column shows the seam."""
        self._tail = b"\n"
        self._file = cast("BinaryIO", open(file.path, "rb", buffering=0))  # noqa: PTH123, SIM115 - see `close`
        self._raw = _decompressed(self._file, file.compression)
        try:
            first = self._take(CHUNK_BYTES)
        except BaseException:
            self.close()
            raise
        for pattern, what, advice in _SIGNATURES:
            if pattern.match(first):
                self.close()
                raise FileFault(file.name, f"is {what}, not text", advice)
        bom, found = next(((b, e) for b, e in _BOMS if first.startswith(b)), (b"", "utf-8"))
        self.encoding = file.encoding or found
        decoder = codecs.getincrementaldecoder(self.encoding)("strict")
        self._decode = None if self.encoding in {"utf-8", "utf-8-sig"} else decoder
        is_of_codec = self.encoding in {"utf-16", "utf-32"}  # these find the byte order by it
        while bom and not is_of_codec and first.startswith(bom):  # some programs write it twice
            first = first[len(bom) :]
        self._pending = first
        self._is_first, self._is_at_end = True, False
        self._buffer = b""

    def readable(self) -> bool:
        return True

    def head(self) -> bytes:
        """The first `HEAD_BYTES` or less, which stay to be read."""
        return self.waiting(HEAD_BYTES)

    def waiting(self, size: int) -> bytes:
        """The next `size` bytes, which stay to be read; fewer at the end alone.

        Never fewer before: Arrow takes a block that is the second half of a CR LF for the end.
        """
        while len(self._buffer) < size and not self._is_at_end:
            self._buffer += self._next()
        return self._buffer[:size]

    def ready(self) -> bytes:
        """A chunk or more, as it is kept: no copy is made. It stays to be read."""
        self.waiting(CHUNK_BYTES)
        return self._buffer

    def next_lines(self, without: bytes, size: int) -> bytes:
        """The next chunk up to the last line feed, behind what is left of the one before.

        Empty, and nothing is read, when they have `without`, no line feed, or more than `size`
        bytes. It saves the copies that `waiting` makes: of a long file these take as long as a
        third of its parse.
        """
        if len(self._buffer) >= CHUNK_BYTES or self._is_at_end:
            return b""
        chunk = self._next()
        end = chunk.rfind(b"\n") + 1
        is_long = len(self._buffer) + len(chunk) > size
        if not end or is_long or without in self._buffer or without in chunk:
            self._buffer += chunk
            return b""
        lines = b"".join((self._buffer, memoryview(chunk)[:end]))
        self._buffer = chunk[end:]
        self._inspect(lines, is_last=False)
        return lines

    def skip(self, count: int) -> None:
        """Pass over bytes of the head."""
        self._refuse_marks(self._buffer[:count], is_header=True)
        self.position += count
        self._buffer = self._buffer[count:]

    def line_at(self, position: int) -> int:
        """The line that a position of the text is in, which is at most where the buffer begins.

        The text up to there is read again: counting all along takes longer than all other tests of
        a chunk, and only a fault has to know.
        """
        line = 1
        with contextlib.closing(TextStream(self.file)) as again:
            while position > 0 and (chunk := again._next()):
                line += line_breaks(chunk[:position])
                position -= len(chunk)
        return line

    def is_all(self, data: bytes) -> bool:
        """Whether `data`, which is waiting, is everything that is left."""
        return self._is_at_end and len(data) == len(self._buffer)

    def readinto(self, buffer: Any) -> int:
        chunk = self._chunk(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def read(self, size: int = -1, /) -> bytes:
        """As of every raw stream; a chunk comes out as it is, without a copy."""
        return super().read(size) or b"" if size < 0 else self._chunk(size)

    def _chunk(self, size: int) -> bytes:
        chunk = self.waiting(size)
        self._buffer = self._buffer[size:]
        self._inspect(chunk, is_last=self._is_at_end and not self._buffer)
        return chunk

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
            self._file.close()
        super().close()

    def _inspect(self, chunk: bytes, *, is_last: bool) -> None:
        """A fault is kept, because what stands between here and the caller may lose it."""
        try:
            self._refuse_marks(chunk)
            if self.check and (chunk or is_last):
                self.check(chunk, is_last)
        except FileFault as fault:
            self.fault = self.fault or fault
            raise
        self.position += len(chunk)

    def _refuse_marks(self, data: bytes, *, is_header: bool = False) -> None:
        """A byte order mark behind the start is the seam of joined files: what follows may be a
        second header. Inside of a line it may be text, which some programs put there.
        """
        text = self._tail + data if b"\xef" in self._tail or b"\xef" in data else b""
        for match in _MARK.finditer(text):
            at = match.start()
            is_seam = is_header or self.is_of_one_column or text[at - 1 : at] in (b"\n", b"\r")
            if at and is_seam:
                line = self.line_at(self.position)
                line += line_breaks(data[: max(0, at - len(self._tail))])
                self.fail(_SEAM, _SEAM_ADVICE, line)
        self._tail = (self._tail + data[-3:])[-3:]

    def _next(self) -> bytes:
        """The next chunk, decoded; sets `_is_at_end` with the last."""
        text = self._next_text()
        return self._without_comments(text) if self.file.comment else text

    def _next_text(self, before: bytes = b"") -> bytes:
        """`before` has been read too, and is not in the buffer yet."""
        raw, self._pending = (self._pending, b"") if self._is_first else (b"", b"")
        is_first, self._is_first = self._is_first, False
        raw = raw or self._take(CHUNK_BYTES)
        self._is_at_end = not raw
        text = raw if self._decode is None else self._decoded(raw, self._decode, before)
        while is_first and text.startswith(codecs.BOM_UTF8):  # what the codec has left of two
            text = text[len(codecs.BOM_UTF8) :]
        at = text.find(b"\0")
        if at >= 0:
            self.fail(
                "has a NUL byte",
                'if the file is UTF-16, say so: encoding = "utf-16" in tables.toml',
                self._line_behind(before + text[:at]),
            )
        return text

    def _line_behind(self, text: bytes) -> int:
        """The line behind `text`, which stands behind the buffer."""
        return self.line_at(self.position) + line_breaks(self._buffer + text)

    _is_quoted = False

    def _without_comments(self, text: bytes) -> bytes:
        """Comment lines become blank ones, so that lines keep their numbers."""
        mark = re.escape(self.file.comment.encode())
        while text and not text.endswith((b"\n", b"\r")) and not self._is_at_end:
            text += self._next_text(text)
        kept, at = [], 0
        for match in re.finditer(rb"(?<![^\r\n])" + mark + rb"[^\r\n]*", text):
            self._is_quoted ^= bool(text.count(b'"', at, match.start()) % 2)
            kept.append(text[at : match.start()])
            at = match.start() if self._is_quoted else match.end()
        self._is_quoted ^= bool(text.count(b'"', at) % 2)
        return b"".join((*kept, text[at:]))

    def _decoded(self, raw: bytes, decode: codecs.IncrementalDecoder, before: bytes) -> bytes:
        try:
            return decode.decode(raw, final=not raw).encode()
        except UnicodeDecodeError as error:
            before += error.object[: error.start].decode(self.encoding, "ignore").encode()
            line = self._line_behind(before)
            self.fail(f"is not {self.encoding}", "give its `encoding` in tables.toml", line)
        except UnicodeError:
            advice = f'say its byte order: encoding = "{self.encoding}-le" in tables.toml'
            self.fail(f"has no byte order mark of {self.encoding}", advice)
        return b""

    def _take(self, size: int) -> bytes:
        """`size` bytes, fewer at the end alone: the members of an archive may be short ones.

        What the archive's library raises for damage is the file's fault.
        """
        parts: list[bytes] = []
        try:
            while size > 0 and (part := self._raw.read(size)):
                parts.append(part)
                size -= len(part)
            return b"".join(parts)
        except _DAMAGE as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            compression = self.file.compression or "text"
            self.fail(f"is damaged, or no whole {compression} file", "write it again")
        return b""

    def fail(self, problem: str, advice: str, line: int = 0) -> None:
        """Raise `FileFault`, and keep it in `fault`: what reads may not hand it on."""
        self.fault = self.fault or FileFault(self.file.name, problem, advice, line=line)
        raise self.fault


_SEAM = "has a byte order mark behind the start, as files that were joined have"
_SEAM_ADVICE = "put each file by itself into a directory of the table's name, or remove the mark"


def line_breaks(data: bytes) -> int:
    """How many lines end in `data`: with LF or CR LF, or with CR in a file without LF."""
    return data.count(b"\n") or data.count(b"\r")


class _Bzip2(io.RawIOBase):
    """Bzip2 members one after another. Raises for bytes behind the last that are none: Python's
    own reader passes over them, and with them over every member behind damage."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._member = bz2.BZ2Decompressor()
        self._is_between = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            data = b""
            if self._member.eof:
                data = self._member.unused_data
                self._member, self._is_between = bz2.BZ2Decompressor(), True
            if not data and self._member.needs_input:
                data = self._raw.read(CHUNK_BYTES)
                if not data:
                    return self._end()
            self._is_between = self._is_between and not data
            text = self._member.decompress(data, max_length=len(buffer))
            if text:
                buffer[: len(text)] = text
                return len(text)

    def _end(self) -> int:
        if not self._is_between:
            raise EOFError("the archive ends in the middle of a member")
        return 0


def _decompressed(raw: BinaryIO, compression: str) -> BinaryIO:
    if compression == "gzip":
        opened: Any = igzip
        return cast("BinaryIO", opened.open(raw, "rb"))
    if compression == "bzip2":
        return cast("BinaryIO", io.BufferedReader(_Bzip2(raw), CHUNK_BYTES))
    if compression == "zstd":
        import pyarrow

        return cast("BinaryIO", pyarrow.CompressedInputStream(pyarrow.PythonFile(raw), "zstd"))
    return raw

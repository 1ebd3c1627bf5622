"""A zip file with one member that everything opens, also readers of streams (contract F5).

Its local header has the true sizes and the CRC, and no data descriptor follows, because many
readers of streams fail on one. So the header can only be made after the content: the file is
written from behind it, and it comes last (`HeadLast`). ZIP64 is used only by a member that needs
it; the room that its sizes would take in the header is otherwise filled by a growth hint, an extra
field that APPNOTE has for the purpose and readers skip.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from stat import S_IFREG
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from queryrun.results.compress import Chunks

ZIP64_FROM = 0xFFFFFFFF
"""Sizes and offsets from here on do not fit into four bytes, which have this value then."""
_LEVEL = 1
_RAW_WINDOW = -15
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_64 = struct.Struct("<4sIQI")
_SIZES_64 = struct.Struct("<2H2Q")
_GROWTH_HINT = struct.Struct("<4H12x").pack(0xA220, 16, 0xA028, 12)
"""As long as `_SIZES_64`."""
_DEFLATED, _UNIX = 8, 3 << 8
_PLAIN_VERSION, _VERSION_64 = 20, 45
_DATE = 1 << 5 | 1
"""1980-01-01, the oldest time a zip file can hold: the same result gives the same bytes."""
_MODE = (S_IFREG | 0o600) << 16


class HeadLast(Protocol):
    """A file whose first bytes are known only after its last ones."""

    head_bytes: int
    """How many these are, at most; exactly so many once `body` has yielded."""

    def body(self) -> Iterator[bytes]:
        """What comes after the head, to be read once."""
        ...

    def head(self) -> bytes:
        """The first bytes. Only after the end of `body`."""
        ...


@dataclass(frozen=True, slots=True)
class _Sizes:
    """What a header says of the member."""

    crc: int
    compressed: int
    plain: int

    @property
    def is_zip64(self) -> bool:
        return max(self.compressed, self.plain) >= ZIP64_FROM

    @property
    def version(self) -> int:
        return _VERSION_64 if self.is_zip64 else _PLAIN_VERSION

    @property
    def fields(self) -> tuple[int, int, int]:
        if self.is_zip64:
            return self.crc, 0xFFFFFFFF, 0xFFFFFFFF
        return self.crc, self.compressed, self.plain

    @property
    def extra(self) -> bytes:
        """The sizes that do not fit into the fields; empty when they do."""
        return _SIZES_64.pack(1, 16, self.plain, self.compressed) if self.is_zip64 else b""


class ZipFile:
    """One member of that name. See `HeadLast`. Memory does not grow with the content."""

    def __init__(self, content: Chunks, name: str) -> None:
        self._content = content
        self._name = name.encode("ascii")
        self._sizes = _Sizes(0, 0, 0)
        self.head_bytes = _LOCAL.size + len(self._name) + _SIZES_64.size

    def body(self) -> Iterator[bytes]:
        """The compressed content and the directory."""
        from isal import isal_zlib

        compressor = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _RAW_WINDOW)
        crc = plain = size = 0
        for chunk in self._content:
            crc = isal_zlib.crc32(chunk, crc)
            plain += len(chunk)
            if compressed := compressor.compress(chunk):
                size += len(compressed)
                yield compressed
        rest = compressor.flush()
        self._sizes = _Sizes(crc, size + len(rest), plain)
        yield rest + self._directory()

    def head(self) -> bytes:
        """The local header."""
        sizes = self._sizes
        extra = sizes.extra or _GROWTH_HINT
        fixed = _LOCAL.pack(
            b"PK\x03\x04", sizes.version, 0, _DEFLATED, 0, _DATE, *sizes.fields,
            len(self._name), len(extra),
        )  # fmt: skip
        return fixed + self._name + extra

    def _directory(self) -> bytes:
        sizes = self._sizes
        entry = _CENTRAL.pack(
            b"PK\x01\x02", _UNIX | sizes.version, sizes.version, 0, _DEFLATED, 0, _DATE,
            *sizes.fields, len(self._name), len(sizes.extra), 0, 0, 0, _MODE, 0,
        ) + self._name + sizes.extra  # fmt: skip
        offset = self.head_bytes + sizes.compressed
        return entry + self._end(offset, len(entry))

    def _end(self, offset: int, size: int) -> bytes:
        """The end of the directory; another before it if the directory begins too far behind."""
        end = _END.pack(b"PK\x05\x06", 0, 0, 1, 1, size, min(offset, 0xFFFFFFFF), 0)
        if offset < ZIP64_FROM:
            return end
        end_64 = _END_64.pack(
            b"PK\x06\x06", _END_64.size - 12, _UNIX | _VERSION_64, _VERSION_64, 0, 0, 1, 1, size,
            offset,
        )  # fmt: skip
        return end_64 + _LOCATOR_64.pack(b"PK\x06\x07", 0, offset + size, 1) + end

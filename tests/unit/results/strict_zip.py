"""A reader of zip files that takes nothing on trust: every field must agree with every other."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass


class BadZipError(Exception):
    """What does not agree."""


@dataclass(frozen=True)
class Member:
    """The only member."""

    name: str
    content: bytes
    is_zip64: bool


def read_strictly(data: bytes) -> Member:
    """The member of a file that has one. Raises `BadZipError`."""
    signature, needed, flags, method, time, date, crc, packed, plain, names, extras = _unpack(
        "<4s5H3I2H", data, 0
    )
    _agree("local signature", signature, b"PK\x03\x04")
    _agree("flags (no data descriptor)", flags, 0)
    _agree("method", method, 8)
    name = data[30 : 30 + names]
    local_extra = _extra_fields(data[30 + names : 30 + names + extras])
    start = 30 + names + extras
    is_zip64 = 1 in local_extra
    hint = {} if is_zip64 else {0xA220: struct.pack("<2H12x", 0xA028, 12)}
    _agree("local extra", {k: v for k, v in local_extra.items() if k != 1}, hint)
    _agree("version needed", needed, 45 if is_zip64 else 20)
    if is_zip64:
        _agree("sizes in the fields of a ZIP64 member", (packed, plain), (0xFFFFFFFF, 0xFFFFFFFF))
        plain, packed = struct.unpack("<QQ", local_extra[1])
    content = _inflated(data[start : start + packed], plain)
    _agree("CRC", crc, zlib.crc32(content))
    directory = start + packed
    central = _central(data, directory, is_zip64=is_zip64)
    _agree("central entry", central, (needed, time, date, crc, packed, plain, name))
    _end(data, directory, is_zip64=is_zip64)
    return Member(name.decode("ascii"), content, is_zip64)


def _central(data: bytes, at: int, *, is_zip64: bool) -> tuple[object, ...]:
    (
        signature, _, needed, flags, method, time, date, crc, packed, plain, names, extras,
        comment, disk, _, _, offset,
    ) = _unpack("<4s6H3I5H2I", data, at)  # fmt: skip
    _agree("central signature", signature, b"PK\x01\x02")
    _agree("central flags, method", (flags, method), (0, 8))
    _agree("comment, disk, offset", (comment, disk, offset), (0, 0, 0))
    name = data[at + 46 : at + 46 + names]
    extra = _extra_fields(data[at + 46 + names : at + 46 + names + extras])
    _agree("ZIP64 in both headers and nothing else", list(extra), [1] if is_zip64 else [])
    if is_zip64:
        _agree("central fields", (packed, plain), (0xFFFFFFFF, 0xFFFFFFFF))
        plain, packed = struct.unpack("<QQ", extra[1])
    return needed, time, date, crc, packed, plain, name


def _end(data: bytes, directory: int, *, is_zip64: bool) -> None:
    signature, disk, first, here, entries, size, offset, comment = _unpack(
        "<4s4H2IH", data, len(data) - 22
    )
    _agree("end signature", signature, b"PK\x05\x06")
    _agree("end", (disk, first, here, entries, comment), (0, 0, 1, 1, 0))
    has_end_64 = data[directory + size : directory + size + 4] == b"PK\x06\x06"
    if not has_end_64:
        _agree("offset of the directory", offset, directory)
        _agree("size of the directory", directory + size, len(data) - 22)
        return
    _agree("a ZIP64 end for a ZIP64 member only", is_zip64, True)
    found = _unpack("<4sQ2H2I4Q", data, directory + size)
    _agree("ZIP64 end", found[1:], (44, found[2], 45, 0, 0, 1, 1, size, directory))
    locator = _unpack("<4sIQI", data, directory + size + 56)
    _agree("ZIP64 locator", locator, (b"PK\x06\x07", 0, directory + size, 1))
    _agree("the end", directory + size + 56 + 20, len(data) - 22)


def _extra_fields(extra: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while extra:
        kind, size = _unpack("<2H", extra, 0)
        if len(extra) < 4 + size or kind in found:
            raise BadZipError("extra fields")
        found[kind], extra = extra[4 : 4 + size], extra[4 + size :]
    return found


def _inflated(data: bytes, size: int) -> bytes:
    inflater = zlib.decompressobj(-15)
    content = inflater.decompress(data) + inflater.flush()
    _agree("end of the compressed data", (inflater.eof, inflater.unused_data), (True, b""))
    _agree("size", len(content), size)
    return content


def _unpack(layout: str, data: bytes, at: int) -> tuple[int, ...]:
    try:
        return struct.unpack_from(layout, data, at)
    except struct.error as error:
        raise BadZipError("it ends too early") from error


def _agree(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise BadZipError(f"{what}: {found!r}, not {expected!r}")

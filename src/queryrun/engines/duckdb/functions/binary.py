"""Functions of varbinary: hashes, checksums, spellings of bytes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import struct
import zlib

from queryrun.engines.duckdb.functions.registry import InputError, formatted, worker_function

_IS_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")
_U64 = 2**64 - 1


@worker_function("qr_crc32(BLOB) -> BIGINT")
def _crc32(value: bytes) -> int:
    return zlib.crc32(value)


@worker_function("qr_sha512(BLOB) -> BLOB")
def _sha512(value: bytes) -> bytes:
    return hashlib.sha512(value).digest()


@worker_function("qr_hmac(BLOB, BLOB, VARCHAR) -> BLOB")
def _hmac(value: bytes, key: bytes, algorithm: str) -> bytes:
    if not key:
        raise InputError("Empty key")
    return hmac.digest(key, value, algorithm)


@worker_function("qr_from_utf8(BLOB, VARCHAR) -> VARCHAR")
def _from_utf8(value: bytes, replacement: str) -> str:
    if len(replacement) > 1:
        raise InputError("Replacement string must empty or a single character")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return _replaced(value, replacement)


@worker_function("qr_from_utf8_by_code(BLOB, BIGINT) -> VARCHAR")
def _from_utf8_by_code(value: bytes, code_point: int) -> str:
    """The replacement by its code point, of which Trino takes 32 bits. A negative one counts when
    it is needed."""
    replacement = (code_point + 2**31) % 2**32 - 2**31
    if code_point > _MAX_CODE_POINT or code_point in _SURROGATES:
        raise InputError("Invalid replacement character")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        if replacement < 0:
            raise InputError(f"Invalid code point 0x{replacement % 2**32:X}") from None
        return _replaced(value, chr(replacement))


_MAX_CODE_POINT = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


def _replaced(value: bytes, replacement: str) -> str:
    """One replacement for each sequence that is none, as long as its first byte promises."""
    found, at = [], 0
    while at < len(value):
        size = _promised(value[at])
        while size > 1 and not all(0x80 <= byte < 0xC0 for byte in value[at + 1 : at + size]):
            size -= 1
        part = value[at : at + size]
        try:
            found.append(part.decode("utf-8"))
        except UnicodeDecodeError:
            found.append(replacement)
        at += len(part)
    return "".join(found)


def _promised(first: int) -> int:
    if first < 0xC0:
        return 1
    return 2 if first < 0xE0 else 3 if first < 0xF0 else 4 if first < 0xF8 else 1


@worker_function("qr_from_base32(VARCHAR) -> BLOB")
def _from_base32(value: str) -> bytes:
    text = value.rstrip("=")
    if len(text) % 8 in {1, 3, 6}:
        raise InputError(f"Invalid input length {len(text)}")
    try:
        return base64.b32decode(text + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        bad = next(c for c in text if c not in "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
        raise InputError(f"Unrecognized character: {bad}") from None


@worker_function("qr_to_base32(BLOB) -> VARCHAR")
def _to_base32(value: bytes) -> str:
    return base64.b32encode(value).decode("ascii")


@worker_function("qr_from_base64url(VARCHAR) -> BLOB")
def _from_base64url(value: str) -> bytes:
    text = value.rstrip("=")
    if not _IS_BASE64URL.fullmatch(text) or len(text) % 4 == 1:
        raise InputError("Illegal base64 character")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@worker_function("qr_to_base64url(BLOB) -> VARCHAR")
def _to_base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode("ascii")


# --- numbers as bytes -----------------------------------------------------------------------


def _unpacked(form: str, value: bytes, name: str) -> object:
    size = struct.calcsize(form)
    if len(value) != size:
        raise InputError(name.format(size=size, given=len(value)))
    return struct.unpack(form, value)[0]


_INTEGER = "expected {size}-byte input, but got instead: {given}"
_FLOAT = "Input floating-point value must be exactly {size} bytes long"


@worker_function("qr_from_big_endian_32(BLOB) -> INTEGER")
def _from_big_endian_32(value: bytes) -> object:
    return _unpacked(">i", value, _INTEGER)


@worker_function("qr_from_big_endian_64(BLOB) -> BIGINT")
def _from_big_endian_64(value: bytes) -> object:
    return _unpacked(">q", value, _INTEGER)


@worker_function("qr_from_ieee754_32(BLOB) -> VARCHAR")
def _from_ieee754_32(value: bytes) -> object:
    return formatted(float(str(_unpacked(">f", value, _FLOAT))))


@worker_function("qr_from_ieee754_64(BLOB) -> VARCHAR")
def _from_ieee754_64(value: bytes) -> object:
    return formatted(float(str(_unpacked(">d", value, _FLOAT))))


@worker_function("qr_to_big_endian_32(INTEGER) -> BLOB")
def _to_big_endian_32(value: int) -> bytes:
    return struct.pack(">i", value)


@worker_function("qr_to_big_endian_64(BIGINT) -> BLOB")
def _to_big_endian_64(value: int) -> bytes:
    return struct.pack(">q", value)


@worker_function("qr_to_ieee754_32(FLOAT) -> BLOB")
def _to_ieee754_32(value: float) -> bytes:
    return struct.pack(">f", value) if value == value else b"\x7f\xc0\x00\x00"


@worker_function("qr_to_ieee754_64(DOUBLE) -> BLOB")
def _to_ieee754_64(value: float) -> bytes:
    return struct.pack(">d", value) if value == value else b"\x7f\xf8" + bytes(6)


@worker_function("qr_reverse_bytes(BLOB) -> BLOB")
def _reverse(value: bytes) -> bytes:
    return value[::-1]


@worker_function("qr_pad_bytes(BLOB, BIGINT, BLOB, BOOLEAN) -> BLOB")
def _pad(value: bytes, size: int, padding: bytes, is_left: bool) -> bytes:
    if not 0 <= size <= 2**31 - 1:
        raise InputError("Target length must be in the range [0..2147483647]")
    if not padding:
        raise InputError("Padding bytes must not be empty")
    missing = size - len(value)
    if missing <= 0:
        return value[:size]
    filling = (padding * (missing // len(padding) + 1))[:missing]
    return filling + value if is_left else value + filling


# --- hashes ---------------------------------------------------------------------------------

_X1, _X2, _X3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_X4, _X5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def _left(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (64 - bits))) & _U64


def _round(state: int, word: int) -> int:
    return _left((state + word * _X2) & _U64, 31) * _X1 & _U64


def xxhash64(value: bytes) -> int:
    """XXH64 with seed 0."""
    size, at = len(value), 0
    if size >= 32:
        states = [(_X1 + _X2) & _U64, _X2, 0, -_X1 & _U64]
        while at + 32 <= size:
            words = struct.unpack_from("<4Q", value, at)
            states = [_round(state, word) for state, word in zip(states, words, strict=True)]
            at += 32
        found = sum(_left(s, n) for s, n in zip(states, (1, 7, 12, 18), strict=True)) & _U64
        for state in states:
            found = ((found ^ _round(0, state)) * _X1 + _X4) & _U64
    else:
        found = _X5
    return _finished((found + size) & _U64, value, at)


def _finished(found: int, value: bytes, at: int) -> int:
    while at + 8 <= len(value):
        (word,) = struct.unpack_from("<Q", value, at)
        found = (_left(found ^ _round(0, word), 27) * _X1 + _X4) & _U64
        at += 8
    if at + 4 <= len(value):
        (half,) = struct.unpack_from("<I", value, at)
        found = (_left(found ^ (half * _X1 & _U64), 23) * _X2 + _X3) & _U64
        at += 4
    for byte in value[at:]:
        found = _left(found ^ (byte * _X5 & _U64), 11) * _X1 & _U64
    found = (found ^ (found >> 33)) * _X2 & _U64
    found = (found ^ (found >> 29)) * _X3 & _U64
    return found ^ (found >> 32)


@worker_function("qr_xxhash64(BLOB) -> BLOB")
def _xxhash64(value: bytes) -> bytes:
    return struct.pack(">Q", xxhash64(value))


_M1, _M2 = 0x87C37B91114253D5, 0x4CF5AD432745937F


def _mixed(k: int) -> int:
    k = (k ^ (k >> 33)) * 0xFF51AFD7ED558CCD & _U64
    k = (k ^ (k >> 33)) * 0xC4CEB9FE1A85EC53 & _U64
    return k ^ (k >> 33)


@worker_function("qr_murmur3(BLOB) -> BLOB")
def _murmur3(value: bytes) -> bytes:
    """Murmur3, 128 bits for 64-bit machines, with seed 0."""
    a = b = 0
    whole = len(value) // 16 * 16
    for at in range(0, whole, 16):
        first, second = struct.unpack_from("<2Q", value, at)
        a ^= _left(first * _M1 & _U64, 31) * _M2 & _U64
        a = ((_left(a, 27) + b) * 5 + 0x52DCE729) & _U64
        b ^= _left(second * _M2 & _U64, 33) * _M1 & _U64
        b = ((_left(b, 31) + a) * 5 + 0x38495AB5) & _U64
    rest = value[whole:]
    b ^= _left(int.from_bytes(rest[8:], "little") * _M2 & _U64, 33) * _M1 & _U64
    a ^= _left(int.from_bytes(rest[:8], "little") * _M1 & _U64, 31) * _M2 & _U64
    a, b = a ^ len(value), b ^ len(value)
    a = (a + b) & _U64
    b = (b + a) & _U64
    a, b = _mixed(a), _mixed(b)
    a = (a + b) & _U64
    return struct.pack("<2Q", a, (b + a) & _U64)


# --- hashes of values, which `checksum` adds up ---------------------------------------------


@worker_function("qr_hash_bytes(BLOB) -> UBIGINT")
def _hash_bytes(value: bytes) -> int:
    return xxhash64(value)


@worker_function("qr_hash_integer(BIGINT) -> UBIGINT")
def _hash_integer(value: int) -> int:
    return _hash_64(value)


def _hash_64(value: int) -> int:
    return xxhash64(struct.pack("<q", value))


@worker_function("qr_hash_simple(BIGINT) -> UBIGINT")
def _hash_simple(value: int) -> int:
    """What a hash table of Trino's takes."""
    return _left(value % 2**64 * _X2 & _U64, 31) * _X1 & _U64


@worker_function("qr_hash_wide(HUGEINT) -> UBIGINT")
def _hash_wide(value: int) -> int:
    """Of an integer of 128 bits: each half's."""
    return _hash_64(value >> 64) ^ xxhash64(struct.pack("<Q", value & _U64))


@worker_function("qr_hash_double(DOUBLE) -> UBIGINT")
def _hash_double(value: float) -> int:
    return xxhash64(struct.pack("<d", value or 0.0))


@worker_function("qr_hash_real(FLOAT) -> UBIGINT")
def _hash_real(value: float) -> int:
    (bits,) = struct.unpack("<i", struct.pack("<f", value or 0.0))
    return _hash_64(bits)


@worker_function("qr_little_endian_64(UBIGINT) -> BLOB")
def _little_endian(value: int) -> bytes:
    return struct.pack("<Q", value)

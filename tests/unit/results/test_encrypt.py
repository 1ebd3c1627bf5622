"""Encryption to a caller's key, and that nothing which was touched opens again."""

from __future__ import annotations

import base64
import io
import itertools
import re

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from queryrun.results.encrypt import (
    FRAME_BYTES,
    encrypted,
    parse_public_key,
)
from queryrun.results.framing import BadKeyError
from queryrun_client.decrypt import PrivateKey, plain_frames
from queryrun_client.errors import DecryptFailed

PRIVATE = rsa.generate_private_key(65537, 2048)
WEAK = rsa.generate_private_key(65537, 1024)  # noqa: S505 - the contract requires it
FRAME = FRAME_BYTES + 16


def _spki(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def _pem(key: rsa.RSAPrivateKey, password: bytes | None = None) -> bytes:
    lock = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)


def _encrypt(plain: bytes, key: rsa.RSAPrivateKey = PRIVATE, chunk: int = 300_000) -> bytes:
    chunks = (plain[start : start + chunk] for start in range(0, len(plain), chunk))
    return b"".join(bytes(part) for part in encrypted(chunks, parse_public_key(_spki(key))))


def _decrypt(data: bytes, key: rsa.RSAPrivateKey = PRIVATE) -> bytes:
    return _open(data, _pem(key))


def _open(data: bytes, pem: bytes, password: bytes | None = None) -> bytes:
    return b"".join(plain_frames(io.BytesIO(data), PrivateKey(pem, password)))


# --- keys -------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1024, 2048])
def test_a_key_is_accepted_in_base64_and_in_pem(bits: int) -> None:
    key = {1024: WEAK, 2048: PRIVATE}[bits]
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    wrapped = re.sub("(.{64})", "\\1\n", _spki(key))
    parsed = [parse_public_key(text) for text in (_spki(key), pem, f" {wrapped}\r\n")]
    assert {(each.bits, each.fingerprint) for each in parsed} == {(bits, parsed[0].fingerprint)}
    assert [each.is_weak for each in parsed] == [bits < 2048] * 3


# 512 bits, made with another tool: no library that we use makes one any more.
SMALL = (
    "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALMVlLkFNqyVWMMzbLMlhMVYXdvKEwZOyTBHdGlRTP4Mru2ZX2Jmf0/R"
    "uMPkXOeQoqYKyGJ7GtDXmWgBqRbLUGkCAwEAAQ=="
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a public key"),
        ("not base64!", "not base64"),
        ("AAAA", "not a public key"),
        ("A" * 20_000, "too long"),
        (_spki(ec.generate_private_key(ec.SECP256R1())), "not an RSA key"),
        (SMALL, "1024 to 16384 bits"),
        (_pem(WEAK).decode(), "PEM must be a PUBLIC KEY"),
        ("ü" * 10, "not base64"),
    ],
    # keys are new at each start, and names of tests must be the same in every process
    ids=["empty", "text", "four", "long", "curve", "small", "private", "letters"],
)
def test_an_invalid_key_is_refused_with_the_reason_and_without_the_text(
    text: str, reason: str
) -> None:
    with pytest.raises(BadKeyError, match=reason) as refused:
        parse_public_key(text)
    assert len(text) < 8 or text not in str(refused.value)


def test_no_key_is_printed_by_accident() -> None:
    assert "rsa" not in repr(parse_public_key(_spki(WEAK)))


# --- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "size", [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 2 * FRAME_BYTES, 3_000_000]
)
def test_what_was_encrypted_opens_with_the_private_key(size: int) -> None:
    plain = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    data = _encrypt(plain)
    assert plain[:64] not in data or size < 64
    assert _decrypt(data) == plain


def _numbers(modulus: int, exponent: int) -> str:
    """Any two numbers in the form of an RSA key, as no library would write them."""
    algorithm = bytes.fromhex("300d06092a864886f70d0101010500")
    key = _tagged(0x30, _integer(modulus) + _integer(exponent))
    return base64.b64encode(_tagged(0x30, algorithm + _tagged(3, b"\0" + key))).decode()


def _integer(value: int) -> bytes:
    return _tagged(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _tagged(tag: int, body: bytes) -> bytes:
    """In DER: a short length is one byte, a longer one says how many bytes it takes."""
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8 or 1, "big")
    length = size if len(body) < 128 else bytes([0x80 | len(size)]) + size
    return bytes([tag]) + length + body


MODULUS = PRIVATE.public_key().public_numbers().n
PRIME = PRIVATE.private_numbers().p


@pytest.mark.parametrize(
    ("modulus", "exponent"),
    [
        (MODULUS - 1, 65537),
        (MODULUS + 1, 65537),
        (MODULUS * 3, 65537),
        (PRIME * PRIME, 65537),
        (2**2048, 65537),
        *((MODULUS, exponent) for exponent in (0, 1, 2, 3, 17, 65536, 65538)),
        (MODULUS, MODULUS),
        (MODULUS, MODULUS + 2),
        (MODULUS * MODULUS, 2**65 + 1),
    ],
    ids=itertools.count(),
)
def test_numbers_that_are_no_safe_key_are_refused(modulus: int, exponent: int) -> None:
    """Refused when a run is submitted: later they would fail the run, or protect nothing."""
    with pytest.raises(BadKeyError):
        parse_public_key(_numbers(modulus, exponent))


def test_the_same_form_with_good_numbers_is_accepted() -> None:
    assert parse_public_key(_numbers(MODULUS, 65537)).bits == 2048


def test_a_key_of_1024_bits_works() -> None:
    assert _decrypt(_encrypt(b"rows", WEAK), WEAK) == b"rows"


def test_a_locked_private_key_needs_its_password() -> None:
    data = _encrypt(b"rows")
    pem = _pem(PRIVATE, b"secret")
    assert _open(data, pem, b"secret") == b"rows"
    with pytest.raises(DecryptFailed, match="password"):
        _open(data, pem, b"wrong")
    with pytest.raises(DecryptFailed, match="password"):
        _open(data, pem)


def test_two_files_of_the_same_rows_share_no_bytes_but_their_head() -> None:
    first, second = _encrypt(b"rows" * 100), _encrypt(b"rows" * 100)
    assert first[:46] == second[:46]
    assert first[46:] != second[46:]


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(DecryptFailed, match="not for this key"):
        _decrypt(_encrypt(b"rows"), rsa.generate_private_key(65537, 2048))


BIG = bytes(range(256)) * 12_288  # exactly 3 frames
SEALED = _encrypt(BIG)
HEAD = 46 + 256
FRAMES = [SEALED[HEAD + FRAME * n : HEAD + FRAME * (n + 1)] for n in range(3)]


@pytest.mark.parametrize(
    "changed",
    [
        SEALED[:-1],
        SEALED[: HEAD + 2 * FRAME],
        SEALED[: HEAD + FRAME],
        SEALED[:HEAD],
        SEALED[:100],
        SEALED[:20],
        b"",
        SEALED + b"x",
        SEALED + SEALED[HEAD : HEAD + FRAME],
        SEALED[:HEAD] + FRAMES[1] + FRAMES[0] + FRAMES[2],
        SEALED[:HEAD] + FRAMES[1] + FRAMES[2],
        SEALED[:500] + bytes([SEALED[500] ^ 1]) + SEALED[501:],
        SEALED[:20] + bytes([SEALED[20] ^ 1]) + SEALED[21:],
        SEALED[:8] + (FRAME_BYTES // 2).to_bytes(4, "big") + SEALED[12:],
        SEALED[:8] + bytes(4) + SEALED[12:],
        SEALED[:60] + bytes([SEALED[60] ^ 1]) + SEALED[61:],
        b"something else altogether" * 10,
    ],
    ids=[
        "cut in the last frame", "cut between frames", "cut to one frame", "cut to the head",
        "cut in the key", "cut in the head", "empty", "appended", "a frame repeated",
        "frames exchanged", "a frame left out", "a bit in a frame", "a bit in the fingerprint",
        "another frame size", "frame size 0", "a bit in the key", "no file of ours",
    ],
)  # fmt: skip
def test_a_modified_file_does_not_open(changed: bytes) -> None:
    with pytest.raises(DecryptFailed):
        _decrypt(changed)


def test_frames_are_returned_as_they_arrive_in_bounded_memory() -> None:
    """The second frame is not needed to read the first but for knowing that it is not the last."""
    file = io.BytesIO(SEALED)
    assert next(plain_frames(file, PrivateKey(_pem(PRIVATE)))) == BIG[:FRAME_BYTES]
    assert file.tell() <= HEAD + 2 * FRAME

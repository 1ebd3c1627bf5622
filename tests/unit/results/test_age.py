"""Files for recipients of age: opened by another implementation, and by our client."""

from __future__ import annotations

import io
from pathlib import Path

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queryrun.results.age import CHUNK_BYTES, AgeRecipient
from queryrun.results.encrypt import encrypted, parse_key
from queryrun.results.framing import BadKeyError
from queryrun_client.decrypt import PrivateKey, decrypt_file, is_encrypted
from queryrun_client.errors import DecryptFailed

IDENTITY = pyrage.x25519.Identity.generate()
RECIPIENT = str(IDENTITY.to_public())
SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 40 * CHUNK_BYTES + 7]


def sealed(data: bytes) -> bytes:
    """The age file of some bytes, which come in chunks of odd size."""
    chunks = (data[at : at + 50_001] for at in range(0, len(data), 50_001))
    return b"".join(bytes(chunk) for chunk in encrypted(chunks, parse_key(RECIPIENT)))


@pytest.mark.parametrize("size", SIZES)
def test_another_implementation_opens_the_file(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    assert pyrage.decrypt(sealed(data[:size]), [IDENTITY]) == data[:size]


@pytest.mark.parametrize("size", SIZES)
def test_our_client_opens_the_file(size: int, tmp_path: Path) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "in").write_bytes(sealed(data[:size]))
    assert is_encrypted(tmp_path / "in")
    key = PrivateKey(f"# created today\n{IDENTITY}\n".encode())
    decrypt_file(tmp_path / "in", tmp_path / "out", key)
    assert (tmp_path / "out").read_bytes() == data[:size]


def test_our_client_opens_what_another_implementation_wrote(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(pyrage.encrypt(b"hello", [IDENTITY.to_public()]))
    decrypt_file(tmp_path / "in", tmp_path / "out", PrivateKey(str(IDENTITY).encode()))
    assert (tmp_path / "out").read_bytes() == b"hello"


@settings(deadline=None, max_examples=80)
@given(at=st.integers(0, 400_000), bit=st.integers(0, 7))
def test_any_changed_byte_is_noticed(at: int, bit: int) -> None:
    file = bytearray(SEALED)
    file[at % len(file)] ^= 1 << bit
    with pytest.raises(DecryptFailed):
        opened(bytes(file))


@pytest.mark.parametrize("cut", [1, 16, CHUNK_BYTES + 16, 2 * (CHUNK_BYTES + 16)])
def test_a_truncated_file_does_not_open(cut: int) -> None:
    with pytest.raises(DecryptFailed):
        opened(SEALED[:-cut])


def test_another_key_does_not_open_the_file() -> None:
    other = str(pyrage.x25519.Identity.generate()).encode()
    with pytest.raises(DecryptFailed, match="not for this key"):
        opened(SEALED, other)


def opened(file: bytes, key: bytes = str(IDENTITY).encode()) -> bytes:
    from queryrun_client.age import plain_chunks

    return b"".join(plain_chunks(io.BytesIO(file), key))


SEALED = sealed(bytes(3 * CHUNK_BYTES))


def test_recipients_are_read_as_others_read_them() -> None:
    """Many, because a recipient is a text of 5-bit groups."""
    for _ in range(50):
        identity = pyrage.x25519.Identity.generate()
        recipient = AgeRecipient.parsed(f" {identity.to_public()}\n")
        assert pyrage.decrypt(b"".join(encrypted([b"x"], recipient)), [identity]) == b"x"


@pytest.mark.parametrize(
    "text",
    [
        "age1",
        RECIPIENT[:-1],
        RECIPIENT[:-1] + ("q" if RECIPIENT[-1] != "q" else "p"),
        RECIPIENT + "q",
        RECIPIENT.replace("age1", "age1pq1"),
        "age1" + "q" * 200,
        RECIPIENT[:10].upper() + RECIPIENT[10:],
        "age1é",
    ],
    ids=["short", "cut", "changed", "longer", "other kind", "too long", "mixed case", "not ascii"],
)
def test_what_is_no_recipient_is_refused(text: str) -> None:
    with pytest.raises(BadKeyError) as refused:
        parse_key(text)
    assert text not in str(refused.value) or text == "age1"

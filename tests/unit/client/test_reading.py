"""Reading files: compression, types, packages that are missing; and decryption's refusals."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from queryrun.results.encrypt import FRAME_BYTES, encrypted, parse_public_key
from queryrun_client import (
    Column,
    DecryptFailed,
    FileInfo,
    MissingPackage,
    RunInfo,
    State,
    UnexpectedResponse,
    Unsupported,
)
from queryrun_client.decrypt import PrivateKey, decrypt_file
from queryrun_client.plain import open_plain
from queryrun_client.rows import Row as PlainRow
from queryrun_client.rows import polars_of, read_arrow, read_rows

LINES = b'{"a":1}\n{"a":2}\n'


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, LINES)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "packed",
    [LINES, gzip.compress(LINES, mtime=0), zipped("r.json")],
    ids=["plain", "gzip", "zip"],
)
def test_compression_is_recognised_by_the_bytes(tmp_path: Path, packed: bytes) -> None:
    (tmp_path / "no-suffix").write_bytes(packed)
    with open_plain(tmp_path / "no-suffix") as file:
        assert file.read() == LINES


def test_a_zip_of_several_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(zipped("a", "b"))
    with pytest.raises(UnexpectedResponse, match="2 members"), open_plain(tmp_path / "f"):
        pass


class Row(msgspec.Struct):
    a: int


def test_a_row_that_does_not_have_its_type_is_named(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(LINES + b'{"a":"x"}\n')
    with pytest.raises(UnexpectedResponse, match="row 3"):
        list(read_rows(tmp_path / "f", Row, RunInfo("r", State.COMPLETE)))


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    run = RunInfo("r", State.COMPLETE, file=FileInfo("f.xml", "http://x", "xml"))
    with pytest.raises(Unsupported, match="xml"):
        read_arrow(tmp_path / "f", run)


def test_an_empty_json_file_is_an_empty_table(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    run = RunInfo("r", State.COMPLETE, file=FileInfo("f.json", "http://x", "json"))
    assert read_arrow(tmp_path / "f", run).num_rows == 0


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(MissingPackage, match="polars"):
        polars_of(None)


EXACT = {
    "text": (pa.string(), ["007", "2024-01-01", "", None]),
    "whole": (pa.int64(), [2**63 - 1, -(2**63), 0, None]),
    "decimal": (
        pa.decimal128(38, 6),
        [
            Decimal("12345678901234567890123456789012.100000"),
            Decimal("-0.000001"),
            Decimal(0),
            None,
        ],
    ),
    "truth": (pa.bool_(), [True, False, True, None]),
    "double": (pa.float64(), [0.1, -1e308, 5e-324, None]),
    "day": (pa.date32(), [date(1, 1, 1), date(9999, 12, 31), date(2024, 2, 29), None]),
    "time": (pa.time64("us"), [time(23, 59, 59, 999999), time(0), time(12), None]),
    "local": (pa.timestamp("us"), [datetime(2024, 2, 29, 1, 2, 3, 456789)] * 3 + [None]),
    "moment": (pa.timestamp("us", "UTC"), [datetime(2024, 2, 29, tzinfo=UTC)] * 3 + [None]),
    "bytes": (pa.binary(), [b"\x00\xff", b"", b"a", None]),
    "list": (pa.list_(pa.int32()), [[1, None], [], [3], None]),
    "record": (pa.struct([("a", pa.string())]), [{"a": "x"}, {"a": None}, {"a": ""}, None]),
}


def test_polars_has_every_value_and_type_that_arrow_has() -> None:
    table = pa.table({name: pa.array(values, kind) for name, (kind, values) in EXACT.items()})
    frame = polars_of(table)
    assert frame.columns == table.column_names
    for name, (_, values) in EXACT.items():
        assert frame[name].to_list() == values, name
    assert str(frame.schema["decimal"]) == "Decimal(precision=38, scale=6)"
    assert str(frame.schema["text"]) == "String"
    assert polars_of(table.slice(0, 0)).schema == frame.schema


DECIMALS = [
    ("decimal(4,2)", "12.3", pa.decimal128(4, 2)),
    ("decimal(4,2)", "null", pa.decimal128(4, 2)),
    ("decimal(15,0)", "120", pa.decimal128(15, 0)),
    ("decimal(38,37)", "1.5", pa.decimal128(38, 37)),
    ("decimal(38,6)", "12345678901234567890123456789012.1", pa.decimal128(38, 6)),
    ("array(decimal(5,3))", "[1.5,null,2]", pa.list_(pa.decimal128(5, 3))),
    ("array(array(decimal(5,3)))", "[[1.5],null]", pa.list_(pa.list_(pa.decimal128(5, 3)))),
    ('row("a" decimal(5,3),"b" varchar)', '{"a":1.5,"b":"2.5"}',
     pa.struct([("a", pa.decimal128(5, 3)), ("b", pa.string())])),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value", "oracle"), DECIMALS)
def test_decimals_of_rows_have_the_digits_of_their_type_however_json_writes_them(
    tmp_path: Path, kind: str, value: str, oracle: pa.DataType
) -> None:
    """Two decimals that are equal may differ in their digits, so what is compared is their text."""
    (tmp_path / "f").write_bytes(b'{"x":%b}\n' % value.encode())
    info = RunInfo("r", State.COMPLETE, content_type="json", columns=(Column("x", kind),))
    (row,) = read_rows(tmp_path / "f", PlainRow, info)
    plain = msgspec.json.Decoder(float_hook=Decimal).decode(value)
    (expected,) = pa.array([plain], oracle).to_pylist()
    assert str(row["x"]) == str(expected)


def test_decimals_that_are_keys_have_their_digits_and_none_is_rounded(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b'{"m":{"1.5":2.5},"more":1.234}\n')
    columns = (Column("m", "map(decimal(3,2),decimal(4,3))"), Column("more", "decimal(3,2)"))
    info = RunInfo("r", State.COMPLETE, content_type="json", columns=columns)
    (row,) = read_rows(tmp_path / "f", PlainRow, info)
    assert str(row) == "{'m': {Decimal('1.50'): Decimal('2.500')}, 'more': Decimal('1.234')}"


# --- decryption: written by the server's own code, read by the client's -----------------------


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def pem(key: rsa.RSAPrivateKey) -> PrivateKey:
    return PrivateKey(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def sealed(key: rsa.RSAPrivateKey, data: bytes) -> bytes:
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return b"".join(encrypted(iter([data]), parse_public_key(public.decode())))


@pytest.mark.parametrize("size", [0, 1, FRAME_BYTES - 1, FRAME_BYTES, 2 * FRAME_BYTES + 5])
def test_what_the_server_encrypts_the_client_decrypts(
    tmp_path: Path, key: rsa.RSAPrivateKey, size: int
) -> None:
    data = os.urandom(size)
    (tmp_path / "f.enc").write_bytes(sealed(key, data))
    decrypt_file(tmp_path / "f.enc", tmp_path / "f", pem(key))
    assert (tmp_path / "f").read_bytes() == data


def test_truncated_changed_reordered_and_foreign_files_are_refused(
    tmp_path: Path, key: rsa.RSAPrivateKey
) -> None:
    whole = sealed(key, os.urandom(2 * FRAME_BYTES))
    head, frame = 46 + 256, FRAME_BYTES + 16
    swapped = whole[:head] + whole[head + frame :] + whole[head : head + frame]
    flipped = bytearray(whole)
    flipped[-1] ^= 1
    for bad in (whole[:-1], whole[: head + frame], swapped, bytes(flipped), b"a,b\n1,2\n", b""):
        (tmp_path / "f.enc").write_bytes(bad)
        with pytest.raises(DecryptFailed):
            decrypt_file(tmp_path / "f.enc", tmp_path / "f", pem(key))


def test_another_key_and_no_key_are_refused(tmp_path: Path, key: rsa.RSAPrivateKey) -> None:
    (tmp_path / "f.enc").write_bytes(sealed(key, b"x"))
    other = rsa.generate_private_key(65537, 2048)
    with pytest.raises(DecryptFailed, match="not for this key"):
        decrypt_file(tmp_path / "f.enc", tmp_path / "f", pem(other))
    with pytest.raises(DecryptFailed, match="PEM"):
        decrypt_file(tmp_path / "f.enc", tmp_path / "f", PrivateKey(b"no key"))

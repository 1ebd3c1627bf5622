"""Zip files that no reader can find fault with; tests/contract/test_zip_readers.py has others."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from queryrun.engines.base import EngineLimits
from queryrun.engines.duckdb.session import DuckDBSession, open_session
from queryrun.results import output
from queryrun.results import zip as zip_module
from queryrun.results.formats import ContentEncoding, ContentType
from queryrun.results.local import LocalResultStore
from queryrun.results.request import WriteRequest
from queryrun.results.write import write_result
from queryrun.results.zip import ZipFile
from queryrun_client.decrypt import PrivateKey, plain_frames
from tests.unit.results.packing import in_order
from tests.unit.results.strict_zip import BadZipError, read_strictly
from tests.unit.results.test_write import RecordingReport

NAME = "run_1_0123456789.csv"


@pytest.fixture(params=[False, True], ids=["plain", "zip64"])
def is_zip64(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the members of this test are taken for ones of 4 GB."""
    if request.param:
        monkeypatch.setattr(zip_module, "ZIP64_FROM", 1)
    return bool(request.param)


@pytest.mark.parametrize("content", [[], [b""], [b"id\n", b"1\n" * 300_000, os.urandom(100_000)]])
def test_every_field_agrees_with_every_other(content: list[bytes], *, is_zip64: bool) -> None:
    data = in_order(ZipFile(content, NAME))
    member = read_strictly(data)
    assert (member.name, member.content) == (NAME, b"".join(content))
    assert member.is_zip64 == is_zip64
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.read(NAME) == b"".join(content)
    (entry,) = archive.infolist()
    assert entry.date_time == (1980, 1, 1, 0, 0, 0)
    assert data == in_order(ZipFile(content, NAME))


def test_the_strict_reader_notices_any_changed_byte_of_the_headers() -> None:
    """Otherwise the tests that use it would prove little."""
    data = in_order(ZipFile([b"id\n1\n2\n3\n"], NAME))
    header, name = 30, slice(30, 30 + len(NAME))
    directory = data.index(b"PK\x01\x02")
    made_by_and_attributes = {4, 5, *range(36, 42)}
    ignored = {directory + offset for offset in made_by_and_attributes}
    for at in [*range(header), *range(name.stop, name.stop + 20), *range(directory, len(data))]:
        changed = bytearray(data)
        changed[at] ^= 0x40
        if at not in ignored:
            with pytest.raises(BadZipError):
                read_strictly(bytes(changed))


def test_a_member_of_4_gb_has_its_sizes_in_zip64_and_a_smaller_one_has_not() -> None:
    """Sizes are what counts; the content is not looked at."""
    for size, expected in [(0xFFFFFFFE, 20), (0xFFFFFFFF, 45), (2**40, 45)]:
        file = ZipFile([], NAME)
        file._sizes = zip_module._Sizes(7, 1000, size)
        head = file.head()
        assert len(head) == file.head_bytes
        assert int.from_bytes(head[4:6], "little") == expected
        fields = [int.from_bytes(head[at : at + 4], "little") for at in (18, 22)]
        assert fields == ([1000, size] if expected == 20 else [0xFFFFFFFF] * 2)


# --- the whole pipeline ---------------------------------------------------------------------

ROWS = "SELECT i AS id, hash(i) AS h FROM range(400000) t(i)"
"""6 MB in a zip file."""
SMALL_ROWS = "SELECT i AS id FROM range(10) t(i)"


@pytest.fixture
def session(tmp_path: Path) -> Iterator[DuckDBSession]:
    """A session over an empty directory."""
    for name in ("data", "spill", "results"):
        (tmp_path / name).mkdir()
    limits = EngineLimits(512 * 1024**2, 2, str(tmp_path / "spill"), 64 * 1024**2)
    session = open_session({"data_dir": str(tmp_path / "data")}, limits)
    yield session
    session.close()


def _write(session: DuckDBSession, tmp_path: Path, sql: str, key: str | None = None) -> bytes:
    request = WriteRequest(
        sql, f"{NAME}.zip", ContentType.CSV, ContentEncoding.ZIP, encryption_key=key
    )
    store = LocalResultStore(tmp_path / "results")
    written = write_result(session, request, store, RecordingReport())
    data = (tmp_path / "results" / request.file_key).read_bytes()
    assert written.size_bytes == len(data)
    assert written.sha256 == hashlib.sha256(data).hexdigest()
    assert not list((tmp_path / "spill").iterdir())
    return data


@pytest.mark.parametrize(("sql", "rows"), [(SMALL_ROWS, 10), (ROWS, 400_000)])
def test_a_result_of_any_size_is_a_strict_zip_file(
    session: DuckDBSession, tmp_path: Path, sql: str, rows: int
) -> None:
    data = _write(session, tmp_path, sql)
    assert (len(data) > output.HELD_BYTES) == (rows > 10)
    member = read_strictly(data)
    assert member.name == NAME
    assert member.content.count(b"\n") == rows + 1


@pytest.mark.parametrize(("sql", "rows"), [(SMALL_ROWS, 10), (ROWS, 400_000)])
def test_an_encrypted_result_is_one_too(
    session: DuckDBSession, tmp_path: Path, sql: str, rows: int
) -> None:
    """Its first frame has the header, so that frame is sealed last."""
    private = rsa.generate_private_key(65537, 2048)
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    data = _write(session, tmp_path, sql, base64.b64encode(public).decode())
    plain = b"".join(plain_frames(io.BytesIO(data), PrivateKey(pem)))
    assert read_strictly(plain).content.count(b"\n") == rows + 1


@pytest.mark.parametrize(("sql", "rows"), [(SMALL_ROWS, 10), (ROWS, 400_000)])
def test_a_result_encrypted_with_age_is_one_too(
    session: DuckDBSession, tmp_path: Path, sql: str, rows: int
) -> None:
    identity = pyrage.x25519.Identity.generate()
    data = _write(session, tmp_path, sql, str(identity.to_public()))
    assert read_strictly(pyrage.decrypt(data, [identity])).content.count(b"\n") == rows + 1


def test_a_failure_after_the_first_megabytes_leaves_nothing(
    session: DuckDBSession, tmp_path: Path
) -> None:
    failing = f"{ROWS} UNION ALL SELECT CAST('x' || i AS BIGINT), 1 FROM range(400000, 400001) t(i)"
    with pytest.raises(Exception, match="invalid_value"):
        _write(session, tmp_path, failing)
    assert not list((tmp_path / "results").iterdir())
    assert not list((tmp_path / "spill").iterdir())


def test_the_size_limit_holds(session: DuckDBSession, tmp_path: Path) -> None:
    request = WriteRequest(ROWS, f"{NAME}.zip", ContentType.CSV, ContentEncoding.ZIP)
    store = LocalResultStore(tmp_path / "results")
    limited = replace(request, size_limit_bytes=5_000_000)
    with pytest.raises(Exception, match="size_limit_exceeded"):
        write_result(session, limited, store, RecordingReport())
    assert not list((tmp_path / "results").iterdir())

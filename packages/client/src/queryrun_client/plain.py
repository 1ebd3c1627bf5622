"""Open a downloaded file uncompressed. The first bytes identify the compression.

The name cannot: how compatible servers name compressed files is undocumented (contract F4).
"""

from __future__ import annotations

import gzip
import importlib
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from queryrun_client.decrypt import is_encrypted
from queryrun_client.errors import DecryptFailed, MissingPackage, UnexpectedResponse


@contextmanager
def open_plain(path: Path) -> Iterator[BinaryIO]:
    """The file's uncompressed bytes as a binary stream. `DecryptFailed` when it is encrypted."""
    if is_encrypted(path):
        raise DecryptFailed("the file is encrypted: give the client the private key")
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(0)
        if start.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=file) as opened:
                yield cast("BinaryIO", opened)
        elif start == b"PK\x03\x04":
            with zipfile.ZipFile(file) as archive, archive.open(_only_member(archive)) as member:
                yield cast("BinaryIO", member)
        elif start == b"\x28\xb5\x2f\xfd":
            yield _zstd(file)
        else:
            yield file


def _only_member(archive: zipfile.ZipFile) -> str:
    names = archive.namelist()
    if len(names) != 1:
        raise UnexpectedResponse(f"the zip file has {len(names)} members instead of one")
    return names[0]


def _zstd(file: BinaryIO) -> BinaryIO:
    """Zstandard by the package `zstandard`, or by pyarrow if only that is installed."""
    try:
        package: Any = importlib.import_module("zstandard")
    except ImportError:
        arrow: Any = optional("pyarrow", "reading zstd needs the package zstandard or pyarrow")
        stream = arrow.CompressedInputStream(arrow.PythonFile(file, mode="r"), "zstd")
        return cast("BinaryIO", io.BytesIO(stream.read()))
    reader = package.ZstdDecompressor().stream_reader(file, read_across_frames=True)
    return cast("BinaryIO", io.BufferedReader(reader))


def optional(name: str, reason: str) -> Any:
    """Import an optional package; `MissingPackage` with the reason when it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingPackage(reason) from error

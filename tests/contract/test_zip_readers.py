"""Our zip files are read by the programs of others, as files and as streams (contract F5)."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from queryrun.results import zip as zip_module
from queryrun.results.zip import ZipFile
from tests.unit.results.packing import in_order

NAME = "run_1_0123456789.csv"
READERS = Path(__file__).parent / "zip_readers"
CACHE = Path(__file__).parents[2] / ".cache" / "zip-readers"
UNZIPPER = "unzipper@0.12.3"


@pytest.fixture(params=[False, True], ids=["plain", "zip64"])
def is_zip64(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the members of this test are taken for ones of 4 GB."""
    if request.param:
        monkeypatch.setattr(zip_module, "ZIP64_FROM", 1)
    return bool(request.param)


@dataclass(frozen=True)
class Reader:
    """A program that writes the content: of the file on standard input, or of the path it gets."""

    name: str
    command: Callable[[Path], list[str]]
    is_there: Callable[[], bool]
    reads_stream: bool = False


def _jdk(version: int) -> Reader:
    found = [
        home / "bin/java"
        for home in sorted(Path("/usr/lib/jvm").glob(f"*{version}*"))
        if (home / "bin/java").is_file()
    ]
    command = [str(found[0] if found else ""), str(READERS / "Stream.java")]
    return Reader(f"JDK {version}", lambda _: command, lambda: bool(found), reads_stream=True)


def _on_path(name: str, *words: str) -> Reader:
    def command(path: Path) -> list[str]:
        return [word.format(path=path, readers=READERS) for word in words]

    reads_stream = not any("{path}" in word for word in words)
    return Reader(name, command, lambda: shutil.which(words[0]) is not None, reads_stream)


def _has_unzipper() -> bool:
    """The package of Node: fetched once; without the network and a cache it is not there."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return False
    if not (CACHE / "node_modules/unzipper").is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--silent", "--no-audit", "--prefix", str(CACHE), UNZIPPER]
        return subprocess.run(command, check=False, capture_output=True, timeout=60).returncode == 0
    return True


NODE = Reader("Node", lambda _: ["node", str(READERS / "stream.cjs")], _has_unzipper, True)
READ_BY = [
    _jdk(17),
    _jdk(25),
    _on_path("funzip", "funzip"),
    _on_path("unzip", "unzip", "-p", "{path}"),
    _on_path("7z", "7z", "e", "-so", "{path}"),
    _on_path("Go", "go", "run", "{readers}/stream.go", "{path}"),
    NODE,
]
NO_ZIP64_IN_STREAMS = {"funzip", "Node"}


@pytest.mark.parametrize("reader", READ_BY, ids=lambda reader: str(reader.name))
def test_it_is_read_by(reader: Reader, tmp_path: Path, *, is_zip64: bool) -> None:
    if not reader.is_there():
        pytest.skip(f"{reader.name} is not on this machine")
    if is_zip64 and reader.name in NO_ZIP64_IN_STREAMS:
        pytest.skip(f"{reader.name} reads no ZIP64 from a stream, whoever made it")
    content = b"id,name\n" + os.urandom(700_000) + b"1,a\n" * 100_000
    path = tmp_path / "a.zip"
    path.write_bytes(in_order(ZipFile([content[:10], content[10:]], NAME)))
    with path.open("rb") as file:
        found = subprocess.run(
            reader.command(path),
            check=False,
            stdin=file if reader.reads_stream else subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "NODE_PATH": str(CACHE / "node_modules")},
            timeout=120,
        )
    assert found.returncode == 0, found.stderr.decode()
    assert hashlib.sha256(found.stdout).digest() == hashlib.sha256(content).digest()

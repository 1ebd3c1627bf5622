"""A file goes where it was sent: what is no regular file is written into and stays what it is."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from queryrun_client.target import file_at, is_written_into, write_into


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A result that was downloaded."""
    path = tmp_path / "source"
    path.write_bytes(b"a\n42\n")
    return path


def test_a_device_stays_a_device(source: Path) -> None:
    before = Path("/dev/null").stat().st_rdev
    assert is_written_into(Path("/dev/null"))
    write_into(source, Path("/dev/null"))
    found = Path("/dev/null").stat()
    assert (stat.S_ISCHR(found.st_mode), found.st_rdev) == (True, before)


def test_a_link_to_a_device_is_written_into(source: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/dev/null")
    assert is_written_into(link)
    write_into(source, link)
    assert link.is_symlink()


def test_the_reader_of_a_fifo_gets_the_bytes(source: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert is_written_into(fifo)
    writer = threading.Thread(target=write_into, args=(source, fifo))
    writer.start()
    assert fifo.read_bytes() == b"a\n42\n"
    writer.join()
    assert fifo.is_fifo()


@pytest.mark.parametrize("pattern", ["/dev/fd/{}", "/proc/self/fd/{}"])
def test_a_descriptor_is_written_to_where_it_stands(
    source: Path, tmp_path: Path, pattern: str
) -> None:
    path = tmp_path / "out"
    with path.open("wb", buffering=0) as file:
        file.write(b"before\n")
        target = Path(pattern.format(file.fileno()))
        assert is_written_into(target)
        write_into(source, target)
    assert path.read_bytes() == b"before\na\n42\n"


def test_standard_output_is_a_descriptor(
    source: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert is_written_into(Path("/dev/stdout"))
    write_into(source, Path("/dev/stdout"))
    assert capfdbinary.readouterr().out == b"a\n42\n"


def test_regular_files_directories_and_new_names_are_not_written_into(tmp_path: Path) -> None:
    assert not is_written_into(tmp_path)
    assert not is_written_into(tmp_path / "new")
    (tmp_path / "old").write_text("x")
    assert not is_written_into(tmp_path / "old")


@pytest.mark.parametrize("exists", [True, False])
def test_behind_a_link_its_file_is_replaced(tmp_path: Path, exists: bool) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    if exists:
        (tmp_path / "file").write_text("x")
    assert file_at(tmp_path / "link") == tmp_path / "file"


def test_a_full_disk_is_an_error_that_names_the_target(source: Path) -> None:
    with pytest.raises(OSError, match="/dev/full") as refused:
        write_into(source, Path("/dev/full"))
    assert (refused.value.errno, refused.value.filename) == (errno.ENOSPC, "/dev/full")

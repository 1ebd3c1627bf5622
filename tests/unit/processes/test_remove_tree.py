"""A directory is removed whatever the process that filled it has done to it."""

from __future__ import annotations

import os
from pathlib import Path

from queryrun.processes.remove_tree import remove_tree


def test_directories_deeper_than_a_recursion_or_a_path_goes_are_removed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    here = os.open(root, os.O_RDONLY)
    for _ in range(1_500):
        os.mkdir("down", dir_fd=here)
        below = os.open("down", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    remove_tree(root)
    assert not root.exists()


def test_directories_without_modes_are_removed(tmp_path: Path) -> None:
    closed = tmp_path / "root" / "closed"
    closed.mkdir(parents=True)
    (closed / "file").touch()
    closed.chmod(0)
    remove_tree(tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_names_that_are_no_text_are_removed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    Path(os.fsdecode(os.fsencode(root) + b"/\xff\xfe")).mkdir()
    remove_tree(root)
    assert not root.exists()


def test_no_link_is_followed(tmp_path: Path) -> None:
    others = tmp_path / "others"
    others.mkdir()
    (others / "file").touch()
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(others)
    remove_tree(root)
    assert not root.exists()
    (tmp_path / "itself").symlink_to(others)
    remove_tree(tmp_path / "itself")
    assert (others / "file").exists()


def test_what_is_not_there_is_removed_already(tmp_path: Path) -> None:
    remove_tree(tmp_path / "nowhere")

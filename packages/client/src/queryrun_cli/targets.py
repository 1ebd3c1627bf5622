"""What a file of results becomes: its suffixes say the format and the compression.

A file whose suffix and bytes disagree is opened as a broken one, so a suffix that is no format is
refused unless the format is said.
"""

from __future__ import annotations

import os
from pathlib import Path

from queryrun_cli.errors import CommandError
from queryrun_client import formats
from queryrun_client.target import file_at, is_written_into

FORMATS = tuple(name for name, one in formats.FORMATS.items() if not one.needs_separator)
STDOUT = Path("-")
_DEFAULT = "csv"
_UNSAID = frozenset({"", ".txt", ".out"})
"""Suffixes that say nothing of a format."""
_ENCRYPTED = ".enc"


def content_of(path: Path, requested: str | None = None) -> tuple[str | None, str]:
    """Format and compression of a file by its suffixes, in upper or lower case.

    The format is None when neither the suffix nor `requested` says one. `CommandError` for a
    suffix that is no format.
    """
    if path == STDOUT or path.is_dir():
        return requested, "none"
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == _ENCRYPTED:
        suffixes.pop()
    compression = "none"
    if suffixes and suffixes[-1] in formats.COMPRESSIONS:
        compression = formats.COMPRESSIONS[suffixes.pop()]
    suffix = suffixes[-1] if suffixes else ""
    if suffix[1:] in FORMATS:
        return requested or suffix[1:], compression
    says_nothing = suffix in _UNSAID or compression != "none" or is_written_into(path)
    if requested is None and not says_nothing:
        raise CommandError(
            f"{path}: {suffix} is no format of results; use one of {', '.join(FORMATS)}, or say "
            "with --format what the file should be"
        )
    return requested, compression


def with_default(path: Path, requested: str | None) -> tuple[str, str]:
    """The same, where a file that says no format is CSV."""
    found, compression = content_of(path, requested)
    return found or _DEFAULT, compression


def check_writable(path: Path) -> None:
    """`CommandError` or `OSError` unless a file can be made there: told before anything runs."""
    if path == STDOUT or is_written_into(path):
        return
    folder = path if path.is_dir() else file_at(path).parent
    if not folder.is_dir():
        what = "is no directory" if folder.exists() else "does not exist"
        raise CommandError(f"{path}: the directory {folder} {what}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CommandError(f"{path}: no permission to write to {folder}, or it is read-only")

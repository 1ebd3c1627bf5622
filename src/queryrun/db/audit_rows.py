"""Entries of the audit log as both stores bind and read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from queryrun.audit.chain import digest_of
from queryrun.audit.model import AuditEntry, ChainHead, content_of
from queryrun.errors import ConfigurationError

Row = tuple[Any, ...]
Chained = tuple[int, int, str, str]
"""Position, time, content and digest: the row of an entry in the chain."""
MAX_POSITION = 2**62
"""Behind every entry of any chain."""


def content_value(entry: AuditEntry | None) -> str | None:
    """What appending an entry binds; None for none."""
    return None if entry is None else content_of(entry)


def chained(rows: Sequence[tuple[int, str]], position: int, digest: str) -> list[Chained]:
    """Waiting entries (time and content) in the chain behind this position."""
    entries = []
    for at_ms, content in rows:
        position += 1
        digest = digest_of(digest, position, at_ms, content)
        entries.append((position, at_ms, content, digest))
    return entries


def head_of(row: Row | None) -> ChainHead:
    """Read `audit_head`. `ConfigurationError` when somebody has removed its row, or put something
    into it that no program of ours has written."""
    values: Row = tuple(text_of(x) if isinstance(x, bytes) else x for x in row or ())
    if tuple(map(type, values)) != (int, str, int, str):
        raise ConfigurationError(
            "the head of the audit log is missing in the database, or is broken: somebody has "
            "changed it; compare the log with an export, or restore a backup"
        )
    return ChainHead(*values)


def text_of(content: bytes) -> str:
    """A text that was read as its bytes: SQLite does not see to it that it is UTF-8."""
    return content.decode("utf-8", "surrogateescape")

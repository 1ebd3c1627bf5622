"""Entries of the audit log as both stores bind and read them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from queryrun.audit.chain import digest_of, texts_of
from queryrun.audit.model import AuditEntry, ChainedEntry, ChainHead

Row = tuple[Any, ...]

ENTRY_NAMES = (
    *("audit_tenant_id", "audit_entity_id", "audit_client_id", "audit_event", "audit_subject"),
    *("audit_remote_address", "audit_detail"),
)
_NONE = dict.fromkeys(ENTRY_NAMES)


def entry_values(entry: AuditEntry | None) -> Mapping[str, object]:
    """What appending an entry binds; all None for none."""
    if entry is None:
        return _NONE
    return {
        "audit_tenant_id": entry.tenant_id,
        "audit_entity_id": entry.entity_id,
        "audit_client_id": entry.client_id,
        "audit_event": entry.event.value,
        "audit_subject": entry.subject,
        "audit_remote_address": entry.remote_address,
        "audit_detail": detail_text(entry.detail),
    }


def detail_text(detail: Mapping[str, object]) -> str:
    """Compact JSON in ASCII: it has no character that a database would refuse."""
    return json.dumps(detail, separators=(",", ":"), sort_keys=True)


def chained(rows: Sequence[Row], position: int, digest: str) -> list[ChainedEntry]:
    """Waiting entries (`at_ms` and the seven texts), in the chain behind this position."""
    entries: list[ChainedEntry] = []
    for row in rows:
        position += 1
        entry = ChainedEntry(position, *row)
        digest = digest_of(digest, position, entry.at_ms, texts_of(entry))
        entries.append(replace(entry, digest=digest))
    return entries


def head_of(row: Row) -> ChainHead:
    """Read `audit_head`."""
    return ChainHead(*row)

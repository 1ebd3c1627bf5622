"""Entries of the audit log. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec


class AuditEvent(StrEnum):
    """What an entry is about. The values are in the log for good: add some, change none."""

    NODE_STARTED = "node_started"
    LOGIN_FAILED = "login_failed"
    EXTERNAL_LOGIN = "external_login"
    TENANT_CREATED = "tenant_created"
    ENTITY_CREATED = "entity_created"
    CLIENT_CREATED = "client_created"
    CLIENT_CHANGED = "client_changed"
    CLIENT_SECRET_ROTATED = "client_secret_rotated"  # noqa: S105 - the name of an event
    CLIENT_REVOKED = "client_revoked"
    LOGIN_REVOKED = "login_revoked"
    LOGIN_ALLOWED = "login_allowed"
    LIMIT_CHANGED = "limit_changed"
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - the name of an event
    RUN_SUBMITTED = "run_submitted"
    RUN_CANCEL_REQUESTED = "run_cancel_requested"
    RESULT_READ = "result_read"
    WEBHOOK_CREATED = "webhook_created"
    WEBHOOK_CHANGED = "webhook_changed"
    WEBHOOK_SECRET_ROTATED = "webhook_secret_rotated"  # noqa: S105 - the name of an event
    WEBHOOK_DELETED = "webhook_deleted"
    WEBHOOK_REPLAYED = "webhook_replayed"
    ENTRIES_REMOVED = "entries_removed"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what. Nothing in it may be a secret or, unless switched on, a statement."""

    event: AuditEvent
    tenant_id: str = ""
    entity_id: str = ""
    client_id: str = ""
    """Who did it; empty for a command on the server's disk, a signed link and the service."""
    subject: str = ""
    """The id of what it was done to: a run, a client, an entity, a tenant, a node."""
    remote_address: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)
    """More, as JSON."""


_encode = msgspec.json.Encoder().encode


def content_of(entry: AuditEntry) -> str:
    """The entry as it is stored: a JSON object without a line break, and without a character that a
    database would refuse. On the path of every submit."""
    return _encode(
        {
            "event": entry.event.value,
            "tenant_id": entry.tenant_id,
            "entity_id": entry.entity_id,
            "client_id": entry.client_id,
            "subject": entry.subject,
            "remote_address": entry.remote_address,
            "detail": entry.detail,
        }
    ).decode()


@dataclass(frozen=True, slots=True)
class ChainedEntry:
    """An entry in its place. `digest` covers it and, through the digest before, all before it.

    `content` is the text of `content_of` as stored, so that what was changed is seen as it is.
    """

    position: int
    at_ms: int
    content: str
    digest: str

    @property
    def fields(self) -> dict[str, Any]:
        """The content decoded; nothing of one that somebody has broken."""
        try:
            found = json.loads(self.content)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class ChainHead:
    """Where the chain ends, and where it begins: after what the retention has removed."""

    position: int
    digest: str
    base_position: int
    base_digest: str


@dataclass(frozen=True, slots=True)
class WaitingEntries:
    """Entries that are durable and not in the chain yet: how many, and since when."""

    count: int
    oldest: datetime | None

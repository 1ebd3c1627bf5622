"""Entries of the audit log for commands on the server's disk."""

from __future__ import annotations

import getpass

from queryrun.audit.model import AuditEntry, AuditEvent
from queryrun.db.database import Database


async def record(
    database: Database, event: AuditEvent, tenant_id: str, subject: str, **detail: object
) -> None:
    """Append an entry, durably, and take it into the chain: no server may be running."""
    detailed = {**detail, "command_line_user": _user()}
    entry = AuditEntry(event, tenant_id=tenant_id, subject=subject, detail=detailed)
    await database.audit.append(entry, durable=True)
    await database.audit.seal()


def _user() -> str:
    """The user of the operating system; a container may have none by that id."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""

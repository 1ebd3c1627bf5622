"""Entries of the audit log for what requests do; written before the response begins."""

from __future__ import annotations

from queryrun.audit.model import AuditEntry, AuditEvent
from queryrun.auth.model import Client
from queryrun.http.context import AppContext
from queryrun.http.request import ApiRequest


async def record(
    app: AppContext,
    request: ApiRequest,
    event: AuditEvent,
    subject: str,
    *,
    by: Client | None = None,
    **detail: object,
) -> None:
    """Append an entry of what this request's client does, or `by` on routes without a token.
    `Unavailable` when it cannot be written: then the request must not go on."""
    who = request.authorized
    client_id, tenant_id = ("", "") if by is None else (by.id, by.tenant_id)
    entry = AuditEntry(
        event,
        tenant_id=tenant_id if who is None else who.tenant_id,
        entity_id="" if who is None else who.entity_id,
        client_id=client_id if who is None else who.client_id,
        subject=subject,
        remote_address=request.client_address,
        detail={**detail, **request.origin.detail},
    )
    await app.runs.audit.append(entry)

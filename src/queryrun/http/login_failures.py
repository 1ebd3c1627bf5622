"""Failed logins: logged, and counted by address and client.

Whoever sends the right credentials is never refused for them: the count decides between 401 and
429 for what is wrong anyway. Secrets and tokens have 250 bits and more, so guessing is hopeless at
any rate; the limit keeps clients from trying forever with what was once right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from uuid import UUID

import structlog

from queryrun.audit.model import AuditEntry, AuditEvent
from queryrun.audit.store import AuditStore
from queryrun.errors import Unavailable
from queryrun.http.rate_limits import MemoryRateLimiter, Rates, raise_if_exceeded
from queryrun.http.request import ApiRequest
from queryrun.http.server.proxies import address_group

_log = structlog.get_logger("queryrun.http")


RECORDED_PER_MINUTE = 600
"""Failures that one node writes into the audit log. Beyond that it counts them, and the next entry
says how many there were: strangers must not be able to fill the database."""


class LoginFailures:
    """Counts of this node, in memory."""

    def __init__(self, rates: Rates, now_s: Callable[[], float], audit: AuditStore) -> None:
        self._limiter = MemoryRateLimiter(rates, now_s)
        self._audit = audit
        self._now_s = now_s
        self._minute = -1
        self._recorded = 0
        self._not_recorded = 0

    async def charge(self, request: ApiRequest, client_id: str = "", reason: str = "") -> None:
        """Count one failure, and log it unless there were no credentials at all (no `reason`).

        `TooManyRequests` when this client has failed too often from this address. `client_id` is
        what the caller claims to be; it is empty for bearer tokens, which do not tell.
        """
        if reason:
            claimed = {"client_id": client_id} if _is_id(client_id) else {}
            _log.warning(
                "login_failed",
                reason=reason,
                remote_address=request.client_address,
                request_id=request.request_id,
                **claimed,
            )
            await self._record(request, reason, claimed)
        request.quota = await self._limiter.take(login_key(request, client_id))
        raise_if_exceeded(request.quota, "client and address")

    async def _record(self, request: ApiRequest, reason: str, claimed: Mapping[str, str]) -> None:
        """Into the audit log. The login is refused in any case, so a fault is only logged."""
        minute = int(self._now_s() // 60)
        if minute != self._minute:
            self._minute, self._recorded = minute, 0
        if self._recorded >= RECORDED_PER_MINUTE:
            self._not_recorded += 1
            return
        self._recorded += 1
        detail: dict[str, object] = {"reason": reason, "request_id": request.request_id}
        if self._not_recorded:
            detail["not_recorded_before"] = self._not_recorded
        subject = claimed.get("client_id", "")
        address = request.client_address
        entry = AuditEntry(
            AuditEvent.LOGIN_FAILED, subject=subject, remote_address=address, detail=detail
        )
        try:
            await self._audit.append(entry)
        except Unavailable:
            self._not_recorded += 1
            _log.warning("audit_entry_not_written", audit_event=entry.event.value)
        else:
            self._not_recorded = 0


def login_key(request: ApiRequest, client_id: str) -> str:
    """The key under which the logins of a client from an address are counted."""
    return f"{address_group(request.client_address)}|{client_id}"


def _is_id(client_id: str) -> bool:
    """Only what looks like an id of ours gets into the log: people paste secrets into any field."""
    try:
        return str(UUID(client_id)) == client_id.lower()
    except ValueError:
        return False

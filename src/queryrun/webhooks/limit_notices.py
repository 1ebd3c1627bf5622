"""`limit.reached` of a submit that a limit has refused: there is no run that could say so."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256

import msgspec
import structlog

from queryrun.errors import Unavailable
from queryrun.runs.limits import Limited, LimitState
from queryrun.webhooks.model import LimitNotice, WebhookEvent
from queryrun.webhooks.store import WebhookStore

MAX_REMEMBERED = 10_000
"""Notices that this node need not write again."""

log = structlog.get_logger()


class LimitNotices:
    """Writes at most one notice for each client, limit and period: of a day's limit one in a day,
    of what counts at this moment one in a minute. A flood of refusals writes no more."""

    def __init__(self, store: WebhookStore, public_url: str, now: Callable[[], datetime]) -> None:
        self._store = store
        self._public_url = public_url
        self._now = now
        self._written: OrderedDict[str, None] = OrderedDict()

    async def announce(self, request: Limited, state: LimitState, message: str) -> None:
        """Write it to the outbox. The refusal does not wait for a database that is away: then
        nobody is told."""
        key = self._key(request, state)
        if key in self._written:
            return
        try:
            await self._store.announce_limit(self._notice(key, request, state, message))
        except Unavailable as error:
            log.warning("limit_notice_not_written", limit=state.limit.name, reason=str(error))
            return
        self._written[key] = None
        if len(self._written) > MAX_REMEMBERED:
            self._written.popitem(last=False)

    def _key(self, request: Limited, state: LimitState) -> str:
        """The same for refusals that are told as one, on every node."""
        until = state.resets or self._now().replace(second=0, microsecond=0)
        limit = state.limit
        parts = (
            request.tenant_id, request.entity_id, request.client_id, request.source,
            limit.level.value, limit.subject, limit.name, str(limit.value), until.isoformat(),
        )  # fmt: skip
        return sha256("\n".join(parts).encode()).hexdigest()[:32]

    def _notice(self, key: str, request: Limited, state: LimitState, message: str) -> LimitNotice:
        limit, now = state.limit, self._now().astimezone(UTC)
        data = {
            "limit": limit.name,
            "level": limit.level.value,
            "value": limit.value,
            "unit": limit.kind.unit,
            "used": state.used,
            "resets_time": None if state.resets is None else state.resets.isoformat(),
            "message": message,
            "source": request.source,
            "entity_id": request.entity_id,
            "created_by_id": request.client_id,
            "url": f"{self._public_url}/v2/limits?source={request.source}",
        }
        at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event = WebhookEvent.LIMIT_REACHED
        content = msgspec.json.encode({"type": event.value, "timestamp": at, "data": data})
        return LimitNotice(
            key,
            request.tenant_id,
            request.entity_id,
            request.client_id,
            request.source,
            content.decode(),
        )

"""How much an entity and a client may keep and write: statements, result files.

A statement that would not fit is refused when it is submitted. A result that would not fit fails
its own run, and no other. Kept bytes come free when runs are past their retention.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from queryrun.errors import Failure, FailureCode, QuotaFull
from queryrun.runs.model import RunRequest
from queryrun.runs.store import RunStore, Usage

CACHE_S = 1.0
"""How old the usage may be that judges a submit. What this node accepts meanwhile is added."""
MAX_CACHED = 10_000


@dataclass(frozen=True, slots=True)
class Quota:
    """Limits in bytes. 0: no limit."""

    statements: int = 0
    """Of statements that are kept."""
    results: int = 0
    """Of result files that are kept."""
    written: int = 0
    """Of result files written per day (UTC), those of failed attempts included."""


@dataclass(slots=True)
class _Cached:
    """The usage of an entity and one of its clients, until a time on the loop's clock."""

    entity_bytes: int
    client_bytes: int
    until_s: float


class Quotas:
    """Judges submits and results by what the store says is used. From one event loop."""

    def __init__(self, store: RunStore, entity: Quota, client: Quota) -> None:
        self._store = store
        self._entity = entity
        self._client = client
        self._cache: OrderedDict[tuple[str, str, str], _Cached] = OrderedDict()

    async def check_statement(self, request: RunRequest) -> None:
        """Raise `QuotaFull` when the statement would not fit."""
        if not (self._entity.statements or self._client.statements):
            return
        cached = await self._cached(request)
        size = len(request.sql.encode())
        size += sum(len((one.value or "").encode()) for one in request.parameters)
        for who, used, limit in (
            ("entity", cached.entity_bytes, self._entity.statements),
            ("client", cached.client_bytes, self._client.statements),
        ):
            if limit and used + size > limit:
                raise QuotaFull(
                    f"your {who} keeps {_visible(request, who, used)} of statements, and may keep "
                    f"{limit}; they are removed with their runs after the retention",
                    _RETRY_AFTER_S,
                )
        cached.entity_bytes += size
        cached.client_bytes += size

    async def _cached(self, request: RunRequest) -> _Cached:
        key = request.tenant_id, request.entity_id, request.client_id
        now_s = asyncio.get_running_loop().time()
        found = self._cache.get(key)
        if found is None or found.until_s < now_s:
            entity, client = await self._store.usage(*key)
            found = _Cached(entity.statement_bytes, client.statement_bytes, now_s + CACHE_S)
            self._cache[key] = found
            if len(self._cache) > MAX_CACHED:
                self._cache.popitem(last=False)
        return found

    async def result_room(self, request: RunRequest) -> ResultRoom:
        """How large a result of this run may be at this moment."""
        if not any((self._entity.results, self._entity.written)) and not any(
            (self._client.results, self._client.written)
        ):
            return ResultRoom()
        key = request.tenant_id, request.entity_id, request.client_id
        entity, client = await self._store.usage(*key)
        rooms = [
            *_rooms(request, "entity", entity, self._entity),
            *_rooms(request, "client", client, self._client),
        ]
        return min(rooms, key=lambda room: room.size_bytes or 0)


_RETRY_AFTER_S = 3600


@dataclass(frozen=True, slots=True)
class ResultRoom:
    """The largest result that fits, None for any, and what its limit is."""

    size_bytes: int | None = None
    reason: str = ""

    @property
    def is_full(self) -> bool:
        """Not even an empty result fits."""
        return self.size_bytes is not None and self.size_bytes <= 0

    def holds(self, size_bytes: int) -> bool:
        """Whether a result of this size fits."""
        return self.size_bytes is None or size_bytes <= self.size_bytes

    def failure(self) -> Failure:
        """The failure of a run whose result does not fit."""
        return Failure(FailureCode.QUOTA_EXCEEDED, self.reason)


def _rooms(request: RunRequest, who: str, used: Usage, quota: Quota) -> list[ResultRoom]:
    rooms = []
    if quota.results:
        kept = _visible(request, who, used.result_bytes)
        reason = (
            f"The result does not fit: your {who} keeps {kept} of result files and may keep "
            f"{quota.results}. Files are removed after the retention"
        )
        rooms.append(ResultRoom(quota.results - used.result_bytes, reason))
    if quota.written:
        written = _visible(request, who, used.written_bytes)
        reason = (
            f"The result does not fit: your {who} has written {written} of result files today "
            f"(UTC) and may write {quota.written}"
        )
        rooms.append(ResultRoom(quota.written - used.written_bytes, reason))
    return rooms


def _visible(request: RunRequest, who: str, size_bytes: int) -> str:
    """To a client of orgs nothing of the results of others."""
    return "too much" if request.org_ids and who == "entity" else f"{size_bytes} bytes"

"""Submits of the last minute, counted in memory: for a database that one node has to itself."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from time import monotonic

from queryrun.runs.limits import Level, LimitValue, SubmitCount

MINUTE_S = 60.0
MAX_SUBJECTS = 10_000
"""Whose submits are remembered; of those without a submit for longest nothing is."""


class RecentSubmits:
    """When each tenant, entity, client and source has submitted. A restart forgets it."""

    def __init__(self, now_s: Callable[[], float] = monotonic) -> None:
        self._now_s = now_s
        self._submits: OrderedDict[tuple[Level, str], deque[float]] = OrderedDict()

    def count(self, limits: Sequence[LimitValue], *, is_counted: bool) -> list[SubmitCount]:
        """As `LimitStore.count_submit`."""
        now_s = self._now_s()
        recent = [self._recent((one.level, one.subject), now_s) for one in limits]
        found = [
            SubmitCount(len(times), times[0] + MINUTE_S - now_s if times else 0.0)
            for times in recent
        ]
        is_full = any(one.used >= limit.value for one, limit in zip(found, limits, strict=True))
        for times in recent if is_counted and not is_full else ():
            times.append(now_s)
        return found

    def _recent(self, key: tuple[Level, str], now_s: float) -> deque[float]:
        times = self._submits.setdefault(key, deque())
        self._submits.move_to_end(key)
        while times and times[0] <= now_s - MINUTE_S:
            times.popleft()
        if len(self._submits) > MAX_SUBJECTS:
            self._submits.popitem(last=False)
        return times

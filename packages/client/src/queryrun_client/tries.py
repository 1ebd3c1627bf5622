"""How often and how long one call is tried again. Pure: it says what to wait, or raises."""

from __future__ import annotations

import random

from queryrun_client.effects import Flow, NoAnswerError, Response, Sleep
from queryrun_client.errors import Unreachable
from queryrun_client.model import Retry
from queryrun_client.wire import retry_after_s

RETRIED = frozenset({429, 502, 503, 504})
"""Answered before anything was done, or by something in front of the server (contract H24)."""


class Tries:
    """The patience of one call."""

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._used = 0
        self._waited_s = 0.0

    def start_over(self) -> None:
        """Something has moved on: be patient again."""
        self._used, self._waited_s = 0, 0.0

    def after_silence(self, trouble: NoAnswerError) -> Flow[None]:
        """Wait and return for another try; raise `Unreachable` when patience has ended."""
        pause_s = self._next(None)
        if pause_s is None:
            raise Unreachable(str(trouble)) from trouble
        yield Sleep(pause_s)

    def after(self, response: Response) -> Flow[bool]:
        """Wait and say True when the answer asks to come back; False: take it as it is."""
        asked_s = retry_after_s(response)
        if response.status not in RETRIED and not (response.status == 409 and asked_s is not None):
            return False
        pause_s = self._next(asked_s)
        if pause_s is None:
            return False
        yield Sleep(pause_s)
        return True

    def _next(self, asked_s: float | None) -> float | None:
        self._used += 1
        doubled_s = min(self._retry.first_s * 2 ** (self._used - 1), self._retry.most_s)
        jittered_s = doubled_s * (0.5 + random.random() / 2)  # noqa: S311 spreads retries only
        pause_s = jittered_s if asked_s is None else asked_s
        self._waited_s += pause_s
        exhausted = self._used >= self._retry.attempts or self._waited_s > self._retry.budget_s
        return None if exhausted else pause_s

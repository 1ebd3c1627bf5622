"""`Prefer` (RFC 7240), on both APIs: how long a response waits for its run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial

from queryrun.http.bearer import bearer_client
from queryrun.http.context import AppContext
from queryrun.http.request import ApiRequest
from queryrun.runs.cancel import WAIT_S
from queryrun.runs.listen import listening
from queryrun.runs.model import Run
from queryrun.runs.read import await_end

MAX_WAIT_S = 60.0
"""A longer `wait=N` is lowered to this."""

PREFERENCE = re.compile(
    r"\s*+([A-Za-z_-]++)\s*+(?:=\s*+\"?+([^\",;]*+)\"?+\s*+)?+(?:;.*+)?+", re.DOTALL
)
"""Gives nothing back: blanks that could be divided in several ways would take cubic time."""


@dataclass(frozen=True, slots=True)
class Preference:
    """How long to wait for the run to finish, and whether not to wait at all."""

    wait_s: float | None = None
    respond_async: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """The `Preference-Applied` header, when there was something to apply."""
        applied = ["respond-async"] if self.respond_async else []
        if self.wait_s is not None:
            applied.append(f"wait={self.wait_s:g}")
        return {"preference-applied": ", ".join(applied)} if applied else {}


NO_PREFERENCE = Preference()


def preference_of(request: ApiRequest) -> Preference:
    """The request's preferences. Unknown and malformed ones are ignored, as RFC 7240 requires."""
    text = request.header(b"prefer")
    if text is None:
        return NO_PREFERENCE
    wait_s: float | None = None
    respond_async = False
    for part in text.split(","):
        found = PREFERENCE.fullmatch(part)
        name, value = (found[1].lower(), (found[2] or "").strip()) if found else ("", "")
        if name == "respond-async":
            respond_async = True
        elif name == "wait" and value.isascii() and value.isdigit() and wait_s is None:
            wait_s = min(float(value), MAX_WAIT_S)
    return Preference(wait_s, respond_async)


async def wait_for_end(
    app: AppContext, request: ApiRequest, run: Run, preference: Preference
) -> Run:
    """The run once it is terminal, or as it is after `Prefer: wait`. Returns at once without it.

    `Unauthenticated` when the token was revoked meanwhile: the response may hold a link.
    """
    if not preference.wait_s or run.state.is_terminal:
        return run
    request.extend_deadline(preference.wait_s)
    async with listening(app.runs, run, partial(_is_connected, request)):
        run = await await_end(app.runs, run, preference.wait_s)
    await bearer_client(app, request, request.authorization)
    return run


async def _is_connected(request: ApiRequest) -> bool:
    return not (request.is_half_closed or await request.is_disconnected())


def cancel_wait_s(request: ApiRequest, preference: Preference) -> float:
    """How long a cancel waits for the engine to stop: a second, unless `Prefer` sets it."""
    if preference.respond_async:
        return 0.0
    if preference.wait_s is None:
        return WAIT_S
    request.extend_deadline(preference.wait_s)
    return preference.wait_s

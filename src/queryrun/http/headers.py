"""Request headers of the contract: parsed, and refused with a problem that names the header."""

from __future__ import annotations

import re
from dataclasses import dataclass

from queryrun.errors import InvalidRequest, Problem
from queryrun.http.request import ApiRequest

TRACK_ID = re.compile(r"""[\x20-\x7e]{1,64}""")
TRACK_ID_FORBIDDEN = frozenset(":;\"'")
"""US-ASCII without these, at most 64; control bytes are refused too (contract C7)."""

IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
"""1 to 255 characters (contract C11)."""

MAX_WAIT_S = 60.0
"""`Prefer: wait=N` is lowered to this (issue: N ≤ 60)."""

PREFERENCE = re.compile(r"\s*([A-Za-z_-]+)\s*(?:=\s*\"?([^\",;]*)\"?)?\s*(?:;.*)?")


def track_id(request: ApiRequest, problems: list[Problem]) -> str | None:
    """The caller's id for this request, or None. A bad one is a problem and is never echoed."""
    text = request.header(b"zuora-track-id")
    if text is None:
        return None
    if TRACK_ID.fullmatch(text) and not TRACK_ID_FORBIDDEN & set(text):
        return text
    message = "'zuora-track-id' must be at most 64 US-ASCII characters without : ; \" '"
    problems.append(Problem("invalid_parameter", "zuora-track-id", message))
    return None


def asynchronous(request: ApiRequest, problems: list[Problem]) -> bool:
    """Whether the caller wants a 202 (contract C8)."""
    text = request.header(b"async")
    if text is None or text.lower() in ("true", "false"):
        return text is not None and text.lower() == "true"
    problems.append(Problem("invalid_parameter", "async", "'async' must be true or false"))
    return False


def idempotency_key(request: ApiRequest, problems: list[Problem]) -> str | None:
    """The caller's idempotency key, or None."""
    raw = request.headers.get(b"idempotency-key")
    if raw is None:
        return None
    text = raw.decode("latin-1")
    if IDEMPOTENCY_KEY.fullmatch(text):
        return text
    message = "'idempotency-key' must have 1 to 255 printable US-ASCII characters"
    problems.append(Problem("invalid_parameter", "idempotency-key", message))
    return None


def entity_header(request: ApiRequest) -> tuple[str | None, str]:
    """The entity the caller names, and the header it used: plural or singular (contract C9).

    `InvalidRequest` when the two disagree: acting for the wrong entity would be worse.
    """
    plural, singular = request.header(b"zuora-entity-ids"), request.header(b"zuora-entity-id")
    if singular is None:
        return plural, "zuora-entity-ids"
    if plural not in (None, singular):
        message = "'zuora-entity-id' must be what 'zuora-entity-ids' is, when both are sent"
        raise InvalidRequest.of("zuora-entity-id", message)
    return singular, "zuora-entity-id"


def org_ids(
    request: ApiRequest, allowed: tuple[str, ...], problems: list[Problem]
) -> tuple[str, ...]:
    """The orgs whose rows the statement may see (contract C10): those named, or all allowed.

    Ignored for clients without orgs: multi-org is off for them.
    """
    text = request.header(b"zuora-org-ids")
    if not allowed or text is None:
        return allowed
    named = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not named or not set(named) <= set(allowed):
        message = "'zuora-org-ids' must name orgs that this client may access"
        problems.append(Problem("invalid_parameter", "zuora-org-ids", message))
        return allowed
    return named


@dataclass(frozen=True, slots=True)
class Preference:
    """RFC 7240: how long to wait for the end, and whether not to wait at all."""

    wait_s: float | None = None
    respond_async: bool = False

    @property
    def applied(self) -> list[tuple[str, str]]:
        """The `Preference-Applied` header, when there was something to apply."""
        words = ["respond-async"] if self.respond_async else []
        if self.wait_s is not None:
            words.append(f"wait={self.wait_s:g}")
        return [("preference-applied", ", ".join(words))] if words else []


NO_PREFERENCE = Preference()


def preference(request: ApiRequest) -> Preference:
    """What `Prefer` asks for. Unknown or malformed preferences are ignored, as RFC 7240 wants."""
    text = request.header(b"prefer")
    if text is None:
        return NO_PREFERENCE
    wait_s: float | None = None
    respond_async = False
    for part in text.split(","):
        found = PREFERENCE.fullmatch(part)
        name, value = (found[1].lower(), found[2]) if found else ("", None)
        if name == "respond-async":
            respond_async = True
        elif name == "wait" and value and value.isascii() and value.isdigit() and wait_s is None:
            wait_s = min(float(value), MAX_WAIT_S)
    return Preference(wait_s, respond_async)

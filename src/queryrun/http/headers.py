"""Request headers of the contract: parsed, and refused with a problem that names the header."""

from __future__ import annotations

import re

from queryrun.errors import InvalidRequest, Problem
from queryrun.http.request import ApiRequest

TRACK_ID = re.compile(r"""[\x20-\x7e]{1,64}""")
TRACK_ID_FORBIDDEN = frozenset(":;\"'")
"""Contract C7: US-ASCII, none of these, at most 64; control bytes are refused too."""

IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
"""Contract C11: 1-255 characters."""


def track_id(request: ApiRequest) -> str | None:
    """The caller's id for this request, or None. An invalid one is refused and never echoed."""
    text = request.header(b"zuora-track-id")
    if text is None or (TRACK_ID.fullmatch(text) and not TRACK_ID_FORBIDDEN & set(text)):
        return text
    message = "'zuora-track-id' must be at most 64 US-ASCII characters without : ; \" '"
    raise InvalidRequest.of("zuora-track-id", message)


def is_async(request: ApiRequest, problems: list[Problem]) -> bool:
    """Whether the caller asked for a 202 (contract C8)."""
    text = request.header(b"async")
    if text is None or text.lower() in ("true", "false"):
        return text is not None and text.lower() == "true"
    problems.append(Problem("invalid_parameter", "async", "'async' must be true or false"))
    return False


def idempotency_key(request: ApiRequest, problems: list[Problem]) -> str | None:
    """The caller's idempotency key, or None."""
    raw = request.raw_header(b"idempotency-key")
    if raw is None:
        return None
    text = raw.decode("latin-1")
    if IDEMPOTENCY_KEY.fullmatch(text):
        return text
    message = "'idempotency-key' must have 1 to 255 printable US-ASCII characters"
    problems.append(Problem("invalid_parameter", "idempotency-key", message))
    return None


def entity_header(request: ApiRequest) -> tuple[str | None, str]:
    """The entity the caller names, and the header it used: plural, or its singular twin (C9).

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

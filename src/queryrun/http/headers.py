"""Request headers of the contract. An invalid one is refused with a problem that names it."""

from __future__ import annotations

import re

from queryrun.errors import InvalidRequest, Problem
from queryrun.http.request import ApiRequest

TRACK_ID = re.compile(r"""[\x20-\x7e]{1,64}""")
TRACK_ID_FORBIDDEN = frozenset(":;\"'")
"""US-ASCII without these, at most 64; control bytes are refused too (contract C7)."""


def track_id(request: ApiRequest) -> str | None:
    """The caller's id for this request, or None. An invalid one is refused and never echoed."""
    text = request.header(b"zuora-track-id")
    if text is None or (TRACK_ID.fullmatch(text) and not TRACK_ID_FORBIDDEN & set(text)):
        return text
    message = "'zuora-track-id' must be at most 64 US-ASCII characters without : ; \" '"
    raise InvalidRequest.of("zuora-track-id", message)


def is_async(request: ApiRequest, problems: list[Problem]) -> bool:
    """Whether the caller requested a 202 (contract C8)."""
    text = request.header(b"async")
    if text is None or text.lower() in ("true", "false"):
        return text is not None and text.lower() == "true"
    problems.append(Problem("invalid_parameter", "async", "'async' must be true or false"))
    return False


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

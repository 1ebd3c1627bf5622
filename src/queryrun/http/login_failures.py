"""Failed logins: logged, and counted by address and client.

Whoever sends the right credentials is never refused for them: the count decides between 401 and
429 for what is wrong anyway. Secrets and tokens have 250 bits and more, so guessing is hopeless at
any rate; the limit keeps clients from trying forever with what was once right.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import structlog

from queryrun.http.rate_limits import MemoryRateLimiter, Rates, raise_if_exceeded
from queryrun.http.request import ApiRequest
from queryrun.http.server.proxies import address_group

_log = structlog.get_logger("queryrun.http")


class LoginFailures:
    """Counts of this node, in memory: strangers must not be able to fill the database."""

    def __init__(self, rates: Rates, now_s: Callable[[], float]) -> None:
        self._limiter = MemoryRateLimiter(rates, now_s)

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
        request.quota = await self._limiter.take(login_key(request, client_id))
        raise_if_exceeded(request.quota, "client and address")


def login_key(request: ApiRequest, client_id: str) -> str:
    """The key under which the logins of a client from an address are counted."""
    return f"{address_group(request.client_address)}|{client_id}"


def _is_id(client_id: str) -> bool:
    """Only what looks like an id of ours gets into the log: people paste secrets into any field."""
    try:
        return str(UUID(client_id)) == client_id.lower()
    except ValueError:
        return False

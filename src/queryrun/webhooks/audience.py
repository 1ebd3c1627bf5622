"""Who may still be told of what: judged when a message is sent, not when it was written.

A webhook outlives the rights it was made with, and a message may have waited for days: paused,
refused, given up and replayed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from queryrun.auth.model import Client, Principal, Scope
from queryrun.auth.store import AuthStore
from queryrun.runs.read import can_view
from queryrun.runs.store import RunStore
from queryrun.webhooks.model import Delivery, Webhook


class Audience:
    """What the clients behind webhooks may read at this moment."""

    def __init__(self, auth: AuthStore, runs: RunStore, now: Callable[[], datetime]) -> None:
        self._auth = auth
        self._runs = runs
        self._now = now

    async def may_be_notified(self, webhook: Webhook, delivery: Delivery) -> bool:
        """Whether the webhook's client could read what the message is about. Costs a look-up of
        the client, and of the run too for a client of orgs. A login at another issuer has its
        rights from its tokens alone, so it is told of its own runs and no others."""
        is_own = delivery.client_id == webhook.client_id
        client = await self._auth.client(webhook.client_id)
        if client is None:
            return is_own and not await self._is_revoked_login(webhook)
        who = _principal(client, webhook)
        if not (client.is_live(self._now()) and who.may(Scope.READ) and (is_own or who.is_admin)):
            return False
        return await is_within_orgs(self._runs, who, delivery)

    async def _is_revoked_login(self, webhook: Webhook) -> bool:
        login = await self._auth.revoked_login(webhook.tenant_id, webhook.client_id)
        return login is not None and login.allowed_time is None


async def is_within_orgs(runs: RunStore, who: Principal, delivery: Delivery) -> bool:
    """A client of orgs is told of no run that may have read rows of others. A refused submit has no
    run, and its message nothing of any row."""
    if not who.org_ids:
        return True
    run = None if delivery.run_id is None else await runs.get(delivery.run_id)
    return delivery.content is not None if run is None else can_view(who, run)


def _principal(client: Client, webhook: Webhook) -> Principal:
    return Principal(client.tenant_id, client.id, webhook.entity_id, client.scopes, client.org_ids)

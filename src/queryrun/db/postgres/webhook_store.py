"""WebhookStore on PostgreSQL, for as many nodes as share the database."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from queryrun.db.postgres.additions import added_in_turn
from queryrun.db.postgres.connect import Connection
from queryrun.db.postgres.connections import Connections
from queryrun.db.rows import Values
from queryrun.db.times import to_ms
from queryrun.db.webhook_rows import (
    attempt_values,
    changed_secret_values,
    changed_webhook_values,
    claimed_of,
    delivery_attempt_of,
    delivery_of,
    limit_notice_values,
    page_of,
    query_sql,
    webhook_of,
    webhook_values,
)
from queryrun.webhooks.model import (
    Backlog,
    ClaimedDelivery,
    Delivery,
    DeliveryAttempt,
    DeliveryPage,
    DeliveryQuery,
    DeliveryState,
    LimitNotice,
    ReceiverLimits,
    SealedSecrets,
    Webhook,
)
from queryrun.webhooks.store import LEASE_S, REPLAYED_AT_ONCE

_BIND = "%({})s"


class PostgresWebhookStore:
    """WebhookStore on PostgreSQL."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._sql = connections.sql

    async def add_webhook(self, webhook: Webhook) -> bool:
        """Write it, durably."""
        values = webhook_values(webhook)
        return await self._connections.write(
            lambda db: added_in_turn(db, self._sql, "add_webhook", values), durable=True
        )

    async def webhook(self, webhook_id: str) -> Webhook | None:
        """The webhook, or None."""
        values = {"id": webhook_id}
        row = await self._connections.read(
            lambda db: db.execute(self._sql["webhook_by_id"], values).fetchone()
        )
        return None if row is None else webhook_of(row)

    async def webhooks(self, tenant_id: str, entity_id: str) -> list[Webhook]:
        """Those of an entity."""
        values = {"tenant_id": tenant_id, "entity_id": entity_id}
        rows = await self._connections.read(
            lambda db: db.execute(self._sql["webhooks_of_entity"], values).fetchall()
        )
        return [webhook_of(row) for row in rows]

    async def change_webhook(self, webhook: Webhook, *, before: Webhook) -> bool:
        """Write what can be changed, unless somebody else was first."""
        return await self._change("change_webhook", changed_webhook_values(webhook, before))

    async def change_secrets(
        self, webhook_id: str, secrets: SealedSecrets, *, before: SealedSecrets
    ) -> bool:
        """Write its secrets, durably, unless somebody else was first."""
        values = changed_secret_values(webhook_id, secrets, before)
        return await self._change("change_webhook_secrets", values)

    async def remove_webhook(self, webhook_id: str) -> bool:
        """Remove it, and give up what waits."""
        return await self._change("remove_webhook", {"id": webhook_id})

    async def _change(self, statement: str, values: Values) -> bool:
        changed = await self._connections.write(
            lambda db: db.execute(self._sql[statement], values).rowcount, durable=True
        )
        return changed == 1

    async def announce_limit(self, notice: LimitNotice) -> None:
        """Tell who is told of limits."""
        values = limit_notice_values(notice)
        await self._connections.write(
            lambda db: db.execute(self._sql["announce_limit"], values).rowcount, durable=False
        )

    async def claim_deliveries(self, limits: ReceiverLimits) -> list[ClaimedDelivery]:
        """Begin attempts. A read first, so that nothing is written in vain."""
        if limits.free <= 0:
            return []
        due = await self._connections.read(lambda db: db.execute(self._sql["any_due"]).fetchone())
        if due is None:
            return []
        values = {
            "receivers": list(limits.full),
            "rooms": list(limits.full.values()),
            "per_receiver": limits.per_receiver,
            "free": limits.free,
            "lease_ms": round(LEASE_S * 1000),
        }
        rows = await self._connections.write(
            lambda db: db.execute(self._sql["claim_deliveries"], values).fetchall(), durable=False
        )
        return [claimed_of(row) for row in rows]

    async def finish_delivery(
        self,
        claimed: ClaimedDelivery,
        attempt: DeliveryAttempt,
        state: DeliveryState,
        delay_s: float = 0.0,
    ) -> bool:
        """Record the attempt, and the delivery's new state."""
        values = {
            **attempt_values(claimed, attempt),
            "receiver": claimed.receiver,
            "state": state.value,
            "delay_ms": round(delay_s * 1000),
        }
        rows = await self._connections.write(
            lambda db: db.execute(self._sql["finish_delivery"], values).fetchall(), durable=False
        )
        return bool(rows[0][0])

    async def deliveries(self, query: DeliveryQuery) -> DeliveryPage:
        """Deliveries that match, newest first."""
        statement, values = query_sql(query, self._sql["delivery_columns"], _BIND)
        rows = await self._connections.read(
            lambda db: db.execute(statement.encode(), values, prepare=False).fetchall()
        )
        return page_of(rows, query.limit)

    async def delivery(self, delivery_id: str) -> tuple[Delivery, list[DeliveryAttempt]] | None:
        """One delivery with its attempts."""

        def unit(connection: Connection) -> tuple[Delivery, list[DeliveryAttempt]] | None:
            found = connection.execute(self._sql["delivery_by_id"], {"id": delivery_id}).fetchone()
            if found is None:
                return None
            rows = connection.execute(self._sql["webhook_attempts"], {"seq": found[0]}).fetchall()
            return delivery_of(found), [delivery_attempt_of(row) for row in rows]

        return await self._connections.read(unit)

    async def replay_deliveries(self, query: DeliveryQuery) -> int:
        """Make deliveries due again."""
        query = replace(query, limit=REPLAYED_AT_ONCE - 1)
        statement, values = query_sql(query, "d.seq", _BIND, is_replay=True)

        def unit(connection: Connection) -> int:
            rows = connection.execute(statement.encode(), values, prepare=False).fetchall()
            seqs = {"seqs": [seq for (seq,) in rows]}
            return connection.execute(self._sql["replay_deliveries"], seqs).rowcount

        return await self._connections.write(unit, durable=True)

    async def remove_expired_deliveries(self, *, before: datetime, limit: int) -> int:
        """Remove old deliveries."""
        values = {"before_ms": to_ms(before), "limit": limit}
        rows = await self._connections.write(
            lambda db: db.execute(self._sql["remove_expired_deliveries"], values).fetchall(),
            durable=False,
        )
        return int(rows[0][0])

    async def backlog(self) -> Backlog:
        """What waits."""
        [(pending, overdue_ms)] = await self._connections.read(
            lambda db: db.execute(self._sql["webhook_backlog"]).fetchall()
        )
        return Backlog(pending, (overdue_ms or 0) / 1000)

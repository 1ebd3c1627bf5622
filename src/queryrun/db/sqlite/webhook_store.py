"""WebhookStore on SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from queryrun.db.rows import Values
from queryrun.db.sqlite.pending import pending_of
from queryrun.db.sqlite.reader import Reader
from queryrun.db.sqlite.statements import SQL
from queryrun.db.sqlite.writer import Writer
from queryrun.db.times import to_ms
from queryrun.db.webhook_rows import (
    attempt_values,
    changed_secret_values,
    changed_webhook_values,
    claimed_of,
    delivery_attempt_of,
    delivery_of,
    events_of,
    limit_notice_values,
    page_of,
    query_sql,
    webhook_of,
    webhook_values,
)
from queryrun.runs.model import Run
from queryrun.runs.state import RunEvent
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

_BIND = ":{}"


def announce(
    connection: sqlite3.Connection, seq: int, run: Run, event: RunEvent | None, at_ms: int
) -> None:
    """Write what webhooks are notified of a change, in the unit of the change."""
    if not pending_of(connection).has_webhooks(connection):
        return
    for notified, code in events_of(run, event):
        values = {"seq": seq, "event": notified.value, "code": code, "at_ms": at_ms}
        connection.execute(SQL["announce"], values)


def _has_webhooks(connection: sqlite3.Connection) -> bool:
    """Deliveries of a webhook that is removed are not due any more."""
    return bool(connection.execute(SQL["has_webhooks"]).fetchone()[0])


class SqliteWebhookStore:
    """WebhookStore on SQLite."""

    def __init__(self, writer: Writer, reader: Reader, now: Callable[[], datetime]) -> None:
        self._writer = writer
        self._reader = reader
        self._now = now

    def _now_ms(self) -> int:
        return to_ms(self._now())

    async def add_webhook(self, webhook: Webhook) -> bool:
        """Write it, durably."""
        return await self._change("add_webhook", webhook_values(webhook))

    async def webhook(self, webhook_id: str) -> Webhook | None:
        """The webhook, or None."""
        values = {"id": webhook_id}
        row = self._reader.read(lambda db: db.execute(SQL["webhook_by_id"], values).fetchone())
        return None if row is None else webhook_of(row)

    async def webhooks(self, tenant_id: str, entity_id: str) -> list[Webhook]:
        """Those of an entity."""
        values = {"tenant_id": tenant_id, "entity_id": entity_id}
        rows = self._reader.read(
            lambda db: db.execute(SQL["webhooks_of_entity"], values).fetchall()
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
        values = {"id": webhook_id, "now_ms": self._now_ms()}

        def unit(connection: sqlite3.Connection) -> bool:
            connection.execute(SQL["give_up_deliveries"], values)
            return connection.execute(SQL["remove_webhook"], values).rowcount == 1

        return await self._writer.write(unit, durable=True)

    async def _change(self, statement: str, values: Values) -> bool:
        return await self._writer.write(
            lambda db: db.execute(SQL[statement], values).rowcount == 1, durable=True
        )

    async def announce_limit(self, notice: LimitNotice) -> None:
        """Tell who is told of limits."""
        values = {**limit_notice_values(notice), "at_ms": self._now_ms()}
        await self._writer.write(
            lambda db: db.execute(SQL["announce_limit"], values).rowcount, durable=False
        )

    async def claim_deliveries(self, limits: ReceiverLimits) -> list[ClaimedDelivery]:
        """Begin attempts. A read first, so that nothing is written in vain."""
        if limits.free <= 0 or not self._reader.read(_has_webhooks):
            return []
        now = {"now_ms": self._now_ms()}
        rows = await self._reader.scan(lambda db: db.execute(SQL["due_receivers"], now).fetchall())
        receivers = {
            receiver: room
            for (receiver,) in rows
            if (room := limits.full.get(receiver, limits.per_receiver)) > 0
        }
        if not receivers:
            return []

        def unit(connection: sqlite3.Connection) -> list[ClaimedDelivery]:
            claimed: list[ClaimedDelivery] = []
            for receiver, room in receivers.items():
                claimed += self._claim_of(
                    connection, receiver, min(room, limits.free - len(claimed))
                )
                if len(claimed) >= limits.free:
                    break
            return claimed

        return await self._writer.write(unit, durable=False)

    def _claim_of(
        self, connection: sqlite3.Connection, receiver: str, room: int
    ) -> list[ClaimedDelivery]:
        now_ms = self._now_ms()
        due = {"receiver": receiver, "now_ms": now_ms, "limit": room}
        seqs = connection.execute(SQL["due_of_receiver"], due).fetchall()
        begun = [{"seq": seq, "lease_ms": now_ms + round(LEASE_S * 1000)} for (seq,) in seqs]
        connection.executemany(SQL["begin_delivery"], begun)
        rows = [connection.execute(SQL["claimed_delivery"], one).fetchone() for one in begun]
        return [claimed_of(row) for row in rows]

    async def finish_delivery(
        self,
        claimed: ClaimedDelivery,
        attempt: DeliveryAttempt,
        state: DeliveryState,
        delay_s: float = 0.0,
    ) -> bool:
        """Record the attempt, and the delivery's new state."""

        def unit(connection: sqlite3.Connection) -> bool:
            now_ms = self._now_ms()
            values = attempt_values(claimed, attempt)
            connection.execute(SQL["add_webhook_attempt"], values)
            is_over = state is not DeliveryState.PENDING
            end = {
                **values,
                "receiver": claimed.receiver,
                "state": state.value,
                "next_ms": now_ms + round(delay_s * 1000),
                "ended_ms": now_ms if is_over else None,
            }
            is_current = connection.execute(SQL["finish_delivery"], end).rowcount == 1
            if is_current and claimed.delivery.run_id is not None:
                connection.execute(SQL["defer_later_deliveries"], end)
            return is_current

        return await self._writer.write(unit, durable=False)

    async def deliveries(self, query: DeliveryQuery) -> DeliveryPage:
        """Deliveries that match, newest first."""
        statement, values = query_sql(query, SQL["delivery_columns"], _BIND)
        rows = await self._reader.scan(lambda db: db.execute(statement, values).fetchall())
        return page_of(rows, query.limit)

    async def delivery(self, delivery_id: str) -> tuple[Delivery, list[DeliveryAttempt]] | None:
        """One delivery with its attempts."""
        values = {"id": delivery_id}
        row = self._reader.read(lambda db: db.execute(SQL["delivery_by_id"], values).fetchone())
        if row is None:
            return None
        seq = {"seq": row[0]}
        rows = self._reader.read(lambda db: db.execute(SQL["webhook_attempts"], seq).fetchall())
        return delivery_of(row), [delivery_attempt_of(one) for one in rows]

    async def replay_deliveries(self, query: DeliveryQuery) -> int:
        """Make deliveries due again."""
        query = replace(query, limit=REPLAYED_AT_ONCE - 1)
        statement, values = query_sql(query, "d.seq", _BIND, is_replay=True)

        def unit(connection: sqlite3.Connection) -> int:
            now_ms = self._now_ms()
            seqs = connection.execute(statement, values).fetchall()
            replayed = [{"seq": seq, "now_ms": now_ms} for (seq,) in seqs]
            return max(connection.executemany(SQL["replay_delivery"], replayed).rowcount, 0)

        return await self._writer.write(unit, durable=True)

    async def remove_expired_deliveries(self, *, before: datetime, limit: int) -> int:
        """Remove old deliveries."""
        values = {"before_ms": to_ms(before), "limit": limit}
        found = await self._reader.scan(
            lambda db: db.execute(SQL["expired_deliveries"], values).fetchall()
        )
        if not found:
            return 0

        def unit(connection: sqlite3.Connection) -> int:
            expired = [{"seq": seq} for (seq,) in found]
            connection.executemany(SQL["remove_webhook_attempts"], expired)
            connection.executemany(SQL["remove_delivery"], expired)
            return len(expired)

        return await self._writer.write(unit, durable=False)

    async def backlog(self) -> Backlog:
        """What waits."""
        [(pending, next_ms)] = await self._reader.scan(
            lambda db: db.execute(SQL["webhook_backlog"]).fetchall()
        )
        overdue_ms = 0 if next_ms is None else max(0, self._now_ms() - next_ms)
        return Backlog(pending, overdue_ms / 1000)

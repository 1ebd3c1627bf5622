"""What the units of one transaction have in common: written once, at its end.

Each statement costs a hand-over between the writer's thread and the event loop. Entries of the
audit log and sums of usage can be written for all units of a batch at once: units only note them.
"""

from __future__ import annotations

import sqlite3
from typing import cast

import msgspec

from queryrun.audit.chain import digest_of
from queryrun.audit.model import AuditEntry, content_of
from queryrun.db.audit_rows import head_of
from queryrun.db.sqlite.statements import SQL

_UsageKey = tuple[str, str, str, int]
"""Tenant, entity, client, day."""

_json = msgspec.json.Encoder().encode


class Pending:
    """Noted by the units of a transaction, and not written yet. On the writer's thread."""

    def __init__(self) -> None:
        self.noted = 0
        """Grows with each note: shows whether a unit has made one."""
        self._audit: list[tuple[int, str]] = []
        self._usage: dict[_UsageKey, list[int]] = {}
        self._has_webhooks: bool | None = None

    def add_audit(self, entry: AuditEntry, at_ms: int) -> None:
        """An entry for the end of the chain, in the order of the calls."""
        self.noted += 1
        self._audit.append((at_ms, content_of(entry)))

    def add_usage(self, key: _UsageKey, sizes: tuple[int, int, int]) -> None:
        """Bytes of statements, of results and written, of one client on one day."""
        self.noted += 1
        sums = self._usage.setdefault(key, [0, 0, 0])
        for n, size in enumerate(sizes):
            sums[n] += size

    def has_webhooks(self, connection: sqlite3.Connection) -> bool:
        """Whether anybody could be told of anything. Asked once in a transaction: a webhook that
        another unit of it adds has not been promised to anybody yet."""
        if self._has_webhooks is None:
            self._has_webhooks = bool(connection.execute(SQL["has_webhooks"]).fetchone()[0])
        return self._has_webhooks

    def clear(self) -> None:
        """Forget all of it: the transaction is over, or rolled back."""
        self._audit.clear()
        self._usage.clear()
        self._has_webhooks = None

    def write(self, connection: sqlite3.Connection) -> None:
        """Write what was noted, in the open transaction."""
        if self._audit:
            self._extend_chain(connection)
            self._audit.clear()
        for (tenant_id, entity_id, client_id, day), sums in self._usage.items():
            values = {
                "tenant_id": tenant_id,
                "entity_id": entity_id,
                "client_id": client_id,
                "day": day,
                "statement_bytes": sums[0],
                "result_bytes": sums[1],
                "written_bytes": sums[2],
            }
            connection.execute(SQL["add_usage"], values)
        self._usage.clear()

    def _extend_chain(self, connection: sqlite3.Connection) -> None:
        """One statement for all entries: each row of `executemany` would be a hand-over."""
        head = head_of(connection.execute(SQL["audit_head"]).fetchone())
        position, digest = head.position, head.digest
        rows = []
        for at_ms, content in self._audit:
            position += 1
            digest = digest_of(digest, position, at_ms, content)
            rows.append((position, at_ms, content, digest))
        connection.execute(SQL["add_audit_log"], {"rows": _json(rows).decode()})
        connection.execute(SQL["set_audit_head"], {"position": position, "digest": digest})


class WriteConnection(sqlite3.Connection):
    """The connection of the writer, with what its transaction has pending."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type] # those of sqlite3.connect
        self.pending = Pending()


def pending_of(connection: sqlite3.Connection) -> Pending:
    """What the transaction of a unit has pending. Units get the writer's connection."""
    return cast("WriteConnection", connection).pending

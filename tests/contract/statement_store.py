"""What every StatementStore must do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from queryrun.auth.model import Client, Entity, Scope
from queryrun.auth.store import AuthStore
from queryrun.runs.statements import SavedStatement, StatementContent, StatementStore

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TENANT = "tenant-1"
HERE = Entity("entity-1", TENANT, "here")
SQL = "SELECT 'ä\u202e' -- x"


def saved(name: str, client_id: str = "client-1", **changes: Any) -> SavedStatement:
    """A statement of this name."""
    content = StatementContent(name, "folder", SQL, "live", shared=False)
    content = replace(content, **changes)
    return SavedStatement(f"id-{client_id}-{name}", TENANT, HERE.id, client_id, content, NOW, NOW)


class StatementStoreContract:
    """Inherited by the tests of every implementation, which bring `store` and `auth`."""

    pytestmark = pytest.mark.anyio

    @pytest.fixture(autouse=True)
    async def clients(self, auth: AuthStore) -> None:
        """Two clients of one entity."""
        await auth.add_tenant(TENANT, TENANT)
        await auth.add_entity(HERE)
        for client_id in ("client-1", "client-2"):
            scopes = frozenset({Scope.READ})
            await auth.add_client(Client(client_id, TENANT, "c", (HERE,), scopes, NOW), "digest")

    async def test_a_statement_reads_as_it_was_written(self, store: StatementStore) -> None:
        statement = saved("one")
        assert await store.add_statement(statement, 10)
        assert await store.get_statement(statement.id) == statement
        assert await store.get_statement("unknown") is None

    async def test_a_client_keeps_as_many_as_it_may(self, store: StatementStore) -> None:
        assert await store.add_statement(saved("one"), 2)
        assert await store.add_statement(saved("two"), 2)
        assert not await store.add_statement(saved("three"), 2)
        assert await store.add_statement(saved("one", "client-2"), 2)

    async def test_one_sees_ones_own_and_what_is_shared(self, store: StatementStore) -> None:
        await store.add_statement(saved("b mine"), 10)
        await store.add_statement(saved("a shared", "client-2", shared=True), 10)
        await store.add_statement(saved("c theirs", "client-2"), 10)
        found = await store.list_statements(TENANT, HERE.id, "client-1", limit=9, sql_chars=9)
        assert [one.content.name for one in found] == ["a shared", "b mine"]
        assert await store.list_statements(TENANT, "other", "client-1", limit=9, sql_chars=9) == []
        assert await store.list_statements("t", HERE.id, "client-1", limit=9, sql_chars=9) == []

    async def test_a_list_is_by_folder_and_name_limited_and_cut(
        self, store: StatementStore
    ) -> None:
        for name, folder in (("b", "z"), ("a", "z"), ("c", "y")):
            await store.add_statement(saved(name, folder=folder, sql="SELECT 123"), 10)
        found = await store.list_statements(TENANT, HERE.id, "client-1", limit=2, sql_chars=6)
        assert [(one.content.name, one.content.sql) for one in found] == [
            ("c", "SELECT"),
            ("a", "SELECT"),
        ]

    async def test_a_change_replaces_content_and_time_alone(self, store: StatementStore) -> None:
        statement = saved("one")
        await store.add_statement(statement, 10)
        content = StatementContent("new", "", "SELECT 2", None, shared=True)
        changed = replace(statement, content=content, updated_time=NOW + timedelta(hours=1))
        assert await store.replace_statement(changed)
        assert await store.get_statement(statement.id) == changed
        assert not await store.replace_statement(saved("unknown"))

    async def test_what_is_removed_is_gone(self, store: StatementStore) -> None:
        statement = saved("one")
        await store.add_statement(statement, 1)
        assert await store.remove_statement(statement.id)
        assert not await store.remove_statement(statement.id)
        assert await store.get_statement(statement.id) is None
        assert await store.add_statement(saved("two"), 1)

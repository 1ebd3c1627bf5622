"""What every AuthStore must do. An implementation provides the fixture `store`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from queryrun.auth.model import Client, Entity, RevokedLogin, Scope, Tenant
from queryrun.auth.store import MAX_ROTATED, AuthStore
from queryrun.errors import NotFound

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MAIN = Entity("entity-1", "tenant-1", "main")
OTHER = Entity("entity-2", "tenant-1", "other")


def client(client_id: str = "client-1", *, entities: tuple[Entity, ...] = (MAIN,)) -> Client:
    """A client as `auth` makes it."""
    return Client(
        id=client_id,
        tenant_id="tenant-1",
        name=f"the {client_id}",
        entities=entities,
        scopes=frozenset({Scope.READ, Scope.SUBMIT}),
        created_time=NOW,
        org_ids=("o1", "o2"),
    )


async def with_client(store: AuthStore, known: Client | None = None) -> Client:
    """A client, its tenant and its entities in the store."""
    known = known or client()
    await store.add_tenant("tenant-1", "One")
    for entity in (MAIN, OTHER):
        await store.add_entity(entity)
    await store.add_client(known, "digest-1")
    return known


class AuthStoreContract:
    """Inherit this and provide `store`."""

    pytestmark = pytest.mark.anyio

    async def test_a_tenant_may_be_added_again(self, store: AuthStore) -> None:
        await store.add_tenant("tenant-1", "One")
        await store.add_tenant("tenant-1", "Uno")

    async def test_an_entity_of_the_same_tenant_and_name_is_the_same(
        self, store: AuthStore
    ) -> None:
        await store.add_tenant("tenant-1", "One")
        await store.add_tenant("tenant-2", "Two")
        assert await store.add_entity(MAIN) == MAIN
        assert await store.add_entity(Entity("entity-9", "tenant-1", "main")) == MAIN

    async def test_a_name_is_one_entitys_in_whichever_tenant_and_case(
        self, store: AuthStore
    ) -> None:
        for tenant_id in ("tenant-1", "tenant-2"):
            await store.add_tenant(tenant_id, tenant_id)
        await store.add_entity(MAIN)
        for tenant_id, name in (("tenant-2", "main"), ("tenant-2", "Main"), ("tenant-1", "MAIN")):
            assert await store.add_entity(Entity("entity-3", tenant_id, name)) == MAIN
        assert await store.entities() == [MAIN]

    async def test_a_client_reads_as_it_was_added(self, store: AuthStore) -> None:
        known = await with_client(store, client(entities=(OTHER, MAIN)))
        assert await store.client(known.id) == known

    async def test_a_client_may_have_no_entity(self, store: AuthStore) -> None:
        known = await with_client(store, client(entities=()))
        assert await store.client(known.id) == known

    async def test_an_unknown_client_is_none(self, store: AuthStore) -> None:
        assert await store.client("client-9") is None

    async def test_clients_are_listed_newest_last_including_revoked_ones(
        self, store: AuthStore
    ) -> None:
        await with_client(store, client("client-2"))
        await store.add_client(client("client-1", entities=(MAIN, OTHER)), "digest")
        await store.revoke_client("client-2", NOW)
        assert [known.id for known in await store.clients()] == ["client-2", "client-1"]

    async def test_the_first_secret_is_valid(self, store: AuthStore) -> None:
        known = await with_client(store)
        assert await store.secret_digests(known.id, NOW) == ["digest-1"]
        assert await store.secret_digests("client-9", NOW) == []

    async def test_a_rotated_secret_is_valid_until_its_grace_period_ends(
        self, store: AuthStore
    ) -> None:
        known = await with_client(store)
        await store.rotate_secret(known.id, "digest-2", old_valid_until=NOW + HOUR)
        just_before = NOW + HOUR - timedelta(milliseconds=1)
        assert await store.secret_digests(known.id, just_before) == ["digest-2", "digest-1"]
        assert await store.secret_digests(known.id, NOW + HOUR) == ["digest-2"]

    async def test_a_second_rotation_leaves_the_first_secret_the_end_it_had(
        self, store: AuthStore
    ) -> None:
        known = await with_client(store)
        await store.rotate_secret(known.id, "digest-2", old_valid_until=NOW + HOUR)
        await store.rotate_secret(known.id, "digest-3", old_valid_until=NOW + 2 * HOUR)
        kept = ["digest-3", "digest-2", "digest-1"]
        assert await store.secret_digests(known.id, NOW) == kept
        assert await store.secret_digests(known.id, NOW + HOUR) == kept[:2]

    async def test_a_rotation_without_grace_ends_every_secret_before(
        self, store: AuthStore
    ) -> None:
        known = await with_client(store)
        await store.rotate_secret(known.id, "digest-2", old_valid_until=NOW + HOUR)
        await store.rotate_secret(known.id, "digest-3", old_valid_until=NOW)
        assert await store.secret_digests(known.id, NOW) == ["digest-3"]

    async def test_rotated_secrets_are_bounded(self, store: AuthStore) -> None:
        known = await with_client(store)
        for number in range(2, 20):
            until = NOW + number * HOUR
            await store.rotate_secret(known.id, f"digest-{number}", old_valid_until=until)
        kept = await store.secret_digests(known.id, NOW)
        assert kept[:3] == ["digest-19", "digest-18", "digest-17"]
        assert len(kept) <= MAX_ROTATED + 2

    async def test_a_second_client_of_one_id_changes_nothing(self, store: AuthStore) -> None:
        known = await with_client(store)
        assert not await store.add_client(known, "digest-9")
        assert await store.secret_digests(known.id, NOW) == ["digest-1"]

    async def test_the_secret_of_an_unknown_client_cannot_be_rotated(
        self, store: AuthStore
    ) -> None:
        with pytest.raises(NotFound):
            await store.rotate_secret("client-9", "digest", old_valid_until=NOW)

    async def test_a_token_identifies_its_client_until_it_expires(self, store: AuthStore) -> None:
        known = await with_client(store)
        await store.add_token("token-1", known.id, NOW + HOUR)
        assert await store.client_of_token("token-1", NOW) == known
        just_before = NOW + HOUR - timedelta(milliseconds=1)
        assert await store.client_of_token("token-1", just_before) == known
        assert await store.client_of_token("token-1", NOW + HOUR) is None

    async def test_an_unknown_token_has_no_client(self, store: AuthStore) -> None:
        await with_client(store)
        assert await store.client_of_token("token-9", NOW) is None

    async def test_earlier_tokens_stay_valid(self, store: AuthStore) -> None:
        known = await with_client(store)
        for digest in ("token-1", "token-2"):
            await store.add_token(digest, known.id, NOW + HOUR)
        assert await store.client_of_token("token-1", NOW) == known
        assert await store.client_of_token("token-2", NOW) == known

    async def test_revoking_invalidates_secrets_and_tokens_immediately(
        self, store: AuthStore
    ) -> None:
        known = await with_client(store)
        await store.add_token("token-1", known.id, NOW + HOUR)
        assert await store.revoke_client(known.id, NOW)
        assert await store.client_of_token("token-1", NOW) is None
        assert await store.secret_digests(known.id, NOW) == []
        revoked = await store.client(known.id)
        assert revoked is not None
        assert revoked.revoked_time == NOW

    async def test_revoking_again_keeps_the_first_time(self, store: AuthStore) -> None:
        known = await with_client(store)
        await store.revoke_client(known.id, NOW)
        assert await store.revoke_client(known.id, NOW + HOUR)
        revoked = await store.client(known.id)
        assert revoked is not None
        assert revoked.revoked_time == NOW

    async def test_an_unknown_client_cannot_be_revoked(self, store: AuthStore) -> None:
        assert not await store.revoke_client("client-9", NOW)

    async def test_tokens_that_are_no_longer_valid_are_removed(self, store: AuthStore) -> None:
        known = await with_client(store)
        await store.add_client(client("client-2"), "digest")
        await store.add_token("expired", known.id, NOW)
        await store.add_token("good", known.id, NOW + HOUR)
        await store.add_token("revoked", "client-2", NOW + HOUR)
        await store.revoke_client("client-2", NOW)
        assert await store.remove_expired_tokens(NOW) == 2
        assert await store.client_of_token("good", NOW) == known

    async def test_a_session_is_extended_until_its_end_and_no_further(
        self, store: AuthStore
    ) -> None:
        known = await with_client(store)
        await store.add_token("session", known.id, NOW + HOUR, session_until=NOW + 3 * HOUR)
        assert await store.extend_session("session", NOW + 2 * HOUR, NOW)
        assert await store.client_of_token("session", NOW + HOUR) == known
        assert await store.extend_session("session", NOW + 9 * HOUR, NOW + HOUR)
        assert await store.client_of_token("session", NOW + 3 * HOUR) is None
        assert not await store.extend_session("session", NOW + 9 * HOUR, NOW + 3 * HOUR)

    async def test_only_a_live_session_can_be_extended(self, store: AuthStore) -> None:
        known = await with_client(store)
        await store.add_token("token", known.id, NOW + HOUR)
        await store.add_token("session", known.id, NOW + HOUR, session_until=NOW + 3 * HOUR)
        assert not await store.extend_session("token", NOW + 2 * HOUR, NOW)
        assert not await store.extend_session("unknown", NOW + 2 * HOUR, NOW)
        assert await store.revoke_client(known.id, NOW)
        assert not await store.extend_session("session", NOW + 2 * HOUR, NOW)

    async def test_one_token_is_revoked_and_only_by_its_client(self, store: AuthStore) -> None:
        known = await with_client(store)
        await store.add_client(client("client-2"), "digest")
        for token in ("token-1", "token-2"):
            await store.add_token(token, known.id, NOW + HOUR)
            assert await store.client_of_token(token, NOW) == known
        assert not await store.revoke_token("token-1", "client-2")
        assert await store.revoke_token("token-1", known.id)
        assert not await store.revoke_token("token-1", known.id)
        assert await store.client_of_token("token-1", NOW) is None
        assert await store.client_of_token("token-2", NOW) == known

    async def test_lately_revoked_clients_are_found(self, store: AuthStore) -> None:
        known = await with_client(store)
        await store.add_client(client("client-2"), "digest")
        assert await store.revoked_since(NOW - HOUR, NOW) == []
        await store.revoke_client(known.id, NOW)
        revoked = [(known.tenant_id, known.id)]
        assert await store.revoked_since(NOW, NOW) == revoked
        assert await store.revoked_since(NOW, NOW - HOUR) == revoked, "by a clock that is ahead"
        assert await store.revoked_since(NOW + HOUR, NOW + HOUR) == []

    async def test_lately_expired_clients_are_found(self, store: AuthStore) -> None:
        known = await with_client(store, replace(client(), expires_time=NOW))
        before = NOW - timedelta(milliseconds=1)
        assert await store.revoked_since(NOW - HOUR, before) == []
        assert await store.revoked_since(NOW - HOUR, NOW) == [(known.tenant_id, known.id)]
        assert await store.revoked_since(NOW + HOUR, NOW + 2 * HOUR) == []

    async def test_a_login_is_revoked_in_one_tenant_until_it_is_allowed(
        self, store: AuthStore
    ) -> None:
        for tenant_id in ("tenant-1", "tenant-2"):
            await store.add_tenant(tenant_id, tenant_id)
        login = RevokedLogin("tenant-1", "login-1", "auth0|7 é", NOW)
        assert await store.revoked_login("tenant-1", "login-1") is None
        await store.revoke_login(login)
        await store.revoke_login(replace(login, revoked_time=NOW + HOUR))
        assert await store.revoked_login("tenant-1", "login-1") == login
        assert await store.revoked_login("tenant-2", "login-1") is None
        assert await store.revoked_logins("tenant-2") == []
        assert await store.revoked_since(NOW, NOW) == [("tenant-1", "login-1")]
        for later in (1, 2):
            await store.allow_login("tenant-1", "login-1", NOW + later * HOUR)
        await store.allow_login("tenant-2", "login-1", NOW)
        allowed = replace(login, allowed_time=NOW + HOUR)
        assert await store.revoked_logins("tenant-1") == [allowed]
        assert await store.revoked_since(NOW, NOW) == []
        again = replace(login, revoked_time=NOW + 3 * HOUR)
        await store.revoke_login(again)
        assert await store.revoked_login("tenant-1", "login-1") == again

    async def test_revoked_logins_are_listed_by_subject(self, store: AuthStore) -> None:
        await store.add_tenant("tenant-1", "One")
        for number, subject in enumerate(("b", "a", "Z", "é")):
            await store.revoke_login(RevokedLogin("tenant-1", f"login-{number}", subject, NOW))
        found = [one.subject for one in await store.revoked_logins("tenant-1")]
        assert found == ["Z", "a", "b", "é"]

    async def test_tenants_are_listed_by_name(self, store: AuthStore) -> None:
        await store.add_tenant("tenant-2", "B")
        await store.add_tenant("tenant-1", "A")
        assert await store.tenants() == [Tenant("tenant-1", "A"), Tenant("tenant-2", "B")]

    async def test_scopes_orgs_and_expiry_of_a_client_change_and_its_tokens_follow(
        self, store: AuthStore
    ) -> None:
        known = await with_client(store)
        await store.add_token("token-1", known.id, NOW + HOUR)
        assert await store.client_of_token("token-1", NOW) == known
        changed = replace(
            known, scopes=frozenset({Scope.READ}), org_ids=(), expires_time=NOW + HOUR / 2
        )
        assert await store.change_client(changed, before=known)
        assert await store.client(known.id) == changed
        assert await store.client_of_token("token-1", NOW) == changed
        assert await store.revoke_client(known.id, NOW)
        assert not await store.change_client(known, before=changed)
        assert not await store.change_client(client("unknown"), before=client("unknown"))

    async def test_a_change_of_what_somebody_else_has_changed_is_not_written(
        self, store: AuthStore
    ) -> None:
        known = await with_client(store)
        others: dict[str, Any] = {
            "scopes": frozenset({Scope.READ}),
            "org_ids": ("x",),
            "expires_time": NOW + HOUR,
        }
        for name, value in others.items():
            changed = replace(known, **{name: value})
            assert not await store.change_client(known, before=changed), name
            assert await store.change_client(changed, before=known), name
            assert await store.change_client(known, before=changed), name
        assert await store.client(known.id) == known

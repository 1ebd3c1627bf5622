"""The AuthStore protocol: what a database must keep about clients, entities and tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from queryrun.auth.model import Client, Entity, RevokedLogin, Tenant

MAX_ROTATED = 4
"""Secrets in their grace period that a rotation keeps beside the current one."""


class AuthStore(Protocol):
    """Clients, their entities, their secrets' digests and their tokens' digests.

    Digests are sha256 hex: secrets and tokens are 250 random bits or more, so a slow hash would
    only make the token endpoint easy to overload. Plain secrets
    and tokens never reach the store.
    """

    async def add_tenant(self, tenant_id: str, name: str) -> None:
        """Create the tenant if it does not exist yet."""
        ...

    async def tenants(self) -> list[Tenant]:
        """Every tenant, by name."""
        ...

    async def add_entity(self, entity: Entity) -> Entity:
        """Create the entity, or return the one that has its name already, in whichever case and of
        whichever tenant: entities are directories, so a name is one's alone."""
        ...

    async def entities(self) -> list[Entity]:
        """Every entity, by name."""
        ...

    async def add_client(self, client: Client, secret_digest: str) -> bool:
        """Create the client with its first secret. False, and no change, when there is one with
        this id."""
        ...

    async def change_client(self, client: Client, *, before: Client) -> bool:
        """Write its scopes, orgs and expiry. Its tokens follow at once (on other nodes of a cluster
        within a second). False, and nothing is written, for a client that is unknown or revoked, or
        whose scopes, orgs and expiry are not those of `before` any more: somebody else was first.
        """
        ...

    async def clients(self) -> list[Client]:
        """Every client, newest last, revoked ones included."""
        ...

    async def client(self, client_id: str) -> Client | None:
        """The client, revoked or not; None when unknown."""
        ...

    async def secret_digests(self, client_id: str, now: datetime) -> list[str]:
        """The digests valid at `now`: the current secret, and rotated ones in their grace."""
        ...

    async def rotate_secret(
        self, client_id: str, secret_digest: str, *, old_valid_until: datetime
    ) -> None:
        """Set a new secret. Those before stay valid until `old_valid_until` at the longest, of
        those that were rotated already only `MAX_ROTATED`: a rotation that is sent twice, because
        its response was lost, must not end the secret that is in use."""
        ...

    async def revoke_client(self, client_id: str, now: datetime) -> bool:
        """Revoke the client and all its tokens at once. False when there is no such client."""
        ...

    async def add_token(
        self,
        token_digest: str,
        client_id: str,
        expires: datetime,
        *,
        session_until: datetime | None = None,
    ) -> None:
        """Store a token. Earlier tokens of the client stay valid (contract E).

        `session_until`: it is a session's, and can be extended until then.
        """
        ...

    async def extend_session(self, token_digest: str, expires: datetime, now: datetime) -> bool:
        """Move the expiry of a session's token, at most to the session's end.

        False when the token is not a session's, or is not valid any more.
        """
        ...

    async def revoke_token(self, token_digest: str, client_id: str) -> bool:
        """Revoke one token. False when this client has no such token."""
        ...

    async def revoked_since(self, since: datetime, now: datetime) -> list[tuple[str, str]]:
        """Tenant and id of each client and login that was revoked at `since` or later, and of each
        client that has expired between `since` and `now`."""
        ...

    async def revoke_login(self, login: RevokedLogin) -> None:
        """End a login in a tenant. One that is ended already keeps the time of the first."""
        ...

    async def allow_login(self, tenant_id: str, client_id: str, now: datetime) -> None:
        """Take tokens of a revoked login that are issued from `now` on. Nothing when they are taken
        already, or the login was never revoked."""
        ...

    async def revoked_login(self, tenant_id: str, client_id: str) -> RevokedLogin | None:
        """The login if it was ever revoked in the tenant."""
        ...

    async def revoked_logins(self, tenant_id: str) -> list[RevokedLogin]:
        """Every login that was ever revoked in the tenant, by subject."""
        ...

    async def client_of_token(self, token_digest: str, now: datetime) -> Client | None:
        """Whose token this is: None when unknown, expired, or its client is revoked.

        On the path of every request, so it must be cheap. A store that several nodes share may
        cache it for up to a second: a revocation takes effect at once on the node that made it,
        and within that second on the others.
        """
        ...

    async def remove_expired_tokens(self, now: datetime) -> int:
        """Delete tokens that are expired or of a revoked client; returns how many."""
        ...

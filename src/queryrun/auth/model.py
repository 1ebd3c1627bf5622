"""Clients, entities, tokens and the principal that a verified token speaks for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Scope(StrEnum):
    """What a client may do. `admin` includes the others, for every client of the entity that it
    acts in; `tenant_admin` for every entity of the tenant."""

    READ = "read"
    SUBMIT = "submit"
    CANCEL = "cancel"
    ADMIN = "admin"
    TENANT_ADMIN = "tenant_admin"
    ADMIN_READ = "admin:read"
    """`/admin/v1` of the own tenant, without changing anything. No other scope includes it."""
    ADMIN_WRITE = "admin:write"
    """Change it too; includes `admin:read`."""
    ADMIN_ALL = "admin:all"
    """Beside one of these: of every tenant. Only a client that has it can give it."""


ADMINISTRATION = frozenset({Scope.ADMIN_READ, Scope.ADMIN_WRITE, Scope.ADMIN_ALL})
"""Scopes of who administers clients. Admins of runs do not have them."""

OF_ALL_ROWS = ADMINISTRATION | {Scope.ADMIN, Scope.TENANT_ADMIN}
"""Scopes that lead to results and clients of others, and so to rows of every org. A client that is
restricted to orgs cannot have them."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer. Its entities share limits, and see nothing of other tenants."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Entity:
    """A part of a tenant with its own, separate data. `name` is what operators type."""

    id: str
    tenant_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Client:
    """OAuth credentials. Of a secret only the sha256 is kept; it cannot be read again."""

    id: str
    tenant_id: str
    name: str
    entities: tuple[Entity, ...]
    scopes: frozenset[Scope]
    created_time: datetime
    revoked_time: datetime | None = None
    org_ids: tuple[str, ...] = ()
    login: str = ""
    """Who it is at another issuer; empty for a client of the store."""
    expires_time: datetime | None = None
    """From then on it counts as revoked; None: never."""

    def is_live(self, now: datetime) -> bool:
        """Whether it may still do anything."""
        has_expired = self.expires_time is not None and now >= self.expires_time
        return self.revoked_time is None and not has_expired


@dataclass(frozen=True, slots=True)
class RevokedLogin:
    """A login at another issuer that somebody has ended in a tenant."""

    tenant_id: str
    client_id: str
    subject: str
    """Who it is at the issuer."""
    revoked_time: datetime
    allowed_time: datetime | None = None
    """From then on its new tokens are taken again, and those from before are not; None: none is."""

    def takes_token_of(self, issued_s: float | None) -> bool:
        """Whether a token counts that says it was issued then (seconds since 1970)."""
        allowed = self.allowed_time
        return allowed is not None and issued_s is not None and issued_s >= int(allowed.timestamp())


@dataclass(frozen=True, slots=True)
class IssuedSecret:
    """A new client or a rotated secret: the only moment the secret can be read."""

    client: Client
    secret: str


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A bearer token, opaque, for one client."""

    token: str
    client: Client
    expires_in_s: int
    jti: str
    """An id of the token that is no secret: for logs and support (contract E)."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request speaks for: one client acting in one entity."""

    tenant_id: str
    client_id: str
    entity_id: str
    scopes: frozenset[Scope]
    org_ids: tuple[str, ...] = ()
    login: str = ""
    """Who it is at another issuer; empty for a client of the store. For logs."""

    @property
    def is_admin(self) -> bool:
        """Admins see and cancel every run of the entity they act in (contract H11)."""
        return Scope.ADMIN in self.scopes or self.is_tenant_admin

    @property
    def is_tenant_admin(self) -> bool:
        """Whether it is an admin of every entity of its tenant."""
        return Scope.TENANT_ADMIN in self.scopes

    def may(self, scope: Scope) -> bool:
        """Whether the client was given `scope`. Admin includes all but the administration."""
        if scope is Scope.ADMIN_READ:
            return not self.scopes.isdisjoint({Scope.ADMIN_READ, Scope.ADMIN_WRITE})
        if scope in ADMINISTRATION:
            return scope in self.scopes
        if scope is Scope.TENANT_ADMIN:
            return self.is_tenant_admin
        return self.is_admin or scope in self.scopes

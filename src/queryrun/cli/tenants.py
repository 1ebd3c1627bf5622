"""Make and list tenants of a home, and their entities. Works while its server runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from queryrun.audit.model import AuditEvent
from queryrun.auth.model import Entity, Tenant
from queryrun.cli.audit_entries import record
from queryrun.cli.clients import make_data_dirs, with_store
from queryrun.cli.home import check_tenant_name, ensure_entity
from queryrun.db.database import Database
from queryrun.settings import Settings


@dataclass(frozen=True, slots=True)
class TenantEntities:
    """A tenant and its entities."""

    tenant: Tenant
    entities: list[Entity] = field(default_factory=list)


def create(home: Path, name: str, entities: list[str]) -> TenantEntities:
    """Make a tenant, if there is none of that name, and these entities of it.

    `ConfigurationError` for an invalid name, and for an entity that another tenant has: entities
    are directories of the same names.
    """
    check_tenant_name(name)

    async def work(database: Database, settings: Settings) -> TenantEntities:
        known = {tenant.id for tenant in await database.auth.tenants()}
        await database.auth.add_tenant(name, name)
        if name not in known:
            await record(database, AuditEvent.TENANT_CREATED, name, name)
        made = [await ensure_entity(database, settings, entity, name) for entity in entities]
        make_data_dirs(settings, entities)
        return TenantEntities(Tenant(name, name), made)

    return with_store(home, work)


def every(home: Path) -> list[TenantEntities]:
    """All tenants, by name, with their entities."""

    async def work(database: Database, _: Settings) -> list[TenantEntities]:
        tenants = {one.id: TenantEntities(one) for one in await database.auth.tenants()}
        for entity in await database.auth.entities():
            tenants[entity.tenant_id].entities.append(entity)
        return list(tenants.values())

    return with_store(home, work)

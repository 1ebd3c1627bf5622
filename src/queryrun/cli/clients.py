"""Create, list, rotate and revoke clients of a home. Works while its server runs."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from queryrun.audit.model import AuditEvent
from queryrun.auth.clients import DEFAULT_SCOPES, ClientOptions, create_client, revoke_client
from queryrun.auth.clients import rotate_secret as rotate_client_secret
from queryrun.auth.model import Client, IssuedSecret, Scope
from queryrun.cli.audit_entries import record
from queryrun.cli.existing import check_database, home_settings
from queryrun.cli.home import ensure_entity
from queryrun.db.database import Database
from queryrun.errors import ConfigurationError
from queryrun.runs.revoke import cancel_runs_of
from queryrun.settings import Settings
from queryrun.wiring.database import open_database
from queryrun.wiring.entities import make_data_dir

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NewClient:
    """The options of `clients create`. Missing entities are created with their data directories."""

    entities: list[str]
    scopes: list[str] = field(default_factory=list)
    orgs: list[str] = field(default_factory=list)
    name: str = "client"
    tenant: str = ""
    """The settings' when empty."""


def create(home: Path, new_client: NewClient) -> IssuedSecret:
    """Create a client. `ConfigurationError` for an invalid entity or scope."""
    entities, scopes = new_client.entities, new_client.scopes
    if not entities:
        raise ConfigurationError("name at least one entity: --entity NAME")
    granted = frozenset(_scope(scope) for scope in scopes) or DEFAULT_SCOPES

    async def work(database: Database, settings: Settings) -> IssuedSecret:
        made = [
            await ensure_entity(database, settings, entity, new_client.tenant)
            for entity in entities
        ]
        options = ClientOptions(new_client.name, tuple(made), granted, tuple(new_client.orgs))
        make_data_dirs(settings, entities)  # before the client: a failure must cost no secret
        issued = await create_client(database.auth, options, _now)
        client = issued.client
        names = [entity.name for entity in client.entities]
        scopes = sorted(client.scopes)
        _log("client_created", client.id, name=client.name, entities=names, scopes=scopes)
        orgs = list(client.org_ids)
        detail = {"name": client.name, "entities": names, "scopes": scopes, "orgs": orgs}
        await record(database, AuditEvent.CLIENT_CREATED, client.tenant_id, client.id, **detail)
        return issued

    return with_store(home, work)


def every(home: Path) -> list[Client]:
    """All clients, including revoked ones."""
    return with_store(home, lambda database, _: database.auth.clients())


def rotate(home: Path, client_id: str, grace_s: float) -> IssuedSecret:
    """Give the client a new secret; the old one is valid for `grace_s` more seconds."""

    async def work(database: Database, _: Settings) -> IssuedSecret:
        issued = await rotate_client_secret(database.auth, client_id, _now, grace_s=grace_s)
        _log("client_secret_rotated", client_id, grace_s=grace_s)
        tenant_id = issued.client.tenant_id
        event = AuditEvent.CLIENT_SECRET_ROTATED
        await record(database, event, tenant_id, client_id, grace_s=grace_s)
        return issued

    return with_store(home, work)


def revoke(home: Path, client_id: str) -> int:
    """Revoke the client and its tokens, and cancel its runs; returns how many of those there were.

    A node that serves the home stops the running ones, and ends the client's streams.
    """

    async def work(database: Database, _: Settings) -> int:
        await revoke_client(database.auth, client_id, _now)
        client = await database.auth.client(client_id)
        tenant_id = "" if client is None else client.tenant_id
        canceled = await cancel_runs_of(database.runs, tenant_id, client_id)
        _log("client_revoked", client_id, canceled_runs=len(canceled))
        event, count = AuditEvent.CLIENT_REVOKED, len(canceled)
        await record(database, event, tenant_id, client_id, canceled_runs=count)
        return len(canceled)

    return with_store(home, work)


def _log(event: str, client_id: str, **details: object) -> None:
    """One line of JSON on standard error, as the server logs: who may do what has changed."""
    line = {"event": event, "client_id": client_id, **details}
    line |= {"level": "info", "timestamp": _now().isoformat()}
    print(json.dumps(line), file=sys.stderr)


def _scope(text: str) -> Scope:
    try:
        return Scope(text)
    except ValueError:
        raise ConfigurationError(f"scope {text!r}: use {', '.join(Scope)}") from None


def make_data_dirs(settings: Settings, entities: list[str]) -> None:
    """Create the entities' directories for files; the operator provides database files."""
    for entity in entities:
        make_data_dir(settings, entity)


def _now() -> datetime:
    return datetime.now(UTC)


def with_store(home: Path, work: Callable[[Database, Settings], Awaitable[T]]) -> T:
    """The result of work with the home's store.

    Opens it beside a running server: both write through the database's own locks.
    """
    settings = home_settings(home)
    check_database(settings)

    async def run() -> T:
        database = open_database(settings, _now)
        try:
            return await work(database, settings)
        finally:
            database.close()

    return asyncio.run(run())

"""Create, list, rotate and revoke clients of a home. Works while its server runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from queryrun.auth.clients import DEFAULT_SCOPES, ClientOptions, create_client, revoke_client
from queryrun.auth.clients import rotate_secret as rotate_client_secret
from queryrun.auth.model import Client, IssuedSecret, Scope
from queryrun.cli.home import ensure_entity
from queryrun.cli.private import keep_private
from queryrun.db.database import Database
from queryrun.errors import ConfigurationError
from queryrun.settings import CONFIG_NAME, Settings, load
from queryrun.wiring.database import open_database

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NewClient:
    """The options of `clients create`. Missing entities are created with their data directories."""

    entities: list[str]
    scopes: list[str] = field(default_factory=list)
    orgs: list[str] = field(default_factory=list)
    name: str = "client"


def create(home: Path, new_client: NewClient) -> IssuedSecret:
    """Create a client. `ConfigurationError` for an invalid entity or scope."""
    entities, scopes = new_client.entities, new_client.scopes
    if not entities:
        raise ConfigurationError("name at least one entity: --entity NAME")
    granted = frozenset(_scope(scope) for scope in scopes) or DEFAULT_SCOPES

    async def work(database: Database, settings: Settings) -> IssuedSecret:
        made = [await ensure_entity(database, settings, entity) for entity in entities]
        options = ClientOptions(new_client.name, tuple(made), granted, tuple(new_client.orgs))
        issued = await create_client(database.auth, options, _now)
        _make_data_dirs(settings, entities)
        return issued

    return _with_store(home, work)


def every(home: Path) -> list[Client]:
    """All clients, including revoked ones."""
    return _with_store(home, lambda database, _: database.auth.clients())


def rotate(home: Path, client_id: str, grace_s: float) -> IssuedSecret:
    """Give the client a new secret; the old one is valid for `grace_s` more seconds."""

    async def work(database: Database, _: Settings) -> IssuedSecret:
        return await rotate_client_secret(database.auth, client_id, _now, grace_s=grace_s)

    return _with_store(home, work)


def revoke(home: Path, client_id: str) -> None:
    """Revoke the client and its tokens."""
    _with_store(home, lambda database, _: revoke_client(database.auth, client_id, _now))


def _scope(text: str) -> Scope:
    try:
        return Scope(text)
    except ValueError:
        raise ConfigurationError(f"scope {text!r}: use {', '.join(Scope)}") from None


def _make_data_dirs(settings: Settings, entities: list[str]) -> None:
    """Create the entities' directories for files; the operator provides database files."""
    embedded = [name for name in settings.sources if name not in settings.remote_sources]
    for source in embedded:
        for entity in entities:
            path = settings.data_path(source, entity)
            if not settings.sources[source].kind.is_database(path):
                path.mkdir(parents=True, exist_ok=True)


def _now() -> datetime:
    return datetime.now(UTC)


def _with_store(home: Path, work: Callable[[Database, Settings], Awaitable[T]]) -> T:
    """Opens the store beside a running server: both write through the database's own locks."""
    if not (home / CONFIG_NAME).exists():
        raise ConfigurationError(f"{home} is not a home yet; `queryrun init --home {home}` first")
    keep_private(home)
    settings = load(home)

    async def run() -> T:
        database = open_database(settings, _now)
        try:
            return await work(database, settings)
        finally:
            database.close()

    return asyncio.run(run())

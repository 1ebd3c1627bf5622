"""Settings -> what a worker opens, and how to connect to an engine, for each entity."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

from queryrun.auth.store import AuthStore
from queryrun.engines.source_spec import ORGS, Secret, SourceSpec
from queryrun.errors import NotFound
from queryrun.settings import COPIES_NAME, Settings, SourceSettings
from queryrun.settings.checks import size_bytes
from queryrun.tables.location import location_version
from queryrun.wiring.results import results_spec
from queryrun.wiring.secrets import source_secret
from queryrun.worker.frames import WorkerConfig

NO_ENTITY = "queryrun"
"""Replaces `{entity}` in connections that serve no entity, such as health checks."""


class SourceResolver:
    """Resolves a source for an entity. The name of each entity is read once and cached."""

    def __init__(self, settings: Settings, auth: AuthStore) -> None:
        self._settings = settings
        self._auth = auth
        self._names: dict[str, str] = {}
        self._results = results_spec(settings)

    async def worker_config(
        self, source: str, entity_id: str, org_ids: Sequence[str] = ()
    ) -> WorkerConfig:
        """The configuration of a worker for runs of these orgs of the entity, or of all its rows.
        `NotFound` for an unknown entity."""
        settings = self._settings.sources[source]
        return WorkerConfig(
            entity_id=entity_id,
            source=await self.spec(source, entity_id, org_ids),
            results=self._results,
            memory_bytes=size_bytes(settings.memory, "memory"),
            threads=settings.threads,
            spill_dir="",
            spill_bytes=self._spill_bytes(settings),
            time_zone=self._settings.time_zone,
        )

    def _spill_bytes(self, source: SourceSettings) -> int:
        """So that an entity that holds every slot, and the one fair slot that it may have got
        before, stays within what it may use."""
        of_statement = size_bytes(source.spill, "spill")
        of_entity = size_bytes(self._settings.limits.spill_per_entity, "spill_per_entity")
        workers = self._settings.workers
        part = of_entity // max(workers.slots + min(workers.usable_fair_slots, 1), 1)
        return min(of_statement, part) if of_entity else of_statement

    async def spec(
        self, source: str, entity_id: str | None, org_ids: Sequence[str] = ()
    ) -> SourceSpec:
        """The source for this entity. None: for no entity.

        With orgs it is a source of its own, that no process of other orgs serves: a process that a
        statement has taken over could answer for theirs.
        """
        entity = NO_ENTITY if entity_id is None else await self._name(entity_id)
        settings = self._settings.sources[source]
        if not settings.kind.is_remote:
            return await asyncio.to_thread(self._embedded, source, entity, org_ids)
        secret = source_secret(self._settings, source)
        return SourceSpec(
            settings.engine,
            _options(settings, entity) | _orgs(org_ids),
            Secret(secret) if secret else None,
        )

    def _embedded(self, source: str, entity: str, org_ids: Sequence[str]) -> SourceSpec:
        data = self._settings.data_path(source, entity)
        settings = self._settings.sources[source]
        options = _location(settings, entity) | _orgs(org_ids)
        options |= {"dialect": settings.dialect, "version": location_version(str(data))}
        if settings.kind.is_database(data):
            return SourceSpec(settings.engine, options | {"database": str(data)})
        options |= {
            "data_dir": str(data),
            "copies_dir": str(self._copies_dir(source, entity)),
            "copies_bytes": str(size_bytes(settings.copies, "copies")),
        }
        return SourceSpec(settings.engine, options)

    def _copies_dir(self, source: str, entity: str) -> Path:
        """Made here: a process may only be allowed to use a directory that exists."""
        path = self._settings.path(COPIES_NAME) / source / entity
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    async def _name(self, entity_id: str) -> str:
        if entity_id not in self._names:
            self._names.update({entity.id: entity.name for entity in await self._auth.entities()})
        if entity_id not in self._names:
            raise NotFound("entity", f"Entity {entity_id} could not be found")
        return self._names[entity_id]


def _orgs(org_ids: Sequence[str]) -> dict[str, str]:
    return {ORGS: json.dumps(sorted(org_ids))} if org_ids else {}


def _location(settings: SourceSettings, entity: str) -> dict[str, str]:
    """Entity names are letters, digits, `_` and `-`, so they cannot inject anything."""
    templates = {"catalog": settings.catalog, "schema": settings.schema}
    return {name: text.replace("{entity}", entity) for name, text in templates.items()}


def _options(settings: SourceSettings, entity: str) -> dict[str, str]:
    filled = _location(settings, entity) | {"user": settings.user.replace("{entity}", entity)}
    fixed = {
        "url": settings.url,
        "auth": settings.auth,
        "ui_url": settings.ui_url,
        "name_scope": settings.name_scope,
        "spool_url": settings.spool_url,
    }
    return filled | fixed | {"dialect": settings.dialect}

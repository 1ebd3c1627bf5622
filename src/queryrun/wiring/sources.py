"""Settings -> what a worker opens and how an engine elsewhere is spoken to, for each entity."""

from __future__ import annotations

from queryrun.auth.store import AuthStore
from queryrun.engines.source_spec import Secret, SourceSpec
from queryrun.errors import NotFound
from queryrun.results.credentials import RotatingCredentials
from queryrun.settings import Settings, SourceSettings, size_bytes, source_secret
from queryrun.wiring.results import results_specs
from queryrun.worker.frames import WorkerConfig

NO_ENTITY = "queryrun"
"""Stands for `{entity}` where an engine is asked something that is no entity's."""


class SourceResolver:
    """Where an entity's data of a source is. Entities are looked up once each."""

    def __init__(
        self, settings: Settings, auth: AuthStore, credentials: RotatingCredentials | None
    ) -> None:
        self._settings = settings
        self._auth = auth
        self._names: dict[str, str] = {}
        self._results = results_specs(settings, credentials)

    async def bind(self, source: str, entity_id: str) -> WorkerConfig:
        """What a worker for this entity opens; `NotFound` for an entity that is not there."""
        rules = self._settings.sources[source]
        return WorkerConfig(
            entity_id=entity_id,
            source=await self.spec(source, entity_id),
            results=self._results(),
            memory_bytes=size_bytes(rules.memory, "memory"),
            threads=rules.threads,
            spill_dir="",
            spill_bytes=size_bytes(rules.spill, "spill"),
            time_zone=self._settings.time_zone,
        )

    async def spec(self, source: str, entity_id: str | None) -> SourceSpec:
        """The source as seen by this entity; None: by nobody in particular."""
        entity = NO_ENTITY if entity_id is None else await self._name(entity_id)
        rules = self._settings.sources[source]
        if not rules.kind.is_remote:
            return self._embedded(source, entity)
        secret = source_secret(self._settings, source)
        return SourceSpec(rules.engine, _options(rules, entity), Secret(secret) if secret else None)

    def _embedded(self, source: str, entity: str) -> SourceSpec:
        data = self._settings.data_path(source, entity)
        rules = self._settings.sources[source]
        option = "database" if rules.kind.is_database(data) else "data_dir"
        return SourceSpec(rules.engine, {option: str(data), "dialect": rules.dialect})

    async def _name(self, entity_id: str) -> str:
        if entity_id not in self._names:
            self._names.update({entity.id: entity.name for entity in await self._auth.entities()})
        if entity_id not in self._names:
            raise NotFound("entity", f"Entity {entity_id} could not be found")
        return self._names[entity_id]


def _options(rules: SourceSettings, entity: str) -> dict[str, str]:
    """Names of entities are letters, digits, `_` and `-`, so nothing can be smuggled in."""
    templates = {"catalog": rules.catalog, "schema": rules.schema, "user": rules.user}
    filled = {name: text.replace("{entity}", entity) for name, text in templates.items()}
    fixed = {
        "url": rules.url,
        "auth": rules.auth,
        "ui_url": rules.ui_url,
        "name_scope": rules.name_scope,
    }
    return filled | fixed | {"dialect": rules.dialect}

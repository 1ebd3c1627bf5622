"""What an entity needs on the disk of a node."""

from __future__ import annotations

from queryrun.settings import Settings


def make_data_dir(settings: Settings, entity: str) -> None:
    """Create the entity's directories for files; the operator provides database files."""
    for name, source in settings.sources.items():
        if name in settings.remote_sources:
            continue
        path = settings.data_path(name, entity)
        if not source.kind.is_database(path):
            path.mkdir(parents=True, exist_ok=True)

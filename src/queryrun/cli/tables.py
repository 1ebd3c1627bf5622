"""`queryrun tables infer` and `check`: which directory of files, and who reads it."""

from __future__ import annotations

from pathlib import Path

from queryrun.engines.base import Inspector
from queryrun.errors import ConfigurationError
from queryrun.settings import load


def inspector(home: Path, source: str | None, entity: str) -> Inspector:
    """What reads an entity's files. Raises `ConfigurationError` when there is no such data."""
    settings = load(home)
    name = source or settings.default_source
    if name not in settings.sources:
        raise ConfigurationError(f"no source is named {name!r}")
    path = settings.data_path(name, entity)
    kind = settings.sources[name].kind
    if kind.is_remote or not path.is_dir():
        raise ConfigurationError(f"source {name!r} has no directory of files for {entity!r}")
    return kind.inspect(path)

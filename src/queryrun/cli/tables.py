"""`queryrun tables files`, `infer` and `check`: which directory of files, and who reads it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import typer

from queryrun.cli.existing import home_settings
from queryrun.engines.base import Inspector, ListedTable
from queryrun.errors import ConfigurationError


def inspector(home: Path, source: str | None, entity: str) -> Inspector:
    """What reads an entity's files. Raises `ConfigurationError` when there is no such data."""
    settings = home_settings(home)
    name = source or settings.default_source
    if name not in settings.sources:
        raise ConfigurationError(f"no source is named {name!r}")
    path = settings.data_path(name, entity)
    kind = settings.sources[name].kind
    if kind.is_remote or not path.is_dir():
        raise ConfigurationError(f"source {name!r} has no directory of files for {entity!r}")
    return kind.inspect(path)


def print_tables(reader: Inspector, *, as_json: bool) -> None:
    """One line per table; problems, warnings and what is ignored below. As JSON: objects."""
    for table in reader.tables():
        typer.echo(_object(table) if as_json else "\n".join(_lines(table)))
    for name, why in sorted(reader.ignored().items()):
        typer.echo(json.dumps({"ignored": name, "why": why}) if as_json else f"{name}: {why}")


def _object(table: ListedTable) -> str:
    return json.dumps({"name": table.name, **asdict(table.facts), "problem": table.problem or None})


def _lines(table: ListedTable) -> list[str]:
    facts = table.facts
    known = {"files": facts.files, "bytes": facts.size_bytes, "rows": facts.rows}
    parts = [f"{value} {unit}" for unit, value in known.items() if value is not None]
    parts += [f"version {facts.version}"] if facts.version else []
    lines = [f"{table.name}: {', '.join([facts.format, *parts])}"]
    lines += [f"  {table.problem}"] if table.problem else []
    return lines + [f"  warning: {warning}" for warning in facts.warnings]

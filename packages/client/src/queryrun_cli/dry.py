"""What `run --dry-run` prints."""

from __future__ import annotations

import json
from collections.abc import Iterator

import typer

from queryrun_cli import exits
from queryrun_cli.printable import printable
from queryrun_cli.texts import aligned
from queryrun_client import DryRun, TableEstimate

_UNKNOWN = "unknown"
_COLUMNS = ("table", "bytes", "rows", "certainty", "files", "columns")


def print_dry_run(found: DryRun, *, as_json: bool) -> None:
    """Print it. Exits with 3 for a statement that would fail, with 1 for one that a limit would
    refuse."""
    if as_json:
        typer.echo(json.dumps(dict(found.raw)))
    else:
        for line in _lines(found):
            typer.echo(printable(line))
    if found.error is not None:
        raise typer.Exit(exits.FAILED)
    if found.refused_by is not None:
        raise typer.Exit(exits.REFUSED)


def _lines(found: DryRun) -> Iterator[str]:
    if found.error is not None:
        error = found.error
        position = "" if error.line is None else f" (line {error.line}, column {error.column})"
        yield f"would fail: {error.code}: {error.message}{position}"
        return
    read = f"{_count(found.bytes_read)} bytes, {_count(found.rows_read)} rows"
    yield f"would read {read} on {found.source} ({found.certainty}); nothing was run"
    if found.tables:
        yield from aligned([_COLUMNS, *map(_cells, found.tables)])
    if found.refused_by is not None:
        limit = found.refused_by
        yield f"a limit would refuse it: {limit.get('name')} of {limit.get('level')}: " + (
            f"{limit.get('limit')} {limit.get('unit')}, {limit.get('left')} left"
        )


def _cells(one: TableEstimate) -> tuple[str, ...]:
    files = _UNKNOWN if one.files is None else f"{one.files} of {one.all_files}"
    columns = _UNKNOWN if one.columns is None else ", ".join(one.columns)
    sizes = (_count(one.bytes_read), _count(one.rows_read))
    return (one.name, *sizes, one.certainty, files, columns)


def _count(number: int | None) -> str:
    return _UNKNOWN if number is None else f"{number:,}"

"""List runs and show one."""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import typer

from queryrun_cli.exits import translated
from queryrun_cli.ids import run_id_of
from queryrun_cli.remote import connect
from queryrun_cli.texts import COLUMNS, fitted, run_cells, run_lines, run_object, tags_of
from queryrun_client import Client, RunInfo, RunQuery, State, UnexpectedResponse
from queryrun_client.profiles import find_server
from queryrun_client.wire import state_of

if TYPE_CHECKING:
    from rich.table import Table

AGO = re.compile(r"(\d{1,6})\s*([smhd])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
WATCH_INTERVAL_S = 1.0


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of runs, as given on the command line."""

    state: str | None = None
    source: str | None = None
    since: str | None = None
    limit: int | None = None
    tags: tuple[str, ...] = ()

    def query(self, now: datetime) -> RunQuery:
        """The query; `typer.BadParameter` for an unknown state or an invalid time."""
        since, tags = _since(self.since, now), tags_of(self.tags)
        return RunQuery(_state(self.state), self.source, since, self.limit, tags)


def list_runs(filters: Filters, profile: str | None, *, watch: bool, as_json: bool) -> None:
    """Print runs, newest first; `watch` updates the list until Ctrl-C."""
    query = filters.query(datetime.now(UTC))
    with translated(), connect(find_server(profile)) as client:
        if watch:
            _watch(client, query)
            return
        found = [run.info for run in client.runs(query)]
    if as_json:
        typer.echo(json.dumps({"runs": [run_object(info) for info in found]}))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in fitted(found, width):
        typer.echo(line)


def show_run(run_id: str, profile: str | None, *, as_json: bool) -> None:
    """Print all properties of one run but its signed link."""
    with translated(), connect(find_server(profile)) as client:
        info = client.run(run_id_of(client, run_id)).info
    if as_json:
        typer.echo(json.dumps(run_object(info)))
        return
    for line in run_lines(info):
        typer.echo(line)


def _watch(client: Client, query: RunQuery) -> None:
    """Ctrl-C is the normal way to stop watching, so it is no error."""
    try:
        if sys.stdout.isatty():
            _watch_on_screen(client, query)
        else:
            _watch_as_lines(client, query)
    except KeyboardInterrupt:
        return


def _watch_on_screen(client: Client, query: RunQuery) -> None:
    """Imports `rich` here to keep the start of other commands fast."""
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(), auto_refresh=False) as live:
        while True:
            live.update(_table([run.info for run in client.runs(query)]), refresh=True)
            time.sleep(WATCH_INTERVAL_S)


def _watch_as_lines(client: Client, query: RunQuery) -> None:
    """Print a line for every new or changed run, for a pipe."""
    printed: dict[str, tuple[str, ...]] = {}
    while True:
        found = {run.id: run_cells(run.info) for run in client.runs(query)}
        for run_id, cells in reversed(found.items()):
            if printed.get(run_id) != cells:
                typer.echo("\t".join(cells))
        printed = found
        sys.stdout.flush()
        time.sleep(WATCH_INTERVAL_S)


def _table(found: list[RunInfo]) -> Table:
    """Cells are `Text`, so that `rich` does not interpret brackets in values as markup."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(*COLUMNS, box=SIMPLE_HEAD)
    for info in found:
        table.add_row(*(Text(cell) for cell in run_cells(info)))
    return table


def _state(text: str | None) -> State | None:
    try:
        return None if text is None else state_of(text)
    except UnexpectedResponse:
        names = ", ".join(State)
        raise typer.BadParameter(f"use one of {names}", param_hint="--state") from None


def _since(text: str | None, now: datetime) -> datetime | None:
    """Parse `30m`, `2h`, `7d` (ago), or ISO 8601: without an offset in the zone of this machine,
    in which times are printed."""
    if text is None:
        return None
    if ago := AGO.fullmatch(text.strip()):
        return now - timedelta(**{UNITS[ago[2]]: int(ago[1])})
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        hint = "use 30m, 2h, 7d, or a date such as 2026-11-24"
        raise typer.BadParameter(hint, param_hint="--since") from None
    return time.astimezone() if time.tzinfo is None else time

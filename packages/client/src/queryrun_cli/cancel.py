"""Cancel runs by id, or all that are under way."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import NoReturn

import typer

from queryrun_cli import exits
from queryrun_cli.ls import Filters
from queryrun_cli.remote import connect, find_server
from queryrun_client import CancelOutcome, Client, ClientError, State

AT_ONCE = 8
"""Cancels in flight together: each waits for the engine to let go."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of one cancel."""

    run_id: str
    outcome: str
    status: int
    detail: str = ""


def cancel_runs(
    ids: list[str], filters: Filters | None, profile: str | None, *, yes: bool, as_json: bool
) -> None:
    """Cancel the runs with these ids, or with `filters` all that they find under way.

    Returns when each has been said to be canceled. Exit status: 0 when all are (or already
    were), 7 when one had ended before, 1 or 5 when one could not be asked.
    """
    if bool(ids) == (filters is not None):
        raise typer.BadParameter("give ids of runs, or --all")
    with exits.translated(), connect(find_server(profile)) as client:
        wanted = ids if filters is None else _under_way(client, filters)
        if filters is not None and not yes and not as_json and sys.stdin.isatty():
            typer.confirm(f"cancel {len(wanted)} runs?", abort=True)
        cancel_each(client, wanted, as_json=as_json)


def cancel_each(client: Client, ids: list[str], *, as_json: bool) -> NoReturn:
    """Cancel these runs, several at once, say what became of each, and exit accordingly."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ended = list(pool.map(partial(_cancel, client), ids))
    _show(ended, as_json=as_json)
    raise typer.Exit(max((one.status for one in ended), default=exits.DONE))


def _under_way(client: Client, filters: Filters) -> list[str]:
    """Ids of the runs that the filters find and that have not ended."""
    query = filters.query(datetime.now(UTC))
    states = [query.state] if query.state else [State.ACCEPTED, State.IN_PROGRESS]
    found = [run for state in states for run in client.runs(replace(query, state=state))]
    return [run.id for run in found if not run.ended]


def _cancel(client: Client, run_id: str) -> Ended:
    try:
        answer = client.carry_out(client.core.cancel(run_id, None))
    except ClientError as error:
        return Ended(run_id, "error", exits.status_of(error), str(error))
    if answer.outcome is CancelOutcome.TOO_LATE:
        return Ended(run_id, answer.outcome, exits.TOO_LATE, answer.info.state.value)
    return Ended(run_id, answer.outcome, exits.DONE)


def _show(ended: list[Ended], *, as_json: bool) -> None:
    if as_json:
        runs = [{"id": e.run_id, "outcome": e.outcome, "detail": e.detail} for e in ended]
        typer.echo(json.dumps({"runs": runs}))
        return
    for one in ended:
        detail = f": {one.detail}" if one.detail else ""
        typer.echo(f"{one.run_id}  {one.outcome.replace('_', ' ')}{detail}")

"""Cancel runs by id, or all that are queued or running."""

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
from queryrun_cli.ids import run_id_of
from queryrun_cli.ls import Filters
from queryrun_cli.remote import connect
from queryrun_client import CancelOutcome, Client, ClientError, State
from queryrun_client.profiles import find_server

MAX_CONCURRENT = 8
"""Concurrent cancels: each waits until the engine has stopped."""


@dataclass(frozen=True, slots=True)
class CancelResult:
    """The result of one cancel."""

    run_id: str
    outcome: str
    status: int
    detail: str = ""


def cancel_runs(
    ids: list[str], filters: Filters | None, profile: str | None, *, yes: bool, as_json: bool
) -> None:
    """Cancel the runs with these ids, or with `filters` all matching runs that are not finished.

    Returns when the server has reported each as canceled. Exit status: 0 when all are (or already
    were), 7 when one had finished before, 1 or 5 when a request failed.
    """
    if bool(ids) == (filters is not None):
        raise typer.BadParameter("give ids of runs, or --all")
    with exits.translated(), connect(find_server(profile)) as client:
        run_ids = (
            [run_id_of(client, one) for one in ids]
            if filters is None
            else _unfinished(client, filters)
        )
        if filters is not None and not yes and not as_json and sys.stdin.isatty():
            typer.confirm(f"cancel {len(run_ids)} runs?", abort=True)
        cancel_each(client, run_ids, as_json=as_json)


def cancel_each(client: Client, ids: list[str], *, as_json: bool) -> NoReturn:
    """Cancel runs concurrently, print the result of each, and exit with the highest status."""
    with ThreadPoolExecutor(MAX_CONCURRENT) as pool:
        results = list(pool.map(partial(_cancel, client), ids))
    _show(results, as_json=as_json)
    raise typer.Exit(max((result.status for result in results), default=exits.DONE))


def _unfinished(client: Client, filters: Filters) -> list[str]:
    """Ids of the matching runs that have not finished."""
    query = filters.query(datetime.now(UTC))
    states = [query.state] if query.state else [State.ACCEPTED, State.IN_PROGRESS]
    found = [run for state in states for run in client.runs(replace(query, state=state))]
    return [run.id for run in found if not run.is_finished]


def _cancel(client: Client, run_id: str) -> CancelResult:
    """An error becomes a result, so that one bad id does not hide the others."""
    try:
        cancellation = client.perform(client.core.cancel(run_id, None))
    except ClientError as error:
        return CancelResult(run_id, "error", exits.status_of(error), exits.describe(error))
    outcome, state = cancellation.outcome, cancellation.info.state
    if outcome is CancelOutcome.TOO_LATE:
        return CancelResult(run_id, outcome, exits.TOO_LATE, state.value)
    return CancelResult(run_id, outcome, exits.DONE)


def _show(results: list[CancelResult], *, as_json: bool) -> None:
    """One entry per run, because a cancel of several runs can succeed for only some."""
    if as_json:
        runs = [{"id": r.run_id, "outcome": r.outcome, "detail": r.detail} for r in results]
        typer.echo(json.dumps({"runs": runs}))
        return
    for result in results:
        detail = f": {result.detail}" if result.detail else ""
        typer.echo(f"{result.run_id}  {result.outcome.replace('_', ' ')}{detail}")

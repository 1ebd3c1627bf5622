"""Runs as people name them: by an id, its unique beginning, or `@last`."""

from __future__ import annotations

from queryrun_cli.errors import CommandError
from queryrun_client import Client, RunQuery

LAST = "@last"
MIN_CHARS = 4
"""Of a beginning: fewer would often be ambiguous, and mean another run tomorrow."""
MAX_LISTED = 500
"""Newest runs among which a beginning is looked for."""
ID_CHARS = 36
"""Of a whole id; such a text is sent as it is."""


def run_id_of(client: Client, text: str) -> str:
    """The id that is meant. `CommandError` when it is none of the newest runs, or several."""
    if text == LAST:
        newest = next(iter(client.runs(RunQuery(limit=1))), None)
        if newest is None:
            raise CommandError("there is no run yet")
        return newest.id
    if not text.strip():
        raise CommandError("give a run's id: this text is empty")
    if len(text) >= ID_CHARS or len(text) < MIN_CHARS:
        return text
    found = [run.id for run in client.runs(RunQuery(limit=MAX_LISTED)) if run.id.startswith(text)]
    if len(found) > 1:
        raise CommandError(f"{text} begins the ids of {len(found)} runs: give more of it")
    return found[0] if found else text

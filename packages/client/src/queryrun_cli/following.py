"""Submit a statement and wait for its run. Ctrl-C cancels it and waits until it has stopped."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from queryrun_cli import exits
from queryrun_client import Client, ClientError, Run, RunInfo, SubmitOptions
from queryrun_client.progress import KnownPercent, counted, state_text

_CANCEL_ATTEMPTS = 3
_TIMEOUT_S = 5.0
"""How long a server that says nothing is waited for by somebody who wants to leave."""

Watcher = Callable[[RunInfo], None]


class Interrupted(Exception):
    """Ctrl-C was pressed. What became of the run has been printed."""


def submit_or_cancel(client: Client, sql: str, options: SubmitOptions) -> Run:
    """Submit the statement. If interrupted, cancel the run and raise `Interrupted`.

    The options have an idempotency key, so that an interrupted submit can be repeated.
    """
    try:
        return client.submit(sql, **options)
    except KeyboardInterrupt:
        _cancel_submitted(client, sql, options)
        raise Interrupted from None


def _cancel_submitted(client: Client, sql: str, options: SubmitOptions) -> None:
    """The server may have accepted the interrupted request: submitting again with the same key
    returns its run and not a second one. Asked once: whoever interrupts does not want to wait."""
    exits.note("interrupted; asking the server whether it has accepted the statement …")
    with _shorter_timeout(client, 1):
        try:
            run = client.submit(sql, **options)
        except (ClientError, KeyboardInterrupt):
            exits.note("no answer: if it has accepted the statement, `queryrun ls` shows the run")
            return
        cancel_and_report(client, run)


def wait_or_cancel(client: Client, run: Run, *, quiet: bool) -> None:
    """Wait until the run has finished, with a progress bar if stderr is a terminal.

    If interrupted, cancel the run and raise `Interrupted`.
    """
    try:
        if quiet or not sys.stderr.isatty():
            run.wait()
            return
        with _progress_bar() as watcher:
            run.wait(progress=watcher)
    except KeyboardInterrupt:
        cancel_and_report(client, run)
        raise Interrupted from None


def cancel_and_report(client: Client, run: Run) -> None:
    """Cancel, wait until the server reports it as canceled, and print the outcome.

    A server that does not respond is asked a few times, for seconds.
    """
    exits.note(f"canceling run {run.id} …")
    with _shorter_timeout(client, _CANCEL_ATTEMPTS):
        try:
            cancellation = run.cancel()
        except KeyboardInterrupt:
            exits.note(f"requested a cancel of run {run.id}; not waiting for it")
        except ClientError as error:
            exits.note(f"run {run.id} could not be canceled: {error}")
        else:
            outcome = f"had already finished: {run.state}" if cancellation.too_late else "canceled"
            exits.note(f"run {run.id} {outcome}")


@contextmanager
def _shorter_timeout(client: Client, attempts: int) -> Iterator[None]:
    """For whoever does not want to wait: a shell goes on with the client as it was."""
    before = client.core.options
    client.limit_retries(min(attempts, before.retry.attempts))
    client.limit_response_time(min(_TIMEOUT_S, before.timeout_s))
    try:
        yield
    finally:
        client.limit_retries(before.retry.attempts)
        client.limit_response_time(before.timeout_s)


@contextmanager
def _progress_bar() -> Iterator[Watcher]:
    """A progress bar: state, percent, rows and elapsed time."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[percent]}"),
        TextColumn("{task.fields[rows]}"),
        TimeElapsedColumn(),
    )
    known = KnownPercent()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("accepted", total=None, percent="", rows="")

        def watch(info: RunInfo) -> None:
            percent = known.of(info)
            waits = info.queue_position is not None
            progress.update(
                task,
                description=state_text(info),
                total=None if percent is None else 100.0,
                completed=percent or 0.0,
                percent="" if waits else "unknown" if percent is None else f"{percent:3.0f} %",
                rows="" if info.number_of_rows is None else counted(info.number_of_rows),
            )
            if percent is None:
                progress.tasks[0].total = None  # `update` leaves it as it was

        yield watch

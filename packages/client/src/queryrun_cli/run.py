"""Run a statement and show its rows; Ctrl-C cancels it and says what became of that."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from uuid import uuid4

import typer

from queryrun_cli import exits
from queryrun_cli.errors import CommandError
from queryrun_cli.remote import connect, find_server
from queryrun_cli.texts import cell_text, run_object
from queryrun_client import Client, ClientError, Run, RunInfo, SubmitOptions, Unsupported

FORMATS = ("json", "csv", "tsv", "parquet", "arrow")
PACKED = {".gz": "gzip", ".zip": "zip", ".zst": "zstd"}
TABLE_ROWS = 1000
"""A table for people ends here; the file has the rest."""

Watcher = Callable[[RunInfo], None]


@dataclass(frozen=True, slots=True)
class RunWish:
    """What `run` was told."""

    sql: str
    format: str | None = None
    output: Path | None = None
    source: str | None = None
    timeout_s: float | None = None
    tags: tuple[str, ...] = ()
    wait: bool = True
    quiet: bool = False
    as_json: bool = False

    @property
    def shows_table(self) -> bool:
        """Whether the rows are shown as a table: asked for, or a terminal and nothing asked."""
        if self.format is not None or self.output is not None or self.as_json:
            return self.format == "table"
        return sys.stdout.isatty()

    @property
    def content(self) -> tuple[str, str]:
        """Format and compression to ask the server for."""
        if self.shows_table:
            return "json", "none"
        suffixes = [] if self.output is None else self.output.suffixes
        packed = next((PACKED[suffix] for suffix in suffixes if suffix in PACKED), "none")
        named = next((suffix[1:] for suffix in suffixes if suffix[1:] in FORMATS), "csv")
        return self.format or named, packed


def read_sql(text: str | None, file: Path | None) -> str:
    """The statement: the argument, a file, or `-` for standard input."""
    if (text is None) == (file is None):
        raise typer.BadParameter("give a statement, or - for standard input, or --file")
    if file is not None:
        try:
            return file.read_text(encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}") from error
    return sys.stdin.read() if text == "-" else text or ""


def describe_sql(table: str) -> str:
    """The statement that describes a table; dots separate the parts of its name."""
    parts = ('"' + part.replace('"', '""') + '"' for part in table.split("."))
    return f"DESCRIBE {'.'.join(parts)}"


def run_statement(wish: RunWish, profile: str | None) -> None:
    """Submit, watch, show. Ends with one of the statuses in `exits`."""
    if wish.format is not None and wish.format not in (*FORMATS, "table"):
        raise typer.BadParameter(f"use one of table, {', '.join(FORMATS)}", param_hint="--format")
    server = find_server(profile)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what a CI sends: as Ctrl-C
    with exits.translated(), connect(server) as client:
        run = _submitted(client, wish)
        if not wish.wait:
            typer.echo(json.dumps(run_object(run.info)) if wish.as_json else run.id)
            return
        _watched(run, wish)
        _shown(run, wish)


def _submitted(client: Client, wish: RunWish) -> Run:
    """The accepted run. Interrupted in the middle, the key tells which run it was, to cancel it."""
    options = _options(wish)
    try:
        return client.submit(wish.sql, **options)
    except KeyboardInterrupt:
        _cancel_and_exit(client.submit(wish.sql, **options))
        raise


def _options(wish: RunWish) -> SubmitOptions:
    content_type, encoding = wish.content
    options = SubmitOptions(
        content_type=content_type, content_encoding=encoding, idempotency_key=str(uuid4())
    )
    if wish.source is not None:
        options["source"] = wish.source
    if wish.timeout_s is not None:
        options["timeout_s"] = wish.timeout_s
    if wish.tags:
        options["tags"] = _tags(wish.tags)
    return options


def _tags(texts: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    if not all(name and equals for name, equals, _ in pairs):
        raise typer.BadParameter("write a tag as name=value", param_hint="--tag")
    return {name: value for name, _, value in pairs}


def _watched(run: Run, wish: RunWish) -> None:
    """Wait for the end, with a bar on stderr when that is a terminal."""
    try:
        if wish.quiet or not sys.stderr.isatty():
            run.wait()
            return
        with _bar() as watcher:
            run.wait(progress=watcher)
    except KeyboardInterrupt:
        _cancel_and_exit(run)


def _cancel_and_exit(run: Run) -> None:
    """Cancel, wait until the server says that it is canceled, say so, exit 130."""
    exits.say(f"canceling run {run.id} …")
    try:
        answer = run.cancel()
    except KeyboardInterrupt:
        exits.say(f"a cancel of run {run.id} was asked for; not waiting for its end")
    except ClientError as error:
        exits.say(f"run {run.id} could not be canceled: {error}")
    else:
        word = f"had already ended: {run.state}" if answer.too_late else "canceled"
        exits.say(f"run {run.id} {word}")
    raise typer.Exit(exits.INTERRUPTED)


@contextmanager
def _bar() -> Iterator[Watcher]:
    """State, percent, rows and time since the start, kept up to date."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("accepted", total=None, rows="")

        def watch(info: RunInfo) -> None:
            total = None if info.percent is None else 100.0
            rows = "" if info.number_of_rows is None else f"{info.number_of_rows:,} rows"
            progress.update(
                task,
                description=_doing(info),
                total=total,
                completed=info.percent or 0.0,
                rows=rows,
            )

        yield watch


def _doing(info: RunInfo) -> str:
    if info.queue_position is not None:
        return f"{info.state} (number {info.queue_position + 1} in the queue)"
    return info.state.value


def _shown(run: Run, wish: RunWish) -> None:
    """The rows where they were asked for, or the error's status when there are none."""
    try:
        run.check()
        if wish.output is not None:
            run.download(wish.output)
        elif not wish.as_json:
            _to_stdout(run, wish)
    except KeyboardInterrupt:
        exits.say(f"interrupted; `queryrun get {run.id}` fetches the file")
        raise typer.Exit(exits.INTERRUPTED) from None
    finally:
        if wish.as_json:
            typer.echo(json.dumps(run_object(run.info)))
    if wish.output is not None and not wish.quiet:
        exits.say(f"{run.number_of_rows} rows in {wish.output}")


def _to_stdout(run: Run, wish: RunWish) -> None:
    if wish.shows_table:
        _print_table(run)
        return
    if sys.stdout.isatty() and wish.content[0] in ("parquet", "arrow"):
        raise Unsupported("binary output does not belong on a terminal: use --output FILE")
    copy_to_stdout(run)


def copy_to_stdout(run: Run) -> None:
    """The result file's bytes; nothing of them before the whole file is here and verified."""
    with tempfile.TemporaryDirectory(prefix="queryrun-") as directory:
        path = run.download(Path(directory) / "result")
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _print_table(run: Run) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    rows = list(islice(run.rows(), TABLE_ROWS))
    table = Table(box=SIMPLE_HEAD)
    for name in rows[0] if rows else ():
        numeric = all(isinstance(row[name], int | float | None) for row in rows)
        table.add_column(name, justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(_escaped(value) for value in row.values()))
    console = Console()
    if rows:
        console.print(table)
    total = run.number_of_rows if run.number_of_rows is not None else len(rows)
    more = f", the first {TABLE_ROWS} shown" if total > len(rows) else ""
    typer.echo(f"({total:,} {'row' if total == 1 else 'rows'}{more})")


def _escaped(value: object) -> str:
    from rich.markup import escape

    return "[dim]NULL[/dim]" if value is None else escape(cell_text(value))

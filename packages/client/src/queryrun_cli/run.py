"""Run a statement and print its rows; Ctrl-C cancels it and reports the outcome."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import typer

from queryrun_cli import exits
from queryrun_cli.errors import CommandError
from queryrun_cli.remote import connect
from queryrun_cli.sentences import text_in
from queryrun_cli.statements import statements_of
from queryrun_cli.table import DEFAULT_TABLE, MAX_ROWS, TableOptions, print_paged, table_of
from queryrun_cli.texts import counted, run_object
from queryrun_client import Client, ClientError, Run, RunInfo, SubmitOptions, Unsupported, formats
from queryrun_client.profiles import find_server

FORMATS = tuple(name for name, one in formats.FORMATS.items() if not one.needs_separator)

_CANCEL_ATTEMPTS = 3
_STDOUT = Path("-")

Watcher = Callable[[RunInfo], None]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of `run`."""

    sql: str
    format: str | None = None
    output: Path | None = None
    source: str | None = None
    timeout_s: float | None = None
    tags: tuple[str, ...] = ()
    wait: bool = True
    quiet: bool = False
    as_json: bool = False
    table: TableOptions = DEFAULT_TABLE

    @property
    def prints_table(self) -> bool:
        """Whether to print a table: requested, or the default in a terminal."""
        if self.table != DEFAULT_TABLE and self.format is None and self.output is None:
            return not self.as_json
        if self.format is not None or self.output is not None or self.as_json:
            return self.format == "table"
        return sys.stdout.isatty()

    @property
    def content(self) -> tuple[str, str]:
        """Format and compression to request from the server."""
        if self.prints_table:
            return "json", "none"
        suffixes = [] if self.output is None else self.output.suffixes
        compressions = (
            formats.COMPRESSIONS[suffix] for suffix in suffixes if suffix in formats.COMPRESSIONS
        )
        named = next((suffix[1:] for suffix in suffixes if suffix[1:] in FORMATS), "csv")
        return self.format or named, next(compressions, "none")


def read_sql(text: str | None, file: Path | None) -> str:
    """The statements: the argument, a file, or standard input (`-`, or what is piped in)."""
    if text is not None and file is not None:
        raise typer.BadParameter("give a statement, or - for standard input, or --file")
    try:
        if file is not None and file != _STDOUT:
            return text_in(file.read_bytes(), str(file))
        if text is None and file is None and sys.stdin.isatty():
            raise typer.BadParameter("give a statement, or - for standard input, or --file")
        if text is None or text == "-":
            piped = text_in(sys.stdin.buffer.read(), "standard input")
            if text is None and file is None and not piped.strip():
                raise typer.BadParameter("give a statement, or - for standard input, or --file")
            return piped
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise CommandError(str(error)) from error
    if not _is_text(text):
        raise CommandError("the statement has bytes that are not UTF-8: give it in a file")
    return text


def _is_text(text: str) -> bool:
    """Bytes of the command line that are no characters arrive as surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def describe_sql(table: str) -> str:
    """The statement that describes a table; dots separate the parts of its name."""
    parts = ('"' + part.replace('"', '""') + '"' for part in table.split("."))
    return f"DESCRIBE {'.'.join(parts)}"


def run_script(options: RunOptions, profile: str | None) -> None:
    """Run the statements of `options.sql` one after the other; the first that fails ends it."""
    statements = statements_of(options.sql)
    if len(statements) > 1 and options.output is not None:
        raise CommandError(f"{len(statements)} statements, and one --output: run them one by one")
    if len(statements) < 2:  # as it is, so that a failure's line is the file's
        run_statement(options, profile)
        return
    for sql in statements:
        run_statement(replace(options, sql=sql), profile)


def run_statement(options: RunOptions, profile: str | None) -> None:
    """Submit, wait, print. Exits with one of the statuses in `exits`."""
    _check_suffix(options)
    if options.format is not None and options.format not in (*FORMATS, "table"):
        raise typer.BadParameter(f"use one of table, {', '.join(FORMATS)}", param_hint="--format")
    server = find_server(profile)
    # CI systems send SIGTERM: treat it as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with exits.translated(), connect(server, quiet=options.quiet) as client:
        run = _submit(client, options)
        if not options.wait:
            typer.echo(json.dumps(run_object(run.info)) if options.as_json else run.id)
            return
        _wait(client, run, options)
        _print_result(run, options)


def _check_suffix(options: RunOptions) -> None:
    """A spreadsheet that is a text file inside would be opened as a broken one."""
    if options.output is None or options.output == _STDOUT or options.format is not None:
        return
    known = {*FORMATS, "gz", "zip", "zst", "txt", "out", "enc", ""}
    suffix = options.output.suffix[1:].lower()
    if suffix not in known:
        raise CommandError(
            f"{options.output}: .{suffix} is no format of results; use one of "
            f"{', '.join(FORMATS)}, or say with --format what the file should be"
        )


def _submit(client: Client, options: RunOptions) -> Run:
    """Submit the statement. If interrupted, cancel the run."""
    submit_options = _submit_options(options)
    try:
        return client.submit(options.sql, **submit_options)
    except KeyboardInterrupt:
        _cancel_submitted(client, options.sql, submit_options)
        raise typer.Exit(exits.INTERRUPTED) from None


def _cancel_submitted(client: Client, sql: str, submit_options: SubmitOptions) -> None:
    """The server may have accepted the interrupted request: submitting again with the same key
    returns its run and not a second one. Asked once: whoever interrupts does not want to wait."""
    exits.note("interrupted; asking the server whether it has accepted the statement …")
    client.limit_retries(1)
    try:
        run = client.submit(sql, **submit_options)
    except (ClientError, KeyboardInterrupt):
        exits.note("no answer: if it has accepted the statement, `queryrun ls` shows the run")
        return
    _cancel_and_exit(client, run)


def _submit_options(options: RunOptions) -> SubmitOptions:
    """The key is made here, so that an interrupted submit can be repeated with it."""
    content_type, encoding = options.content
    submit_options = SubmitOptions(
        content_type=content_type, content_encoding=encoding, idempotency_key=str(uuid4())
    )
    if options.source is not None:
        submit_options["source"] = options.source
    if options.timeout_s is not None:
        submit_options["timeout_s"] = options.timeout_s
    if options.tags:
        submit_options["tags"] = _tags(options.tags)
    return submit_options


def _tags(texts: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    if not all(name and equals for name, equals, _ in pairs):
        raise typer.BadParameter("use name=value", param_hint="--tag")
    return {name: value for name, _, value in pairs}


def _wait(client: Client, run: Run, options: RunOptions) -> None:
    """Wait until the run has finished, with a progress bar if stderr is a terminal."""
    try:
        if options.quiet or not sys.stderr.isatty():
            run.wait()
            return
        with _progress_bar() as watcher:
            run.wait(progress=watcher)
    except KeyboardInterrupt:
        _cancel_and_exit(client, run)


def _cancel_and_exit(client: Client, run: Run) -> None:
    """Cancel, wait until the server reports it as canceled, print the outcome, exit 130.

    A server that does not respond is asked a few times, for seconds.
    """
    exits.note(f"canceling run {run.id} …")
    client.limit_retries(_CANCEL_ATTEMPTS)
    try:
        cancellation = run.cancel()
    except KeyboardInterrupt:
        exits.note(f"requested a cancel of run {run.id}; not waiting for it")
    except ClientError as error:
        exits.note(f"run {run.id} could not be canceled: {error}")
    else:
        outcome = f"had already finished: {run.state}" if cancellation.too_late else "canceled"
        exits.note(f"run {run.id} {outcome}")
    raise typer.Exit(exits.INTERRUPTED)


@contextmanager
def _progress_bar() -> Iterator[Watcher]:
    """A progress bar: state, percent, rows and elapsed time."""
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
                description=_state_text(info),
                total=total,
                completed=info.percent or 0.0,
                rows=rows,
            )

        yield watch


def _state_text(info: RunInfo) -> str:
    if info.queue_position is not None:
        return f"{info.state} (number {info.queue_position + 1} in the queue)"
    return info.state.value


def _print_result(run: Run, options: RunOptions) -> None:
    """Print or download the rows; raises for a run that is not complete.

    With --json the run is printed even then, so that a program can read why.
    """
    try:
        run.check()
        if options.output is not None and options.output != _STDOUT:
            run.download(options.output)
        elif not options.as_json:
            _print_rows(run, options)
    except KeyboardInterrupt:
        exits.note(f"interrupted; `queryrun get {run.id}` fetches the file")
        raise typer.Exit(exits.INTERRUPTED) from None
    finally:
        if options.as_json:
            typer.echo(json.dumps(run_object(run.info)))
    if options.output not in (None, _STDOUT) and not options.quiet:
        exits.note(f"{counted(run.number_of_rows or 0)} in {options.output}")


def _print_rows(run: Run, options: RunOptions) -> None:
    if options.prints_table:
        _print_table(run, options.table)
        return
    if sys.stdout.isatty() and not formats.FORMATS[options.content[0]].is_text:
        raise Unsupported("binary output is not printed to a terminal: use --output FILE")
    copy_to_stdout(run)


def copy_to_stdout(run: Run) -> None:
    """Copy the result file to standard output, after the whole file was downloaded and verified."""
    with tempfile.TemporaryDirectory(prefix="queryrun-") as directory:
        path = run.download(Path(directory) / "result")
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _print_table(run: Run, options: TableOptions) -> None:
    table = table_of(run)
    width = shutil.get_terminal_size().columns
    lines = list(table.lines(width, options)) if table.headings else []
    total = run.number_of_rows if run.number_of_rows is not None else len(table.rows)
    more = f", the first {MAX_ROWS} printed" if total > len(table.rows) else ""
    lines.append(f"({counted(total)}{more})")
    if options.pager and sys.stdout.isatty():
        print_paged(lines)
        return
    for line in lines:
        typer.echo(line)

"""Run a statement and print its rows; Ctrl-C cancels it and reports the outcome."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import typer

from queryrun_cli import exits
from queryrun_cli.dry import print_dry_run
from queryrun_cli.ending import interrupt_on_signals
from queryrun_cli.errors import CommandError
from queryrun_cli.following import Interrupted, submit_or_cancel, wait_or_cancel
from queryrun_cli.parameters import parameters_of
from queryrun_cli.remote import connect
from queryrun_cli.sentences import text_in, text_of
from queryrun_cli.statements import statements_of, with_used
from queryrun_cli.table import DEFAULT_TABLE, TableOptions, file_lines, print_paged, printed_lines
from queryrun_cli.targets import FORMATS, STDOUT, check_writable, with_default
from queryrun_cli.texts import run_object, tags_of
from queryrun_client import Run, SubmitOptions, Unsupported, formats
from queryrun_client.profiles import find_server
from queryrun_client.progress import counted


@dataclass(frozen=True, slots=True)
class EndOptions:
    """Who is told of a run's end, and what becomes of it when nobody waits any more."""

    notify_url: str | None = None
    cancel_on_disconnect_s: float | None = None
    keep: bool = False


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of `run`."""

    sql: str
    format: str | None = None
    output: Path | None = None
    source: str | None = None
    timeout_s: float | None = None
    tags: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    wait: bool = True
    quiet: bool = False
    as_json: bool = False
    table: TableOptions = DEFAULT_TABLE
    encryption_key: str | None = None
    private_key: Path | None = None
    ending: EndOptions = EndOptions()
    dry: bool = False

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
            return "csv", "none"
        return with_default(self.output or STDOUT, self.format)


def read_sql(text: str | None, file: Path | None) -> str:
    """The statements: the argument, a file, or standard input (`-`, or what is piped in)."""
    if text is not None and file is not None:
        raise typer.BadParameter("give a statement, or - for standard input, or --file")
    try:
        if file is not None and file != STDOUT:
            with file.open("rb") as stream:
                return text_of(stream, str(file))
        if text is None and file is None and sys.stdin.isatty():
            raise typer.BadParameter("give a statement, or - for standard input, or --file")
        if text is None or text == "-":
            piped = text_of(sys.stdin.buffer, "standard input")
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


def origin_of(text: str | None, file: Path | None) -> str:
    """What messages call the text that `read_sql` returns."""
    if file is not None and file != STDOUT:
        return str(file)
    return "standard input" if text in (None, "-") else "the argument"


def run_script(options: RunOptions, profile: str | None, origin: str) -> None:
    """Run the statements of `options.sql` one after the other; the first that fails ends it, and
    is found by its line in `origin`."""
    statements = statements_of(options.sql)
    if len(statements) > 1 and options.output is not None:
        raise CommandError(f"{len(statements)} statements, and one --output: run them one by one")
    if len(statements) < 2:  # as it is, so that a failure's line is the file's
        run_statement(options, profile)
        return
    given = parameters_of(options.parameters)
    if unused := set(given) - {name for one in statements for name in with_used(given, one.text)}:
        raise CommandError(f"no statement has the parameter :{min(unused)}")
    texts = {text.partition("=")[0].partition(":")[0]: text for text in options.parameters}
    for one in statements:
        used = tuple(with_used(texts, one.text).values())
        try:
            run_statement(replace(options, sql=one.text, parameters=used), profile)
        except typer.Exit as end:
            if end.exit_code != exits.INTERRUPTED and not options.quiet:
                exits.note(f"the statement begins in line {one.line} of {origin}")
            raise


def run_statement(options: RunOptions, profile: str | None) -> None:
    """Submit, wait, print. Exits with one of the statuses in `exits`."""
    if options.format is not None and options.format not in (*FORMATS, "table"):
        raise typer.BadParameter(f"use one of table, {', '.join(FORMATS)}", param_hint="--format")
    _check_output(options)
    server = find_server(profile)
    if options.dry:
        with exits.translated(), connect(server, quiet=options.quiet) as client:
            found = client.dry_run(options.sql, **_submit_options(options))
        print_dry_run(found, as_json=options.as_json)
        return
    interrupt_on_signals()
    with exits.translated(), connect(server, options.private_key, quiet=options.quiet) as client:
        _check_readable(options, has_key=client.core.options.private_key is not None)
        try:
            run = submit_or_cancel(client, options.sql, _submit_options(options))
            if not options.wait:
                typer.echo(json.dumps(run_object(run.info)) if options.as_json else run.id)
                return
            wait_or_cancel(client, run, quiet=options.quiet)
        except Interrupted:
            raise typer.Exit(exits.INTERRUPTED) from None
        _print_result(run, options)


def _check_output(options: RunOptions) -> None:
    """Before anything runs: what the file becomes, and whether it can be made where it should."""
    if options.output is not None:
        check_writable(options.output)
        _, compression = with_default(options.output, options.format)
        if options.prints_table and compression != "none":
            raise CommandError(f"{options.output}: a table is not compressed; use --format csv")


def _check_readable(options: RunOptions, *, has_key: bool) -> None:
    """Bytes that nobody here can decrypt are no table and no CSV file."""
    if options.encryption_key is None or has_key or not options.wait or options.as_json:
        return
    if options.output is None or options.output.suffix != ".enc":
        raise CommandError(
            "the result stays encrypted: write it with --output FILE.csv.enc, or give --private-key"
        )


def public_key(text: str) -> str:
    """A recipient of age as it is, else the key in the file."""
    if text.startswith("age1"):
        return text
    try:
        return text_in(Path(text).read_bytes(), text).strip()
    except OSError as error:
        raise CommandError(f"{text}: {error.strerror}") from error
    except ValueError as error:
        raise CommandError(str(error)) from error


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
    if options.encryption_key is not None:
        submit_options["encryption_key"] = public_key(options.encryption_key)
    if options.ending.notify_url is not None:
        submit_options["notify_url"] = options.ending.notify_url
    if options.ending.cancel_on_disconnect_s is not None:
        submit_options["cancel_on_disconnect_s"] = options.ending.cancel_on_disconnect_s
    if options.ending.keep:
        submit_options["keep"] = True
    if options.parameters:
        submit_options["parameters"] = parameters_of(options.parameters)
    if options.tags:
        submit_options["tags"] = tags_of(options.tags)
    return submit_options


def _print_result(run: Run, options: RunOptions) -> None:
    """Print or download the rows; raises for a run that is not complete.

    With --json the run is printed even then, so that a program can read why.
    """
    saved: Path | None = None
    try:
        run.check()
        if options.output is not None and options.output != STDOUT:
            saved = _save(run, options, options.output)
        elif not options.as_json:
            _print_rows(run, options)
    except KeyboardInterrupt:
        exits.note(f"interrupted; `queryrun get {run.id}` fetches the file")
        raise typer.Exit(exits.INTERRUPTED) from None
    except BrokenPipeError:
        raise
    except OSError as error:  # a full disk: nothing has to be computed again
        exits.note(f"{error.filename or 'standard output'}: {error.strerror or error}")
        exits.note(f"the run is complete; `queryrun get {run.id}` fetches its file")
        raise typer.Exit(exits.REFUSED) from None
    finally:
        if options.as_json:
            typer.echo(json.dumps(run_object(run.info)))
    if saved is not None and not options.quiet:
        exits.note(f"{counted(run.number_of_rows or 0)} in {saved}")


def _save(run: Run, options: RunOptions, output: Path) -> Path:
    """The file that was written: the server's, or a table of its rows as they are printed."""
    if not options.prints_table:
        return run.download(output)
    text = "".join(f"{line}\n" for line in file_lines(run, options.table))
    output.write_text(text, encoding="utf-8")
    return output


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
    lines = printed_lines(run, shutil.get_terminal_size().columns, options)
    if options.pager and sys.stdout.isatty():
        print_paged(lines)
        return
    for line in lines:
        typer.echo(line)

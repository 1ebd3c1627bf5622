"""Run one statement of a shell: its progress, its rows or its error; Ctrl-C cancels it."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

from queryrun_cli.errors import CommandError
from queryrun_cli.following import submit_or_cancel, wait_or_cancel
from queryrun_cli.shell.session import TABLE, OutputFile, Session
from queryrun_cli.shell.underline import error_lines
from queryrun_cli.statements import with_used
from queryrun_cli.table import file_lines, printed_lines
from queryrun_client import ClientError, Run, SubmitOptions, formats
from queryrun_client.progress import counted


def execute(session: Session, sql: str) -> None:
    """Run the statement and print what came of it.

    Raises `ClientError` after printing it, `Interrupted` when Ctrl-C has canceled the run.
    """
    _check_output(session)
    began_s = time.monotonic()
    try:
        run = submit_or_cancel(session.client, sql, _options(session, sql))
        wait_or_cancel(session.client, run, quiet=session.quiet)
        run.check()
        _print_result(session, run)
    except ClientError as error:
        for line in error_lines(error, sql, session.width):
            print(line, file=sys.stderr, flush=True)
        raise
    finally:
        if session.is_timed:
            session.say(f"Time: {(time.monotonic() - began_s) * 1000:,.0f} ms")


def _options(session: Session, sql: str) -> SubmitOptions:
    content_type = "csv" if session.content == TABLE else session.content
    options = SubmitOptions(content_type=content_type, idempotency_key=str(uuid4()))
    if session.output is not None:
        options["content_encoding"] = session.output.compression
    if session.source is not None:
        options["source"] = session.source
    if used := with_used(session.parameters, sql):
        options["parameters"] = used
    return options


def _check_output(session: Session) -> None:
    """Before anything runs: bytes are no text for a terminal, and no second file in a first one."""
    output = session.output
    if output is None:
        if not _is_text(session.format):
            raise CommandError(f"{session.format} is not printed: \\o FILE writes it into a file")
    elif output.format == TABLE and output.compression != "none":
        raise CommandError(f"a table is not compressed: \\format csv for {output.path}")
    elif output.results and (output.compression == "zip" or not _is_text(output.format)):
        raise CommandError(f"{output.path} has a result already: \\o FILE opens another one")


def _is_text(name: str) -> bool:
    return name == TABLE or formats.FORMATS[name].is_text


def _print_result(session: Session, run: Run) -> None:
    if session.output is not None:
        _append(session, session.output, run)
    elif session.format == TABLE:
        session.write_lines(printed_lines(run, session.width, session.table))
    else:
        _copy_file(run)


def _copy_file(run: Run) -> None:
    """To standard output, after the whole file was downloaded and verified."""
    with tempfile.TemporaryDirectory(prefix="queryrun-") as directory:
        content = run.download(Path(directory) / "result")
        sys.stdout.flush()
        with content.open("rb") as file:
            while chunk := file.read(1024 * 1024):
                sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()


def _append(session: Session, output: OutputFile, run: Run) -> None:
    """The first result replaces the file, further ones of a text format follow it."""
    mode = "ab" if output.results else "wb"
    if output.format == TABLE:
        lines = file_lines(run, session.table)
        with output.path.open(mode) as file:
            file.write("".join(f"{line}\n" for line in lines).encode())
    else:
        with tempfile.TemporaryDirectory(prefix="queryrun-") as directory:
            content = run.download(Path(directory) / "result")
            with content.open("rb") as source, output.path.open(mode) as file:
                while chunk := source.read(1024 * 1024):
                    file.write(chunk)
    output.results += 1
    if not session.quiet:
        session.say(f"({counted(run.number_of_rows or 0)} in {output.path})")

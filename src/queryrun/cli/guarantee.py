"""`queryrun cancel-suite`: verify the cancel guarantee on a new server or at a URL."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from queryrun.errors import ConfigurationError

if TYPE_CHECKING:
    from queryrun.cancel_suite.engine import Engine
    from queryrun.cancel_suite.target import Access, Local

_URL = "Server to test; without it the suite starts one on a home of its own."
_PID = "The server's process on this machine, to inspect the process table."
_ENGINE = "URL of that engine (http://… of Trino, sc://… of Spark); the suite asks it what it runs."
_HOME = "The server's home on this machine, to inspect spill and result files."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("cancel-suite")(cancel_suite)


def cancel_suite(
    url: Annotated[str | None, typer.Option(help=_URL)] = None,
    client_id: Annotated[str, typer.Option(help="Client of that server.")] = "",
    client_secret_file: Annotated[
        Path | None, typer.Option(help="File that holds the client's secret.")
    ] = None,
    server_pid: Annotated[int | None, typer.Option(help=_PID)] = None,
    server_home: Annotated[Path | None, typer.Option(help=_HOME)] = None,
    slots: Annotated[int, typer.Option(help="Slots of that server.")] = 5,
    classes: Annotated[str, typer.Option(help="Classes to run.")] = "ABCDEFG",
    scale: Annotated[float, typer.Option(help="Share of the full counts: 0.01 is quick.")] = 1.0,
    statement: Annotated[
        list[str] | None,
        typer.Option(help="Run only this statement of class C; repeat for several."),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="Engine of the server: duckdb, trino or spark.")
    ] = "duckdb",
    engine_url: Annotated[str, typer.Option(help=_ENGINE)] = "",
    engine_ui_url: Annotated[
        str, typer.Option(help="URL of Spark's web UI, which lists its jobs.")
    ] = "",
    engine_spool_url: Annotated[
        str, typer.Option(help="URL of the object store that Trino spools results to.")
    ] = "",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the whole report to this file.")
    ] = None,
) -> None:
    """Verify the cancel guarantee: seven classes of failure, counted and timed, in one table.

    Runs against a server that it starts itself, or against the one at --url. That one must have
    no rate, queue and row limits; its default source must be the engine named, in the engine's own
    dialect. The exit status is 1 when a promise was broken or a time limit missed. For a server on
    another machine the report lists what could not be checked.
    """
    from rich.console import Console

    from queryrun.cancel_suite.plan import Plan
    from queryrun.cancel_suite.suite import CLASSES, SuiteOptions, run_against, run_on_own_server

    classes = "".join(letter for letter in CLASSES if letter in classes.upper())
    plan = Plan(scale, tuple(statement or ()))
    urls = {"url": engine_url, "ui_url": engine_ui_url, "spool_url": engine_spool_url}
    server_engine = _engine(engine, urls)
    options = SuiteOptions(plan, classes, slots, server_engine, json_file)
    console = Console(width=None if sys.stdout.isatty() else 120)
    if url is None:
        holds = run_on_own_server(options, console, _source(engine, urls))
    else:
        access, local = _server(url, client_id, client_secret_file, server_pid, server_home)
        _check_access(access)
        holds = run_against(access, local, options, console)
    sys.exit(0 if holds else 1)


def _engine(name: str, urls: Mapping[str, str]) -> Engine:
    """Imports here: other commands must not load the cancel suite."""
    from queryrun.cancel_suite.engine import ENGINES as SUPPORTED
    from queryrun.cancel_suite.engine import engine_of
    from queryrun.engines.registry import ENGINES

    if name not in SUPPORTED:
        raise ConfigurationError(f"--engine is one of {', '.join(SUPPORTED)}")
    required = ENGINES[name].required_urls
    for setting in required:
        if not urls[setting]:
            raise ConfigurationError(f"--engine {name} needs --engine-{setting.replace('_', '-')}")
    return engine_of(name, urls["ui_url" if "ui_url" in required else "url"])


def _source(name: str, urls: Mapping[str, str]) -> dict[str, str]:
    """Settings of the suite's own server that make its default source this engine."""
    from queryrun.engines.registry import ENGINES

    if not ENGINES[name].is_remote:
        return {}
    options = {"engine": name, "dialect": "native", **urls}
    return {f"QUERYRUN_SOURCES__LIVE__{key.upper()}": value for key, value in options.items()}


def _server(
    url: str, client_id: str, secret_file: Path | None, pid: int | None, home: Path | None
) -> tuple[Access, Local | None]:
    """Without `pid` there is no `Local`: checks of the server's machine are skipped then."""
    from queryrun.cancel_suite.processes import ServerProcesses
    from queryrun.cancel_suite.target import Access, Local

    if not client_id or secret_file is None:
        raise ConfigurationError("--url needs --client-id and --client-secret-file")
    access = Access(url, client_id, secret_file.read_text(encoding="utf-8").strip())
    return access, Local(ServerProcesses(pid), home) if pid is not None else None


def _check_access(access: Access) -> None:
    """A server that is not there, or that does not know the client, has broken no promise."""
    from queryrun_cli.exits import describe
    from queryrun_client import Client, ClientError

    try:
        with Client(access.url, access.client_id, access.client_secret) as client:
            client.authenticate()
    except ClientError as error:
        raise ConfigurationError(f"nothing was tested: {describe(error)}") from error

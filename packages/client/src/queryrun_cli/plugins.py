"""Commands that other installed distributions add to `queryrun`.

The server's distribution adds `init`, `serve` and the other commands of an operator. It declares
an entry point in the group `queryrun.commands` that names a `Plugin`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

import typer

from queryrun_cli.errors import CommandError

GROUP = "queryrun.commands"


@dataclass(frozen=True, slots=True)
class HomeServer:
    """The server of a home on this machine: its URL, and the files of its first client."""

    url: str
    client_id_file: Path
    client_secret_file: Path


@dataclass(frozen=True, slots=True)
class Plugin:
    """What a distribution adds to the command line."""

    register: Callable[[typer.Typer], None]
    """Adds commands to the program."""
    errors: tuple[type[Exception], ...]
    """Errors that become one line on stderr and exit status 1, like `CommandError`."""
    find_home: Callable[[Path], HomeServer]
    """Reads the configuration of a home; raises one of `errors` when there is none."""
    explain: Callable[[Exception], str | None] = lambda _error: None
    """An error of its own libraries as one line; None when it does not know it."""


@cache
def installed() -> tuple[Plugin, ...]:
    """Every installed plugin."""
    return tuple(point.load() for point in entry_points(group=GROUP))


def home_server(home: Path) -> HomeServer:
    """The server of a home; `CommandError` where the server's distribution is not installed."""
    for plugin in installed():
        return plugin.find_home(home)
    raise CommandError(
        "--home needs the server's distribution (pip install queryrun); without it, give the "
        "server's URL, --client-id and --secret-file"
    )

"""A line for every command, with the places that a situation may spoil in braces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Flag, auto
from typing import Any

import typer

from queryrun_cli.main import program

RUN_ID = "0b0e6a52-6a5e-4c5c-9b8f-2f9b6f6c2a11"


class Uses(Flag):
    """What a command needs, and a situation can spoil."""

    NOTHING = 0
    HOME = auto()
    """An existing home, and its files."""
    DATABASE = auto()
    """The home's database."""
    SERVER = auto()
    """A server that responds."""
    NEW = auto()
    """A directory or file that it makes."""
    SQL = auto()
    """A file of SQL."""
    PROCESSES = auto()
    """Child processes that it stops."""
    STORE = HOME | DATABASE
    NODE = HOME | DATABASE | PROCESSES


@dataclass(frozen=True, slots=True)
class Line:
    """A command and its arguments, which are complete and right."""

    text: str
    uses: Uses = Uses.SERVER
    stdin: str = ""

    @property
    def command(self) -> str:
        """The command's name: its words before the first argument or option."""
        words = self.text.split()
        return next(name for name in COMMANDS if name.split() == words[: len(name.split())])


def _leaves(command: Any, path: str) -> Iterator[str]:
    for name, below in getattr(command, "commands", {}).items():
        yield from _leaves(below, f"{path} {name}".strip())
    if not hasattr(command, "commands"):
        yield path


COMMANDS: tuple[str, ...] = tuple(_leaves(typer.main.get_command(program()), ""))
"""Every command there is, as the program itself lists them."""

_STORE, _NODE = Uses.STORE, Uses.NODE

LINES: tuple[Line, ...] = (
    Line("run -f {sql}", Uses.SERVER | Uses.SQL),
    Line("run SELECT~1 --format csv --output {new}", Uses.SERVER | Uses.NEW),
    Line("run -", Uses.SERVER, "SELECT 1"),
    Line("shell", Uses.SERVER, "SELECT 1;\n"),
    Line("describe live.t"),
    Line("ls"),
    Line("ls --json"),
    Line(f"show {RUN_ID}"),
    Line(f"cancel {RUN_ID}"),
    Line("cancel --all -y"),
    Line(f"get {RUN_ID} --output {{new}}", Uses.SERVER | Uses.NEW),
    Line("decrypt {sealed} -k {key} -o {new}", Uses.NEW),
    Line("login {url} --client-id a --secret-file {secret}", Uses.SERVER),
    Line("login {url} --home {home}", Uses.HOME | Uses.SERVER),
    Line("config", Uses.NOTHING),
    Line("usage"),
    Line("usage --csv"),
    Line("completion zsh", Uses.NOTHING),
    Line("help run", Uses.NOTHING),
    Line("init --home {new}", Uses.NEW),
    Line("init --home {new} --sample-data --factor 0.01", Uses.NEW),
    Line("serve --home {home} --port {port}", _NODE),
    Line("migrate --home {home}", _STORE),
    Line("migrate --home {home} --check", _STORE),
    Line("demo", Uses.PROCESSES),
    Line("demo-data {new} --factor 0.01", Uses.NEW),
    Line("cancel-suite --url {url} --client-id a --client-secret-file {secret} --scale 0.001"),
    Line("profiles ls", Uses.NOTHING),
    Line("profiles use main", Uses.NOTHING),
    Line("profiles rm main", Uses.NOTHING),
    Line(f"admin cancel {RUN_ID} --home {{home}} --url {{url}}", Uses.HOME | Uses.SERVER),
    Line("admin tenants"),
    Line("admin create-tenant t"),
    Line("admin entities"),
    Line("admin create-entity e"),
    Line("admin clients"),
    Line("admin create-client c --entity main"),
    Line(f"admin change-client {RUN_ID} --scope read"),
    Line(f"admin rotate-client {RUN_ID}"),
    Line("admin limits"),
    Line("admin set-limit tenant t runs_per_day 5"),
    Line(f"admin revoke-client {RUN_ID}"),
    Line("admin logins"),
    Line("admin revoke-login alice"),
    Line("admin allow-login alice"),
    Line("admin sources"),
    Line("admin nodes"),
    Line("admin audit"),
    Line("admin runs"),
    Line(f"admin stop {RUN_ID}"),
    Line("webhooks ls"),
    Line("webhooks create https://example.com/"),
    Line(f"webhooks rotate {RUN_ID}"),
    Line(f"webhooks pause {RUN_ID}"),
    Line(f"webhooks resume {RUN_ID}"),
    Line(f"webhooks rm {RUN_ID}"),
    Line("webhooks deliveries"),
    Line("webhooks delivery msg_1"),
    Line("webhooks replay msg_1"),
    Line("tables files --home {home} --entity main", Uses.HOME),
    Line("tables infer t --home {home} --entity main", Uses.HOME),
    Line("tables check --home {home} --entity main", Uses.HOME),
    Line("clients create --home {home} --entity main", _STORE),
    Line("clients ls --home {home}", _STORE),
    Line("clients rotate {client} --home {home}", _STORE),
    Line("clients revoke {client} --home {home}", _STORE),
    Line("tenants create other --home {home}", _STORE),
    Line("tenants ls --home {home} --json", _STORE),
    Line("audit verify --home {home}", _STORE),
    Line("audit export --home {home}", _STORE),
)

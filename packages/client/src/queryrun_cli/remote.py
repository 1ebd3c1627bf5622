"""A client for the server that a command uses."""

from __future__ import annotations

from pathlib import Path

from queryrun_cli import exits
from queryrun_client import Client
from queryrun_client.profiles import Server
from queryrun_client.tokens import user_tokens


def connect(
    server: Server,
    private_key: Path | None = None,
    *,
    quiet: bool = False,
    keeps_token: bool = True,
) -> Client:
    """A client for the server. The caller closes it. Unless `quiet` it says what it waits for.

    Its token is kept for the next command; without `keeps_token` it is a new one.
    """
    return Client.of_server(
        server,
        private_key=private_key,
        tokens=user_tokens() if keeps_token else None,
        on_wait=None if quiet else _tell_wait,
    )


def _tell_wait(reason: str, seconds: float) -> None:
    exits.note(f"{reason}; trying again in {seconds:.1f} s (Ctrl-C ends)")

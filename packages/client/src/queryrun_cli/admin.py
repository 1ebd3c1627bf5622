"""`queryrun admin`: what an operator does to other people's runs, through the API like anyone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from queryrun_cli.errors import CommandError

if TYPE_CHECKING:
    from queryrun_cli.remote import Server

admin_app = typer.Typer(
    help="What an admin client may do: its token has the scope `admin`.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(admin_app, name="admin")


@admin_app.command("cancel")
def admin_cancel(
    run_ids: Annotated[list[str], typer.Argument(help="Ids of runs, whoever submitted them.")],
    home: Annotated[
        Path | None, typer.Option(help="A home on this machine, whose first client is the admin.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", "-p", help="Which server and client; see `login`.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Where the home is served, if elsewhere.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Cancel other people's runs. The record says `admin` as the reason, and which client it was.

    Returns when each run is canceled and its worker proven gone. Exit status: 0 when all are,
    7 when one had ended before, 1 or 5 when one could not be asked.
    """
    from queryrun_cli import exits
    from queryrun_cli.cancel import cancel_each
    from queryrun_cli.remote import connect, find_server

    server = find_server(profile) if home is None else _server_of(home, url)
    with exits.translated(), connect(server) as client:
        cancel_each(client, run_ids, as_json=as_json)


def _server_of(home: Path, url: str | None) -> Server:
    """The home's own server, and its first client, which `init` made an admin."""
    from queryrun_cli.plugins import home_server
    from queryrun_cli.profiles import Profile
    from queryrun_cli.remote import Server

    found = home_server(home)
    try:
        client_id = found.client_id_file.read_text(encoding="ascii").strip()
        secret = found.client_secret_file.read_text(encoding="ascii").strip()
    except FileNotFoundError as missing:
        raise CommandError(
            f"{missing.filename} is gone: use a profile whose client has the scope admin"
        ) from None
    profile = Profile(url=url or found.url, client_id=client_id, client_secret=secret)
    return Server(f"home {home}", profile)

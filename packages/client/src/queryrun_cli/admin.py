"""`queryrun admin`: what an operator does to other clients' runs, through the API."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from queryrun_cli.errors import CommandError

if TYPE_CHECKING:
    from queryrun_cli.remote import Server

admin_app = typer.Typer(
    help="Commands for an admin client, whose token has the scope `admin`.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(admin_app, name="admin")


@admin_app.command("cancel")
def admin_cancel(
    run_ids: Annotated[list[str], typer.Argument(help="Ids of runs of any client.")],
    home: Annotated[
        Path | None, typer.Option(help="A home on this machine; uses its first client.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", "-p", help="Server and client; see `login`.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="URL of the home's server. Default: from its configuration.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Cancel runs of other clients. The run records the reason `admin` and the client's id.

    Returns when each run is canceled and its worker has exited. Exit status: 0 when all are
    canceled, 7 when one had finished before, 1 or 5 when a request failed.
    """
    from queryrun_cli import exits
    from queryrun_cli.cancel import cancel_each
    from queryrun_cli.remote import connect, find_server

    server = find_server(profile) if home is None else _server_of(home, url)
    with exits.translated(), connect(server) as client:
        cancel_each(client, run_ids, as_json=as_json)


def _server_of(home: Path, url: str | None) -> Server:
    """The home's server and its first client, which `init` gave the scope `admin`."""
    from queryrun_cli.plugins import home_server
    from queryrun_cli.profiles import Profile
    from queryrun_cli.remote import Server

    found = home_server(home)
    try:
        client_id = found.client_id_file.read_text(encoding="ascii").strip()
        secret = found.client_secret_file.read_text(encoding="ascii").strip()
    except FileNotFoundError as missing:
        raise CommandError(
            f"{missing.filename} does not exist: use a profile whose client has the scope admin"
        ) from None
    profile = Profile(url=url or found.url, client_id=client_id, client_secret=secret)
    return Server(f"home {home}", profile)

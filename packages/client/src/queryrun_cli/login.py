"""Log in: check a server's URL and credentials, and save them as a profile."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import typer

from queryrun_cli.errors import CommandError
from queryrun_cli.exits import translated
from queryrun_cli.plugins import home_server
from queryrun_cli.profiles import add_profile
from queryrun_cli.remote import connect
from queryrun_client import Unreachable
from queryrun_client.profiles import (
    Profile,
    Server,
    find_server,
    load_profiles,
    profiles_path,
    secret_from,
    secret_in,
)


@dataclass(frozen=True, slots=True)
class LoginOptions:
    """The options of `login`.

    None holds a secret: those come from files, the environment or a prompt, because every process
    of the machine can read a command line.
    """

    name: str
    url: str | None
    client_id: str | None
    secret_file: Path | None
    home: Path | None
    api_version: str
    entity_id: str | None
    private_key: Path | None
    check: bool


def login(options: LoginOptions, *, as_json: bool) -> None:
    """Save a profile and make it the current one, after a token was issued for its credentials."""
    profile = _profile(options)
    if options.check:
        with translated(), connect(Server("login", profile), keeps_token=False) as client:
            try:
                client.authenticate()
            except Unreachable as error:
                if options.home is None or options.url is not None:
                    raise
                raise Unreachable(
                    f"{error}. A server of this home at another address: "
                    f"`queryrun login URL --home {options.home}`"
                ) from error
    add_profile(options.name, profile)
    saved = {"profile": options.name, "url": profile.url, "api_version": profile.api_version}
    text = f"logged in to {profile.url} as profile {options.name} (saved in {profiles_path()})"
    typer.echo(json.dumps(saved) if as_json else text)


def _profile(options: LoginOptions) -> Profile:
    """Options win over the home, and the home over the environment and the prompt."""
    url, client_id, secret = options.url, options.client_id, None
    if options.home is not None:
        found = home_server(options.home)
        url = url or found.url
        client_id = client_id or secret_from(found.client_id_file)
        secret = None if options.secret_file else secret_from(found.client_secret_file)
    if not url:
        raise CommandError("give the server's URL, or --home for a home of this machine")
    return Profile(
        url=url.rstrip("/"),
        client_id=client_id or os.environ.get("QUERYRUN_CLIENT_ID") or typer.prompt("client id"),
        client_secret=secret or _secret(options.secret_file),
        api_version=options.api_version,
        entity_id=options.entity_id or "",
        private_key_file="" if options.private_key is None else str(options.private_key.resolve()),
    )


def _secret(file: Path | None) -> str:
    if file is not None:
        return secret_from(file)
    return secret_in(os.environ) or typer.prompt("client secret", hide_input=True)


def show_profiles(*, as_json: bool) -> None:
    """Print every profile and mark the current one; never a secret."""
    profiles = load_profiles()
    rows = [
        {
            "name": name,
            "current": name == profiles.current,
            "url": profile.url,
            "api_version": profile.api_version,
        }
        for name, profile in sorted(profiles.profiles.items())
    ]
    if as_json:
        typer.echo(json.dumps({"file": str(profiles_path()), "profiles": rows}))
        return
    for row in rows:
        mark = "*" if row["current"] else " "
        typer.echo(f"{mark} {row['name']:<16} {row['api_version']} {row['url']}")


def show_config(profile_name: str | None, *, as_json: bool) -> None:
    """Print the server that commands use now, and where it comes from; never a secret."""
    server = find_server(profile_name)
    profile = server.profile
    values = {
        "file": str(profiles_path()),
        "from": server.origin,
        "url": profile.url,
        "api_version": profile.api_version,
        "client_id": profile.client_id,
        "entity_id": profile.entity_id,
        "private_key_file": profile.private_key_file,
    }
    if as_json:
        typer.echo(json.dumps(values))
        return
    for name, value in values.items():
        typer.echo(f"{name:<17} {value}")

"""Log in: find out a server's address and credentials, try them, keep them as a profile."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import typer

from queryrun_cli.errors import CommandError
from queryrun_cli.exits import translated
from queryrun_cli.plugins import home_server
from queryrun_cli.profiles import Profile, add_profile, load_profiles, profiles_path
from queryrun_cli.remote import Server, connect, find_server, secret_from, secret_in


@dataclass(frozen=True, slots=True)
class LoginWish:
    """What `login` was told. There is no secret in it: those come from files, the environment or
    a prompt, because a command line is readable by every process of the machine."""

    name: str
    url: str | None
    client_id: str | None
    secret_file: Path | None
    home: Path | None
    face: str
    entity_id: str | None
    private_key: Path | None
    check: bool


def login(wish: LoginWish, *, as_json: bool) -> None:
    """Keep a profile and make it the current one, after its credentials have got a token."""
    profile = _profile(wish)
    if wish.check:
        with translated(), connect(Server("login", profile)) as client:
            client.authenticate()
    add_profile(wish.name, profile)
    shown = {"profile": wish.name, "url": profile.url, "face": profile.face}
    text = f"logged in to {profile.url} as profile {wish.name} (kept in {profiles_path()})"
    typer.echo(json.dumps(shown) if as_json else text)


def _profile(wish: LoginWish) -> Profile:
    url, client_id, secret = wish.url, wish.client_id, None
    if wish.home is not None:
        found = home_server(wish.home)
        url = url or found.url
        client_id = client_id or secret_from(found.client_id_file)
        secret = None if wish.secret_file else secret_from(found.client_secret_file)
    if not url:
        raise CommandError("give the server's URL, or --home for a home of this machine")
    return Profile(
        url=url.rstrip("/"),
        client_id=client_id or os.environ.get("QUERYRUN_CLIENT_ID") or typer.prompt("client id"),
        client_secret=secret or _secret(wish.secret_file),
        face=wish.face,
        entity_id=wish.entity_id or "",
        private_key_file="" if wish.private_key is None else str(wish.private_key.resolve()),
    )


def _secret(file: Path | None) -> str:
    if file is not None:
        return secret_from(file)
    return secret_in(os.environ) or typer.prompt("client secret", hide_input=True)


def show_profiles(*, as_json: bool) -> None:
    """Every profile, the current one marked; never a secret."""
    profiles = load_profiles()
    rows = [
        {"name": name, "current": name == profiles.current, "url": one.url, "face": one.face}
        for name, one in sorted(profiles.profiles.items())
    ]
    if as_json:
        typer.echo(json.dumps({"file": str(profiles_path()), "profiles": rows}))
        return
    for row in rows:
        typer.echo(f"{'*' if row['current'] else ' '} {row['name']:<16} {row['face']} {row['url']}")


def show_config(profile_name: str | None, *, as_json: bool) -> None:
    """What commands would use now, and why; never a secret."""
    server = find_server(profile_name)
    profile = server.profile
    shown = {
        "file": str(profiles_path()),
        "from": server.origin,
        "url": profile.url,
        "face": profile.face,
        "client_id": profile.client_id,
        "entity_id": profile.entity_id,
        "private_key_file": profile.private_key_file,
    }
    if as_json:
        typer.echo(json.dumps(shown))
        return
    for name, value in shown.items():
        typer.echo(f"{name:<17} {value}")

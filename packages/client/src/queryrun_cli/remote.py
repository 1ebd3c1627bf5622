"""Which server a command uses, and a client for it.

`--profile`, else QUERYRUN_URL with the credentials in the environment, else QUERYRUN_PROFILE, else
the current profile.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from queryrun_cli import exits
from queryrun_cli.errors import CommandError
from queryrun_cli.profiles import Profile, load_profiles
from queryrun_cli.sentences import text_in
from queryrun_client import Client, Options


@dataclass(frozen=True, slots=True)
class Server:
    """A server, and where its profile comes from."""

    origin: str
    profile: Profile
    token: str | None = field(default=None, repr=False)


def find_server(profile_name: str | None, environ: Mapping[str, str] = os.environ) -> Server:
    """The server for a command; `CommandError` when none is configured."""
    if profile_name is not None:
        return Server(f"profile {profile_name}", load_profiles().get(profile_name))
    if environ.get("QUERYRUN_URL"):
        return _from_environment(environ)
    profiles = load_profiles()
    name = environ.get("QUERYRUN_PROFILE") or profiles.current
    if not name:
        raise CommandError(
            "no server: `queryrun login --home HOME` or `queryrun login URL` makes a profile, "
            "or set QUERYRUN_URL, QUERYRUN_CLIENT_ID and QUERYRUN_CLIENT_SECRET"
        )
    return Server(f"profile {name}", profiles.get(name))


def _from_environment(environ: Mapping[str, str]) -> Server:
    """The environment alone suffices, so that a CI job needs no profile file."""
    profile = Profile(
        url=environ["QUERYRUN_URL"],
        client_id=environ.get("QUERYRUN_CLIENT_ID", ""),
        client_secret=secret_in(environ) or "",
        api_version=environ.get("QUERYRUN_API_VERSION") or "v2",
        entity_id=environ.get("QUERYRUN_ENTITY_ID", ""),
    )
    return Server("environment", profile, environ.get("QUERYRUN_TOKEN") or None)


def secret_in(environ: Mapping[str, str]) -> str | None:
    """The client's secret: QUERYRUN_CLIENT_SECRET, or the file QUERYRUN_CLIENT_SECRET_FILE."""
    if environ.get("QUERYRUN_CLIENT_SECRET"):
        return environ["QUERYRUN_CLIENT_SECRET"]
    named = environ.get("QUERYRUN_CLIENT_SECRET_FILE")
    return secret_from(Path(named)) if named else None


def secret_from(path: Path) -> str:
    """The secret in a file, without a trailing line break."""
    try:
        return text_in(path.read_bytes(), str(path)).strip()
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise CommandError(str(error)) from error


def connect(server: Server, private_key: Path | None = None, *, quiet: bool = False) -> Client:
    """A client for the server. The caller closes it. Unless `quiet` it says what it waits for."""
    profile = server.profile
    named = private_key or (Path(profile.private_key_file) if profile.private_key_file else None)
    options = Options(
        token=server.token,
        entity_id=profile.entity_id or None,
        private_key=None if named is None else named.read_bytes(),
        private_key_password=key_password(),
        on_wait=None if quiet else _tell_wait,
    )
    return Client(
        profile.url,
        profile.client_id or None,
        profile.client_secret or None,
        api_version=profile.api_version,
        options=options,
    )


def _tell_wait(reason: str, seconds: float) -> None:
    exits.note(f"{reason}; trying again in {seconds:.1f} s (Ctrl-C ends)")


def key_password() -> bytes | None:
    """The private key's password, from QUERYRUN_KEY_PASSWORD."""
    text = os.environ.get("QUERYRUN_KEY_PASSWORD")
    return text.encode() if text else None

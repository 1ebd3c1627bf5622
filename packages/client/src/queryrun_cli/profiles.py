"""Profiles: the user's servers, in one file of the user's configuration directory.

The file contains client secrets. Only its owner may read it (0600, in a 0700 directory); a file
that others may read is refused.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import typer

from queryrun_cli.errors import CommandError

FILE_NAME = "profiles.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


@dataclass(frozen=True, slots=True)
class Profile:
    """One server and the credentials for it."""

    url: str
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    api_version: str = "v2"
    entity_id: str = ""
    private_key_file: str = ""


@dataclass(slots=True)
class Profiles:
    """All profiles, and the name of the current one."""

    current: str = ""
    profiles: dict[str, Profile] = field(default_factory=dict)

    def get(self, name: str) -> Profile:
        """The profile of that name; `CommandError` when there is none."""
        if name not in self.profiles:
            known = ", ".join(sorted(self.profiles)) or "none; `queryrun login` makes one"
            raise CommandError(f"no profile is called {name!r} (there are: {known})")
        return self.profiles[name]


def profiles_path() -> Path:
    """The path of the file, in the platform's directory for configuration."""
    return Path(typer.get_app_dir("queryrun")) / FILE_NAME


def load_profiles() -> Profiles:
    """The profiles; none when the file does not exist."""
    path = profiles_path()
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return Profiles()
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise CommandError(f"{path} holds secrets and others may read it: chmod 600 {path}")
    try:
        return msgspec.json.decode(text, type=Profiles)
    except msgspec.DecodeError as error:
        raise CommandError(f"{path}: {error}") from error


def save_profiles(profiles: Profiles) -> None:
    """Replace the file atomically, readable only by its owner."""
    path = profiles_path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(profiles)))
    part.replace(path)


def add_profile(name: str, profile: Profile) -> None:
    """Save a profile and make it the current one."""
    if not _NAME.fullmatch(name):
        raise CommandError(f"profile {name!r}: use letters, digits, '_', '.' and '-'")
    profiles = load_profiles()
    profiles.profiles[name] = profile
    profiles.current = name
    save_profiles(profiles)


def use_profile(name: str) -> None:
    """Use this profile when none is named."""
    profiles = load_profiles()
    profiles.get(name)
    profiles.current = name
    save_profiles(profiles)


def remove_profile(name: str) -> None:
    """Remove a profile and its secret."""
    profiles = load_profiles()
    profiles.get(name)
    del profiles.profiles[name]
    if profiles.current == name:
        profiles.current = ""
    save_profiles(profiles)

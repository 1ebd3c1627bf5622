"""Change the user's profiles (`queryrun_client.profiles` reads them)."""

from __future__ import annotations

import re

import msgspec

from queryrun_cli.errors import CommandError
from queryrun_client.profiles import (
    Profile,
    Profiles,
    load_profiles,
    profiles_path,
    write_private,
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


def save_profiles(profiles: Profiles) -> None:
    """Replace the file in one step, readable only by its owner."""
    write_private(profiles_path(), msgspec.json.format(msgspec.json.encode(profiles)))


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

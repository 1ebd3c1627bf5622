"""A home that exists: its settings, and whether its database is still there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from queryrun.cli.private import keep_private
from queryrun.errors import ConfigurationError
from queryrun.settings import CONFIG_NAME, DATABASE_NAME, Settings
from queryrun.settings.file import load, refuse_pipe


def home_settings(home: Path, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of a home, which is kept private from now on.

    `environ` is `os.environ` unless given. `ConfigurationError` when the directory is no home.
    """
    if not (home / CONFIG_NAME).exists():
        raise ConfigurationError(f"{home} is not a home yet; `queryrun init --home {home}` first")
    keep_private(home)
    return load(home, os.environ if environ is None else environ)


def check_database(settings: Settings) -> None:
    """`ConfigurationError` when a home's database was deleted or emptied, or is a pipe.

    `init` makes it. One made anew would be empty: every run and every client would be gone
    without a word.
    """
    if settings.is_shared:
        return
    path = settings.path(DATABASE_NAME)
    refuse_pipe(path)
    if path.exists() and path.stat().st_size > 0:
        return
    what = "empty" if path.exists() else "missing"
    raise ConfigurationError(
        f"{path} is {what}, and all runs and clients were in it: restore it from a backup, or "
        f"remove it and begin without them by `queryrun migrate --home {settings.home}`"
    )

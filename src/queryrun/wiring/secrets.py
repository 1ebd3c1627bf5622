"""Settings -> the secrets that they name, read from files or variables when they are needed."""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from pathlib import Path

from queryrun.errors import ConfigurationError
from queryrun.results.sigv4 import Credentials
from queryrun.settings import Settings


def database_url(settings: Settings) -> str:
    """The URL of the shared database. `ConfigurationError` when its file cannot be read.

    It contains a password: use it to connect, never in a message.
    """
    if not settings.database.url_file:
        return settings.database.url
    return _secret_in(settings, settings.database.url_file, "database.url_file")


def metrics_token(settings: Settings) -> str:
    """What `/metrics` asks for; empty: nothing. `ConfigurationError` for an empty file."""
    if not settings.server.metrics_token_file:
        return ""
    name = "server.metrics_token_file"
    if token := _secret_in(settings, settings.server.metrics_token_file, name):
        return token
    raise ConfigurationError(f"{name}: the file is empty")


def source_secret(
    settings: Settings, source: str, environ: Mapping[str, str] | None = None
) -> str | None:
    """The current password or token of a source; None when it has none."""
    configured = settings.sources[source]
    if configured.auth == "none":
        return None
    if configured.secret_file:
        return _secret_in(settings, configured.secret_file, f"sources.{source}.secret_file")
    found = os.environ if environ is None else environ
    try:
        return found[configured.secret_env]
    except KeyError:
        name = f"sources.{source}.secret_env"
        raise ConfigurationError(f"{name}: {configured.secret_env!r} is not set") from None


def _secret_in(settings: Settings, path: str, name: str) -> str:
    try:
        return settings.path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(f"{name}: {path} could not be read") from None


def s3_credentials(settings: Settings, environ: Mapping[str, str] | None = None) -> Credentials:
    """The current credentials of the S3 store. `ConfigurationError` when there are none.

    Its messages never contain a key.
    """
    if settings.results.credentials_file:
        return _credentials_of(_default_section(settings.path(settings.results.credentials_file)))
    found = os.environ if environ is None else environ
    return _credentials_of({name.lower(): value for name, value in found.items()})


def _default_section(path: Path) -> Mapping[str, str]:
    """A parser without interpolation, because secrets may contain `%`."""
    parser = configparser.RawConfigParser(default_section="")
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
        return parser["default"]
    except (OSError, UnicodeDecodeError, configparser.Error, KeyError):
        raise ConfigurationError(
            f"results.credentials_file: {path} has no [default] section"
        ) from None


def _credentials_of(names: Mapping[str, str]) -> Credentials:
    """The error names the missing variable and never a value."""
    try:
        return Credentials(
            names["aws_access_key_id"],
            names["aws_secret_access_key"],
            names.get("aws_session_token") or None,
        )
    except KeyError as error:
        raise ConfigurationError(f"results.credentials: {error.args[0]} is missing") from None

"""Reads the settings: `queryrun.toml`, and over it the environment."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from queryrun.errors import ConfigurationError
from queryrun.settings import CONFIG_NAME, DEFAULT_SOURCE, Settings, SourceSettings
from queryrun.settings.checks import check
from queryrun.settings.origins import SettingOrigins
from queryrun.texts import is_utf8

CLIENT_VARIABLES = (
    "QUERYRUN_HOME",
    "QUERYRUN_PROFILE",
    "QUERYRUN_URL",
    "QUERYRUN_API_VERSION",
    "QUERYRUN_ENTITY_ID",
    "QUERYRUN_CLIENT_ID",
    "QUERYRUN_CLIENT_SECRET",
    "QUERYRUN_CLIENT_SECRET_FILE",
    "QUERYRUN_TOKEN",
    "QUERYRUN_KEY_PASSWORD",
)
"""Variables of the command line (docs/how-to/command-line.md), which are no settings."""

_PREFIX = "QUERYRUN_"


def load(home: Path, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of a home directory. `ConfigurationError` names the setting that is wrong.

    A home without queryrun.toml has the defaults. `environ` is `os.environ` unless given.
    """
    variables = os.environ if environ is None else environ
    text = _text(home / CONFIG_NAME)
    origin = SettingOrigins(CONFIG_NAME, text, _PREFIX, _settings_in(variables))
    tree = _parsed(text)
    _overlay(tree, _settings_in(variables))
    tree["home"] = os.path.realpath(home)
    _apply_preset(tree)
    try:
        _check_texts(tree, "")
    except ConfigurationError as error:
        raise ConfigurationError(origin.of_check(str(error))) from error
    try:
        settings = msgspec.convert(tree, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        message = _with_source(str(error), tree)
        raise ConfigurationError(origin.of_validation(message)) from error
    try:
        check(settings)
    except ConfigurationError as error:
        raise ConfigurationError(origin.of_check(str(error))) from error
    return settings


def _with_source(message: str, tree: Mapping[str, Any]) -> str:
    """The message with the name of the source that it is about, which the type check leaves out."""
    sources = tree.get("sources")
    for name, source in sources.items() if isinstance(sources, dict) else ():
        try:
            msgspec.convert(source, SourceSettings, strict=False)
        except msgspec.ValidationError:
            return message.replace("$.sources[...]", f"$.sources.{name}", 1)
    return message


def _text(path: Path) -> str:
    """The file's text; empty when there is none. Editors may have put a byte order mark first."""
    refuse_pipe(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return ""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            f"{path.name}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8; "
            "save the file as UTF-8"
        ) from error


def refuse_pipe(path: Path) -> None:
    """`ConfigurationError` for a named pipe: reading one waits until somebody writes, silently.

    What else is wrong with the path, opening it says.
    """
    if path.is_fifo():
        raise ConfigurationError(f"{path} is a named pipe: put a file there")


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{CONFIG_NAME}: {error}") from error
    except (RecursionError, ValueError, OverflowError) as error:  # dates and numbers there are not
        raise ConfigurationError(f"{CONFIG_NAME}: a value in it cannot be read") from error


def _settings_in(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that are settings."""
    return {
        name: value
        for name, value in environ.items()
        if name.startswith(_PREFIX) and name not in CLIENT_VARIABLES
    }


def _overlay(tree: dict[str, Any], variables: Mapping[str, str]) -> None:
    """Lay `QUERYRUN_SERVER__PORT=9000` over `[server] port`."""
    for name, value in variables.items():
        if not name.isascii():
            raise ConfigurationError(
                f"the environment variable {ascii(name)[1:-1]} is no setting: their names are ASCII"
            )
        if not is_utf8(value):
            raise ConfigurationError(f"the environment variable {name}: its value is not UTF-8")
        *sections, leaf = name.removeprefix(_PREFIX).lower().split("__")
        table = tree
        for section in sections:
            table = table.setdefault(section, {})
            if not isinstance(table, dict):
                raise ConfigurationError(
                    f"the environment variable {name} is no setting: {section!r} is not a section"
                )
        table[leaf] = value


def _check_texts(value: object, path: str) -> None:
    """`ConfigurationError` for a NUL in a text: no path, name or URL can have one."""
    if isinstance(value, str) and "\0" in value:
        raise ConfigurationError(f"{path} has a character that no setting can have: U+0000")
    if isinstance(value, dict):
        for name, below in value.items():
            _check_texts(below, f"{path}.{name}" if path else name)
    if isinstance(value, list):
        for below in value:
            _check_texts(below, path)


def _apply_preset(tree: dict[str, Any]) -> None:
    """A preset changes defaults: what is set in the file or the environment stays."""
    if tree.get("preset") == "hosted":
        for source in tree.setdefault("sources", {DEFAULT_SOURCE: {}}).values():
            source.setdefault("marks_deleted", True)


def _path(kind: type, value: object) -> object:
    if kind is Path:
        return Path(str(value))
    raise NotImplementedError(kind)

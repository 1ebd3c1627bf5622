"""Whatever is written for a setting, it is used, or refused by name before anything starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from queryrun.errors import ConfigurationError
from queryrun.settings import CONFIG_NAME, Settings
from queryrun.settings.file import load
from queryrun.settings.ranges import RANGES


def settings_of(kind: type, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Every setting: its path, a source being called `live`, and its default."""
    for field in msgspec.structs.fields(kind):
        here = (*path, field.name)
        default = field.default if field.default_factory is msgspec.NODEFAULT else None
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from settings_of(field.type, here)
        elif field.name == "sources":
            from queryrun.settings import SourceSettings

            yield from settings_of(SourceSettings, (*here, "live"))
        elif field.name != "home":
            yield here, default


EVERY = list(settings_of(Settings))
NUMBERS = [
    path
    for path, default in EVERY
    if isinstance(default, int | float) and not isinstance(default, bool)
]


def loaded(home: Path, path: tuple[str, ...], value: str) -> Settings:
    """The settings with one that has this text in the file."""
    *section, name = path
    header = f"[{'.'.join(section)}]\n" if section else ""
    (home / CONFIG_NAME).write_text(f"{header}{name} = {value}\n")
    return load(home, {})


def refusal(home: Path, path: tuple[str, ...], value: str) -> str | None:
    """What is said against it; None: nothing."""
    try:
        loaded(home, path, value)
    except ConfigurationError as refused:
        return str(refused)
    return None


def test_every_range_is_of_a_setting() -> None:
    known = {".".join(part for part in path if part != "live") for path in NUMBERS}
    assert set(RANGES) <= known
    assert len(NUMBERS) > 30


@pytest.mark.parametrize("path", NUMBERS, ids=".".join)
def test_a_number_out_of_range_is_refused_by_name(tmp_path: Path, path: tuple[str, ...]) -> None:
    for value in ("-1", "nan", "inf", "-inf", "1e300", "9" * 40):
        with pytest.raises(ConfigurationError, match=rf"line 2: {'.'.join(path)}"):
            loaded(tmp_path, path, value)


ODD = (
    '""',
    "[]",
    "{}",
    "true",
    "2026-01-01",
    '"\\u0000"',
    '"9999999999TB"',
    "'{'",
    "[[1]]",
    "{a=1}",
)


@pytest.mark.parametrize("path", [path for path, _ in EVERY], ids=".".join)
def test_whatever_a_setting_is_set_to_is_used_or_refused(
    tmp_path: Path, path: tuple[str, ...]
) -> None:
    for value in ODD:
        words = refusal(tmp_path, path, value)
        assert words is None or path[-1] in words or path[0] in words, (value, words)


@pytest.mark.parametrize(
    "text",
    [
        b"a = " + b"[" * 5000,
        b"a = " + b"{b=" * 5000,
        b"a = 99999-99-99\n",
        b"server = 5\n",
        b"[server]\nport = 1\nport = 2\n",
        b"[[server]]\nport = 1\n",
        b"[server]\nport = 0x" + b"f" * 5000 + b"\n",
        b"[server]\nport = " + b"9" * 5000 + b"\n",
        b'[limits.tenant."*"]\nruns_per_day = inf\n',
        b'[limits.tenant."*"]\nruns_per_day = nan\n',
        b"\x00",
        b"\xff\xfe",
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_name(tmp_path: Path, text: bytes) -> None:
    (tmp_path / CONFIG_NAME).write_bytes(text)
    with pytest.raises(ConfigurationError, match=r"queryrun\.toml|default_source|limits"):
        load(tmp_path, {})


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b""])
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_marks_and_line_ends_of_other_editors_are_read(
    tmp_path: Path, start: bytes, end: bytes
) -> None:
    (tmp_path / CONFIG_NAME).write_bytes(start + end.join((b"[server]", b"port = 81", b"")))
    assert load(tmp_path, {}).server.port == 81


@pytest.mark.parametrize(
    "variables",
    [
        {"QUERYRUN_SERVER": "x"},
        {"QUERYRUN_SERVER__PORT__X": "1"},
        {"QUERYRUN_SERVER__PORT": "nan"},
        {"QUERYRUN_SERVER__PORT": "9" * 5000},
        {"QUERYRUN_WORKERS__SLOTS": "-1"},
        {"QUERYRUN_LEASES__LEASE_S": "inf"},
        {"QUERYRUN_": "1"},
        {"QUERYRUN____": "1"},
        {"QUERYRUN_SOURCES": "[]"},
        {"QUERYRUN_SOURCES__LIVE": "x"},
        {"QUERYRUN_OIDC__RULES": "x"},
        {"QUERYRUN_SERVER__HOST\udce9": "1"},
    ],
)
def test_a_variable_that_cannot_be_used_is_refused_and_named(
    tmp_path: Path, variables: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError, match="the environment variable QUERYRUN_"):
        load(tmp_path, variables)

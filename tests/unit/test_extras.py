"""What an installation lacks is said with a command that can be typed as it stands."""

from __future__ import annotations

import shlex
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from queryrun.cli.home import init_home
from queryrun.errors import ConfigurationError
from queryrun.extras import install_command, require_extra, requirements
from queryrun.settings.file import load
from queryrun.wiring.database import open_database
from queryrun.wiring.resources import open_resources
from tests.conftest import Clock


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of packages that are not installed; empty until a test adds some."""
    names: set[str] = set()
    real = metadata.distribution

    def distribution(name: str) -> metadata.Distribution:
        if name in names:
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "distribution", distribution)
    return names


def test_the_command_names_what_the_extra_requires_and_not_the_extra() -> None:
    words = shlex.split(install_command("postgres"))
    assert words[:2] == ["pip", "install"]
    (requirement,) = map(Requirement, words[2:])
    assert (requirement.name, requirement.extras) == ("psycopg", {"binary"})
    assert not requirement.specifier.contains("4.0")


@pytest.mark.parametrize("extra", ["aws", "demo", "lake", "otel", "postgres", "spark", "trino"])
def test_every_extra_of_the_distribution_is_known(extra: str) -> None:
    assert requirements(extra)
    require_extra(extra, "the tests need it")


def test_what_is_no_extra_requires_nothing(lacking: set[str]) -> None:
    lacking.add("duckdb")
    assert requirements("duckdb") == []
    require_extra("duckdb", "a source has the engine duckdb")


def test_a_server_whose_source_lacks_its_library_does_not_start(
    tmp_path: Path, lacking: set[str]
) -> None:
    home = init_home(tmp_path / "home", entity="main", factor=None).home
    source = '\n[sources.lake]\nengine = "trino"\nurl = "http://t:1"\ncatalog = "c"\nschema = "s"\n'
    with (home / "queryrun.toml").open("a") as config:
        config.write(source)
    settings = load(home, {})
    lacking.add("trino")
    with pytest.raises(ConfigurationError) as raised:
        open_resources(settings)
    assert "sources.lake has the engine trino" in str(raised.value)
    assert "pip install 'trino" in str(raised.value)
    assert "lz4" not in str(raised.value)


def test_a_database_without_its_driver_is_a_sentence(
    tmp_path: Path, lacking: set[str], clock: Clock
) -> None:
    (tmp_path / "url").write_text("postgresql://u@127.0.0.1:9/q")
    (tmp_path / "url").chmod(0o600)
    settings = load(tmp_path, {"QUERYRUN_DATABASE__URL_FILE": str(tmp_path / "url")})
    lacking.add("psycopg")
    with pytest.raises(ConfigurationError, match=r"PostgreSQL.*pip install .psycopg"):
        open_database(settings, clock)

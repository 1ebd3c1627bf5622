"""Tenants are made beside a running server, and an entity belongs to one of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from queryrun.cli import tenants
from queryrun.cli.home import init_home
from queryrun.errors import ConfigurationError


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home without sample data."""
    return init_home(tmp_path / "home", entity="main", factor=None).home


def names(home: Path) -> dict[str, list[str]]:
    """The entities of every tenant."""
    found = tenants.every(home)
    return {one.tenant.name: sorted(entity.name for entity in one.entities) for one in found}


def test_a_tenant_is_made_with_its_entities_and_their_directories(home: Path) -> None:
    before = names(home)
    made = tenants.create(home, "acme", ["acme-eu", "acme-us"])
    assert [entity.name for entity in made.entities] == ["acme-eu", "acme-us"]
    assert names(home) == {**before, "acme": ["acme-eu", "acme-us"]}
    assert (home / "data" / "acme-eu").is_dir()


def test_making_it_again_adds_what_is_new(home: Path) -> None:
    first = tenants.create(home, "acme", ["one"])
    again = tenants.create(home, "acme", ["one", "two"])
    assert again.entities[0] == first.entities[0]
    assert names(home)["acme"] == ["one", "two"]


def test_an_entity_of_another_tenant_is_refused(home: Path) -> None:
    tenants.create(home, "acme", ["shared"])
    with pytest.raises(ConfigurationError, match="another tenant"):
        tenants.create(home, "globex", ["shared"])
    assert names(home)["acme"] == ["shared"]


@pytest.mark.parametrize("name", ["", "a b", "../acme", "a/b", "x" * 200])
def test_a_name_that_could_be_a_path_is_refused(home: Path, name: str) -> None:
    with pytest.raises(ConfigurationError):
        tenants.create(home, name, [])

"""Homes and served homes, as the end-to-end tests have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from queryrun.cli.home import MadeHome, init_home
from tests.e2e.conftest import house as house  # a fixture of theirs


@pytest.fixture
def made(tmp_path: Path) -> MadeHome:
    """A fresh home without sample data."""
    return init_home(tmp_path / "home", entity="main", factor=None)

"""Fixtures of the end-to-end tests: homes and running servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from queryrun.cli.home import MadeHome, init_home
from tests.e2e.conftest import harness as harness  # a fixture
from tests.integration.worker.pool_harness import ignore_other_processes
from tests.s3_server import s3_server as s3_server  # the same


@pytest.fixture
def made(tmp_path: Path) -> MadeHome:
    """A fresh home without sample data."""
    return init_home(tmp_path / "home", entity="main", factor=None)


@pytest.fixture(autouse=True)
def _count_from_here() -> None:
    """Ignore processes that earlier tests left behind."""
    ignore_other_processes()

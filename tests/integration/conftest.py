"""Every test counts only the processes that it started."""

from __future__ import annotations

import pytest

from tests.integration.worker.pool_harness import ignore_other_processes


@pytest.fixture(autouse=True)
def _count_from_here() -> None:
    """Ignore processes that earlier tests left behind."""
    ignore_other_processes()

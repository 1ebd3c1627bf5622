"""Every test of worker processes counts its own."""

from __future__ import annotations

import pytest

from tests.unit.worker.pool_harness import meet_strangers


@pytest.fixture(autouse=True)
def _count_from_here() -> None:
    """What other tests have left in this process is none of ours."""
    meet_strangers()

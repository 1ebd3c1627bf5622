"""The service that HTTP tests call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import Clock
from tests.http.app_harness import AppHarness, open_app_harness


@pytest.fixture
async def harness(tmp_path: Path, clock: Clock) -> AsyncIterator[AppHarness]:
    """A service without rate or queue limits."""
    async with open_app_harness(tmp_path, clock) as built:
        yield built

"""The house that HTTP tests ring at, and the one way to check an error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import Clock
from tests.http.house import House, open_house


@pytest.fixture
async def house(tmp_path: Path, clock: Clock) -> AsyncIterator[House]:
    """A service without rate or queue limits."""
    async with open_house(tmp_path, clock) as built:
        yield built

"""What tests of tables share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.tables.reading import Reading


@pytest.fixture
def reading(tmp_path: Path) -> Iterator[Reading]:
    """An empty data directory and a session over it."""
    found = Reading(tmp_path)
    yield found
    found.session.close()

"""What one statement may spill is a share of what its entity may."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from queryrun.auth.model import Entity
from queryrun.auth.store import AuthStore
from queryrun.settings.file import load
from queryrun.wiring.sources import SourceResolver

pytestmark = pytest.mark.anyio
MB = 1_000_000


class OneEntity:
    """A store that knows one entity."""

    async def entities(self) -> list[Entity]:
        """It."""
        return [Entity("e", "t", "main")]


async def spill_bytes(home: Path, toml: str) -> int:
    """What a worker of the source `live` may spill with these settings."""
    (home / "queryrun.toml").write_text(toml)
    (home / "data/main").mkdir(parents=True, exist_ok=True)
    resolver = SourceResolver(load(home), cast("AuthStore", OneEntity()))
    return (await resolver.worker_config("live", "e")).spill_bytes


@pytest.mark.parametrize(
    ("slots", "fair_slots", "spill", "per_entity", "expected"),
    [
        (5, 0, "20GB", "100MB", 20 * MB),
        (5, 2, "20GB", "120MB", 20 * MB),  # an entity may have got one fair slot before
        (1, 0, "20MB", "100MB", 20 * MB),
        (4, 0, "20MB", "0", 20 * MB),
        (0, 2, "20GB", "100MB", 100 * MB),
    ],
)
async def test_an_entity_in_every_slot_stays_within_its_share(
    tmp_path: Path, slots: int, fair_slots: int, spill: str, per_entity: str, expected: int
) -> None:
    toml = f"""
[workers]
slots = {slots}
fair_slots = {fair_slots}
[limits]
spill_per_entity = "{per_entity}"
[sources.live]
engine = "duckdb"
data = "data/{{entity}}"
spill = "{spill}"
"""
    assert await spill_bytes(tmp_path, toml) == expected

"""Runs that see the rows of some orgs have sources of their own."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from queryrun.auth.store import AuthStore
from queryrun.settings.file import load
from queryrun.wiring.sources import SourceResolver
from queryrun.worker.main import sandbox_policy
from tests.unit.wiring.test_spill_share import OneEntity

pytestmark = pytest.mark.anyio


async def test_no_worker_serves_runs_of_other_orgs_and_none_writes_copies(
    tmp_path: Path,
) -> None:
    """A worker that a statement has taken over could answer for theirs."""
    (tmp_path / "queryrun.toml").write_text(
        '[sources.live]\nengine = "duckdb"\ndata = "data/{entity}"\n'
    )
    (tmp_path / "data/main").mkdir(parents=True)
    resolver = SourceResolver(load(tmp_path), cast("AuthStore", OneEntity()))
    everything = await resolver.worker_config("live", "e")
    of_both = await resolver.worker_config("live", "e", ("north", "south"))
    assert of_both == await resolver.worker_config("live", "e", ("south", "north"))
    of_north = await resolver.worker_config("live", "e", ("north",))
    assert everything != of_both != of_north != everything
    copies = everything.source.options["copies_dir"]
    for config in (everything, of_north):
        assert copies in sandbox_policy(config).read
        assert copies not in sandbox_policy(config).read_write

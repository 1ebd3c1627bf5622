"""What the cancel suite recognizes as spill files, and its report when there are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from queryrun.cancel_suite import spill
from queryrun.cancel_suite.processes import ServerProcesses
from queryrun.cancel_suite.report import Finding
from queryrun.cancel_suite.spill import spill_bytes, wait_for_spill
from queryrun.cancel_suite.target import Local

pytestmark = pytest.mark.anyio


@pytest.fixture
def local(tmp_path: Path) -> Local:
    """A server's home with the directory of one worker."""
    (tmp_path / "spill" / "worker-1").mkdir(parents=True)
    return Local(ServerProcesses(0), tmp_path)


def test_a_result_file_that_the_engine_writes_is_no_spill(local: Local, tmp_path: Path) -> None:
    """It has a second name in the directory of results for as long as it is written."""
    written = tmp_path / "spill" / "worker-1" / "out"
    written.write_bytes(b"a,b\n")
    (tmp_path / ".result.part").hardlink_to(written)
    assert spill_bytes(local) == 0


def test_a_file_that_was_left_there_counts(local: Local, tmp_path: Path) -> None:
    (tmp_path / "spill" / "worker-1" / "duckdb_temp_storage-0.tmp").write_bytes(bytes(5000))
    assert spill_bytes(local) == 5000


async def test_a_statement_that_does_not_spill_is_no_proof(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill, "_TIMEOUT_S", 0.0)
    finding = Finding("C", "bounded")
    await wait_for_spill(local, finding, "a sort")
    assert finding.examples == ["a sort: nothing was spilled"]


async def test_one_that_does_is_noted(local: Local, tmp_path: Path) -> None:
    (tmp_path / "spill" / "worker-1" / "duckdb_temp_storage-0.tmp").write_bytes(bytes(5000))
    finding = Finding("C", "bounded")
    await wait_for_spill(local, finding, "a sort")
    assert (finding.violations, finding.notes) == (0, ["a sort: 4 KB spilled"])

"""After kill -9 no message is lost or out of order, and the ledger is exact: a small count of what
`make kill-ledger` does."""

from __future__ import annotations

from pathlib import Path

from tests.faults.killed_nodes import kill_again_and_again

KILLS = 2


def test_kills_lose_no_message_and_leave_the_ledger_exact(tmp_path: Path) -> None:
    outcome = kill_again_and_again(tmp_path, KILLS)
    assert outcome.is_good, outcome
    assert outcome.runs >= KILLS
    assert outcome.messages >= 3 * outcome.runs

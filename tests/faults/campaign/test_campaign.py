"""A sample of the faults at moments of a run's life; `make faults` plays all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.campaign.faults import FAULTS, Fault
from tests.faults.campaign.moments import MOMENTS, Case, Moment, Submitted
from tests.faults.campaign.play import play
from tests.faults.campaign.shim import compiler
from tests.faults.campaign.site import SqliteSite

SAMPLE = (
    ("store: EIO", "while submitting"),
    ("spill: EIO", "claimed"),
    ("results: no inodes", "finishing"),
    ("everywhere: EMFILE", "queued"),
    ("clock: +1 h", "executing"),
    ("fork server: killed", "running, then canceled"),
)


def fault_at(fault: str, moment: str) -> tuple[Fault, Moment]:
    return (
        next(one for one in FAULTS if one.name == fault),
        next(one for one in MOMENTS if one.name == moment),
    )


def test_no_fault_of_the_sample_violates_anything(tmp_path: Path) -> None:
    """One site for all of them: starting one takes longer than a case."""
    if compiler() is None:
        pytest.skip("no C compiler, which the faults of system calls need")
    with SqliteSite(tmp_path, 1) as site:
        for fault, moment in SAMPLE:
            outcome = play(site, *fault_at(fault, moment))
            assert outcome.violations == (), (fault, moment)
            assert outcome.hits or not fault.startswith(("store", "results", "spill", "every"))


def test_a_false_state_is_a_violation(tmp_path: Path) -> None:
    """The judge itself: what it has to find, it finds."""
    if compiler() is None:
        pytest.skip("no C compiler, which the faults of system calls need")
    with SqliteSite(tmp_path, 1) as site:
        case = Case(site)
        run = Submitted("0" * 36, None, canceled_seen=True)
        case.note_state(run, {"state": "complete"})
        assert "was canceled and is complete" in case.violations[0]
        wrong = case.submit("SELECT 1 AS a", lambda text: text == "a\n2\n")
        assert wrong is not None
        nothing = Moment("nothing", lambda one: one.runs.append(wrong))
        outcome = play(site, fault_at("clock: +1 h", "claimed")[0], nothing)
        assert any("a wrong answer" in one for one in outcome.violations)
        lost = Moment("lost", lambda one: one.runs.append(Submitted("1" * 36, None)))
        outcome = play(site, fault_at("clock: +1 h", "claimed")[0], lost)
        assert any("is lost" in one for one in outcome.violations)

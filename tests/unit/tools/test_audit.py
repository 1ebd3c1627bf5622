"""An audit that could not be made is never taken for a good one."""

from __future__ import annotations

from typing import Any

import pytest
from tools.audit import GOOD, NOT_AUDITED, VULNERABLE, verdict

CLEAN = {"name": "a", "version": "1", "vulns": []}
SKIPPED = {"name": "b", "skip_reason": "Dependency not found"}
BAD = {"name": "c", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}


@pytest.mark.parametrize(
    ("packages", "status", "line"),
    [
        ([CLEAN], GOOD, "no known vulnerability in 1 packages"),
        ([CLEAN, SKIPPED], NOT_AUDITED, "1 of 2 packages"),
        ([SKIPPED], NOT_AUDITED, "0 of 1 packages"),
        ([], NOT_AUDITED, "0 of 0 packages"),
        ([CLEAN, BAD, SKIPPED], VULNERABLE, "c 1: CVE-1, fixed in 2"),
    ],
)
def test_the_verdict_says_what_was_audited(
    packages: list[dict[str, Any]], status: int, line: str
) -> None:
    found, lines = verdict({"dependencies": packages})
    assert found == status
    assert line in "\n".join(lines)

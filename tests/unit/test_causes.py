"""Causes behind errors."""

from __future__ import annotations

import errno

from queryrun.causes import Cause, cause_of


def test_a_chain_that_leads_back_to_itself_ends() -> None:
    first, second = RuntimeError("first"), RuntimeError("second")
    first.__cause__, second.__cause__ = second, first
    assert cause_of(first) is None
    first.__cause__ = first
    assert cause_of(first) is None


def test_a_cause_is_found_behind_other_errors() -> None:
    error = RuntimeError("wrapped")
    error.__cause__ = OSError(errno.ENOSPC, "full")
    assert cause_of(error) is Cause.DISK_FULL

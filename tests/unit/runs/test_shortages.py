"""Which failures are a shortage of the node, and are not charged to their run."""

from __future__ import annotations

import errno
import os
import time
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from queryrun.errors import Failure, FailureCode
from queryrun.runs.health import NodeHealth, Part
from queryrun.runs.shortages import (
    LITTLE_BYTES,
    UNSEEN_FAULTS,
    FailedAttempt,
    shortage_behind,
)

pytestmark = pytest.mark.anyio
NOT_WRITTEN = Failure(FailureCode.STORAGE_FAILED, "not written")


class Disk:
    """A part that works or does not."""

    error = 0

    async def probe(self) -> None:
        """What its disk reports."""
        if self.error:
            raise OSError(self.error, os.strerror(self.error))


def attempt(began_s: float, written_bytes: float = 0, number: int = 1) -> FailedAttempt:
    return FailedAttempt(number, began_s, written_bytes, is_embedded=True, lost_directory=False)


async def passed(disk: Disk, health: NodeHealth) -> None:
    """The disk was full, somebody has seen it, and it works again."""
    disk.error = errno.ENOSPC
    assert await health.check("spill") is not None
    disk.error = 0
    assert await health.check("spill") is None


async def test_a_shortage_that_passed_meanwhile_is_one_for_whoever_wrote_nearly_nothing() -> None:
    disk = Disk()
    health = NodeHealth([Part("spill", disk.probe)], CollectorRegistry())
    before_s = time.monotonic()
    await passed(disk, health)
    found = await shortage_behind(NOT_WRITTEN, health, attempt(before_s))
    assert found == "spill: the disk is full: no space or no inodes are left"
    large = attempt(before_s, LITTLE_BYTES + 1)
    assert await shortage_behind(NOT_WRITTEN, health, large) is None, "it may have filled it"
    late = attempt(time.monotonic(), number=UNSEEN_FAULTS + 1)
    assert await shortage_behind(NOT_WRITTEN, health, late) is None


async def test_a_fault_that_no_probe_has_seen_costs_the_first_attempts_nothing() -> None:
    health = NodeHealth([Part("spill", Disk().probe)], CollectorRegistry())
    for number in range(1, UNSEEN_FAULTS + 1):
        found = await shortage_behind(NOT_WRITTEN, health, attempt(0, number=number))
        assert found == "storage: not written"
    again = attempt(0, number=UNSEEN_FAULTS + 1)
    assert await shortage_behind(NOT_WRITTEN, health, again) is None, "a run must end"
    full = Failure(FailureCode.STORAGE_FULL, "full")
    assert await shortage_behind(full, health, attempt(0)) == "storage: full"
    assert await shortage_behind(full, health, attempt(0, LITTLE_BYTES + 1)) is None


async def test_a_worker_that_did_not_hear_from_its_node_costs_the_first_attempts_nothing() -> None:
    health = NodeHealth([Part("spill", Disk().probe)], CollectorRegistry())
    lost = Failure(FailureCode.WORKER_LOST, "The worker process died")
    for number in range(1, UNSEEN_FAULTS + 1):
        missed = replace(attempt(0, number=number), missed_lease=True)
        assert "did not hear from it" in str(await shortage_behind(lost, health, missed))
        assert await shortage_behind(lost, health, attempt(0, number=number)) is None
    again = replace(attempt(0, number=UNSEEN_FAULTS + 1), missed_lease=True)
    assert await shortage_behind(lost, health, again) is None, "a run must end"


async def test_a_shortage_that_holds_is_one_for_all() -> None:
    disk = Disk()
    health = NodeHealth([Part("spill", disk.probe)], CollectorRegistry())
    disk.error = errno.EIO
    for written_bytes in (0, 10 * LITTLE_BYTES):
        found = await shortage_behind(NOT_WRITTEN, health, attempt(0, written_bytes))
        assert found == "spill: the disk reports an input/output error"
    invalid = Failure(FailureCode.INVALID_VALUE, "the statement's own")
    assert await shortage_behind(invalid, health, attempt(0)) is None

"""Which failures are a shortage of the node, and are not charged to their run."""

from __future__ import annotations

import errno
import os
import time
from dataclasses import replace

import pytest
import structlog
from prometheus_client import CollectorRegistry

from queryrun.causes import Cause, words_of
from queryrun.errors import ConfigurationError, Failure, FailureCode
from queryrun.runs.failures import failure_of
from queryrun.runs.health import NodeHealth, Part
from queryrun.runs.shortages import (
    LITTLE_BYTES,
    UNSEEN_FAULTS,
    FailedAttempt,
    shortage_behind,
)
from queryrun.worker.errors import NoDirectory

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


async def test_what_an_error_said_counts_when_no_probe_has_seen_anything() -> None:
    disk = Disk()
    health = NodeHealth([Part("spill", disk.probe)], CollectorRegistry())
    late = replace(attempt(0, number=UNSEEN_FAULTS + 1), lacked="results: it does not exist")
    assert await shortage_behind(NOT_WRITTEN, health, late) == "results: it does not exist"
    disk.error = errno.EROFS
    found = await shortage_behind(NOT_WRITTEN, health, late)
    assert found == "spill: it is read-only: the file, or the file system it is on"


@pytest.mark.parametrize(
    "number", [errno.EROFS, errno.EIO, errno.EACCES, errno.ENOENT, errno.ELOOP, errno.EUCLEAN]
)
async def test_an_error_of_the_disk_before_the_statement_is_no_bug_and_its_probe_decides(
    number: int,
) -> None:
    failed = failure_of(OSError(number, os.strerror(number), "/a/path"), structlog.get_logger())
    assert (failed.failure.code, failed.shortage) == (FailureCode.STORAGE_FAILED, None)
    assert "/a/path" not in failed.failure.message
    disk = Disk()
    disk.error = number
    health = NodeHealth([Part("results", disk.probe)], CollectorRegistry())
    late = attempt(0, number=UNSEEN_FAULTS + 1)
    found = await shortage_behind(failed.failure, health, late)
    assert found == f"results: {words_of(OSError(number, ''))}"


def test_settings_that_are_gone_while_serving_are_waited_for_and_the_log_names_them() -> None:
    with structlog.testing.capture_logs() as logged:
        gone = ConfigurationError("sources.live.secret_file: /run/secret could not be read")
        failed = failure_of(gone, structlog.get_logger())
    assert failed.shortage == "settings: What the statement needs is not set up any more"
    assert "/run" not in failed.failure.message
    assert [event["reason"] for event in logged] == [str(gone)]


def test_a_directory_that_cannot_be_made_is_of_the_part_that_it_is_for() -> None:
    failed = failure_of(NoDirectory("results", Cause.MISSING), structlog.get_logger())
    assert failed.shortage == "results: it does not exist"
    assert failed.failure.code is FailureCode.STORAGE_FAILED


async def test_an_error_without_a_name_here_is_told_in_the_systems_words() -> None:
    disk = Disk()
    disk.error = errno.ENOTCONN
    health = NodeHealth([Part("spill", disk.probe)], CollectorRegistry())
    expected = f"the system reports: {os.strerror(errno.ENOTCONN)}"
    assert await health.check("spill") == expected

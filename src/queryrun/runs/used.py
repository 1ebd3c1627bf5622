"""What an attempt has used, from what its worker said."""

from __future__ import annotations

from queryrun.runs.model import AttemptProgress
from queryrun.runs.usage import AttemptUsage
from queryrun.worker.frames import Used


def attempt_usage(used: Used | None, progress: AttemptProgress) -> AttemptUsage:
    """What the worker said at the end; of one that was stopped or lost, what it reported last.

    That is a lower bound: what it read and spilled after its last report is in no record. Of what
    it never reported nothing is known, which is not zero.
    """
    if used is None:
        return AttemptUsage(
            progress.cpu_ms,
            progress.peak_memory_bytes,
            read_bytes=progress.read_bytes or None,
            spilled_bytes=progress.spilled_bytes or None,
        )
    return AttemptUsage(
        used.cpu_ms,
        used.peak_memory_bytes,
        used.read_bytes,
        used.read_rows,
        used.spilled_bytes,
        used.tables,
    )

"""The spill files of a server's workers on this machine.

A result file that the engine writes is in the same directory, as a second link of a file in the
directory of results. It is not counted while it has both links.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from stat import S_ISREG

from queryrun.cancel_suite.report import Finding
from queryrun.cancel_suite.target import Local

_TIMEOUT_S = 60.0
_POLL_INTERVAL_S = 0.05


def spill_bytes(local: Local) -> int:
    """Bytes in spill files now; 0 also when the home is unknown."""
    if local.spill is None:
        return 0
    return sum(_size(path) for path in local.spill.rglob("*"))


async def wait_for_spill(local: Local, finding: Finding, when: str) -> None:
    """Wait for spill files, a minute at most, and note their size.

    No spill file is a violation, unless the home is unknown: the cancel must hit a statement
    that spills.
    """
    if local.spill is None:
        return
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _TIMEOUT_S
    while (spilled := spill_bytes(local)) == 0 and loop.time() < deadline:  # noqa: ASYNC110 - no event
        await asyncio.sleep(_POLL_INTERVAL_S)
    finding.notes.append(f"{when}: {spilled // 1024:,} KB spilled")
    finding.expect(spilled > 0, f"{when}: nothing was spilled")


def _size(path: Path) -> int:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return 0
    return found.st_size if S_ISREG(found.st_mode) and found.st_nlink == 1 else 0

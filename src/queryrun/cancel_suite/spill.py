"""The spill files of a server's workers, as they lie on the disk of this machine."""

from __future__ import annotations

import asyncio
from pathlib import Path

from queryrun.cancel_suite.target import Local

_WITHIN_S = 60.0
_LOOK_EVERY_S = 0.05


def spill_bytes(local: Local) -> int:
    """Bytes in spill files at this moment; 0 also when the home is unknown."""
    if local.spill is None:
        return 0
    return sum(_size(path) for path in local.spill.rglob("*"))


async def until_it_spills(local: Local) -> int:
    """Wait until there are spill files, a minute at most; their bytes then."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + (_WITHIN_S if local.spill else 0)
    while (spilled := spill_bytes(local)) == 0 and loop.time() < deadline:  # noqa: ASYNC110 - no event
        await asyncio.sleep(_LOOK_EVERY_S)
    return spilled


def _size(path: Path) -> int:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return 0
    return found.st_size if path.is_file() else 0

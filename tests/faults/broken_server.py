"""`queryrun` with a bug: no worker can be taken from the pool."""

from __future__ import annotations

from typing import NoReturn

from queryrun.worker.frames import WorkerConfig
from queryrun.worker.pool import WorkerPool
from queryrun_cli.main import main


async def _take_broken(_pool: WorkerPool, _config: WorkerConfig) -> NoReturn:
    raise ZeroDivisionError


if __name__ == "__main__":
    setattr(WorkerPool, "take", _take_broken)  # noqa: B010 - the type is another one on purpose
    main()

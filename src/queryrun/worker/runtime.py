"""What a worker process runs: the interface between its main loop and the engine behind it.

`main.run_worker` is given an `Opener`, so the main loop knows no engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from queryrun.engines.base import EngineProgress, EngineUsage
from queryrun.processes.given_sockets import GiveSocket
from queryrun.results.sigv4 import SignRequest
from queryrun.tables.text.requests import RequestCopies
from queryrun.worker.frames import Done, Execute, WorkerConfig


class Report(Protocol):
    """Where a running statement reports its progress. Callable from any thread of the worker."""

    def stage(self, stage: str) -> None:
        """The attempt has reached this stage (the values of `runs.model.Stage`). Sent at once."""
        ...

    def written(self, rows: int, size_bytes: int) -> None:
        """What has been written so far. Cheap: stored, and sent with the next progress frame."""
        ...


class WorkerSession(Protocol):
    """One opened source and where its results go; good for one `run`, then for one per `renew`."""

    def run(self, execute: Execute, report: Report) -> Done:
        """Execute the statement and commit its file.

        Raises `RunFailed` for every fault of the run or the engine; then nothing is left under
        the key. Any other exception is a bug of ours.
        """
        ...

    def interrupt(self) -> None:
        """Interrupt the running statement. From another thread, any number of times."""
        ...

    def progress(self) -> EngineProgress:
        """Progress of the running statement. From another thread."""
        ...

    def usage(self) -> EngineUsage:
        """What the engine counted of the statement that ended last."""
        ...

    def renew(self) -> bool:
        """Reset to the state after opening, for one more `run`. False: close, and open another."""
        ...

    def close(self) -> None:
        """Release all resources. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class NodeServices:
    """What a worker cannot do, and others do for it."""

    sign: SignRequest
    """The node signs a request to the store of results."""
    give: GiveSocket
    """The relay connects to an engine or a store."""
    copies: RequestCopies
    """The node has copies of text files made."""


Opener = Callable[[WorkerConfig, NodeServices], WorkerSession]
"""Opens the configured source. `config.spill_dir` is this session's own and is removed after it.

Raises `RunFailed` when the source cannot be opened.
"""

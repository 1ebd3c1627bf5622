"""A worker on Spark, in its sandbox, for one statement: what a node's workers do there.

Run as `python -m tests.contract.spark_worker ORDER`, `Order` as a JSON object. Prints
`planned`, `executing`, … as it goes, and at last its rows and its largest resident size in bytes.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from queryrun.engines.source_spec import SourceSpec
from queryrun.processes.given_sockets import SocketRequests, give_sockets, request_pair
from queryrun.results.sigv4 import UnsignedRequest
from queryrun.tables.text.requests import CopiesRequest
from queryrun.worker.entry import open_session
from queryrun.worker.frames import Execute, ResultsSpec, WorkerConfig
from queryrun.worker.main import confine_worker
from queryrun.worker.runtime import NodeServices
from tests.contract.relayed import relay_of
from tests.memory import PeakMemory


@dataclass(frozen=True, slots=True)
class Order:
    """One statement for one run, and where its file goes; `directory` exists."""

    options: dict[str, str]
    directory: str
    run_id: str
    statement: str

    def command(self) -> list[str]:
        """How the process is started."""
        return [sys.executable, "-m", "tests.contract.spark_worker", json.dumps(asdict(self))]

    def bind(self) -> WorkerConfig:
        """The frame that binds a worker."""
        results, spill = Path(self.directory, "results"), Path(self.directory, "spill")
        for location in (results, spill):
            location.mkdir()
        return WorkerConfig(
            entity_id="entity",
            source=SourceSpec("spark", self.options),
            results=ResultsSpec("local", {"directory": str(results)}),
            memory_bytes=256 * 1024**2,
            threads=2,
            spill_dir=str(spill),
            spill_bytes=256 * 1024**2,
        )

    def execute(self) -> Execute:
        """The frame that starts the statement."""
        return Execute(self.run_id, 1, self.statement, "one.csv", "csv", "none", None, None, 0, 0)


class _Loud:
    """Prints its stages to standard output."""

    def stage(self, stage: str) -> None:
        """One line per stage."""
        print(stage, flush=True)

    def written(self, rows: int, size_bytes: int) -> None:
        """Not printed."""


def _unsigned(_request: UnsignedRequest, _offset: timedelta) -> Mapping[str, str]:
    raise AssertionError("its results go to a directory")


def _relay(source: SourceSpec) -> SocketRequests:
    """A relay in a process of its own, as every worker has one. It ends with this process."""
    ours, theirs = request_pair()
    if os.fork() == 0:
        ours.close()
        give_sockets(theirs, relay_of(source))
        os._exit(0)
    theirs.close()
    return SocketRequests(ours)


def _no_copies(request: CopiesRequest) -> None:
    """An engine elsewhere reads none."""


def main() -> None:
    """See the module."""
    order = Order(**json.loads(sys.argv[1]))
    bind = order.bind()
    memory = PeakMemory()
    relay = _relay(bind.source)
    confine_worker(bind)
    session = open_session(bind, NodeServices(_unsigned, relay.give, _no_copies))
    done = session.run(order.execute(), _Loud())
    session.close()
    print(json.dumps({"rows": done.rows, "largest_bytes": memory.peak_bytes()}), flush=True)


if __name__ == "__main__":
    main()

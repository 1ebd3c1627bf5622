"""Copies of text files that a worker needs: the node has them made, by a process without SQL."""

from __future__ import annotations

import threading

from queryrun.errors import Failure, FailureCode, RunFailed
from queryrun.processes.channel import Channel
from queryrun.tables.text.requests import CopiesMade, CopiesRequest
from queryrun.worker.frames import Copied, NeedCopies, ToWorker
from queryrun.worker.meter import ProcessMeter


class NodeCopies:
    """Asks the node. `request` is called from the main thread, the rest from the one that listens.

    Waits for as long as converting takes: an interrupt ends the wait, and a node that has exited
    ends the process.
    """

    def __init__(self, channel: Channel[ToWorker], meter: ProcessMeter) -> None:
        self._channel = channel
        self._meter = meter
        self._changed = threading.Condition()
        self._made: CopiesMade | None = None
        self._has_given_up = False

    def request(self, request: CopiesRequest) -> None:
        """See `RequestCopies`."""
        self._channel.send(NeedCopies(request))
        with self._changed:
            self._changed.wait_for(lambda: self._made is not None or self._has_given_up)
            made, self._made = self._made, None
        if made is None:
            raise RunFailed.of(FailureCode.STATEMENT_FAILED, "The statement was interrupted.")
        self._meter.add_cpu(made.cpu_ms)
        if made.code is not None:
            raise RunFailed(Failure(made.code, made.message))

    def on_copied(self, frame: Copied) -> None:
        """The node has answered."""
        with self._changed:
            self._made = frame.made
            self._changed.notify_all()

    def give_up(self) -> None:
        """The worker was interrupted, for good."""
        with self._changed:
            self._has_given_up = True
            self._changed.notify_all()

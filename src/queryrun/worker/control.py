"""A worker's control thread: serves the node while the main thread is deep in an engine.

It repeats an interrupt until the statement has finished, reports progress, and kills the process
group at once when the node has exited. Where the node holds its attempts by leases that others can
take over, the kernel kills the process when the lease expires: a node that is cut off, paused or
stuck cannot keep a statement running that another node has taken over.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
import time
from typing import NoReturn

from queryrun.engines.base import EngineProgress
from queryrun.processes.channel import Channel
from queryrun.worker.copies import NodeCopies
from queryrun.worker.frames import (
    Copied,
    Execute,
    ExtendLease,
    Interrupt,
    Progress,
    Signed,
    StageReached,
    ToWorker,
)
from queryrun.worker.meter import ProcessMeter
from queryrun.worker.runtime import WorkerSession
from queryrun.worker.signing import NodeSigner

INTERRUPT_INTERVAL_S = 0.005
"""An interrupt between two steps of the engine is lost, so it is repeated."""
PROGRESS_INTERVAL_S = 0.25
_MIN_TIMER_S = 0.001
"""A deadline in the past must still kill the process; a timer of 0 would be no timer."""


class RunReport:
    """What one running statement reports to the node. Numbers never decrease."""

    def __init__(
        self, channel: Channel[ToWorker], meter: ProcessMeter, spill_dir: str = ""
    ) -> None:
        self._channel = channel
        self._meter = meter
        self._spill_dir = spill_dir
        self._remote_cpu_ms = 0
        self._read_bytes = 0
        self._spilled_bytes = 0
        self._percent: float | None = None
        self._rows = 0
        self._size_bytes = 0

    def stage(self, stage: str) -> None:
        """Report the attempt's stage at once."""
        self._channel.send(StageReached(stage))

    def written(self, rows: int, size_bytes: int) -> None:
        """Keep the newest numbers for the next progress frame."""
        self._rows = max(self._rows, rows)
        self._size_bytes = max(self._size_bytes, size_bytes)

    def progress(self, engine: EngineProgress) -> Progress:
        """What to report now. What a remote engine has used comes with what this process has."""
        percent, used = engine.percent, engine.used
        if percent is not None:
            self._percent = max(self._percent or 0.0, min(percent, 100.0))
        cpu_ms, peak_bytes = self._meter.sample()
        self._remote_cpu_ms = max(self._remote_cpu_ms, used.cpu_ms)
        read, spilled = self._meter.read_bytes(), _bytes_in(self._spill_dir)
        self._read_bytes = max(self._read_bytes, read, used.read_bytes or 0)
        self._spilled_bytes = max(self._spilled_bytes, spilled, used.spilled_bytes or 0)
        return Progress(
            self._percent,
            self._rows,
            self._size_bytes,
            cpu_ms + self._remote_cpu_ms,
            max(peak_bytes, used.peak_memory_bytes),
            self._read_bytes,
            self._spilled_bytes,
        )


class Control:
    """The thread, and what the main thread needs of it."""

    def __init__(self, channel: Channel[ToWorker], meter: ProcessMeter) -> None:
        self._channel = channel
        self._meter = meter
        self._work: queue.SimpleQueue[Execute | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._session: WorkerSession | None = None
        self._report: RunReport | None = None
        self.signer = NodeSigner(channel)
        """Who signs the requests of a worker whose results go to a bucket."""
        self.copies = NodeCopies(channel, meter)
        """Who has copies of text files made."""
        self._interrupted = threading.Event()

    @property
    def interrupted(self) -> bool:
        """Whether the node sent an interrupt. That cannot be undone."""
        return self._interrupted.is_set()

    def start(self) -> None:
        """Begin to listen. From now on the main thread must not read the channel."""
        threading.Thread(target=self._listen_or_exit, name="control", daemon=True).start()

    def next_work(self) -> Execute | None:
        """Wait for the next statement; None: interrupted."""
        return self._work.get()

    def begin(
        self, session: WorkerSession, lease_deadline_s: float = 0.0, spill_dir: str = ""
    ) -> RunReport:
        """A statement begins on `session`: it may be interrupted, and its progress is reported.

        `lease_deadline_s` is as in `Execute`; `spill_dir` is where the session may spill.
        """
        with self._lock:
            _set_exit_timer(lease_deadline_s)
            self._session = session
            self._report = RunReport(self._channel, self._meter, spill_dir)
            return self._report

    def end(self) -> None:
        """The statement has finished: no interrupt and no progress frame comes after this."""
        with self._lock:
            _set_exit_timer(0.0)
            self._session = None
            self._report = None

    def _listen_or_exit(self) -> NoReturn:
        try:
            self._listen()
        finally:  # the node exited or broke the protocol: it can no longer stop us
            os.killpg(0, signal.SIGKILL)
        raise AssertionError  # killed above

    def _listen(self) -> None:
        """Reports between frames too, so that a silent node still gets progress."""
        while True:
            if self._channel.readable(self._poll_timeout_s()):
                frame = self._channel.receive()
                if frame is None:
                    return
                self._handle(frame)
            self._interrupt_or_report()

    def _handle(self, frame: ToWorker) -> None:
        """None wakes the main thread if it waits for work instead of executing."""
        if isinstance(frame, Interrupt):
            self._interrupted.set()
            self._work.put(None)
            self.copies.give_up()
        elif isinstance(frame, Execute):
            self._work.put(frame)
        elif isinstance(frame, ExtendLease):
            self._extend_lease(frame.deadline_s)
        elif isinstance(frame, Signed):
            self.signer.on_signed(frame)
        elif isinstance(frame, Copied):
            self.copies.on_copied(frame)

    def _extend_lease(self, deadline_s: float) -> None:
        with self._lock:
            if self._session is not None:  # one that comes late must not arm an idle worker
                _set_exit_timer(deadline_s)

    def _poll_timeout_s(self) -> float:
        return INTERRUPT_INTERVAL_S if self.interrupted else PROGRESS_INTERVAL_S

    def _interrupt_or_report(self) -> None:
        """Errors are suppressed: the session may be closing, and this thread must continue."""
        with self._lock, contextlib.suppress(Exception):
            if self._session is None or self._report is None:
                return
            if self.interrupted:
                self._session.interrupt()
            else:
                self._channel.send(self._report.progress(self._session.progress()))


def _bytes_in(directory: str) -> int:
    """Bytes of the files there, as they take up the disk; what goes meanwhile counts nothing."""
    total = 0
    if not directory:
        return total
    with contextlib.suppress(OSError):
        for entry in os.scandir(directory):
            with contextlib.suppress(OSError):
                if entry.is_file(follow_symlinks=False):
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total


def _set_exit_timer(deadline_s: float) -> None:
    """Have the kernel kill this process at the deadline, whatever its threads do; 0: never.

    SIGALRM has no handler here, so its default action is to terminate; a handler of Python's
    would wait for the main thread, which is deep in an engine.
    """
    left_s = max(deadline_s - time.monotonic(), _MIN_TIMER_S) if deadline_s else 0.0
    signal.setitimer(signal.ITIMER_REAL, left_s)

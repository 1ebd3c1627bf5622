"""What ends a command from outside: SIGTERM of a CI system, SIGHUP of a terminal that is closed."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence


def interrupt_on_signals() -> None:
    """Treat both as Ctrl-C from now on. A hangup that is ignored, as by `nohup`, stays ignored."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    hangup = getattr(signal, "SIGHUP", None)  # there is none on Windows
    if hangup is not None and signal.getsignal(hangup) is signal.SIG_DFL:
        terminals = [number for number in (1, 2) if os.isatty(number)]
        signal.signal(hangup, lambda *_: _hang_up(terminals))


def _hang_up(terminals: Sequence[int]) -> None:
    """Writing to a terminal that has gone would fail, before the run is canceled."""
    for number in terminals:
        discard(number)
    raise KeyboardInterrupt


def discard(number: int) -> None:
    """What is written to this descriptor from now on goes nowhere: nobody reads it any more."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, number)
    os.close(null)

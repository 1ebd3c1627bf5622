"""Where the program begins: Ctrl-C while its modules are still being loaded is no traceback."""

from __future__ import annotations

import signal


def main() -> None:
    """Load the program, and run it.

    Loading takes most of a second on a busy machine. An interrupt ends the process as one that
    handles none, unless whoever started it has interrupts ignored.
    """
    is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_default:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from queryrun_cli.main import main as run

    if is_default:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()

"""The cost of an idle server: memory of the whole process tree, and the time until it is ready."""

from __future__ import annotations

import time

import psutil

from benchmarks import table
from benchmarks.served import served


def measure() -> None:
    """Print the table of memory and start-up time."""
    with served() as server:
        time.sleep(1.0)
        tree = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        rows = [_row(process) for process in tree]
        total_mb = sum(process.memory_full_info().pss for process in tree) / 1e6
    rows.append(["all, shared pages counted once (PSS)", "", f"{total_mb:.0f}", ""])
    rows.append(["start of the command to ready", "", "", f"{server.ready_s:.2f}"])
    table.show("An idle server", ["process", "RSS MB", "PSS MB", "seconds"], rows)


def _row(process: psutil.Process) -> list[str]:
    info = process.memory_full_info()
    return [process.name(), f"{info.rss / 1e6:.0f}", f"{info.pss / 1e6:.0f}", ""]

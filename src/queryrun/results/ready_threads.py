"""A thread pool whose threads all exist from the start.

A pool that starts threads on demand fails in the middle of work when the limit of processes is
reached. This one needs none later.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor


class ReadyThreads(ThreadPoolExecutor):
    """`threads` threads, started now. Raises `RuntimeError` when that many cannot be started."""

    def __init__(self, threads: int, name: str) -> None:
        super().__init__(max_workers=threads, thread_name_prefix=name)
        everyone = threading.Barrier(threads + 1)
        try:
            for _ in range(threads):  # each waits for the others, so none is used twice
                self.submit(everyone.wait)
            everyone.wait()
        except BaseException:
            everyone.abort()
            self.shutdown(wait=False)
            raise

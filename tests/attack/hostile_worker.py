"""A worker whose native code was taken over, and that speaks to its node as it likes.

The statement names what it says: `SELECT 1 /* hostile flood */`. Statements without such a word run
as ever.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from queryrun.worker.entry import SourceSession, open_session
from queryrun.worker.frames import Done, Execute, WorkerConfig
from queryrun.worker.main import run_worker
from queryrun.worker.runtime import NodeServices, Report

_NAMED = re.compile(r"/\* hostile (\w+) \*/")
_LARGE = 2**63 - 1
_TEXT = "x" * (15 * 1024 * 1024)


def _frame(tag: str, **fields: object) -> bytes:
    body = msgspec.msgpack.encode({"t": tag, **fields})
    return struct.pack(">I", len(body)) + body


def _progress(**fields: object) -> bytes:
    return _frame("progress", **{"percent": 1.0, "rows": 1, "size_bytes": 1, **fields})


def _done(**fields: object) -> bytes:
    return _frame("done", **{"rows": 1, "size_bytes": 1, "sha256": "", "columns": [], **fields})


def _failed(**fields: object) -> bytes:
    return _frame("failed", **{"code": "statement_failed", "message": "no", **fields})


def _error(text: str) -> bytes:
    return _frame("internal_error", exception=text, traceback=[text])


def _used(**fields: object) -> dict[str, Any]:
    return {"used": {"cpu_ms": 1, "peak_memory_bytes": 1, **fields}}


def _sign(number: int) -> bytes:
    request = {"method": "PUT", "host": "h", "path": "/b/o", "query": [], "headers": {}}
    return _frame("sign", number=number, payload_sha256="", **request)


def _table(name: str) -> dict[str, Any]:
    return {"name": name, "read_bytes": 1, "read_rows": 1}


def _forever(sent: bytes) -> Iterator[bytes]:
    while True:
        yield sent


SAYINGS: dict[str, Callable[[], Iterator[bytes]]] = {
    "flood": partial(_forever, _progress() * 200),
    "stages": partial(_forever, _frame("stage", stage="planning") * 200),
    "ready": partial(_forever, _frame("ready") * 200),
    "errors": partial(_forever, _error("x") * 200),
    "large_errors": partial(_forever, _error(_TEXT)),
    "large_frames": partial(_forever, _failed(message=_TEXT, code="nonsense")),
    "signs": lambda: (_sign(number) for number in range(10**9)),
    "copies": partial(_forever, _frame("need_copies", request={"table": b"x" * 16}) * 20),
    "half": lambda: iter([struct.pack(">I", 16 * 1024 * 1024) + b"x"]),
    "too_large": lambda: iter([struct.pack(">I", 2**32 - 1) + b"x"]),
    "garbage": lambda: iter([os.urandom(10_000)]),
    "progress_rows": lambda: iter([_progress(rows=2**64 - 1)]),
    "progress_bytes": lambda: iter([_progress(size_bytes=_LARGE, read_bytes=_LARGE)]),
    "progress_cpu": lambda: iter([_progress(cpu_ms=_LARGE, peak_memory_bytes=2**64 - 1)]),
    "progress_negative": lambda: iter([_progress(rows=-5, read_bytes=-_LARGE)]),
    "progress_percent": lambda: iter([_progress(percent=float("nan"))]),
    "progress_infinite": lambda: iter([_progress(percent=float("inf"))]),
    "stage_unknown": lambda: iter([_frame("stage", stage="nowhere")]),
    "done_rows": lambda: iter([_done(rows=2**64 - 1)]),
    "done_negative": lambda: iter([_done(rows=-1, size_bytes=-1)]),
    "done_size": lambda: iter([_done(size_bytes=2**64 - 1)]),
    "done_digest": lambda: iter([_done(sha256=_TEXT)]),
    "done_columns": lambda: iter([_done(columns=[("c", "t")] * 1_000_000)]),
    "done_used": lambda: iter([_done(**_used(read_bytes=2**64 - 1))]),
    "done_used_negative": lambda: iter([_done(**_used(read_bytes=-_LARGE))]),
    "done_tables": lambda: iter([_done(**_used(tables=[_table("t")] * 100_000))]),
    "done_table_name": lambda: iter([_done(**_used(tables=[_table(_TEXT)]))]),
    "done_twice": lambda: iter([_failed() + _failed() + _done()]),
    "failed_code": lambda: iter([_failed(code="nonsense")]),
    "failed_message": lambda: iter([_failed(message=_TEXT)]),
    "failed_line": lambda: iter([_failed(line=2**64 - 1, column=-(2**63))]),
    "failed_storage": lambda: iter([_failed(code="engine_unavailable")]),
}
"""What it says to the node. Where it ends, the worker says nothing more, and waits."""


def _nested(directory: Path) -> None:
    """Directories, deeper than a recursion goes."""
    here = os.open(directory, os.O_RDONLY)
    for _ in range(1_500):
        os.mkdir("down", dir_fd=here)
        below = os.open("down", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


class Hostile:
    """A real session, until a statement names something to say or to leave."""

    def __init__(
        self, session: SourceSession, config: WorkerConfig, control: socket.socket
    ) -> None:
        self._session = session
        self._spill = Path(config.spill_dir)
        self._outbox = Path(config.results.options["directory"])
        self._control = control

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run(self, execute: Execute, report: Report) -> Done:
        """What the statement says."""
        found = _NAMED.search(execute.sql)
        if found is None:
            return self._session.run(execute, report)
        name = found[1]
        if name in SAYINGS:
            with suppress(OSError):
                for sent in SAYINGS[name]():
                    self._control.sendall(sent)
            threading.Event().wait()
        return self._leave(name, self._outbox / execute.file_key)

    def _leave(self, name: str, file: Path) -> Done:
        """Something that is not a file of results, or that is hard to remove."""
        if name == "deep_spill":
            _nested(self._spill)
        elif name == "deep_outbox":
            _nested(self._outbox)
        elif name == "closed_spill":
            (self._spill / "closed").mkdir(mode=0)
        elif name == "directory":
            file.mkdir()
            _nested(file)
        elif name == "pipe":
            os.mkfifo(file)
        elif name == "link":
            file.symlink_to("/etc/passwd")
        elif name == "two_names":
            (self._spill / "other").write_text("x")
            file.hardlink_to(self._spill / "other")
        elif name == "sparse":
            with file.open("wb") as written:
                written.truncate(1)
        return Done(rows=1, size_bytes=1, sha256="")


LEAVINGS = ("deep_spill", "deep_outbox", "closed_spill", "directory", "pipe", "link", "two_names")
"""What it leaves behind."""


def main(control: socket.socket) -> NoReturn:
    """Run statements, or do as they say."""

    def opened(config: WorkerConfig, node: NodeServices) -> Any:
        return Hostile(open_session(config, node), config, control)

    run_worker(control, opened)

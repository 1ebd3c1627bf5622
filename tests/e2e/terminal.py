"""A program in a terminal of a test's own: keys in, the screen as text out."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyte

WAIT_S = 60.0
"""For what must appear; it appears at once on a machine that is not busy."""
PROMPT = "queryrun>"
CTRL_C, CTRL_D, ENTER, TAB = "\x03", "\x04", "\r", "\t"


class Terminal:
    """A process that has a terminal of `columns` by `lines`, and what is on its screen."""

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        directory: Path,
        columns: int = 100,
        lines: int = 40,
    ) -> None:
        self._screen: Any = pyte.Screen(columns, lines)
        self._stream: Any = pyte.ByteStream(self._screen)
        self.received = b""
        self._descriptor, writer = pty.openpty()
        fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.process = subprocess.Popen(
            command,
            stdin=writer,
            stdout=writer,
            stderr=writer,
            cwd=directory,
            env={**environ, "TERM": "xterm-256color"},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(writer)

    @property
    def text(self) -> str:
        """The screen, without blanks at the ends of lines."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def type(self, keys: str) -> None:
        """Press these keys."""
        os.write(self._descriptor, keys.encode())

    def wait_for(self, expected: str, *, times: int = 1) -> str:
        """The screen once it has this text so often. `AssertionError` shows it otherwise."""
        deadline = time.monotonic() + WAIT_S
        while self.text.count(expected) < times:
            if not self._read(deadline) and self.text.count(expected) < times:
                raise AssertionError(f"{expected!r} is not on the screen:\n{self.text}")
        return self.text

    def enter(self, entry: str, expected: str) -> str:
        """Type a line, wait for a text of its answer and for the prompt after it."""
        self.type(entry + ENTER)
        self.wait_for(expected)
        return self.wait_for_prompt()

    def wait_for_prompt(self) -> str:
        """The screen once its last line is the prompt: what is typed earlier may get lost."""
        deadline = time.monotonic() + WAIT_S
        while not self.text.endswith(f"\n{PROMPT}"):
            if not self._read(deadline) and not self.text.endswith(f"\n{PROMPT}"):
                raise AssertionError(f"there is no prompt:\n{self.text}")
        return self.text

    def exit_status(self) -> int:
        """The exit status, once the process has ended and all it wrote was read."""
        deadline = time.monotonic() + WAIT_S
        while self._read(deadline):
            pass
        return self.process.wait(WAIT_S)

    def close(self) -> None:
        """Kill the process, if a failed test left it, and close the terminal."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._descriptor)

    def _read(self, deadline: float) -> bool:
        """Read what is there; False when nothing will come any more."""
        ready, _, _ = select.select([self._descriptor], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:  # Linux: the other end was closed
            return False
        self.received += data
        self._stream.feed(data)
        self._reply(data)
        return bool(data)

    def _reply(self, data: bytes) -> None:
        """A terminal says where its cursor is when it is asked."""
        if b"\x1b[6n" in data:
            cursor = self._screen.cursor
            self.type(f"\x1b[{cursor.y + 1};{cursor.x + 1}R")

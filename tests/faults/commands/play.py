"""Plays a line in a situation in a process of its own, and judges what it said."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

from tests.faults.commands.lines import Line, Uses
from tests.faults.commands.place import Place, make_place
from tests.faults.commands.situations import Situation

STATUSES = frozenset({0, 1, 2, 3, 4, 5, 6, 7, 130})
"""The documented exit statuses, but for 8: that is an end which was forced."""
TIMEOUT_S = 60.0
"""Far more than any of these takes: what takes longer hangs."""
MAX_LINES, MAX_CHARS = 8, 1200
_OF_PYTHON = re.compile(
    r"Traceback|\[Errno|object at 0x|<class|(?:[A-Z][a-z]+)+Error\b|sqlite3\.|msgspec|httpx|h11"
)
"""Words that only whoever wrote the program understands."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended. `status` None: it had to be killed."""

    status: int | None
    stdout: str
    stderr: str


def play(line: Line, situation: Situation, root: Path, template: Path, urls: dict[str, str]) -> str:
    """What is wrong with how the line ends in the situation; an empty text when nothing is."""
    place = make_place(root, template, urls["refuses"])
    place.names |= urls | {"https": urls["hangs up"].replace("http:", "https:")}
    before = _files(place.new)
    try:
        situation.spoil(place)
        before = _files(place.new)
        ended = run(line, place)
    finally:
        for call in place.after:
            call()
    found = judge(ended, situation, line)
    is_whole = (place.new / "queryrun.toml").exists()  # it is written last
    is_changed = not is_whole and _files(place.new) != before
    if not found and ended.status != 0 and line.command == "init" and is_changed:
        found = f"a half-made home is left: {sorted(_files(place.new))[:5]}"
    if not found and situation.name == "home: missing" and place.home.exists():
        found = "a home was made by a command that is not init"
    return found


def judge(ended: Ended, situation: Situation, line: Line) -> str:
    """What is wrong with how a command ended."""
    said = ended.stderr.strip()
    if ended.status is None:
        return f"it does not end: {said[-300:]!r}"
    if "Traceback" in ended.stdout + ended.stderr:
        return f"a traceback: {(ended.stdout + ended.stderr)[-700:]}"
    if ended.status not in STATUSES:
        return f"status {ended.status} is not documented: {said[-300:]!r}"
    if ended.status == 0:
        may_succeed = not situation.fails or line.command in situation.spares
        return "" if may_succeed else f"it succeeds: {ended.stdout[-200:]!r} {said[-200:]!r}"
    if situation.is_silent:
        return ""
    if not said and not ended.stdout.strip():
        return f"status {ended.status} without a word"
    own = [one for one in said.splitlines() if not one.startswith("{")]
    if len(own) > MAX_LINES and ended.status != 2:
        return f"{len(own)} lines: {said[:600]!r}"
    if any(len(one) > MAX_CHARS for one in own):
        return f"a line of {max(map(len, own))} characters"
    if (words := _OF_PYTHON.search("\n".join(own))) is not None:
        return f"{words.group()!r} is of the program: {said[-400:]!r}"
    if line.command in situation.spares:
        return ""
    if situation.words and not any(word in said for word in situation.words):
        return f"none of {situation.words} in {said[-400:]!r}"
    return ""


def run(line: Line, place: Place) -> Ended:
    """Fork, and run the line there: everything is imported already."""
    arguments = [word.format_map(place.names).replace("~", " ") for word in line.text.split()]
    (place.root / "stdin").write_bytes(line.stdin.encode() if place.stdin is None else place.stdin)
    pid = os.fork()
    if pid == 0:
        _become(arguments, place, waits=Uses.PROCESSES in line.uses)
    status = _wait(pid, place, is_server=line.command == "serve")
    texts = [(place.root / name).read_text("utf-8", "replace") for name in ("stdout", "stderr")]
    return Ended(status, *texts)


def _become(arguments: list[str], place: Place, *, waits: bool) -> None:
    """In the child: what the program sees is the place, and nothing of this process."""
    status = 99
    try:
        os.setpgid(0, 0)
        os.chdir(place.root)
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT
            opened = os.open(place.root / name, flags, 0o600)
            os.dup2(opened, number)
            os.close(opened)
        os.environ.clear()
        os.environ.update(place.environ)
        time.tzset()
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        for call in place.in_child:
            call()
        status = _call_main(arguments, waits=waits)
    finally:
        os._exit(status)


def _call_main(arguments: list[str], *, waits: bool) -> int:
    """Without the pauses between tries of a client: `waits` keeps them."""
    from queryrun_cli.main import main

    if not waits:
        setattr(time, "sleep", lambda _s: None)  # noqa: B010 - of this process alone
    sys.argv = ["queryrun", *arguments]
    try:
        main()
    except SystemExit as exited:
        code = exited.code
        return code if isinstance(code, int) else int(code is not None)
    except BaseException:
        with suppress(BaseException):
            traceback.print_exc()
            sys.stderr.flush()
        return 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
    return 0


def _wait(pid: int, place: Place, *, is_server: bool) -> int | None:
    """The exit status; a server that serves is stopped as its operator stops it."""
    deadline = time.monotonic() + TIMEOUT_S
    descriptor = os.pidfd_open(pid)
    try:
        while time.monotonic() < deadline:
            if select.select([descriptor], [], [], 0.05)[0]:
                return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            if is_server and _responds(place.names["port"]):
                os.kill(pid, signal.SIGTERM)
                is_server = False
        _kill(pid)
        return None
    finally:
        os.close(descriptor)
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _responds(port: str) -> bool:
    request = b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", int(port)), timeout=2) as connection:
            connection.sendall(request)
            return connection.recv(12).startswith(b"HTTP/1.1")
    except (OSError, ValueError, OverflowError):
        return False


def _files(path: Path) -> set[str]:
    if not path.exists():
        return set()
    return {str(one) for one in path.rglob("*")} | {str(path)}


def import_everything() -> None:
    """What commands import is in this process before it forks. Starts no thread."""
    for package in ("queryrun_cli", "queryrun_client", "queryrun.cli", "queryrun.wiring"):
        for module in walk_packages(import_module(package).__path__, f"{package}."):
            if not module.name.endswith("__main__"):
                with suppress(ImportError):  # what an extra brings
                    import_module(module.name)

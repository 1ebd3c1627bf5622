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
from tests.faults.commands.situations import Situation
from tests.faults.commands.workspace import Workspace, make_workspace

STATUSES = frozenset({0, 1, 2, 3, 4, 5, 6, 7, 130})
"""The documented exit statuses, but for 8: that is an end which was forced."""
TIMEOUT_S = 60.0
"""Far more than any of these takes, not counting the time it waited for a processor: what takes
longer hangs."""
MAX_LINES, MAX_CHARS = 8, 1200
_OF_PYTHON = re.compile(
    r"Traceback|\[Errno|object at 0x|<class|(?:[A-Z][a-z]+)+Error\b|sqlite3\.|msgspec|httpx|h11"
)
"""Words that only whoever wrote the program understands."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a command exited. `status` None: it had to be killed."""

    status: int | None
    stdout: str
    stderr: str


def play(line: Line, situation: Situation, root: Path, template: Path, urls: dict[str, str]) -> str:
    """What is wrong with how the line ends in the situation; an empty text when nothing is."""
    workspace = make_workspace(root, template, urls["refuses"])
    workspace.names |= urls | {"https": urls["hangs up"].replace("http:", "https:")}
    before = _files(workspace.new)
    try:
        situation.spoil(workspace)
        before = _files(workspace.new)
        exited = run(line, workspace)
    finally:
        for call in workspace.after:
            call()
    found = judge(exited, situation, line)
    is_whole = (workspace.new / "queryrun.toml").exists()  # it is written last
    is_changed = not is_whole and _files(workspace.new) != before
    if not found and exited.status != 0 and line.command == "init" and is_changed:
        found = f"a half-made home is left: {sorted(_files(workspace.new))[:5]}"
    if not found and situation.name == "home: missing" and workspace.home.exists():
        found = "a home was made by a command that is not init"
    return found


def judge(exited: Exit, situation: Situation, line: Line) -> str:
    """What is wrong with how a command exited."""
    stderr = exited.stderr.strip()
    if exited.status is None:
        return f"it does not end: {stderr[-300:]!r}"
    if "Traceback" in exited.stdout + exited.stderr:
        return f"a traceback: {(exited.stdout + exited.stderr)[-700:]}"
    if exited.status not in STATUSES:
        return f"status {exited.status} is not documented: {stderr[-300:]!r}"
    if exited.status == 0:
        may_succeed = not situation.fails or line.command in situation.spares
        return "" if may_succeed else f"it succeeds: {exited.stdout[-200:]!r} {stderr[-200:]!r}"
    if situation.is_silent:
        return ""
    if not stderr and not exited.stdout.strip():
        return f"status {exited.status} without a word"
    own = [one for one in stderr.splitlines() if not one.startswith("{")]
    if len(own) > MAX_LINES and exited.status != 2:
        return f"{len(own)} lines: {stderr[:600]!r}"
    if any(len(one) > MAX_CHARS for one in own):
        return f"a line of {max(map(len, own))} characters"
    if (words := _OF_PYTHON.search("\n".join(own))) is not None:
        return f"{words.group()!r} is of the program: {stderr[-400:]!r}"
    if line.command in situation.spares:
        return ""
    if situation.words and not any(word in exited.stdout + stderr for word in situation.words):
        return f"none of {situation.words} in {stderr[-400:]!r}"
    return ""


def run(line: Line, workspace: Workspace) -> Exit:
    """Fork, and run the line there: everything is imported already."""
    arguments = [word.format_map(workspace.names).replace("~", " ") for word in line.text.split()]
    (workspace.root / "stdin").write_bytes(
        line.stdin.encode() if workspace.stdin is None else workspace.stdin
    )
    pid = os.fork()
    if pid == 0:
        _become(arguments, workspace, waits=Uses.PROCESSES in line.uses)
    status = _wait(pid, workspace, is_server=line.command == "serve")
    texts = [(workspace.root / name).read_text("utf-8", "replace") for name in ("stdout", "stderr")]
    return Exit(status, *texts)


def _become(arguments: list[str], workspace: Workspace, *, waits: bool) -> None:
    """In the child: what the program sees is the workspace, and nothing of this process."""
    status = 99
    try:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.chdir(workspace.root)
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT
            opened = os.open(workspace.root / name, flags, 0o600)
            os.dup2(opened, number)
            os.close(opened)
        os.environ.clear()
        os.environ.update(workspace.environ)
        time.tzset()
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        for call in workspace.in_child:
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


def _wait(pid: int, workspace: Workspace, *, is_server: bool) -> int | None:
    """The exit status; a server that serves is stopped as its operator stops it."""
    began_s, waited_s = time.monotonic(), 0.0
    descriptor = os.pidfd_open(pid)
    try:
        while time.monotonic() - began_s - waited_s < TIMEOUT_S:
            waited_s = max(waited_s, _processor_wait_s(pid))
            if select.select([descriptor], [], [], 0.05)[0]:
                return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            if is_server and _responds(workspace.names["port"]):
                os.kill(pid, signal.SIGTERM)
                is_server = False
        _kill(pid)
        return None
    finally:
        os.close(descriptor)
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _processor_wait_s(pid: int) -> float:
    """How long the process and its children were ready to run and did not: the machine was busy."""
    found = 0
    for path in (f"/proc/{pid}/task", *_child_tasks(pid)):
        with suppress(OSError, IndexError, ValueError):
            for task in os.listdir(path):  # noqa: PTH208
                text = Path(path, task, "schedstat").read_text()
                found = max(found, int(text.split()[1]))
    return found / 1e9


def _child_tasks(pid: int) -> list[str]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [f"/proc/{child}/task" for child in children]


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

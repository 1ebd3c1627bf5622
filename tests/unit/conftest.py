"""Unit tests need nothing but Python: no server, no child process. Enforced here."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

PROCESS_EVENTS = frozenset(
    {"os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "subprocess.Popen"}
)
_forbidden = False


def _refuse_processes(event: str, _args: tuple[object, ...]) -> None:
    if _forbidden and event in PROCESS_EVENTS:
        raise AssertionError(f"a unit test starts a process ({event}): it belongs in another tier")


sys.addaudithook(_refuse_processes)


@pytest.fixture(autouse=True)
def _no_processes() -> Iterator[None]:
    """A test that starts a process fails, and the message names the folder it belongs to."""
    global _forbidden
    _forbidden = True
    yield
    _forbidden = False

"""Servers that fixtures start: one that could not start fails all its tests at once.

Several folders import the same session fixture, and pytest runs it again for each of them: without
a memory each would wait for the start of a server that cannot start.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

_T = TypeVar("_T")
_failures: dict[str, str] = {}


@contextmanager
def started(
    name: str, server: AbstractContextManager[_T], shared_failure: Path | None = None
) -> Iterator[_T]:
    """Enter `server`, unless a server of this name has failed to start in this process before.

    `shared_failure` is a file that tells other processes of the test run of the failure, for a
    server that they share.
    """
    failure = _failures.get(name) or _read(shared_failure)
    if failure:
        pytest.fail(f"{name} could not start before: {failure}", pytrace=False)
    with ExitStack() as stack:
        try:
            running = stack.enter_context(server)
        except BaseException as error:  # pytest's own failures among them: a start out of time
            _failures[name] = str(error) or type(error).__name__
            if shared_failure is not None:
                shared_failure.write_text(_failures[name])
            raise
        yield running


def _read(path: Path | None) -> str:
    return path.read_text() if path is not None and path.exists() else ""

"""The how-to of webhooks, executed as it stands: a receiver, a refused message, and its retry."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.docs.executed import Workspace, blocks_of, environ_of_reader


@pytest.mark.slow
def test_a_receiver_is_told_and_told_again(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    try:
        Workspace(work, environ_of_reader(tmp_path)).execute(blocks_of("docs/how-to/webhooks.md"))
    finally:
        for name in ("serve.pid", "receiver.pid"):
            with suppress(FileNotFoundError, ProcessLookupError):
                os.kill(int((work / name).read_text(encoding="utf-8")), signal.SIGTERM)

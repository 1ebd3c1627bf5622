"""The how-to from an empty machine to a bill, executed as it stands."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.docs.executed import Workspace, blocks_of, environ_of_reader


@pytest.mark.slow
def test_a_customer_is_made_limited_served_and_billed(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    try:
        Workspace(work, environ_of_reader(tmp_path)).execute(
            blocks_of("docs/how-to/sell-query-runs.md")
        )
    finally:
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int((work / "serve.pid").read_text(encoding="utf-8")), signal.SIGTERM)

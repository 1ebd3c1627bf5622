"""The examples of the Python client pass a strict type checker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.executed import blocks_of

PAGE = "docs/how-to/client.md"


@pytest.mark.slow
def test_the_examples_of_the_client_are_typed(tmp_path: Path) -> None:
    blocks = [block.text for block in blocks_of(PAGE) if block.language == "python"]
    example = tmp_path / "example.py"
    example.write_text("\n".join(blocks), encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", str(example)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

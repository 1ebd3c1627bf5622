"""A process that may open few files says so, and does not blame the files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from queryrun.cli.home import init_home

LIMITED = """
import resource, sys
kind, value = getattr(resource, sys.argv[1]), int(sys.argv[2])
resource.setrlimit(kind, (value, value))
sys.argv = ["queryrun", *sys.argv[3:]]
from queryrun_cli.main import main
main()
"""


@pytest.mark.parametrize(
    ("limit", "line", "words"),
    [
        (20, ("serve", "--port", "0"), "may open 20 files"),
        (20, ("clients", "ls"), "open files"),
        (10, ("clients", "ls"), "open files"),
    ],
)
def test_a_limit_of_open_files_is_named_as_that(
    tmp_path: Path, limit: int, line: tuple[str, ...], words: str
) -> None:
    """SQLite says of it that a file cannot be opened, as of one that is missing."""
    home = init_home(tmp_path / "home", entity="main", factor=None).home
    command = [
        sys.executable,
        "-c",
        LIMITED,
        "RLIMIT_NOFILE",
        str(limit),
        *line,
        "--home",
        str(home),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert "Traceback" not in done.stderr
    assert done.returncode == 0 or (done.returncode == 1 and words in done.stderr), done.stderr
    assert done.returncode == 1 or line[0] != "serve"

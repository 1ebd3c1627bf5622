"""The tutorial, from its first block to its last, as a reader goes through it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.docs.executed import Block, Workspace, blocks_of
from tests.ports import free_port

BIN = Path(sys.executable).parent


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    port = str(free_port())
    environ = {k: v for k, v in os.environ.items() if not k.startswith("QUERYRUN_")} | {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "QUERYRUN_SERVER__PORT": port,
    }
    workspace = Workspace(tmp_path, environ, lambda text: text.replace("8080", port))
    first, serve, *rest = blocks_of("docs/tutorial.md")
    workspace.execute([first])
    with served(serve, workspace):
        workspace.execute(rest)


@contextmanager
def served(block: Block, workspace: Workspace) -> Iterator[None]:
    """The block with `queryrun serve`, left running."""
    assert "queryrun serve" in block.text
    with (workspace.directory / "log").open("w") as log:
        process = subprocess.Popen(
            [BIN / "queryrun", *shlex.split(block.text)[1:]],
            cwd=workspace.directory,
            env=dict(workspace.environ),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    try:
        assert any("listening" in line for line in process.stdout)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        process.stdout.close()

"""Pages whose blocks are executed: ```sh and ```python as they stand, and what they print must
match the ```text block that follows, where `…` stands for anything. ```bash is for people only.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES_WITH_SERVERS = {
    "docs/how-to/cluster.md",
    "docs/how-to/backup.md",
    "docs/how-to/sell-query-runs.md",
    "docs/how-to/webhooks.md",
}
"""They start servers of their own, each in a test of its own."""
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One block to execute, and the output it is expected to print."""

    language: str
    text: str
    expected: str | None = None


def environ_of_reader(directory: Path) -> dict[str, str]:
    """Our commands on the path, profiles in a directory of their own, and no setting of ours."""
    ours = {name: text for name, text in os.environ.items() if "QUERYRUN" not in name}
    return ours | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "XDG_CONFIG_HOME": str(directory / "config"),
    }


def blocks_of(page: str) -> list[Block]:
    """The blocks of a page that are executed, in order."""
    blocks: list[Block] = []
    for language, text in FENCE.findall((ROOT / page).read_text(encoding="utf-8")):
        if language in ("sh", "python"):
            blocks.append(Block(language, text))
        elif language == "text":
            last = blocks.pop()
            blocks.append(Block(last.language, last.text, text))
    return blocks


def pages_for_one_server() -> list[str]:
    """The how-tos and explanations whose blocks are executed on a server that is there."""
    folders = (ROOT / "docs" / name for name in ("how-to", "explanation"))
    pages = sorted(str(page.relative_to(ROOT)) for one in folders for page in one.glob("*.md"))
    return [page for page in pages if page not in PAGES_WITH_SERVERS and blocks_of(page)]


@dataclass
class Workspace:
    """A directory in which blocks are executed. Python blocks of a page share their variables."""

    directory: Path
    environ: Mapping[str, str]
    change: Callable[[str], str] = str
    """What a block's text becomes first: another port, for instance."""
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "page"})

    def execute(self, blocks: list[Block]) -> None:
        """Execute blocks in order; the first that fails, or prints something else, fails."""
        for block in blocks:
            text = self.change(block.text)
            printed = self._shell(text) if block.language == "sh" else self._python(text)
            if block.expected is not None:
                assert pattern_of(block.expected).fullmatch(printed), f"{block.text}\n{printed}"

    def _python(self, text: str) -> str:
        code = compile(text, "page", "exec", dont_inherit=True)
        with (
            pytest.MonkeyPatch.context() as environment,
            contextlib.chdir(self.directory),
            contextlib.redirect_stdout(io.StringIO()) as printed,
        ):
            for name, value in self.environ.items():
                environment.setenv(name, value)
            exec(code, self.names)  # noqa: S102 the page's own text is what is tested
        return printed.getvalue()

    def _shell(self, text: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.directory,
            env=dict(self.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout


def pattern_of(expected: str) -> re.Pattern[str]:
    """`…` for anything in a line, runs of blanks for any blanks."""
    lines = [re.sub(r"(\\ )+", r"\\s+", re.escape(line)) for line in expected.splitlines()]
    return re.compile("\n".join(line.replace("…", ".*") for line in lines) + "\n?")

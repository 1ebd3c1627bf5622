"""`make terminal-picture`: what `queryrun demo` prints, really run, as docs/pictures/demo.svg."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tools.set_version import ROOT

TARGET = ROOT / "docs/pictures/demo.svg"
COLUMNS = 84
FONT = re.compile(r"@font-face\s*\{.*?\}", flags=re.DOTALL)
"""Fonts of other servers: a picture loads nothing."""


def main() -> int:
    """Run the demonstration and draw its output. Returns its status."""
    command = [str(Path(sys.executable).with_name("queryrun")), "demo"]
    environ = os.environ | {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    done = subprocess.run(command, env=environ, capture_output=True)  # noqa: S603
    if done.returncode:
        print(done.stderr.decode(), file=sys.stderr)
        return done.returncode
    output = last_states(done.stdout.decode())  # as bytes: its carriage returns matter
    TARGET.write_text(drawn(f"$ queryrun demo\n{output}"), encoding="utf-8")
    return 0


def last_states(output: str) -> str:
    """The output without the earlier states of its progress bar, as a terminal ends up."""
    states = re.split(r"\r?\x1b\[1A(?:\x1b\[2K)?|\r\x1b\[2K", output)
    for number, state in enumerate(states[:-1]):
        states[number] = state.rpartition("\n")[0] + "\n" if "\n" in state else ""
    plain = re.sub(r"\x1b\[\?25[hl]", "", "".join(states))
    return re.sub(r"\n{2,}", "\n", plain)


def drawn(output: str) -> str:
    """A terminal with this text, as SVG. Its names depend on the text alone."""
    console = Console(width=COLUMNS, record=True, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(output))
    return FONT.sub("", console.export_svg(title="queryrun demo", unique_id="demo")).strip() + "\n"


if __name__ == "__main__":
    sys.exit(main())

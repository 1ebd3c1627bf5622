"""Break one mechanism at a time in a copy of the tree, and see what notices: `make mutation-run`.

Each mutation is put before the tests of the guarantee and before the cancel suite on a small
scale. The table goes to standard output as Markdown; the exit status is 1 when a mutation that
is not known to be harmless went unnoticed.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.mutants.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]
TESTS = (
    "tests/faults/test_cancel_in_every_stage.py",
    "tests/faults/test_one_way_to_stop.py",
    "tests/faults/test_sick_engine.py",
    "tests/faults/test_reaper_kills.py",
    "tests/faults/test_lost_claims.py",
    "tests/stateful/test_run_lifecycle.py",
    "tests/contract/test_sqlite_run_store.py",
)
CRASH_TESTS = ("tests/faults/test_crash_during_cancel.py",)
MAX_FAILURES = 3
"""Per mutation: enough to say who noticed, without waiting for everyone who would have."""
SUITE: tuple[str, ...] = (
    "--scale",
    "0.005",
    "--statement",
    "list_sum of many ranges",
    "--statement",
)
SUITE += ("cross join count", "--statement", "copy 2e9 rows: csv, gzip")
_BOUND_S = 400
_FAILED = re.compile(r"^(?:FAILED|ERROR) tests/(?:\w+/)*(\w+)\.py::(?:\w+::)?(\w+)", re.M)


@dataclass(frozen=True, slots=True)
class Noticed:
    """Which tests failed and which classes broke for one mutation."""

    tests: tuple[str, ...]
    classes: tuple[str, ...]

    @property
    def anything(self) -> bool:
        """Whether any test noticed it."""
        return bool(self.tests or self.classes)


def main() -> int:
    """Run them all, or those named."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only", action="append", default=[], help="name of a mutation")
    arguments.add_argument("--whole", action="store_true", help="break nothing, notice nothing")
    arguments.add_argument("--no-tests", action="store_true")
    arguments.add_argument("--no-suite", action="store_true")
    given = arguments.parse_args()
    must_import()
    if given.whole:
        return 0 if is_whole() else 1
    chosen = [m for m in MUTATIONS if not given.only or m.name in given.only]
    print("| broken on purpose | noticed by the suite | noticed by tests |\n|---|---|---|")
    unnoticed = 0
    for mutation in chosen:
        with mutated(mutation) as tree:
            noticed = Noticed(
                () if given.no_tests else failing_tests(tree, mutation),
                () if given.no_suite else broken_classes(tree, mutation.classes),
            )
        unnoticed += not noticed.anything and not mutation.harmless
        print(row(mutation, noticed), flush=True)
    return 1 if unnoticed else 0


def must_import() -> None:
    """On an incomplete commit every test would fail, whatever is broken."""
    whole = Mutation("nothing", ())
    with mutated(whole) as tree:
        command = ["-c", "import queryrun.wiring.node, queryrun_cli.main; print('whole')"]
        if "whole" not in _run(tree, command):
            raise SystemExit("the commit cannot even be imported; name another: COMMIT=…")


def is_whole() -> bool:
    """The unbroken tree must not be noticed; otherwise the rest means nothing."""
    whole = Mutation("nothing", ())
    with mutated(whole) as tree:
        noticed = Noticed(failing_tests(tree, whole), broken_classes(tree, "ABCDEFG"))
    print(row(whole, noticed), flush=True)
    return not noticed.anything


def row(mutation: Mutation, noticed: Noticed) -> str:
    """One line of the table."""
    classes = ", ".join(noticed.classes) or "-"
    tests = "; ".join(f"`{test}`" for test in noticed.tests) or "-"
    if not noticed.anything:
        tests = f"**nobody**: {mutation.harmless}" if mutation.harmless else "**NOBODY**"
    return f"| {mutation.name} | {classes} | {tests} |"


@contextmanager
def mutated(mutation: Mutation) -> Iterator[Path]:
    """A copy of the tree with the mutation applied."""
    with tempfile.TemporaryDirectory(prefix="queryrun-mutant-") as directory:
        tree = Path(directory)
        shutil.copytree(committed(), tree, dirs_exist_ok=True)
        for edit in mutation.edits:
            edit.apply(tree)
        try:
            yield tree
        finally:
            end_what_was_left(tree)


@cache
def committed() -> Path:
    """The tree as committed (`COMMIT`, or the last), so it is consistent; removed at the end."""
    directory = tempfile.mkdtemp(prefix="queryrun-committed-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    parts = ("src", "packages", "tests", "pyproject.toml")
    archive = subprocess.run(
        ["git", "archive", os.environ.get("COMMIT", "HEAD"), *parts],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    subprocess.run(["tar", "-x"], cwd=directory, input=archive.stdout, check=True)
    return Path(directory)


def end_what_was_left(tree: Path) -> None:
    """Some mutants leave processes behind, as expected; all of them carry the tree's path."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            is_ours = str(tree).encode() in (path / "environ").read_bytes()
        except OSError:
            continue
        if is_ours and int(path.name) != os.getpid():
            with suppress(ProcessLookupError):
                os.kill(int(path.name), signal.SIGKILL)


def failing_tests(tree: Path, mutation: Mutation) -> tuple[str, ...]:
    """The tests that fail on this tree, up to `MAX_FAILURES`."""
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", f"--maxfail={MAX_FAILURES}"]
    tests = [*TESTS, *CRASH_TESTS] if mutation.crashes else TESTS
    output = _run(tree, [*command, "--timeout=40", *tests])
    found = _FAILED.findall(output)
    return tuple(dict.fromkeys(f"{module}: {test}" for module, test in found))


def broken_classes(tree: Path, classes: str) -> tuple[str, ...]:
    """The classes of the suite that break on this tree; a suite that hangs or dies counts too."""
    report = tree / "report.json"
    where = ["--json", str(report)]
    began = time.monotonic()
    _run(tree, ["-m", "queryrun.cli", "cancel-suite", *SUITE, "--classes", classes, *where])
    if not report.exists():
        late = time.monotonic() - began > _BOUND_S - 1
        return ("the suite did not end",) if late else ("the suite could not go on",)
    found = json.loads(report.read_text(encoding="utf-8"))["classes"]
    return tuple(one["class"] for one in found if not _as_on_a_busy_machine(one))


def _as_on_a_busy_machine(one: dict[str, object]) -> bool:
    """Whether the class holds, but for bars of time that a busy machine misses: only those above
    the hard bound of two seconds count here."""
    bars = one["bars"]
    assert isinstance(bars, list)
    slow = any(bar["unit"] == "ms" and not bar["value"] <= _HARD_MS for bar in bars)
    return not one["violations"] and not slow


_HARD_MS = 2_000.0


def _run(tree: Path, arguments: list[str]) -> str:
    source = os.pathsep.join(str(tree / folder) for folder in ("src", "packages/client/src"))
    environ = os.environ | {"PYTHONPATH": source, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *arguments]
    try:
        done = subprocess.run(
            command, cwd=tree, env=environ, capture_output=True, text=True, timeout=_BOUND_S
        )
    except subprocess.TimeoutExpired as late:
        return (late.stdout or b"").decode(errors="replace")
    return done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())

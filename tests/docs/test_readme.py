"""What the README says of a clone; `test_first_hour.py` executes the rest of it, in order."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def targets() -> set[str]:
    """Every `make` target that the README or CONTRIBUTING.md names."""
    text = README + (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return set(re.findall(r"^make ([a-z-]+)", text, flags=re.MULTILINE))


@pytest.mark.parametrize("target", sorted(targets()))
def test_every_make_target_that_is_named_exists(target: str) -> None:
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_make_demo_cancels_a_runaway_and_leaves_nothing_running() -> None:
    output = run_block("make demo", ROOT)
    assert "UA,United Air Lines Inc.,58665" in output
    assert re.search(r"canceled in \d+ ms", output)
    assert "nothing is left running" in output
    servers = re.findall(r"\(process (\d+), ready", output)
    workers = re.findall(r"worker process (\d+) computes", output)
    assert servers
    assert workers
    assert not any(Path(f"/proc/{pid}").exists() for pid in servers + workers)


def test_make_serve_makes_a_home_and_stays_until_it_is_stopped(tmp_path: Path) -> None:
    with subprocess.Popen(
        ["make", "serve", f"HOME_DIR={tmp_path / 'home'}", "PORT=0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        url = next(line.split()[-1] for line in process.stdout if "listening" in line)
        with urllib.request.urlopen(f"{url}/readyz") as response:  # noqa: S310 a loopback URL
            assert response.status == 200
        os.killpg(process.pid, signal.SIGTERM)
        process.stdout.read()
    assert process.returncode in (0, -signal.SIGTERM), "make reports the signal that it got itself"


def test_make_bench_measures_and_ends_with_a_table() -> None:
    """One of the measurements, as `make bench` runs them all."""
    output = run_block(".venv/bin/python -m benchmarks footprint", ROOT)
    assert output.startswith("Measured on: ")
    assert output.rstrip().splitlines()[-1].startswith("| start of the command to ready")


def test_the_test_suite_is_what_ci_runs() -> None:
    assert "make test" in (ROOT / ".ci/run").read_text(encoding="utf-8")


def run_block(text: str, directory: Path) -> str:
    """Execute a block in a shell that stops at the first error; its output."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

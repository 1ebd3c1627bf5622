"""The demonstration: a separate server, a query, its file, a runaway and its cancel."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from queryrun.cli.home import MadeHome, init_home
from queryrun.demo import missing_tables
from queryrun.processes.child_setup import die_with_parent

FLIGHTS_QUERY = """\
SELECT carrier, name, count(*) AS flights, round(avg(dep_delay), 2) AS mean_delay
FROM flights JOIN airlines USING (carrier)
GROUP BY carrier, name ORDER BY flights DESC"""
BILLING_QUERY = """\
SELECT country, count(*) AS accounts, sum(balance) AS balance
FROM account JOIN contact ON contact.id = account.billtoid
GROUP BY country ORDER BY accounts DESC, country"""
"""For an installation without the flights."""
RUNAWAY = """\
SELECT count(*) FROM UNNEST(sequence(1, 9999)) a (x), UNNEST(sequence(1, 9999)) b (y),
    UNNEST(sequence(1, 9999)) c (z) WHERE x * y > z"""
"""A condition on every pair of pairs, as a forgotten join has it: a thousand billion rows."""

_READY_S = 20
_STOP_S = 15
_POLL_S = 0.05
_HEAD = 6

console = Console(highlight=False, markup=False, emoji=False)  # rows and messages are text


def run_demo() -> None:
    """Run the demonstration in a temporary home; raises when a step fails.

    Whatever ends it, nothing of it is left running; only SIGKILL leaves the temporary home.
    """
    signal.signal(signal.SIGTERM, _exit_on_sigterm)
    with tempfile.TemporaryDirectory(prefix="queryrun-demo-") as directory:
        made = _make_home(Path(directory) / "home")
        with _server(made.home) as (process, url), httpx.Client(base_url=url, timeout=30) as http:
            _authorize(http, made)
            _download_a_result(http)
            _cancel_a_runaway(http, process.pid)
    console.print("done: the server has exited and nothing is left running", style="bold")


def _exit_on_sigterm(_number: int, _frame: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _make_home(home: Path) -> MadeHome:
    console.rule("1  a home with sample data")
    if note := missing_tables():
        console.print(note)
    made = init_home(home, entity="main", factor=1.0)
    console.print(f"{made.tables} tables in {made.data_dir}")
    return made


@contextmanager
def _server(home: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`queryrun serve` on a free loopback port, stopped at the end of the block."""
    console.rule("2  a server on a free loopback port")
    command = [sys.executable, "-m", "queryrun.cli", "serve", "--home", str(home)]
    began, demo = time.monotonic(), os.getpid()
    with (home.parent / "server.log").open("w") as log:
        process = subprocess.Popen(  # noqa: S603 our own program, fixed arguments
            [*command, "--host", "127.0.0.1", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            preexec_fn=lambda: die_with_parent(demo),  # also when the demo itself is killed
        )
    try:
        url = _announced_url(process)
        duration_s = time.monotonic() - began
        console.print(f"{url} (process {process.pid}, ready after {duration_s:.2f} s)")
        yield process, url
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(timeout=_STOP_S)
        console.print(f"server exited with status {status}")


def _announced_url(process: subprocess.Popen[str]) -> str:
    """The URL that the server prints once it listens."""
    assert process.stdout is not None  # noqa: S101 a pipe was requested
    for line in process.stdout:
        if line.strip().startswith("listening"):
            return line.split()[-1]
    raise RuntimeError("the server exited before it listened")


def _authorize(http: httpx.Client, made: MadeHome) -> None:
    """Uses the token endpoint, so that the demo goes through what a client does."""
    console.rule("3  a token")
    form = {
        "grant_type": "client_credentials",
        "client_id": made.issued.client.id,
        "client_secret": made.issued.secret,
    }
    token = _json(http.post("/oauth/token", data=form))
    http.headers["authorization"] = f"Bearer {token['access_token']}"
    console.print(f"a bearer token for {token['expires_in']} s")


def _download_a_result(http: httpx.Client) -> None:
    """Sends no token with the download, because the link itself authorizes it."""
    console.rule("4  a query and its file")
    query = BILLING_QUERY if missing_tables() else FLIGHTS_QUERY
    console.print(query, style="cyan")
    run = _json(http.post("/v2/query_runs", json={"sql": query, "content_type": "csv"}))
    run = _watch(http, run["id"])
    if run["state"] != "complete":
        raise RuntimeError(f"the query finished {run['state']}: {run.get('error')}")
    text = http.get(run["file"]["url"], headers={"authorization": ""}).text
    console.print(f"{run['number_of_rows']} rows in {run['processing_duration']} ms:")
    for line in itertools.islice(text.splitlines(), _HEAD):
        console.print(f"  {line}")


def _watch(http: httpx.Client, run_id: str) -> dict[str, Any]:
    """Wait until a run has finished, with a progress bar."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=False) as progress:
        task = progress.add_task("accepted", total=None)
        while True:
            run = _json(http.get(f"/v2/query_runs/{run_id}"))
            progress.update(task, description=run["state"])
            if run["state"] in {"complete", "failed", "canceled"}:
                progress.update(task, total=1, completed=1)
                return run
            time.sleep(_POLL_S)


def _cancel_a_runaway(http: httpx.Client, server: int) -> None:
    """Reads the process table right after the response, so that a late exit is noticed."""
    console.rule("5  a runaway, cancelled")
    console.print(RUNAWAY, style="cyan")
    run = _json(http.post("/v2/query_runs", json={"sql": RUNAWAY, "content_type": "json"}))
    worker = _wait_for_worker(run["id"], server)
    console.print(f"worker process {worker} computes it: {_cpu_s(worker):.2f} s of CPU so far")
    began = time.monotonic()
    response = http.post(f"/v2/query_runs/{run['id']}/cancel", params={"fields[]": _FIELDS})
    duration_ms = (time.monotonic() - began) * 1000
    gone = not Path(f"/proc/{worker}").exists()
    canceled = _json(response)
    console.print(f"the response: {json.dumps(canceled)}")
    if canceled["state"] != "canceled" or not gone:
        raise RuntimeError("the cancel did not stop the work")
    console.print(
        f"canceled in {duration_ms:.0f} ms, request to response; "
        f"worker process {worker} is gone from the process table",
        style="bold green",
    )


_FIELDS = "id,state,cancellation"


def _wait_for_worker(run_id: str, server: int) -> int:
    """The worker that computes the run. Workers have the run's id in their process name."""
    name = f"qr:{run_id[:12]}"
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        for pid in _descendants(server):
            if _comm(pid) == name and _cpu_s(pid) > _BUSY_S:
                return pid
        time.sleep(_POLL_S)
    raise RuntimeError("no worker computes the run")


_BUSY_S = 0.5
"""CPU time after which a worker is certainly computing."""


def _descendants(pid: int) -> Iterator[int]:
    """Every descendant of `pid`; none if it has exited."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return
    for child in children:
        yield int(child)
        yield from _descendants(int(child))


def _comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _cpu_s(pid: int) -> float:
    """Seconds of CPU a process has used, in user and kernel mode (proc(5), fields 14 and 15)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _json(response: httpx.Response) -> dict[str, Any]:
    if response.status_code >= 400:
        raise RuntimeError(f"{response.status_code}: {response.text}")
    data: dict[str, Any] = response.json()
    return data

"""The moments of a run's life: each brings runs to it, and says what goes on during the fault."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2 as httpx

from tests.faults.campaign.shim import SLOW_TABLE
from tests.faults.campaign.site import SLOTS, SLOW_ROWS, Site, wait_until, workers_named

ENDLESS = "SELECT count(*) AS n FROM range(10000000000) a(i) JOIN range(1000) b(i) ON a.i > b.i"
SECONDS = f"SELECT sum(i) + {{value}} AS n FROM {SLOW_TABLE}"
LARGE = f"SELECT i, 'row ' || i || repeat('.', 100) AS t FROM {SLOW_TABLE}"
LARGE_LINES = [f"{i},row {i}{'.' * 100}" for i in range(SLOW_ROWS)]
_ARRIVE_S = 30.0


@dataclass
class Submitted:
    """A run, and what its file has to contain. `expected` None: it ends by a cancel alone."""

    id: str
    expected: Callable[[str], bool] | None
    cancel_sent: bool = False
    cancel_accepted: bool = False
    canceled_seen: bool = False


@dataclass
class Case:
    """What one case has done so far."""

    site: Site
    runs: list[Submitted] = field(default_factory=list)
    blockers: list[Submitted] = field(default_factory=list)
    """Runs whose workers stand still, so that their slots stay taken."""
    violations: list[str] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)
    """Clients that may still wait for a response."""
    timeout_s: float = 30.0
    """How long a response may take."""
    kills: int = 0
    """Workers that the moment itself has killed: those attempts are charged."""
    refused: int = 0
    """Submits that were refused or not answered."""

    def submit(self, sql: str, expected: Callable[[str], bool] | None) -> Submitted | None:
        """Submit; None when it was not accepted."""
        body = {"sql": sql, "content_type": "csv"}
        try:
            response = self.site.call("POST", "/v2/query_runs", self.timeout_s, json=body)
        except httpx.HTTPError:
            self.refused += 1
            return None
        if response.status_code != 201:
            self.refused += 1
            if response.status_code not in {429, 503}:
                self.violations.append(f"submit: {response.status_code} {response.text[:200]}")
            return None
        run = Submitted(response.json()["id"], expected)
        self.runs.append(run)
        return run

    def quick(self) -> Submitted | None:
        """A run of milliseconds with one known value."""
        value = self.site.dice.randrange(10**9)
        return self.submit(f"SELECT {value} AS a", lambda text: text == f"a\n{value}\n")

    def seconds(self) -> Submitted | None:
        """A run of a second or two, spent with a slow disk."""
        value = self.site.dice.randrange(10**9)
        total = sum(range(SLOW_ROWS)) + value
        return self.submit(SECONDS.format(value=value), lambda text: text == f"n\n{total}\n")

    def large(self) -> Submitted | None:
        """A run with some 12 MB of result."""
        return self.submit(LARGE, _is_large)

    def endless(self) -> Submitted | None:
        """A run that only a cancel ends."""
        return self.submit(ENDLESS, None)

    def cancel(self, run: Submitted, prefer: str = "") -> None:
        """Cancel. What the response says has to be true at once."""
        run.cancel_sent = True
        headers = {"prefer": prefer} if prefer else {}
        path = f"/v2/query_runs/{run.id}/cancel"
        try:
            response = self.site.call("POST", path, self.timeout_s, headers=headers)
        except httpx.HTTPError:
            return
        if response.status_code in {200, 202}:
            run.cancel_accepted = True
            self.note_state(run, response.json())
        elif response.status_code not in {400, 409, 429, 503}:
            self.violations.append(f"cancel: {response.status_code} {response.text[:200]}")

    def note_state(self, run: Submitted, body: dict[str, Any]) -> None:
        """`canceled` means that nothing of the run works any more."""
        if body.get("state") == "canceled":
            run.canceled_seen = True
            if left := workers_named(run.id):
                self.violations.append(f"{run.id} is canceled, and {left} work for it")
        elif run.canceled_seen:
            self.violations.append(f"{run.id} was canceled and is {body.get('state')}")


def _is_large(text: str) -> bool:
    """All rows; their order is nobody's promise."""
    header, *lines = text.splitlines()
    return header == "i,t" and (lines == LARGE_LINES or sorted(lines) == sorted(LARGE_LINES))


@dataclass(frozen=True)
class Moment:
    """`arrange` runs before the fault, `during` while it holds."""

    name: str
    arrange: Callable[[Case], None]
    during: Callable[[Case], None] = lambda _case: None
    restarts: bool = False
    """Whether the node is stopped in it."""


def _state(case: Case, run: Submitted) -> str:
    with suppress(httpx.HTTPError, ValueError, KeyError):
        return str(case.site.call("GET", f"/v2/query_runs/{run.id}").json().get("state", ""))
    return ""


def _submit_three(case: Case) -> None:
    for _ in range(3):
        case.quick()


def _submit_at_once(case: Case) -> None:
    """Several clients at the instant at which the fault begins."""
    threads = [threading.Thread(target=case.quick) for _ in range(4)]
    case.threads += threads
    for thread in threads:
        thread.start()
    time.sleep(case.site.dice.random() * 0.05)


def _queued(case: Case) -> None:
    """All slots are busy, with workers that stand still: they would take the processors from all
    other sites."""
    blockers = [case.endless() for _ in range(SLOTS * (2 if case.site.store == "postgres" else 1))]
    for blocker in blockers:
        if blocker is not None:
            _wait_for_worker(case, blocker)
            _signal_workers(blocker, signal.SIGSTOP)
            case.blockers.append(blocker)
    case.quick()


def _wait_for_worker(case: Case, run: Submitted) -> bool:
    return wait_until(lambda: case.site.has_worker(run.id), _ARRIVE_S)


def _signal_workers(run: Submitted, number: signal.Signals) -> None:
    for pid in workers_named(run.id):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _claimed(case: Case) -> None:
    case.seconds()
    time.sleep(case.site.dice.random() * 0.03)


def _executing(case: Case) -> None:
    run = case.seconds()
    if run is not None:
        _wait_for_worker(case, run)
        time.sleep(case.site.dice.random() * 0.3)


def _writing(case: Case) -> None:
    run = case.large()
    if run is not None:
        _wait_for_worker(case, run)
        time.sleep(0.1 + case.site.dice.random() * 0.4)


def _finishing(case: Case) -> None:
    case.quick()
    time.sleep(case.site.dice.random() * 0.12)


def _endless(case: Case) -> None:
    run = case.endless()
    if run is not None:
        _wait_for_worker(case, run)


def _canceling(case: Case) -> None:
    _endless(case)
    for run in case.runs:
        case.cancel(run, "respond-async")
    time.sleep(case.site.dice.random() * 0.02)


def _cancel_all(case: Case) -> None:
    for run in case.runs:
        case.cancel(run)


def _cancel_queue(case: Case) -> None:
    for run in case.blockers:
        _signal_workers(run, signal.SIGCONT)
    _cancel_all(case)


def _requeued(case: Case) -> None:
    """Its worker has just died."""
    run = case.seconds()
    if run is not None and _wait_for_worker(case, run):
        for pid in workers_named(run.id):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            case.kills += 1


def _draining(case: Case) -> None:
    case.seconds()
    case.quick()
    with suppress(ProcessLookupError):
        case.site.server.process.send_signal(signal.SIGTERM)
    time.sleep(case.site.dice.random() * 0.1)


def _downloading(case: Case) -> None:
    """It is complete, and its file is read during the fault."""
    run = case.quick()
    if run is not None:
        wait_until(lambda: _state(case, run) in {"complete", "failed"}, _ARRIVE_S)


def _download(case: Case) -> None:
    for run in case.runs:
        with suppress(httpx.HTTPError, ValueError, KeyError):
            found = case.site.call("GET", f"/v2/query_runs/{run.id}", case.timeout_s).json()
            response = httpx.get(found["file"]["url"], timeout=case.timeout_s)
            if response.status_code == 200 and run.expected and not run.expected(response.text):
                case.violations.append(f"a wrong download of {run.id}: {response.text[:100]!r}")


MOMENTS = (
    Moment("before a submit", lambda _case: None, _submit_three),
    Moment("while submitting", _submit_at_once),
    Moment("queued", _queued, _cancel_queue),
    Moment("claimed", _claimed),
    Moment("executing", _executing),
    Moment("writing", _writing),
    Moment("finishing", _finishing),
    Moment("running, then canceled", _endless, _cancel_all),
    Moment("canceling", _canceling),
    Moment("requeued", _requeued),
    Moment("draining", _draining, restarts=True),
    Moment("downloading", _downloading, _download),
)

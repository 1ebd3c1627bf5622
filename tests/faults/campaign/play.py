"""Plays one case: a fault at a moment; then the invariants are checked, also from outside."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import httpx2 as httpx

from tests.faults.campaign.faults import Fault
from tests.faults.campaign.moments import Case, Moment, Submitted
from tests.faults.campaign.site import (
    READY_TIMEOUT_S,
    Site,
    wait_until,
    workers_named,
)

NAMED_S = 20.0
"""Within this time health has to name what is broken, and the log the cause."""
END_S = 90.0
"""Within this time every accepted run ends once the fault is over."""
EXIT_S = 45.0
_UNFINISHED = "SELECT id FROM runs WHERE state NOT IN ('complete', 'failed', 'canceled')"
_TWICE = (
    "SELECT run_seq FROM run_events WHERE state IN ('complete', 'failed', 'canceled')"
    " GROUP BY run_seq HAVING count(*) > 1"
)
_FAILED_ATTEMPTS = (
    "SELECT number, node, failure_code, failure_message FROM attempts"
    " WHERE run_seq = (SELECT seq FROM runs WHERE id = '{}')"
)
_UNOWNED = (
    "SELECT r.id FROM runs r JOIN attempts a ON a.run_seq = r.seq"
    " WHERE a.ended_ms IS NULL AND r.state IN ('complete', 'failed', 'canceled', 'accepted')"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a case came to."""

    runs: int
    refused: int
    hits: int
    violations: tuple[str, ...]


def play(site: Site, fault: Fault, moment: Moment) -> Outcome:
    """Play it. The site is ready afterwards, or the violations say why not."""
    case, hits, position = Case(site), site.shim.hits, site.log_size()
    moment.arrange(case)
    with fault.inject(site):
        case.timeout_s = 0.1 if fault.is_silent else fault.timeout_s
        moment.during(case)
        if fault.part and not moment.restarts:
            _wait_until_named(case, fault, position)
        else:
            time.sleep(site.dice.uniform(*fault.hold_s))
    case.timeout_s = Case.timeout_s
    _return_to_service(case, moment)
    for thread in case.threads:
        thread.join()
    _wait_terminal(case)
    _check_records(case, fault)
    log = site.logged_since(position)
    if "Traceback (most recent call last)" in log:
        case.violations.append(f"a traceback in the log: {_after(log, 'Traceback')}")
    return Outcome(
        len(case.runs), case.refused, site.shim.hits - hits, tuple(dict.fromkeys(case.violations))
    )


def _after(text: str, word: str) -> str:
    return text[text.index(word) :][:600]


def _wait_until_named(case: Case, fault: Fault, position: int) -> None:
    """Health and the log have to say what is wrong while it is."""
    site, found = case.site, {}

    def is_named() -> bool:
        status, checks = site.readiness()
        found.update(checks)
        return status == 503 and checks.get(fault.part, "ok") != "ok"

    if not wait_until(is_named, NAMED_S):
        case.violations.append(f"health says {found.get(fault.part)!r} of {fault.part}")
    elif not wait_until(
        lambda: any(word in site.logged_since(position) for word in fault.words), NAMED_S
    ):
        case.violations.append(f"none of {fault.words} in the log")


def _return_to_service(case: Case, moment: Moment) -> None:
    site = case.site
    if moment.restarts:
        try:
            site.server.process.wait(timeout=EXIT_S)
        except Exception as error:
            case.violations.append(f"the node does not end: {error}")
            site.kill_node()
    site.restart_if_gone()
    last: dict[str, str] = {}

    def is_ready() -> bool:
        status, checks = site.readiness()
        last.clear()
        last.update({name: text for name, text in checks.items() if text != "ok"})
        return status == 200

    if not wait_until(is_ready, READY_TIMEOUT_S):
        case.violations.append(f"not ready again: {last}")


def _wait_terminal(case: Case) -> None:
    """Cancel what only a cancel ends, and wait for all; also for what was accepted unheard."""
    own = {run.id: run for run in case.runs}
    deadline = time.monotonic() + END_S
    while time.monotonic() < deadline:
        with _tolerant():
            left = [str(row[0]) for row in case.site.query(_UNFINISHED)]
            if not left:
                return
            for run_id in left:
                run = own.get(run_id)
                if run is None or run.expected is None or run.cancel_accepted:
                    case.cancel(run or Submitted(run_id, None))
        time.sleep(0.05)
    states = case.site.query(
        "SELECT id, state, attempt FROM runs WHERE id IN ('" + "','".join(left) + "')"
    )
    case.violations.append(f"not ended after {END_S:.0f} s: {states}")


@contextmanager
def _tolerant() -> Iterator[None]:
    with suppress(httpx.HTTPError):
        yield


def _check_records(case: Case, fault: Fault) -> None:
    site = case.site
    if twice := site.query(_TWICE):
        case.violations.append(f"ended twice: {twice}")
    if unowned := site.query(_UNOWNED):
        case.violations.append(f"an attempt of an ended run is live: {unowned}")
    for run in case.runs:
        _check_run(case, run, fault)
        if not wait_until(lambda one=run: not workers_named(one.id), 5):  # type: ignore[misc]
            case.violations.append(f"{run.id} has ended, and {workers_named(run.id)} work for it")


def _check_run(case: Case, run: Submitted, fault: Fault) -> None:
    fields = {"fields[]": "state,file,error,remaining_attempts"}
    response = case.site.call("GET", f"/v2/query_runs/{run.id}", 30.0, params=fields)
    if response.status_code != 200:
        case.violations.append(f"{run.id} was accepted and is lost: {response.status_code}")
        return
    body = response.json()
    case.note_state(run, body)
    state = body["state"]
    if run.cancel_accepted and state != "canceled":
        case.violations.append(f"{run.id}: its cancel was accepted, and it is {state}")
    elif state == "failed":
        case.violations.append(f"{run.id} failed: {body.get('error')}")
    elif state == "canceled" and run.expected is not None and not run.cancel_sent:
        case.violations.append(f"{run.id} is canceled, and nobody canceled it")
    elif state == "complete":
        _check_file(case, run, body)
    if not fault.charges and body["remaining_attempts"] != 3 and not case.kills:
        case.violations.append(
            f"{run.id} was charged: {body['remaining_attempts']} attempts left"
            f" {case.site.query(_FAILED_ATTEMPTS.format(run.id))}"
        )


def _check_file(case: Case, run: Submitted, body: dict[str, object]) -> None:
    file = body["file"]
    assert isinstance(file, dict)
    response = httpx.get(str(file["url"]), timeout=30)
    if response.status_code != 200:
        case.violations.append(f"the file of {run.id}: {response.status_code}")
    elif run.expected is not None and not run.expected(response.text):
        case.violations.append(f"a wrong answer of {run.id}: {response.text[:100]!r}")

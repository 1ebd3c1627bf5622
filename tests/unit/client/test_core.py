"""The protocol without a network: tokens, retries, waits and cancels, against a script."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import queryrun_client
from queryrun_client import (
    BadRequest,
    CancelOutcome,
    Client,
    ClientError,
    Conflict,
    Options,
    Retry,
    RunInfo,
    RunQuery,
    State,
    StillRunning,
    TooManyRequests,
    Unauthorized,
    UnexpectedResponse,
    Unreachable,
)
from queryrun_client.core import EARLY_POLLS_S, Core
from queryrun_client.model import Submission
from queryrun_client.v2 import ApiV2
from queryrun_client.wire import state_of
from tests.unit.client.scripted import TOKEN, keys, response, run_body, script, silence

SUBMISSION = Submission("SELECT 1")
SEEN = RunInfo("r1", State.ACCEPTED)


def test_a_submit_has_the_token_and_its_own_key() -> None:
    world = script(TOKEN, response(201, run_body()), response(201, run_body()))
    world.run(world.core.submit(SUBMISSION))
    world.run(world.core.submit(SUBMISSION))
    posts = world.sent("/v2/query_runs")
    assert {post.headers["authorization"] for post in posts} == {"Bearer t1"}
    assert len(keys(posts)) == 2
    assert len(world.sent("/oauth/token")) == 1


def test_a_submit_without_a_response_is_retried_with_the_same_key() -> None:
    world = script(TOKEN, silence(), silence(), response(201, run_body()))
    assert world.run(world.core.submit(SUBMISSION)).id == "r1"
    posts = world.sent("/v2/query_runs")
    assert (len(posts), len(keys(posts))) == (3, 1)


def test_no_response_to_any_attempt_is_unreachable() -> None:
    world = script(TOKEN, *(silence() for _ in range(6)))
    with pytest.raises(Unreachable):
        world.run(world.core.submit(SUBMISSION))
    assert world.replies == []


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_retry_after_is_respected(status: int) -> None:
    world = script(TOKEN, response(status, retry_after="7"), response(201, run_body()))
    world.run(world.core.submit(SUBMISSION))
    assert world.sleeps == [7.0]


def test_a_delay_longer_than_the_budget_is_not_started() -> None:
    world = script(TOKEN, response(429, {"errors": []}, retry_after="600"))
    with pytest.raises(TooManyRequests) as caught:
        world.run(world.core.submit(SUBMISSION))
    assert (world.sleeps, caught.value.retry_after_s) == ([], 600.0)


def test_delays_grow_and_attempts_are_limited() -> None:
    world = script(TOKEN, *(response(503) for _ in range(6)))
    with pytest.raises(ClientError):
        world.run(world.core.submit(SUBMISSION))
    assert len(world.sleeps) == 5
    assert all(0.1 * 2**n <= pause <= 0.2 * 2**n for n, pause in enumerate(world.sleeps))


def test_a_key_in_use_is_retried_and_a_key_of_another_request_is_not() -> None:
    world = script(TOKEN, response(409, retry_after="1"), response(422, {"errors": []}))
    with pytest.raises(Conflict):
        world.run(world.core.submit(SUBMISSION))
    assert world.sleeps == [1.0]


@pytest.mark.parametrize("status", [400, 500])
def test_other_error_responses_are_not_retried(status: int) -> None:
    world = script(TOKEN, response(status, {"errors": []}))
    with pytest.raises(ClientError):
        world.run(world.core.submit(SUBMISSION))
    assert world.replies == []


def test_a_refusal_keeps_code_message_parameter_and_request_id() -> None:
    entry = {"code": "invalid_parameter", "parameter": "sql", "message": "'sql' is required"}
    refusal = response(400, {"type": "bad_request", "errors": [entry]}, zuora_request_id="q")
    world = script(TOKEN, refusal)
    with pytest.raises(BadRequest) as caught:
        world.run(world.core.submit(SUBMISSION))
    found = caught.value.refusal
    assert (found.code, found.parameter, found.message) == tuple(entry.values())
    assert found.request_id == "q"


def test_a_token_is_renewed_before_it_expires() -> None:
    world = script(TOKEN, response(200, run_body()), TOKEN, response(200, run_body()))
    world.run(world.core.read("r1"))
    world.time_s += 3599 - 59
    world.run(world.core.read("r1"))
    assert len(world.sent("/oauth/token")) == 2


def test_a_refused_token_is_renewed_once_and_only_once() -> None:
    second = response(200, {"access_token": "t2", "expires_in": 3599})
    world = script(TOKEN, response(401), second, response(401, {"errors": []}))
    with pytest.raises(Unauthorized):
        world.run(world.core.read("r1"))
    used = [request.headers["authorization"] for request in world.sent("/r1")]
    assert used == ["Bearer t1", "Bearer t2"]


def test_the_refusal_of_credentials_never_repeats_the_secret() -> None:
    body = {"error": "invalid_client", "error_description": "client authentication failed"}
    world = script(response(401, body))
    with pytest.raises(Unauthorized, match="client authentication failed") as caught:
        world.run(world.core.read("r1"))
    assert caught.value.code == "invalid_client"
    assert "secret" not in repr(world.requests)


def test_a_given_token_is_used_and_never_renewed() -> None:
    world = script(response(401, {"errors": []}))
    world.core = Core("http://x", None, "v2", Options(token="mine"))
    with pytest.raises(Unauthorized):
        world.run(world.core.read("r1"))
    assert [request.headers["authorization"] for request in world.requests] == ["Bearer mine"]


def test_a_client_needs_credentials_or_a_token() -> None:
    with pytest.raises(ClientError, match="token"):
        Core("http://x", None, "v2", Options())


def test_a_redirect_is_an_error() -> None:
    world = script(TOKEN, response(302, location="http://elsewhere/"))
    with pytest.raises(UnexpectedResponse, match="redirect"):
        world.run(world.core.read("r1"))


def test_every_request_names_the_entity() -> None:
    world = script(TOKEN, response(200, run_body()))
    world.core = world.client(options=Options(entity_id="e1"))
    world.run(world.core.read("r1"))
    assert [request.headers["zuora-entity-ids"] for request in world.requests] == ["e1", "e1"]


# --- waiting ----------------------------------------------------------------------------------


def test_a_server_that_supports_waiting_is_not_polled() -> None:
    waited = response(200, run_body("in_progress"), preference_applied="wait=20")
    world = script(TOKEN, waited, waited, response(200, run_body("complete")))
    assert world.run(world.core.wait(SEEN)).state is State.COMPLETE
    assert world.sleeps == []
    assert {request.headers.get("prefer") for request in world.sent("/r1")} == {"wait=20"}


def test_a_server_that_ignores_waiting_is_polled_with_growing_delays() -> None:
    going = [response(200, run_body("in_progress")) for _ in range(14)]
    world = script(TOKEN, *going, response(200, run_body("complete")))
    world.run(world.core.wait(SEEN))
    assert world.sleeps == sorted(world.sleeps)
    assert (world.sleeps[0], world.sleeps[-1]) == (0.1, 5.0)


def test_a_watcher_is_called_at_least_every_second() -> None:
    waited = response(
        200,
        run_body("in_progress", progress={"percent": 40, "rows": 7}),
        preference_applied="wait=1",
    )
    early = [response(200, run_body("in_progress")) for _ in EARLY_POLLS_S]
    world = script(TOKEN, *early, waited, response(200, run_body("complete", number_of_rows=9)))
    notified: list[RunInfo] = []
    world.run(world.core.wait(SEEN, watcher=notified.append))
    assert [info.state for info in notified][-3:] == [State.IN_PROGRESS] * 2 + [State.COMPLETE]
    assert [(info.percent, info.number_of_rows) for info in notified][-2:] == [(40.0, 7), (None, 9)]
    assert world.sent("/r1")[-1].headers["prefer"] == "wait=1"


def test_a_watcher_is_called_more_than_once_in_the_first_second() -> None:
    world = script(
        TOKEN,
        response(200, run_body("in_progress", progress={"percent": None, "rows": 3})),
        response(200, run_body("complete", number_of_rows=9)),
    )
    notified: list[RunInfo] = []
    world.run(world.core.wait(SEEN, watcher=notified.append))
    assert [info.number_of_rows for info in notified] == [None, 3, 9]
    assert world.sleeps == list(EARLY_POLLS_S[:2])
    assert sum(EARLY_POLLS_S) < 1
    assert all("prefer" not in request.headers for request in world.sent("/r1"))


def test_a_wait_ends_at_its_timeout() -> None:
    world = script(TOKEN, *(response(200, run_body("in_progress")) for _ in range(50)))
    with pytest.raises(StillRunning):
        world.run(world.core.wait(SEEN, timeout_s=3))
    assert sum(world.sleeps) == pytest.approx(3)


@pytest.mark.parametrize("word", ["canceled", "cancelled", "CANCELLED", "complete", "completed"])
def test_both_spellings_end_a_wait(word: str) -> None:
    world = script(TOKEN, response(200, run_body(word)))
    assert world.run(world.core.wait(SEEN)).state.is_terminal


def test_an_unknown_state_is_an_error_and_not_a_longer_wait() -> None:
    world = script(TOKEN, response(200, run_body("aborted")))
    with pytest.raises(UnexpectedResponse, match="aborted"):
        world.run(world.core.wait(SEEN))


def test_a_server_that_refuses_our_fields_is_read_without_them() -> None:
    entry = {"code": "invalid_parameter", "parameter": "fields[]", "message": "unknown"}
    world = script(TOKEN, response(400, {"errors": [entry]}), response(200, run_body("complete")))
    assert world.run(world.core.read("r1")).state is State.COMPLETE
    first, second = world.sent("/r1")
    assert "queue_position" in first.url
    assert "queue_position" not in second.url


# --- cancel -----------------------------------------------------------------------------------


def refused_cancel(state: str) -> object:
    entry = {"code": f"run_already_{state}", "parameter": "query_run_id", "message": "no"}
    return {"type": "bad_request", "errors": [entry]}


def test_cancel_returns_only_when_the_server_reports_canceled() -> None:
    going = response(200, run_body("in_progress"), preference_applied="wait=1")
    world = script(TOKEN, going, going, response(200, run_body("canceled")))
    done = world.run(world.core.cancel("r1", None))
    assert (done.outcome, done.info.state) == (CancelOutcome.CANCELED, State.CANCELED)
    assert world.replies == []


def test_a_cancel_without_a_response_is_retried_with_the_same_key() -> None:
    world = script(TOKEN, silence(), response(200, run_body("canceled")))
    assert world.run(world.core.cancel("r1", None)).outcome is CancelOutcome.CANCELED
    posts = world.sent("/r1/cancel")
    assert (len(posts), len(keys(posts))) == (2, 1)


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        ("canceled", CancelOutcome.ALREADY_CANCELED),
        ("complete", CancelOutcome.TOO_LATE),
        ("failed", CancelOutcome.TOO_LATE),
    ],
)
def test_a_cancel_of_a_finished_run_returns_its_state(state: str, outcome: CancelOutcome) -> None:
    world = script(TOKEN, response(400, refused_cancel(state)), response(200, run_body(state)))
    done = world.run(world.core.cancel("r1", None))
    assert (done.outcome, done.info.state) == (outcome, State(state))


def test_a_run_that_completes_although_its_cancel_was_accepted_counts_as_too_late() -> None:
    """Our server does not do that; a compatible one may."""
    world = script(
        TOKEN, response(200, run_body("in_progress")), response(200, run_body("complete"))
    )
    assert world.run(world.core.cancel("r1", None)).too_late


def test_another_refusal_of_a_cancel_is_an_error() -> None:
    entry = {"code": "invalid_parameter", "parameter": "page_size", "message": "no"}
    world = script(TOKEN, response(400, {"errors": [entry]}))
    with pytest.raises(BadRequest):
        world.run(world.core.cancel("r1", None))


def test_an_engine_that_does_not_stop_in_time_is_still_running() -> None:
    world = script(TOKEN, *(response(200, run_body("in_progress")) for _ in range(50)))
    with pytest.raises(StillRunning):
        world.run(world.core.cancel("r1", 2.0))


# --- lists, and the rest ----------------------------------------------------------------------


def test_a_listing_is_filtered_by_the_server_and_again_here() -> None:
    data = [run_body("complete"), run_body("failed")]
    world = script(TOKEN, response(200, {"next_page": "c", "data": data}))
    page = world.run(world.core.page(RunQuery(state="complete", limit=5), None))
    assert ([run.state for run in page.runs], page.cursor) == ([State.COMPLETE], "c")
    assert "state.EQ%3Acomplete" in world.requests[-1].url
    assert "page_size=5" in world.requests[-1].url


def test_a_listing_of_less_than_no_runs_is_refused_before_it_is_used() -> None:
    with (
        Client("http://x", options=Options(token="t")) as client,
        pytest.raises(ValueError, match="limit is -1: give 0 or more runs, or None for all"),
    ):
        client.runs(limit=-1)


@pytest.mark.parametrize("url", ["http://x", "http://x/", "http://x/v2", "http://x/v2/"])
def test_the_url_may_end_in_v2(url: str) -> None:
    core = Core(url, None, "v2", Options(token="t"))
    assert isinstance(core.api_version, ApiV2)
    assert core.api_version.base == "http://x"


def test_a_url_without_a_scheme_is_refused() -> None:
    with pytest.raises(ClientError, match="https://"):
        Core("queries.example.net", None, "v2", Options(token="t"))


def test_an_id_is_escaped_in_a_path() -> None:
    world = script(TOKEN, response(200, run_body()))
    world.run(world.core.read("../oauth?x"))
    assert world.requests[-1].url.startswith("http://x/v2/query_runs/..%2Foauth%3Fx?")


@pytest.mark.parametrize(
    ("word", "state"),
    [("submitted", State.PENDING), ("Cancelled", State.CANCELED), ("completed", State.COMPLETE)],
)
def test_states_of_v1_are_recognized(word: str, state: State) -> None:
    assert state_of(word) is state


def test_the_caller_chooses_the_number_of_attempts() -> None:
    world = script(TOKEN, silence())
    world.core = world.client(options=Options(retry=Retry(attempts=1)))
    with pytest.raises(Unreachable):
        world.run(world.core.read("r1"))
    assert world.sleeps == []


def test_the_client_imports_no_other_package_of_ours() -> None:
    folder = Path(queryrun_client.__file__).parent
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = _imported(node)
            foreign = [n for n in names if re.match(r"queryrun(?!_client\b)", n)]
            assert foreign == [], path


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []

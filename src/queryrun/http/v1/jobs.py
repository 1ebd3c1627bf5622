"""Create, read, list and cancel data query jobs: parse, call one function, render."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import uuid4

import msgspec

from queryrun.errors import (
    Forbidden,
    InvalidRequest,
    NotCancellable,
    NotFound,
    Problem,
)
from queryrun.http import headers, once
from queryrun.http.bodies import read_json_body
from queryrun.http.call import Answer, Call
from queryrun.http.links import links_of
from queryrun.http.parts import HttpParts
from queryrun.http.properties import decode_object, key_warning
from queryrun.http.v1.body import JobBody, parse_job_body
from queryrun.http.v1.render import INDEX_JOIN, WORDS, job_body, job_object
from queryrun.http.waits import cancel_wait_s, waited
from queryrun.runs.cancel import cancel
from queryrun.runs.desk import Desk
from queryrun.runs.model import Run, RunRequest, StoredAnswer
from queryrun.runs.read import is_run_id, read_many, read_one
from queryrun.runs.state import RunState
from queryrun.runs.store import RunQuery
from queryrun.runs.submit import submit

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 1000
"""Contract A7."""

PADDING = "0" * 28
"""What makes a 36-character id as long as one SDK's DELETE demands (contract A9)."""

NOT_JSON = "Unable to process JSON"
"""Contract D2."""


async def create_job(parts: HttpParts, call: Call) -> Answer:
    """`POST /query/jobs` (contract A6): 200, and once per idempotency key, refusals included."""
    wrong: list[Problem] = []
    key_text = headers.idempotency_key(call, wrong)
    raw = await read_json_body(call, parts.settings.body_bytes)
    content = decode_object(raw, [])
    key = once.key_of(call, key_text, raw if content is None else content)
    return await once.answered(parts, call, key, lambda: _create(parts, call, content, key, wrong))


async def _create(
    parts: HttpParts,
    call: Call,
    content: dict[str, object] | None,
    key: once.Key | None,
    wrong: list[Problem],
) -> Answer:
    if content is None:
        raise InvalidRequest.of("body", NOT_JSON)
    org_ids = headers.org_ids(call, call.who.org_ids, wrong)
    body = parse_job_body(content, wrong)
    if wrong or body is None:
        raise InvalidRequest(*wrong)
    request = _request(parts.desk, call, body, org_ids)
    links = links_of(parts)
    stored = once.stored_with(key, lambda run: StoredAnswer(200, job_body(run, links)))
    call.run_id = str(uuid4())
    accepted = await submit(parts.desk, request, idempotent=stored, run_id=call.run_id)
    if accepted.replay is not None:
        return once.replayed(accepted.replay)
    answer = await _shown_after(parts, call, accepted.run)
    answer.headers += key_warning(request.output)
    return answer


def _request(desk: Desk, call: Call, body: JobBody, org_ids: tuple[str, ...]) -> RunRequest:
    who = call.who
    return RunRequest(
        tenant_id=who.tenant_id,
        entity_id=who.entity_id,
        client_id=who.client_id,
        source=_source(desk, body.source_data),
        sql=body.query,
        output=body.output,
        deleted_rows=body.deleted_rows,
        org_ids=org_ids,
        extras=(INDEX_JOIN,) if body.use_index_join else (),
    )


def _source(desk: Desk, source_data: str) -> str:
    """The source that a word of v1 means (contract H20): `live`, or the default where there is
    none of that name; `warehouse`, or a 400."""
    if source_data == "LIVE":
        return "live" if "live" in desk.sources else desk.default_source
    if "warehouse" in desk.sources:
        return "warehouse"
    raise InvalidRequest.of("sourceData", f"'sourceData' {source_data} is not available here")


async def get_job(parts: HttpParts, call: Call) -> Answer:
    """`GET /query/jobs/{job_id}` (contract A8)."""
    run = await _visible(parts.desk, call, call.path_parameters["job_id"])
    return await _shown_after(parts, call, run)


async def cancel_job(parts: HttpParts, call: Call) -> Answer:
    """`DELETE /query/jobs/{job_id}` (contract A9). Waits like v2's cancel, and as provably."""
    run = await _visible(parts.desk, call, _without_padding(call.path_parameters["job_id"]))
    wish = headers.preference(call)
    try:
        run = await cancel(parts.desk, call.who, run.id, wait_s=cancel_wait_s(call, wish))
    except NotCancellable as error:
        message = f"Job {run.id} is not in accepted or in_progress status"
        raise InvalidRequest(Problem(error.problem.code, "job_id", message)) from error
    return Answer(200, job_body(run, links_of(parts)), headers=wish.applied)


async def list_jobs(parts: HttpParts, call: Call) -> Answer:
    """`GET /query/jobs` (contract A7): newest first; one page, there is no cursor."""
    wrong: list[Problem] = []
    states = _states(call.values("queryStatus"), wrong)
    size = _page_size(call.values("pageSize"), wrong)
    if wrong:
        raise InvalidRequest(*wrong)
    query = RunQuery(call.who.tenant_id, states=states or frozenset(), limit=size)
    runs = () if states == frozenset() else (await read_many(parts.desk, call.who, query)).runs
    links = links_of(parts)
    return Answer(200, msgspec.json.encode({"data": [job_object(run, links) for run in runs]}))


async def _shown_after(parts: HttpParts, call: Call, run: Run) -> Answer:
    """The job, after the wait that `Prefer` asked for."""
    wish = headers.preference(call)
    run = await waited(parts, call, run, wish)
    return Answer(200, job_body(run, links_of(parts)), headers=wish.applied)


# --- ids ------------------------------------------------------------------------------------


def _without_padding(text: str) -> str:
    """A job's id from the 64 characters that one SDK insists on; anything else as it is."""
    return text[:36] if len(text) == 64 and text.endswith(PADDING) else text


async def _visible(desk: Desk, call: Call, job_id: str) -> Run:
    """The run, if the caller may see it. On this face somebody else's is a 403 (contract A8), as
    long as it is the same tenant's: beyond that nothing exists."""
    call.run_id = job_id
    try:
        return await read_one(desk, call.who, job_id)
    except NotFound:
        run = await desk.store.get(job_id) if is_run_id(job_id) else None
    if run is not None and run.request.tenant_id == call.who.tenant_id:
        raise Forbidden(f"Job {job_id} belongs to somebody else")
    raise NotFound("job_id", f"Job {job_id[:64]} could not be found")


# --- list parameters ------------------------------------------------------------------------


def _spellings() -> dict[str, frozenset[RunState]]:
    """Every word for a state, of both faces, and the states it means (contract B2)."""
    meanings: dict[str, set[RunState]] = {"submitted": set(), "pending": set()}
    for state in RunState:
        for word in (state.shown.value, WORDS.get(state, state.shown.value)):
            meanings.setdefault(word, set()).add(state)
    return {word: frozenset(states) for word, states in meanings.items()}


SPELLINGS = _spellings()
STATUS_WORDS = ("submitted", "accepted", "in_progress", "completed", "failed", "cancelled")


def _states(values: Iterable[str], wrong: list[Problem]) -> frozenset[RunState] | None:
    """The states to list; None for all of them."""
    words = list(values)
    if not words:
        return None
    if not all(word in SPELLINGS for word in words):
        message = f"'queryStatus' must be one of {', '.join(STATUS_WORDS)}"
        wrong.append(Problem("invalid_parameter", "queryStatus", message))
        return None
    return frozenset[RunState]().union(*(SPELLINGS[word] for word in words))


def _page_size(values: list[str], wrong: list[Problem]) -> int:
    if not values:
        return DEFAULT_PAGE_SIZE
    text = values[-1]
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0
    if not 1 <= number <= MAX_PAGE_SIZE:
        message = f"'pageSize' must be a whole number from 1 to {MAX_PAGE_SIZE}"
        wrong.append(Problem("invalid_parameter", "pageSize", message))
    return number

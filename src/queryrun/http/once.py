"""Idempotency keys on both faces (contract C11): the fingerprint, replays, and what is kept.

A run and its answer are stored in one transaction by `accept` and `cancel`; refusals, which have
no effect to share a transaction with, are stored here. Kept are 2xx, 400, 404 and 422; never
401, 403, 409, 429 or 5xx, which a retry is meant to get past.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256

import msgspec

from queryrun.errors import RequestError
from queryrun.http.context import AppContext
from queryrun.http.problems import response_for
from queryrun.http.request import ApiRequest, Response
from queryrun.runs.model import IdempotentWrite, Run, StoredAnswer

KEPT_REFUSALS = frozenset({400, 404, 422})
REPLAYED = ("idempotency-replayed", "true")


@dataclass(frozen=True, slots=True)
class Key:
    """One caller's key, bound to the request that used it."""

    tenant_id: str
    text: str
    fingerprint: str


def key_of(
    request: ApiRequest, text: str | None, body: bytes | dict[str, object] = b""
) -> Key | None:
    """The key with its fingerprint: who, where, method, path and the body's meaning.

    A JSON body counts by content, so that a client that orders its keys anew still retries.
    """
    if text is None:
        return None
    who = request.who
    content = body if isinstance(body, bytes) else msgspec.json.encode(body, order="sorted")
    identity = (who.client_id, who.entity_id, request.method, request.path)
    digest = sha256("\n".join(identity).encode() + b"\n" + content).hexdigest()
    return Key(who.tenant_id, text, digest)


def stored_with(key: Key | None, response: Callable[[Run], StoredAnswer]) -> IdempotentWrite | None:
    """What the store needs to keep the answer together with its effect; None without a key."""
    return (
        None if key is None else IdempotentWrite(key.tenant_id, key.text, key.fingerprint, response)
    )


async def replay_of(app: AppContext, key: Key | None) -> Response | None:
    """The first answer once more, when there was one. Raises when the key is another request's
    or its first request is still being answered."""
    if key is None:
        return None
    stored = await app.idempotency.find_key(key.tenant_id, key.text, key.fingerprint)
    return None if stored is None else replayed(stored)


async def answered(
    app: AppContext, request: ApiRequest, key: Key | None, work: Callable[[], Awaitable[Response]]
) -> Response:
    """The first answer once more, or that of `work`, whose refusal is kept as well as raised."""
    if (replay := await replay_of(app, key)) is not None:
        return replay
    try:
        return await work()
    except RequestError as error:
        await keep(app, key, response_for(error, request.api_version))
        raise


def replayed(stored: StoredAnswer) -> Response:
    """A stored answer, marked as such; a created run's `Location` comes along when it is known."""
    response = Response(stored.status, stored.body, headers=[REPLAYED])
    if stored.status == 201:
        run_id = msgspec.json.decode(stored.body).get("id")
        response.headers += [("location", f"/v2/query_runs/{run_id}")] if run_id else []
    return response


async def keep(app: AppContext, key: Key | None, response: Response) -> None:
    """Store the answer of a request that had no effect of its own to be stored with."""
    if key is None or (response.status >= 400 and response.status not in KEPT_REFUSALS):
        return
    if await app.idempotency.reserve_key(key.tenant_id, key.text, key.fingerprint) is None:
        await finish(app, key, response)


async def finish(app: AppContext, key: Key | None, response: Response) -> None:
    """Store the final answer of a key that is in flight."""
    if key is not None:
        stored = StoredAnswer(response.status, response.body)
        await app.idempotency.complete_key(key.tenant_id, key.text, stored)

"""Idempotency keys of both API versions (contract C11): fingerprints, replays, what is stored.

`accept` and `cancel` store a run and its response in one transaction. Refusals change no run, so
they are stored here. Stored are 2xx, 400, 404 and 422; never 401, 403, 409, 429 or 5xx, which a
retry is meant to get past.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256

import msgspec

from queryrun.errors import RequestError
from queryrun.http.context import AppContext
from queryrun.http.problems import response_for
from queryrun.http.request import ApiRequest, Response
from queryrun.http.stored_response import decode_response, encode_response
from queryrun.runs.model import IdempotencyKey, IdempotentWrite, Run

STORED_REFUSALS = frozenset({400, 404, 422})
REPLAYED = ("idempotency-replayed", "true")


def key_of(
    request: ApiRequest, text: str | None, body: bytes | dict[str, object] = b""
) -> IdempotencyKey | None:
    """The key with its fingerprint: who, where, method, path and the body's meaning.

    A JSON body counts by content, so that a client that orders its keys anew still retries.
    """
    if text is None:
        return None
    who = request.who
    content = body if isinstance(body, bytes) else msgspec.json.encode(body, order="sorted")
    identity = (who.client_id, who.entity_id, request.method, request.path)
    digest = sha256("\n".join(identity).encode() + b"\n" + content).hexdigest()
    return IdempotencyKey(who.tenant_id, text, digest)


def write_with(
    key: IdempotencyKey | None, status: int, body: Callable[[Run], bytes]
) -> IdempotentWrite | None:
    """What the store needs to keep the response together with its effect; None without a key."""
    if key is None:
        return None
    return IdempotentWrite(key, lambda run: encode_response(status, body(run)))


async def replay_of(app: AppContext, key: IdempotencyKey | None) -> Response | None:
    """The first response again, if there was one. Raises when the key is another request's or its
    first request is still in progress."""
    if key is None:
        return None
    stored = await app.idempotency.find_key(key)
    return None if stored is None else replayed(stored)


async def idempotent(
    app: AppContext,
    request: ApiRequest,
    key: IdempotencyKey | None,
    work: Callable[[], Awaitable[Response]],
) -> Response:
    """The first response again, or that of `work`, whose refusal is stored as well as raised."""
    if (replay := await replay_of(app, key)) is not None:
        return replay
    try:
        return await work()
    except RequestError as error:
        await store_response(app, key, response_for(error, request.api_version))
        raise


def replayed(stored: bytes) -> Response:
    """A stored response, marked as such. A created run comes with its `Location`."""
    response = decode_response(stored)
    response.headers = [REPLAYED]
    if response.status == 201:
        run_id = msgspec.json.decode(response.body).get("id")
        response.headers += [("location", f"/v2/query_runs/{run_id}")] if run_id else []
    return response


async def store_response(app: AppContext, key: IdempotencyKey | None, response: Response) -> None:
    """Store the response of a request that changed nothing it could be stored with."""
    if key is None or (response.status >= 400 and response.status not in STORED_REFUSALS):
        return
    if await app.idempotency.reserve_key(key) is None:
        await complete(app, key, response)


async def complete(app: AppContext, key: IdempotencyKey | None, response: Response) -> None:
    """Store the final response of a reserved key."""
    if key is not None:
        await app.idempotency.complete_key(key, encode_response(response.status, response.body))

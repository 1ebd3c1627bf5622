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
from queryrun.http.call import Answer, Call
from queryrun.http.parts import HttpParts
from queryrun.http.problems import answer_for
from queryrun.runs.model import IdempotentWrite, Run, StoredAnswer

KEPT_REFUSALS = frozenset({400, 404, 422})
REPLAYED = ("idempotency-replayed", "true")


@dataclass(frozen=True, slots=True)
class Key:
    """One caller's key, bound to the request that used it."""

    tenant_id: str
    text: str
    fingerprint: str


def key_of(call: Call, text: str | None, body: bytes | dict[str, object] = b"") -> Key | None:
    """The key with its fingerprint: who, where, method, path and the body's meaning.

    A JSON body counts by content, so that a client that orders its keys anew still retries.
    """
    if text is None:
        return None
    who = call.who
    content = body if isinstance(body, bytes) else msgspec.json.encode(body, order="sorted")
    parts = (who.client_id, who.entity_id, call.method, call.path)
    digest = sha256("\n".join(parts).encode() + b"\n" + content).hexdigest()
    return Key(who.tenant_id, text, digest)


def stored_with(key: Key | None, answer: Callable[[Run], StoredAnswer]) -> IdempotentWrite | None:
    """What the store needs to keep the answer together with its effect; None without a key."""
    return (
        None if key is None else IdempotentWrite(key.tenant_id, key.text, key.fingerprint, answer)
    )


async def replay_of(parts: HttpParts, key: Key | None) -> Answer | None:
    """The first answer once more, when there was one. Raises when the key is another request's
    or its first request is still being answered."""
    if key is None:
        return None
    stored = await parts.idempotency.find_key(key.tenant_id, key.text, key.fingerprint)
    return None if stored is None else replayed(stored)


async def answered(
    parts: HttpParts, call: Call, key: Key | None, work: Callable[[], Awaitable[Answer]]
) -> Answer:
    """The first answer once more, or that of `work`, whose refusal is kept as well as raised."""
    if (replay := await replay_of(parts, key)) is not None:
        return replay
    try:
        return await work()
    except RequestError as error:
        await keep(parts, key, answer_for(error, call.face))
        raise


def replayed(stored: StoredAnswer) -> Answer:
    """A stored answer, marked as such; a created run's `Location` comes along when it is known."""
    answer = Answer(stored.status, stored.body, headers=[REPLAYED])
    if stored.status == 201:
        run_id = msgspec.json.decode(stored.body).get("id")
        answer.headers += [("location", f"/v2/query_runs/{run_id}")] if run_id else []
    return answer


async def keep(parts: HttpParts, key: Key | None, answer: Answer) -> None:
    """Store the answer of a request that had no effect of its own to be stored with."""
    if key is None or (answer.status >= 400 and answer.status not in KEPT_REFUSALS):
        return
    if await parts.idempotency.reserve_key(key.tenant_id, key.text, key.fingerprint) is None:
        await finish(parts, key, answer)


async def finish(parts: HttpParts, key: Key | None, answer: Answer) -> None:
    """Store the final answer of a key that is in flight."""
    if key is not None:
        stored = StoredAnswer(answer.status, answer.body)
        await parts.idempotency.complete_key(key.tenant_id, key.text, stored)

"""Idempotency keys of both API versions (contract C11): fingerprints, replays, what is stored.

`accept` and `cancel` store a run and its response in one transaction. Refusals change no run, so
the endpoint stores them here. Stored are 2xx, 400, 404 and 422; never 401, 403, 409, 429 or 5xx,
for which a retry must be processed again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256

import msgspec
from starlette.responses import Response

from queryrun.auth.model import Scope
from queryrun.errors import Problem
from queryrun.http.context import AppContext
from queryrun.http.request import ApiRequest
from queryrun.http.stored_response import decode_response, encode_response
from queryrun.runs.model import IdempotencyKey, IdempotentWrite, Run

KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
"""1-255 characters (contract C11)."""

STORED_REFUSALS = frozenset({400, 404, 422})


async def begin(
    app: AppContext,
    request: ApiRequest,
    problems: list[Problem],
    body: bytes | dict[str, object] = b"",
) -> Response | None:
    """Bind the request to its key. Returns the first response again if the key has been used.

    None: the request is new, or has no valid key. From then on its refusals are stored under the
    key. Raises when the key belongs to another request or its first request is still in progress.
    """
    key = _key_header(request, problems)
    if key is None:
        return None
    principal = request.principal
    fingerprint = _fingerprint(request, body)
    bound = IdempotencyKey(principal.tenant_id, principal.entity_id, key, fingerprint)
    stored = await app.idempotency.find_key(bound)
    if stored is not None:
        return replayed(stored)
    request.idempotency_key = bound
    return None


def check_key(request: ApiRequest, problems: list[Problem]) -> None:
    """Report an invalid key of a request that stores nothing under it."""
    _key_header(request, problems)


def _key_header(request: ApiRequest, problems: list[Problem]) -> str | None:
    """Not stripped, because blanks inside a key count; an invalid key is a problem, not ignored."""
    raw = request.raw_header(b"idempotency-key")
    if raw is None:
        return None
    text = raw.decode("latin-1")
    if KEY.fullmatch(text):
        return text
    message = "'idempotency-key' must have 1 to 255 printable US-ASCII characters"
    problems.append(Problem("invalid_parameter", "idempotency-key", message))
    return None


def _fingerprint(request: ApiRequest, body: bytes | dict[str, object]) -> str:
    """A digest of client, entity, orgs, method, path and body. JSON is compared by content, so that
    a client that orders its keys differently still repeats the same request. A client whose orgs
    were changed, or that may no longer read, is not sent what it could read before."""
    principal = request.principal
    content = body if isinstance(body, bytes) else msgspec.json.encode(body, order="sorted")
    rights = "read" if principal.may(Scope.READ) else "", *sorted(principal.org_ids)
    identity = (principal.client_id, principal.entity_id, request.method, request.path, *rights)
    return sha256("\n".join(identity).encode() + b"\n" + content).hexdigest()


def write_for(
    request: ApiRequest, status: int, body: Callable[[Run], bytes]
) -> IdempotentWrite | None:
    """What the store needs to keep the response together with its effect; None without a key."""
    key = request.idempotency_key
    if key is None:
        return None
    return IdempotentWrite(key, lambda run: encode_response(status, body(run)))


def replayed(stored: bytes) -> Response:
    """A stored response, marked as such. `Location` is rebuilt: headers are not stored."""
    response = decode_response(stored)
    response.headers["idempotency-replayed"] = "true"
    if response.status_code == 201 and (run_id := msgspec.json.decode(response.body).get("id")):
        response.headers["location"] = f"/v2/query_runs/{run_id}"
    return response


async def store_response(app: AppContext, request: ApiRequest, response: Response) -> None:
    """Store the response of a request that changed no run: there is no write to store it with."""
    key = request.idempotency_key
    status = response.status_code
    if key is None or (status >= 400 and status not in STORED_REFUSALS):
        return
    if await app.idempotency.reserve_key(key) is None:
        await complete(app, request, response)


async def complete(app: AppContext, request: ApiRequest, response: Response) -> None:
    """Store the final response of a request whose key is reserved."""
    if request.idempotency_key is not None:
        stored = encode_response(response.status_code, bytes(response.body))
        await app.idempotency.complete_key(request.idempotency_key, stored)

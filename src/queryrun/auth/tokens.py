"""Issue and verify bearer tokens: opaque, stored as digests, one hour, several at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import uuid4

from queryrun.auth.model import Client, IssuedToken
from queryrun.auth.secrets import digest, matches, new_token
from queryrun.auth.store import AuthStore
from queryrun.errors import Unauthenticated

TOKEN_LIFETIME_S = 3600
REPORTED_LIFETIME_S = 3599
"""`expires_in` as in the contract's example: one second less, so that clients refresh early."""

MAX_SESSION_S = 12 * 3600
"""After a working day a person signs in again, however busy."""

MAX_TOKEN_LENGTH = 256
"""Longer bearer values are refused unread; ours have 68 characters."""

_NO_SECRET = ["0" * 64]
"""Compared with if there is no such client, so that both refusals take the same time."""


async def issue_token(
    store: AuthStore, client_id: str, secret: str, now: Callable[[], datetime]
) -> IssuedToken:
    """A new token for the client whose secret this is. `Unauthenticated` as `authenticate`."""
    client = await authenticate(store, client_id, secret, now())
    return await new_token_of(store, client, now())


async def authenticate(store: AuthStore, client_id: str, secret: str, now: datetime) -> Client:
    """The client whose secret this is. `Unauthenticated` covers an unknown client, a revoked one
    and a wrong secret alike."""
    client = await store.client(client_id)
    live = client is not None and client.is_live(now)
    digests = await store.secret_digests(client_id, now) if live else []
    if not matches(secret, digests or _NO_SECRET) or client is None or not live:
        raise Unauthenticated("client authentication failed")
    return client


async def new_token_of(store: AuthStore, client: Client, now: datetime) -> IssuedToken:
    """A new token for an authenticated client. Its earlier tokens stay valid, because one SDK
    refreshes every ten minutes (contract E)."""
    token = new_token()
    await store.add_token(digest(token), client.id, now + timedelta(seconds=TOKEN_LIFETIME_S))
    return IssuedToken(token, client, REPORTED_LIFETIME_S, jti=uuid4().hex)


async def new_session_of(
    store: AuthStore, client: Client, now: datetime, idle_s: float
) -> IssuedToken:
    """A token for a person's session in a browser: it ends `idle_s` after it was extended last,
    and after `MAX_SESSION_S` at any rate."""
    token = new_token()
    await store.add_token(
        digest(token),
        client.id,
        now + timedelta(seconds=min(idle_s, MAX_SESSION_S)),
        session_until=now + timedelta(seconds=MAX_SESSION_S),
    )
    return IssuedToken(token, client, int(idle_s), jti=uuid4().hex)


async def extend_session(store: AuthStore, token: str, now: datetime, idle_s: float) -> bool:
    """The person is there: another `idle_s` from now. False when the session has ended."""
    return await store.extend_session(digest(token), now + timedelta(seconds=idle_s), now)


async def client_of(store: AuthStore, authorization: str | None, now: datetime) -> Client:
    """The client behind an `Authorization: Bearer …` header.

    Looked up each time, so a revocation takes effect with the next request (on other nodes of a
    cluster within a second).
    `Unauthenticated` without a message when there were no credentials at all, with one otherwise.
    """
    if authorization is None:
        raise Unauthenticated("")
    scheme, token = _bearer(authorization)
    if scheme.lower() != "bearer" or not 0 < len(token) <= MAX_TOKEN_LENGTH:
        raise Unauthenticated("the Authorization header must be 'Bearer' and a token")
    client = await store.client_of_token(digest(token), now)
    if client is None or not client.is_live(now):
        raise Unauthenticated("the token is unknown, has expired or was revoked")
    return client


def bearer_of(authorization: str) -> str | None:
    """The token of a `Bearer` header; None for another scheme."""
    scheme, token = _bearer(authorization)
    return token if scheme.lower() == "bearer" else None


def token_digest(authorization: str) -> str:
    """What is stored of the token in an `Authorization` header that has been accepted."""
    return digest(_bearer(authorization)[1])


def _bearer(authorization: str) -> tuple[str, str]:
    scheme, _, token = authorization.partition(" ")
    return scheme, token.strip()


async def revoke_token(store: AuthStore, client: Client, token: str) -> bool:
    """Revoke one token of the client. False when it has no such token; nothing else is told."""
    if not 0 < len(token) <= MAX_TOKEN_LENGTH:
        return False
    return await store.revoke_token(digest(token), client.id)

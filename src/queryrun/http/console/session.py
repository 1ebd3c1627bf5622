"""`/console/session`: a person's session in a browser, for a client's id and secret.

The secret is read once and never kept. The session is a token of the client in the store, whose
digest is all that is stored; the browser has it in a cookie that no script can read.
"""

from __future__ import annotations

import msgspec
import structlog
from starlette.responses import Response

from queryrun.auth.model import Client
from queryrun.auth.secrets import CLIENT_ID_LENGTH, SECRET_LENGTH
from queryrun.auth.tokens import client_of, extend_session, new_session_of, revoke_token
from queryrun.errors import Forbidden, InvalidRequest, Unauthenticated
from queryrun.http.bodies import body_limit_of, decode_body, read_json_body
from queryrun.http.console.cookie import clear_cookie, is_from_console, session_token, set_cookie
from queryrun.http.context import AppContext
from queryrun.http.errors import TokenRefused
from queryrun.http.oauth import authenticated
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JsonResponse

log = structlog.get_logger()

MAX_BODY_BYTES = 4096
NO_STORE = {"cache-control": "no-store"}


class SignIn(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a sign-in."""

    client_id: str
    client_secret: str


async def sign_in(app: AppContext, request: ApiRequest) -> Response:
    """Exchange a client's id and secret for a session cookie."""
    _check_sender(request)
    body = await _body(app, request)
    client = await _client(app, request, body)
    previous = session_token(app, request)
    if previous is not None:
        await revoke_token(app.auth, client, previous)
    issued = await new_session_of(app.auth, client, app.now(), _idle_s(app))
    log.info("signed_in", client_id=client.id, remote_address=request.client_address)
    headers = {**NO_STORE, "set-cookie": set_cookie(app, request, issued.token)}
    return JsonResponse(_session(app, client), headers=headers)


async def get_session(app: AppContext, request: ApiRequest) -> Response:
    """Who is signed in. 401 when nobody is, or not any more."""
    _, client = await _signed_in(app, request)
    return JsonResponse(_session(app, client), headers=NO_STORE)


async def extend(app: AppContext, request: ApiRequest) -> Response:
    """The person is still there: the idle time starts anew."""
    token, client = await _signed_in(app, request)
    if not await extend_session(app.auth, token, app.now(), _idle_s(app)):
        raise Unauthenticated("the session has ended; sign in again")
    return JsonResponse(_session(app, client), headers=NO_STORE)


async def sign_out(app: AppContext, request: ApiRequest) -> Response:
    """End the session here and in the store. 200 too when there was none."""
    _check_sender(request)
    try:
        token, client = await _signed_in(app, request)
    except Unauthenticated:
        pass
    else:
        await revoke_token(app.auth, client, token)
        log.info("signed_out", client_id=client.id, remote_address=request.client_address)
    headers = {**NO_STORE, "set-cookie": clear_cookie(app, request)}
    return JsonResponse({}, headers=headers)


def _check_sender(request: ApiRequest) -> None:
    """Another site must not sign a person in as somebody else, nor out."""
    if not is_from_console(request):
        raise Forbidden("only the console's own page may do this (X-Queryrun-Console: 1)")


async def _body(app: AppContext, request: ApiRequest) -> SignIn:
    content = await read_json_body(
        request, MAX_BODY_BYTES, body_limit_of(app.threads.bodies, request)
    )
    try:
        return await decode_body(content, SignIn, body_limit_of(app.threads.bodies, request))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = "the body must have client_id and client_secret, both texts, and nothing else"
        raise InvalidRequest.of("body", message) from error


async def _client(app: AppContext, request: ApiRequest, body: SignIn) -> Client:
    """As the token endpoint decides, whose limits count here too."""
    if len(body.client_id) != CLIENT_ID_LENGTH or len(body.client_secret) > SECRET_LENGTH:
        await app.login_failures.charge(request)
        raise Unauthenticated("this client id and secret do not belong together")
    try:
        return await authenticated(app, request, body.client_id, body.client_secret)
    except TokenRefused as error:
        raise Unauthenticated("this client id and secret do not belong together") from error


async def _signed_in(app: AppContext, request: ApiRequest) -> tuple[str, Client]:
    token = session_token(app, request)
    if token is None:
        raise Unauthenticated("")
    return token, await client_of(app.auth, f"Bearer {token}", app.now())


def _idle_s(app: AppContext) -> float:
    return app.settings.session_idle_s


def _session(app: AppContext, client: Client) -> dict[str, object]:
    """What the page shows of who is signed in."""
    return {
        "client_id": client.id,
        "client_name": client.name,
        "scopes": sorted(client.scopes),
        "entities": [{"id": entity.id, "name": entity.name} for entity in client.entities],
        "idle_timeout_seconds": _idle_s(app),
    }

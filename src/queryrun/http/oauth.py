"""`POST /oauth/token`: client credentials for a bearer token (contract E), as in RFC 6749, 4.4;
`POST /oauth/revoke` takes one back (RFC 7009)."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import parse_qsl, unquote_plus

import structlog
from starlette.responses import Response

from queryrun.audit.model import AuditEvent
from queryrun.auth.clients import principal_of
from queryrun.auth.model import Client, IssuedToken
from queryrun.auth.secrets import CLIENT_ID_LENGTH, SECRET_LENGTH
from queryrun.auth.tokens import authenticate, new_token_of, revoke_token
from queryrun.errors import Forbidden, InvalidRequest, Unauthenticated
from queryrun.http.audit import record
from queryrun.http.authorize import entity_header
from queryrun.http.bodies import content_encoding, inflate, read_body
from queryrun.http.context import AppContext
from queryrun.http.errors import TokenRefused
from queryrun.http.login_failures import login_key
from queryrun.http.rate_limits import raise_if_exceeded
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JsonResponse

log = structlog.get_logger()

FORM = "application/x-www-form-urlencoded"
MAX_FORM_BYTES = 16 * 1024
MAX_FORM_FIELDS = 50
FIELDS = frozenset({"grant_type", "client_id", "client_secret", "token", "token_type_hint"})
"""Others are ignored (RFC 6749 section 3.2)."""
NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}
"""RFC 6749 section 5.1."""


async def issue(app: AppContext, request: ApiRequest) -> Response:
    """Exchange client credentials for a token that lives an hour."""
    form = await _form(request)
    if form.get("grant_type") != "client_credentials":
        raise _wrong_grant(form.get("grant_type"))
    client_id, secret = _credentials(request, form)
    client = await authenticated(app, request, client_id, secret)
    _check_entity(request, client)
    issued = await new_token_of(app.auth, client, app.now())
    return JsonResponse(_token_object(issued), headers=NO_STORE)


async def revoke(app: AppContext, request: ApiRequest) -> Response:
    """Revoke one token of the client (RFC 7009). 200 too for a token that it does not have."""
    form = await _form(request)
    client_id, secret = _credentials(request, form)
    if not form.get("token"):
        raise TokenRefused("invalid_request", "token is required")
    client = await authenticated(app, request, client_id, secret)
    if await revoke_token(app.auth, client, form["token"]):
        log.info("token_revoked", client_id=client.id, remote_address=request.client_address)
        await record(app, request, AuditEvent.TOKEN_REVOKED, client.id, by=client)
    return JsonResponse({}, headers=NO_STORE)


async def authenticated(
    app: AppContext, request: ApiRequest, client_id: str, secret: str
) -> Client:
    """The client whose credentials these are, counted."""
    try:
        async with app.stranger_lookups:
            client = await authenticate(app.auth, client_id, secret, app.now())
    except Unauthenticated as error:
        await app.login_failures.charge(request, client_id, str(error))
        raise TokenRefused("invalid_client", str(error)) from error
    request.quota = await app.limiters.auth_address.take(login_key(request, client.id))
    raise_if_exceeded(request.quota, "client and address")
    await _count(app, client)
    return client


async def _count(app: AppContext, client: Client) -> None:
    """By the client's first entity: nobody gets no token for what another entity requests."""
    key = f"{client.tenant_id}/{client.entities[0].id}"
    raise_if_exceeded(await app.limiters.auth_tenant.take(key), "entity")


def _wrong_grant(grant: str | None) -> TokenRefused:
    if grant is None:
        return TokenRefused("invalid_request", "grant_type is missing")
    return TokenRefused("unsupported_grant_type", "grant_type must be client_credentials")


async def _form(request: ApiRequest) -> dict[str, str]:
    """The fields that we know; one that is sent twice is refused (RFC 6749 section 3.2)."""
    media_type = (request.header(b"content-type") or "").partition(";")[0].strip().lower()
    if media_type != FORM:
        raise TokenRefused("invalid_request", f"the body must be sent as {FORM}")
    body = await read_body(request, MAX_FORM_BYTES)
    plain = inflate(body, content_encoding(request), MAX_FORM_BYTES)
    try:
        pairs = parse_qsl(
            plain.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS
        )
    except ValueError as error:
        raise TokenRefused("invalid_request", "the body is not a form") from error
    known = [pair for pair in pairs if pair[0] in FIELDS]
    form = dict(known)
    if len(form) != len(known):
        raise TokenRefused("invalid_request", "a form field was given more than once")
    return form


def _credentials(request: ApiRequest, form: dict[str, str]) -> tuple[str, str]:
    """The client's id and secret: from the form, or from HTTP Basic when the form has neither.

    Any other Authorization header is ignored: one SDK sends its old bearer token (contract E).
    """
    if "client_id" in form or "client_secret" in form:
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    else:
        client_id, secret = _basic(request)
    if not client_id or not secret:
        raise TokenRefused("invalid_request", "client_id and client_secret are required")
    if len(client_id) != CLIENT_ID_LENGTH or len(secret) > SECRET_LENGTH:
        raise TokenRefused("invalid_client", "client authentication failed")
    return client_id, secret


def _basic(request: ApiRequest) -> tuple[str, str]:
    """Basic credentials, form-encoded as RFC 6749 section 2.3.1 requires; empty when absent."""
    scheme, _, encoded = (request.header(b"authorization") or "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote_plus(client_id), unquote_plus(secret)


def _check_entity(request: ApiRequest, client: Client) -> None:
    """`Zuora-Entity-Ids` is optional here; when sent it must be one of the client's."""
    try:
        entity_id, name = entity_header(request)
        if entity_id is not None:
            principal_of(client, entity_id, name)
    except InvalidRequest as error:
        raise TokenRefused("invalid_request", str(error)) from error
    except Forbidden as error:
        raise TokenRefused("unauthorized_client", str(error)) from error


def _token_object(issued: IssuedToken) -> dict[str, object]:
    """`scope` names user, entities, rights and tenant, as the hosted system's tokens do."""
    client = issued.client
    scopes = [f"user.{client.id.replace('-', '')}"]
    scopes += [f"entity.{entity.id}" for entity in client.entities]
    scopes += [f"service.queryrun.{scope}" for scope in sorted(client.scopes)]
    scopes.append(f"tenant.{client.tenant_id}")
    return {
        "access_token": issued.token,
        "expires_in": issued.expires_in_s,
        "jti": issued.jti,
        "scope": " ".join(scopes),
        "token_type": "bearer",
    }

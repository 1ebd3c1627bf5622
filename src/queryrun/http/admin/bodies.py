"""Request bodies of `/admin/v1`, and pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import msgspec

from queryrun.auth.model import Scope
from queryrun.errors import InvalidRequest
from queryrun.http.bodies import body_limit_of, decode_body, read_json_body
from queryrun.http.context import AppContext
from queryrun.http.request import ApiRequest
from queryrun.http.signed_cursor import BadCursorError, read_signed, write_signed
from queryrun.http.v2.view import MAX_PAGE_SIZE

MAX_BODY_BYTES = 64 * 1024
MAX_ATTEMPTS = 5
"""Of a change, while others change the same."""
DEFAULT_PAGE_SIZE = 30
MAX_NAME_CHARS = 200
NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$"
"""Of tenants and entities, whose names become directories."""
ORG = r"^[^,]*[^,\s][^,]*$"
MAX_GRACE_S = 90 * 24 * 3600.0

T = TypeVar("T")


class TenantBody(msgspec.Struct, forbid_unknown_fields=True):
    """A new tenant."""

    name: str


class EntityBody(msgspec.Struct, forbid_unknown_fields=True):
    """A new entity."""

    name: str
    tenant_id: str | None = None


class ClientBody(msgspec.Struct, forbid_unknown_fields=True):
    """A new client. `entities` are names or ids of entities that exist."""

    name: str
    entities: list[str]
    scopes: list[Scope] | None = None
    org_ids: list[str] = []
    tenant_id: str | None = None
    id: str | None = None
    expires_time: datetime | None = None


class ChangeBody(msgspec.Struct, forbid_unknown_fields=True):
    """What to change of a client; what is absent stays."""

    scopes: list[Scope] | msgspec.UnsetType = msgspec.UNSET
    org_ids: list[str] | msgspec.UnsetType = msgspec.UNSET
    expires_time: datetime | msgspec.UnsetType | None = msgspec.UNSET


class RotateBody(msgspec.Struct, forbid_unknown_fields=True):
    """How long the secret before stays valid."""

    grace_s: float = 24 * 3600.0


async def body_of(app: AppContext, request: ApiRequest, kind: type[T], *, default: str = "") -> T:
    """The JSON body as this kind; `InvalidRequest` says where it is wrong. `default` is the text
    of an empty one."""
    raw = (
        await read_json_body(request, MAX_BODY_BYTES, body_limit_of(app.threads.bodies, request))
        if not default or (request.header(b"content-length") not in (None, "0"))
        else default.encode()
    )
    try:
        return await decode_body(raw, kind, body_limit_of(app.threads.bodies, request))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest.of("body", f"the body is not as documented: {error}") from error


def check_id(text: str) -> str:
    """A UUID in its 36-character form."""
    try:
        if str(UUID(text)) == text.lower() and len(text) == 36:
            return text.lower()
    except ValueError:
        pass
    raise InvalidRequest.of("id", "'id' must be a UUID of 36 characters")


def id_filter(request: ApiRequest, name: str) -> str | None:
    """The id that a list is restricted to, as it is stored; None when there is none."""
    text = request.query_value(name)
    return None if text is None else text.lower()


def paged(
    app: AppContext,
    request: ApiRequest,
    items: Sequence[T],
    key: Callable[[T], str],
    listed: str,
) -> tuple[list[T], str | None]:
    """The page of `items` that the request names, in the order of their keys, and the cursor of the
    next: whatever was removed meanwhile, it continues behind the key of the last one."""
    size, after = page_size(request), cursor_of(app, request, listed)
    rest = sorted((one for one in items if after is None or key(one) > after), key=key)
    if len(rest) <= size:
        return rest, None
    return rest[:size], write_signed(key(rest[size - 1]).encode(), listed, app.link_secret)


def cursor_of(app: AppContext, request: ApiRequest, listed: str) -> str | None:
    """The position in the cursor of the request; None for the first page."""
    cursors = request.query_values("cursor")
    if not cursors:
        return None
    try:
        return read_signed(cursors[-1], listed, app.link_secret).decode()
    except (BadCursorError, UnicodeDecodeError) as error:
        message = "'cursor' must be the next_page of the same list"
        raise InvalidRequest.of("cursor", message) from error


def page_size(request: ApiRequest) -> int:
    """The size of pages that the request names, or else `DEFAULT_PAGE_SIZE`."""
    text = request.query_value("page_size") or ""
    if not text:
        return DEFAULT_PAGE_SIZE
    if text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_PAGE_SIZE:
        return int(text)
    message = f"'page_size' must be a whole number from 1 to {MAX_PAGE_SIZE}"
    raise InvalidRequest.of("page_size", message)

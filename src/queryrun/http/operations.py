"""What an entry of the route table is: an operation, and everything there is to say about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from queryrun.auth.model import Scope
from queryrun.http.context import AppContext
from queryrun.http.request import ApiRequest, Response

Handler = Callable[[AppContext, ApiRequest], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A documented parameter. `where` is `query`, `header` or `path`."""

    name: str
    where: str
    schema: dict[str, object]
    description: str
    example: object = None
    deprecated: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """A documented request body."""

    media_type: str
    schema: str
    """Its name among the document's schemas."""
    examples: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """A documented answer. Without a schema it has no body worth describing."""

    status: int
    description: str
    schema: str | None = None
    """Its name among the document's schemas; with other media types than JSON, plain bytes."""
    media_types: tuple[str, ...] = ("application/json",)
    headers: tuple[str, ...] = ()
    """Names among the document's headers, beyond those that every answer has."""
    examples: tuple[tuple[str, object], ...] = ()
    links: tuple[tuple[str, dict[str, object]], ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path. Without a scope it needs no token."""

    method: str
    path: str
    name: str
    """`operationId`; also what the handler is known by."""
    handler: Handler
    scope: Scope | None
    tag: str
    summary: str
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    replies: tuple[Reply, ...] = ()
    errors: tuple[int, ...] = ()
    """Statuses of errors, in the shape of the operation's face."""
    error_schema: str = "Problem"
    error_notes: tuple[tuple[int, str], ...] = ()
    """What a status means here, where that is more than it means everywhere."""

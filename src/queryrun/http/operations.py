"""Entries of the route table: an operation and its documentation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.responses import Response

from queryrun.auth.model import Scope
from queryrun.http.context import AppContext
from queryrun.http.request import ApiRequest

Handler = Callable[[AppContext, ApiRequest], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A documented parameter. `location` is `query`, `header` or `path`."""

    name: str
    location: str
    schema: dict[str, object]
    description: str
    example: object = None
    deprecated: bool = False
    is_extension: bool = False
    """Whether it is an addition of ours; those are not in the document of the contract."""
    addition: str = ""
    """What its description says of our additions to it."""
    contract_schema: dict[str, object] | None = None
    """The contract's own schema, where ours says more."""


@dataclass(frozen=True, slots=True)
class RequestBody:
    """A documented request body."""

    media_type: str
    schema: str
    """Its name among the document's schemas."""
    examples: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class ResponseDoc:
    """A documented response. Without a schema its body is not described."""

    status: int
    description: str
    schema: str | None = None
    """Its name among the document's schemas; with other media types than JSON, plain bytes."""
    media_types: tuple[str, ...] = ("application/json",)
    headers: tuple[str, ...] = ()
    """Names among the document's headers, in addition to those of every response."""
    examples: tuple[tuple[str, object], ...] = ()
    links: tuple[tuple[str, dict[str, object]], ...] = ()
    is_extension: bool = False
    """Whether it is an addition of ours; those are not in the document of the contract."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path. Without a scope it needs no token."""

    method: str
    path: str
    name: str
    """`operationId`; also identifies the handler."""
    handler: Handler
    scope: Scope | None
    tag: str
    summary: str
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: RequestBody | None = None
    responses: tuple[ResponseDoc, ...] = ()
    errors: tuple[int, ...] = ()
    """Statuses of errors, in the body shape of the operation's API version."""
    error_schema: str = "Problem"
    in_contract: bool = False
    """Whether the hosted system documents it too."""
    error_notes: tuple[tuple[int, str], ...] = ()
    """What a status means here, where that differs from its general meaning."""

"""`/openapi.json` and `/docs`: the API description for programs and for people."""

from __future__ import annotations

from functools import cached_property

import msgspec
from starlette.responses import Response

from queryrun.http.context import AppContext
from queryrun.http.openapi import openapi
from queryrun.http.operations import Operation, ResponseDoc
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JsonResponse

CACHE = "max-age=300"
CONTENT_SECURITY = (
    "default-src 'none'; style-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; script-src "
)
ERRORS = (405, 500, 503, 504)


def as_json(content: dict[str, object]) -> bytes:
    """A document as it is served and committed: indented, keys in their order."""
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


class ApiDocument:
    """A route table, the two operations that serve its description, and the description.

    The description is built on the first request for it: an idle server should not pay for it.
    """

    def __init__(self, table: tuple[Operation, ...]) -> None:
        self.operations = (*table, *self._own_operations())
        """The table and the document's own operations, which are described as well."""
        self._served: tuple[str, bytes] | None = None

    def _own_operations(self) -> tuple[Operation, Operation]:
        """Handlers are methods, so that the table and the document need no circular reference."""
        return (
            Operation(
                "GET",
                "/openapi.json",
                "getOpenApi",
                self.serve_json,
                None,
                "Operations",
                "This document",
                responses=(ResponseDoc(200, "OpenAPI 3.1.", "AnyObject"),),
                errors=ERRORS,
            ),
            Operation(
                "GET",
                "/docs",
                "getDocs",
                self.serve_page,
                None,
                "Operations",
                "This document, as a page",
                responses=(ResponseDoc(200, "A page for people.", media_types=("text/html",)),),
                errors=ERRORS,
            ),
        )

    @cached_property
    def content(self) -> dict[str, object]:
        """The OpenAPI 3.1 document as plain data."""
        return openapi(self.operations)

    @cached_property
    def json(self) -> bytes:
        """The document as it is served and committed: indented, keys in the table's order."""
        return as_json(self.content)

    @cached_property
    def page(self) -> bytes:
        """The document as one HTML page: one script of its own, nothing loaded from elsewhere."""
        # Imported here: the template engine costs an idle server memory that few requests need.
        from queryrun.http.docs_page import render_page
        from queryrun.http.manual import is_installed

        return render_page(self.content, has_manual=is_installed()).encode()

    @cached_property
    def page_policy(self) -> str:
        """The page's content security policy: its own script runs, and calls this service alone."""
        from queryrun.http.docs_page import script_hash

        return CONTENT_SECURITY + script_hash()

    def _json_at(self, url: str) -> bytes:
        """Names where the service is reached, prefix included: programs that are made from the
        document call that address."""
        if self._served is None or self._served[0] != url:
            self._served = (url, as_json({**self.content, "servers": [{"url": url}]}))
        return self._served[1]

    async def serve_json(self, app: AppContext, _request: ApiRequest) -> Response:
        """`GET /openapi.json`."""
        return JsonResponse(self._json_at(app.public_url), headers={"cache-control": CACHE})

    async def serve_page(self, _app: AppContext, _request: ApiRequest) -> Response:
        """`GET /docs`."""
        headers = {"cache-control": CACHE, "content-security-policy": self.page_policy}
        return Response(self.page, headers=headers, media_type="text/html")

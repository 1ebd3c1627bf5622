"""`/openapi.json` and `/docs`: the document for programs and for people. Made once, when asked."""

from __future__ import annotations

from functools import cache

import msgspec

from queryrun.http.context import AppContext
from queryrun.http.openapi import openapi
from queryrun.http.request import ApiRequest, Response

CACHE = ("cache-control", "max-age=300")
CONTENT_SECURITY = (
    "content-security-policy",
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
)


async def openapi_json(app: AppContext, _call: ApiRequest) -> Response:
    """The OpenAPI 3.1 document of what this service serves."""
    return Response(200, document_bytes(list_runs=app.settings.list_runs), headers=[CACHE])


async def docs_page(app: AppContext, _call: ApiRequest) -> Response:
    """The same as a page: rendered here, no scripts, nothing loaded from anywhere."""
    page = _page(list_runs=app.settings.list_runs)
    return Response(200, page, "text/html; charset=utf-8", headers=[CACHE, CONTENT_SECURITY])


@cache
def document_bytes(*, list_runs: bool) -> bytes:
    """The document as it is served and committed: indented, keys in the order of the table."""
    return (
        msgspec.json.format(msgspec.json.encode(_document(list_runs=list_runs)), indent=2) + b"\n"
    )


def _document(*, list_runs: bool) -> dict[str, object]:
    # Imported here: the table names these very handlers.
    from queryrun.http.context import HttpSettings
    from queryrun.http.routes import operations

    return openapi(operations(HttpSettings(list_runs=list_runs)))


@cache
def _page(*, list_runs: bool) -> bytes:
    # Imported here: the template engine costs an idle server memory that few requests need.
    from queryrun.http.docs_page import render_page

    return render_page(_document(list_runs=list_runs)).encode()


if __name__ == "__main__":
    import sys

    sys.stdout.buffer.write(document_bytes(list_runs=True))

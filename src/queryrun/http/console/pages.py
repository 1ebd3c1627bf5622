"""`/`, `/console` and the files that the page loads."""

from __future__ import annotations

import secrets

from starlette.responses import PlainTextResponse, Response

from queryrun.console.assets import NOT_BUILT, Assets
from queryrun.http.compression import accepts_gzip
from queryrun.http.context import AppContext
from queryrun.http.errors import PathNotFound
from queryrun.http.page_headers import HARDENED, NO_FRAME
from queryrun.http.request import ApiRequest

IMMUTABLE = "public, max-age=31536000, immutable"
"""A file's name changes with its content."""

_assets = Assets()


async def home(app: AppContext, _request: ApiRequest) -> Response:
    """`/` leads to the console, or to the documentation. Relative: there may be a prefix."""
    target = "console" if app.settings.serve_console else "docs"
    return Response(status_code=303, headers={"location": target, "cache-control": "no-store"})


async def page(_app: AppContext, request: ApiRequest) -> Response:
    """The page, at every address that its script knows."""
    manifest = _assets.manifest()
    if manifest is None:
        return PlainTextResponse(NOT_BUILT + "\n", headers={"cache-control": "no-store"})
    nonce = secrets.token_urlsafe(16)
    content = _assets.page(manifest, _base(request), nonce)
    headers = {
        "cache-control": "no-store",
        "content-security-policy": _policy(nonce),
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
        **HARDENED,
        **NO_FRAME,
    }
    return Response(content, headers=headers, media_type="text/html")


async def asset(_app: AppContext, request: ApiRequest) -> Response:
    """A script or a style of the build."""
    gzip = accepts_gzip(request)
    found = _assets.file(request.path_params["name"], gzip=gzip)
    if found is None:
        raise PathNotFound("the console has no such file")
    headers = {"cache-control": IMMUTABLE, "vary": "accept-encoding", **HARDENED}
    if found.is_gzip:
        headers["content-encoding"] = "gzip"
    return Response(found.content, headers=headers, media_type=found.media_type)


def _policy(nonce: str) -> str:
    """The nonce is for the styles that the editor makes; no script and no attribute needs one."""
    return (
        "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
        f"style-src 'self' 'nonce-{nonce}'; base-uri 'self'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def _base(request: ApiRequest) -> str:
    """The relative address of `/console/`, whatever a proxy has put before it."""
    levels = str(request.scope.get("sent_path", request.path)).count("/") - 2
    return "../" * levels if levels > 0 else "./" if levels == 0 else "console/"

"""`/docs/…`: the manual as a site, beside the page of the API at `/docs`."""

from __future__ import annotations

from starlette.responses import PlainTextResponse, Response

from queryrun.http.compression import accepts_gzip
from queryrun.http.context import AppContext
from queryrun.http.operations import Operation, Parameter, ResponseDoc
from queryrun.http.page_headers import HARDENED, NO_FRAME
from queryrun.http.request import ApiRequest
from queryrun.manual.site import NOT_BUILT, Site

TAG = "Manual"
CACHE = "public, max-age=300"
"""Short: the names of pages do not change with their content."""

_site = Site()


def is_installed() -> bool:
    """Whether the manual was built into this installation."""
    return _site.manifest() is not None


async def serve_manual(_app: AppContext, request: ApiRequest) -> Response:
    """A page of the manual, or a file that one loads."""
    manifest = _site.manifest()
    if manifest is None:
        return _missing(NOT_BUILT)
    found = _site.file(request.path_params["page"], manifest, gzip=accepts_gzip(request))
    if found is None:
        return _missing("the manual has no such page: its first one is docs/index.html")
    headers = {
        "cache-control": CACHE,
        "vary": "accept-encoding",
        "content-security-policy": _policy(manifest.scripts),
        **HARDENED,
        **NO_FRAME,
    }
    if found.is_gzip:
        headers["content-encoding"] = "gzip"
    return Response(found.content, headers=headers, media_type=found.media_type)


def _missing(why: str) -> Response:
    """In plain text: people read it, in a browser."""
    headers = {"cache-control": "no-store", **HARDENED, **NO_FRAME}
    return PlainTextResponse(f"{why}\n", status_code=404, headers=headers)


def _policy(scripts: tuple[str, ...]) -> str:
    """Scripts of ours, and within pages those that the build has seen; nothing from elsewhere."""
    known = " ".join(f"'{digest}'" for digest in scripts)
    return (
        f"default-src 'none'; script-src 'self' {known}; worker-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; style-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


MANUAL = Operation(
    "GET",
    "/docs/{page}",
    "getManualPage",
    serve_manual,
    None,
    TAG,
    "A page of the manual",
    "The documentation as a site, where it is installed: it begins at `/docs/index.html`. "
    "`/docs/llms.txt` lists its pages for programs.",
    (Parameter("page", "path", {"type": "string"}, "Such as `tutorial.html`."),),
    responses=(
        ResponseDoc(200, "The page.", media_types=("text/html", "text/plain")),
        ResponseDoc(404, "There is no such page.", "Problem", ("application/json", "text/plain")),
    ),
    errors=(405, 500, 504),
)

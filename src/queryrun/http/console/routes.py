"""The console's entries of the route table."""

from __future__ import annotations

from queryrun.http import parameters as p
from queryrun.http.console import pages, session
from queryrun.http.operations import Operation, Parameter, RequestBody, ResponseDoc

TAG = "Console"
OPEN_ERRORS = (405, 500, 503, 504)
SESSION_ERRORS = (400, 401, 403, 405, 429, 500, 503, 504)
PAGE = ResponseDoc(
    200,
    "The page; or, as plain text, how to build it.",
    media_types=("text/html", "text/plain"),
)
SIGN_IN = {
    "client_id": "3f0c9a52-0c8e-4f1f-9d3e-8d1f6a2f7b10",
    "client_secret": "the client's secret",
}

HOME = Operation(
    "GET",
    "/",
    "getHome",
    pages.home,
    None,
    TAG,
    "Where people start",
    "Leads to the console, or to the documentation where there is no console.",
    responses=(ResponseDoc(303, "See there.", media_types=(), headers=("location",)),),
    errors=(405, 500, 504),
)
SESSION = (
    Operation(
        "GET",
        "/console/session",
        "getSession",
        session.get_session,
        None,
        TAG,
        "Who is signed in",
        "The client whose session the cookie is. Sessions count only in requests with the header "
        "`X-Queryrun-Console: 1`; with it, the cookie authorizes every operation of the API.",
        (p.CONSOLE, *p.EVERYWHERE),
        responses=(ResponseDoc(200, "The session.", "Session"),),
        errors=SESSION_ERRORS,
    ),
    Operation(
        "POST",
        "/console/session",
        "signIn",
        session.sign_in,
        None,
        TAG,
        "Sign in",
        "Exchanges a client's id and secret for a session cookie: HttpOnly, SameSite=Strict, and "
        "Secure where the service is reached by https. It ends after `server.session_idle_s` "
        "without an extension, after twelve hours, and when the client is revoked.",
        (p.CONSOLE, *p.EVERYWHERE),
        RequestBody("application/json", "SignIn", (("client", SIGN_IN),)),
        (ResponseDoc(200, "Signed in.", "Session", headers=("set-cookie",)),),
        (*SESSION_ERRORS, 413, 415),
    ),
    Operation(
        "DELETE",
        "/console/session",
        "signOut",
        session.sign_out,
        None,
        TAG,
        "Sign out",
        "Revokes the session's token and clears the cookie.",
        (p.CONSOLE, *p.EVERYWHERE),
        responses=(ResponseDoc(200, "Signed out.", "Revoked", headers=("set-cookie",)),),
        errors=SESSION_ERRORS,
    ),
    Operation(
        "POST",
        "/console/session/extend",
        "extendSession",
        session.extend,
        None,
        TAG,
        "Stay signed in",
        "The idle time of the session starts anew. The page sends it while somebody uses it.",
        (p.CONSOLE, *p.EVERYWHERE),
        responses=(ResponseDoc(200, "The session.", "Session"),),
        errors=SESSION_ERRORS,
    ),
)
ASSET = Operation(
    "GET",
    "/console/assets/{name}",
    "getConsoleFile",
    pages.asset,
    None,
    TAG,
    "A file of the console",
    parameters=(
        Parameter("name", "path", {"type": "string"}, "The file's name, as the page has it."),
    ),
    responses=(ResponseDoc(200, "The file.", media_types=("text/javascript", "text/css")),),
    errors=(404, *OPEN_ERRORS),
)
PAGES = (
    Operation(
        "GET",
        "/console",
        "getConsole",
        pages.page,
        None,
        TAG,
        "The console",
        "The web page for people; `docs/how-to/console.md` describes it.",
        responses=(PAGE,),
        errors=OPEN_ERRORS,
    ),
    Operation(
        "GET",
        "/console/{address}",
        "getConsolePage",
        pages.page,
        None,
        TAG,
        "A page of the console",
        "The same page: its script shows what the address names.",
        (Parameter("address", "path", {"type": "string"}, "Such as `runs/{id}`."),),
        responses=(PAGE,),
        errors=OPEN_ERRORS,
    ),
)
CONSOLE_TABLE = (*SESSION, ASSET, *PAGES)

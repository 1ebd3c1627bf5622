"""The session cookie: what it is called, how it is set, and when it is believed.

A request is authorized by the cookie only when it carries the header `X-Queryrun-Console: 1` too.
No form, link, image or script of another site can send that header without a CORS preflight, and
this service answers none: so the cookie alone lets nobody do anything (CSRF).
"""

from __future__ import annotations

import hmac
from hashlib import sha256

from queryrun.auth.secrets import TOKEN_PREFIX
from queryrun.http.context import AppContext
from queryrun.http.request import ApiRequest

CONSOLE_HEADER = b"x-queryrun-console"
_SAME_ORIGIN = ("same-origin", None)
"""What a browser says of requests of our own page; old ones say nothing."""


def is_from_console(request: ApiRequest) -> bool:
    """Whether a page of our own sent it, as far as the browser tells."""
    site = request.header(b"sec-fetch-site")
    return request.header(CONSOLE_HEADER) == "1" and site in _SAME_ORIGIN


def session_token(app: AppContext, request: ApiRequest) -> str | None:
    """The token in the session cookie of a request that the console sent; otherwise None.

    None too when there are several such cookies: another host of the domain may have set one.
    """
    if not is_from_console(request):
        return None
    name = _name(app, request) + "="
    cookies = (request.header(b"cookie") or "").split(";")
    found = [one.strip().removeprefix(name) for one in cookies if one.strip().startswith(name)]
    return found[0] if len(found) == 1 and found[0].startswith(TOKEN_PREFIX) else None


def set_cookie(app: AppContext, request: ApiRequest, token: str) -> str:
    """The value of `Set-Cookie` that begins a session. It ends with the browser at the latest."""
    return f"{_name(app, request)}={token}; {_attributes(app, request)}"


def clear_cookie(app: AppContext, request: ApiRequest) -> str:
    """The value of `Set-Cookie` that makes the browser forget the session."""
    return f"{_name(app, request)}=; Max-Age=0; {_attributes(app, request)}"


def _attributes(app: AppContext, request: ApiRequest) -> str:
    secure = "; Secure" if _is_secure(app, request) else ""
    return f"Path=/; HttpOnly; SameSite=Strict{secure}"


def _name(app: AppContext, request: ApiRequest) -> str:
    """Cookies do not know ports, so two installations on one host need different names."""
    installation = hmac.new(app.link_secret, b"console", sha256).hexdigest()[:8]
    prefix = "__Host-" if _is_secure(app, request) else ""
    return f"{prefix}queryrun_{installation}"


def _is_secure(app: AppContext, request: ApiRequest) -> bool:
    """Whether the browser speaks https. Anyone may claim so: it makes a cookie stricter."""
    return app.public_url.startswith("https:") or request.header(b"x-forwarded-proto") == "https"

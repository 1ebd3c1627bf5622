"""`[oidc]` as external logins, and the requests to their issuer. Loaded where there is one."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from time import monotonic

import httpx2

from queryrun.auth.model import Scope
from queryrun.auth.oidc import ExternalLogins
from queryrun.auth.oidc_keys import IssuerKeys
from queryrun.auth.oidc_rules import ClaimRule
from queryrun.auth.oidc_tokens import TokenOptions
from queryrun.auth.store import AuthStore
from queryrun.errors import Unavailable
from queryrun.settings import OidcSettings, Settings
from queryrun.settings.checks import is_secure_url

TIMEOUT_S = 5.0
"""For both documents together, however slowly they come."""
MAX_DOCUMENT_BYTES = 1024**2
PLAIN_JSON = {"accept": "application/json", "accept-encoding": "identity"}
"""Not compressed: what is read has to be bounded."""
DISCOVERY = "/.well-known/openid-configuration"


def logins_of_issuer(settings: Settings, store: AuthStore) -> ExternalLogins:
    """Logins at the installation's issuer, which it has."""
    oidc = settings.oidc
    options = TokenOptions(
        oidc.issuer,
        oidc.audience,
        oidc.allowed_algorithms,
        oidc.clock_skew_s,
        frozenset(oidc.refused_subjects),
    )
    rules = [
        ClaimRule(
            one.when,
            one.tenant or settings.tenant,
            tuple(one.entities),
            frozenset(Scope(scope) for scope in one.scopes),
            tuple(one.orgs),
        )
        for one in oidc.rules
    ]
    ca_file = settings.path(oidc.ca_file) if oidc.ca_file else None
    return ExternalLogins(
        options, rules, IssuerKeys(IssuerDocuments(oidc, ca_file).keys, monotonic), store
    )


class IssuerDocuments:
    """Fetches an issuer's documents. Follows no redirect, and reads so much and no more."""

    def __init__(self, oidc: OidcSettings, ca_file: Path | None) -> None:
        self._issuer = oidc.issuer
        self._ca_file = ca_file

    async def keys(self) -> object:
        """The issuer's JWKS document, found by discovery. Raises `Unavailable` that says why."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._keys()
        except TimeoutError as error:
            raise Unavailable(f"the issuer of logins took more than {TIMEOUT_S:g} s") from error

    async def _keys(self) -> object:
        verify = ssl.create_default_context(cafile=self._ca_file) if self._ca_file else True
        async with httpx2.AsyncClient(
            timeout=TIMEOUT_S, follow_redirects=False, verify=verify
        ) as http:
            found = await _document(http, self._issuer.rstrip("/") + DISCOVERY)
            named = found.get("issuer") if isinstance(found, Mapping) else None
            if not isinstance(found, Mapping) or named != self._issuer:
                raise Unavailable(
                    f"the issuer's discovery document is of another issuer: it says "
                    f"{str(named)[:200]!r}, and oidc.issuer {self._issuer!r}; they must be equal, "
                    "to the last slash"
                )
            url = found.get("jwks_uri")
            if not isinstance(url, str) or not is_secure_url(url):
                raise Unavailable("the issuer's discovery document names no https:// jwks_uri")
            return await _document(http, url)


async def _document(http: httpx2.AsyncClient, url: str) -> object:
    try:
        async with http.stream("GET", url, headers=PLAIN_JSON) as response:
            if response.status_code != 200:
                raise Unavailable(f"the issuer of logins responds with {response.status_code}")
            content = bytearray()
            async for chunk in response.aiter_raw():
                content += chunk
                if len(content) > MAX_DOCUMENT_BYTES:
                    raise Unavailable("the issuer of logins sends a document that is too long")
            return json.loads(bytes(content))
    except httpx2.HTTPError as error:
        raise Unavailable("the issuer of logins does not respond") from error
    except (ValueError, RecursionError) as error:
        raise Unavailable("the issuer of logins sends no JSON") from error

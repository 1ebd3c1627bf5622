"""Logins at another issuer (OpenID Connect): its tokens are taken as bearer tokens.

Such a login is a client that is not in the store: what it may do is in its token's claims and the
installation's rules. It ends with its token; whoever wants to end it before does so at the issuer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from queryrun.auth.model import Client, Entity
from queryrun.auth.oidc_keys import IssuerKeys
from queryrun.auth.oidc_rules import ClaimRule, Grant, grant_of
from queryrun.auth.oidc_tokens import (
    Header,
    TokenOptions,
    WrongSignatureError,
    read_header,
    verified_claims,
)
from queryrun.auth.secrets import digest
from queryrun.auth.store import AuthStore
from queryrun.errors import Forbidden

VERIFIED_S = 30.0
"""How long a verified token is taken without verifying it again."""
MAX_VERIFIED = 10_000
"""Tokens that are remembered; a kilobyte each."""

LoginListener = Callable[[Client], Awaitable[None]]
"""Hears of each token that this node sees for the first time."""


@dataclass(frozen=True, slots=True)
class _Verified:
    client: Client
    expires_s: float
    at_s: float


class ExternalLogins:
    """Clients behind the tokens of one issuer. From one event loop."""

    def __init__(
        self,
        options: TokenOptions,
        rules: Sequence[ClaimRule],
        keys: IssuerKeys,
        store: AuthStore,
    ) -> None:
        self._options = options
        self._rules = tuple(rules)
        self._keys = keys
        self._store = store
        self._verified: OrderedDict[str, _Verified] = OrderedDict()

    async def client_of(self, token: str, now: datetime, on_login: LoginListener) -> Client:
        """The client that this token speaks for.

        Raises `Unauthenticated` for a token that is not valid, `Forbidden` for one that no rule
        gives anything that exists, `Unavailable` while the issuer's keys are not known.
        """
        key, now_s = digest(token), now.timestamp()
        known = self._verified.get(key)
        if known is not None and self._is_fresh(known, now_s):
            self._verified.move_to_end(key)
            return known.client
        found = await self._verify(token, now_s)
        if known is None:
            await on_login(found.client)
        self._verified[key] = found
        if len(self._verified) > MAX_VERIFIED:
            self._verified.popitem(last=False)
        return found.client

    def is_valid(self, token_digest: str, now: datetime) -> bool | None:
        """Whether a token that was taken is still valid; None for one that is not known here."""
        known = self._verified.get(token_digest)
        return None if known is None else now.timestamp() < self._end_s(known)

    def _is_fresh(self, known: _Verified, now_s: float) -> bool:
        return 0 <= now_s - known.at_s < VERIFIED_S and now_s < self._end_s(known)

    def _end_s(self, known: _Verified) -> float:
        return known.expires_s + self._options.clock_skew_s

    async def _verify(self, token: str, now_s: float) -> _Verified:
        header = read_header(token, self._options.algorithms)
        claims = await self._claims(token, header, now_s)
        grant = grant_of(claims, self._rules)
        if grant is None:
            raise Forbidden("no rule of this service gives this login anything")
        subject = str(claims["sub"])
        client = Client(
            id=client_id_of(self._options.issuer, subject),
            tenant_id=grant.tenant,
            name=subject,
            entities=await self._entities(grant),
            scopes=grant.scopes,
            created_time=datetime.fromtimestamp(now_s, UTC),
            org_ids=grant.orgs,
            login=subject,
        )
        return _Verified(client, float(claims["exp"]), now_s)

    async def _claims(self, token: str, header: Header, now_s: float) -> dict[str, Any]:
        keys = await self._keys.find(header)
        try:
            return verified_claims(token, header, keys, self._options, now_s)
        except WrongSignatureError:
            fresh = await self._keys.find_again(header)
            if {one.thumbprint() for one in fresh} <= {one.thumbprint() for one in keys}:
                raise
            return verified_claims(token, header, fresh, self._options, now_s)

    async def _entities(self, grant: Grant) -> tuple[Entity, ...]:
        """Those of the grant. All of them must exist: who lost one should know."""
        known = [one for one in await self._store.entities() if one.tenant_id == grant.tenant]
        by_name = {one.name: one for one in known} | {one.id: one for one in known}
        missing = [name for name in grant.entities if name not in by_name]
        if missing:
            raise Forbidden("this login is for a tenant or an entity that does not exist here")
        return tuple(dict.fromkeys(by_name[name] for name in grant.entities))


def client_id_of(issuer: str, subject: str) -> str:
    """The id of a login's client: always the same, and of no client in the store."""
    return str(uuid5(NAMESPACE_URL, f"{issuer}#{subject}"))

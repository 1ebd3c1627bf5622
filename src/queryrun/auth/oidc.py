"""Logins at another issuer (OpenID Connect): its tokens are taken as bearer tokens.

Such a login is a client that is not in the store: what it may do is in its token's claims and the
installation's rules. It ends with its token, or when somebody revokes it in its tenant.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from queryrun.auth.model import Client, Entity, RevokedLogin
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
from queryrun.errors import Forbidden, Unauthenticated

VERIFIED_S = 30.0
"""How long a verified token is taken without verifying it again."""
MAX_VERIFIED = 10_000
"""Tokens that are remembered; a kilobyte each."""
REVOKED_CACHE_S = 1.0
"""How long a login is not looked up again. On the path of every request of one."""

LoginListener = Callable[[Client], Awaitable[None]]
"""Hears of each token that this node sees for the first time."""


@dataclass(frozen=True, slots=True)
class _Verified:
    client: Client
    expires_s: float
    issued_s: float | None
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
        self._revoked: OrderedDict[tuple[str, str], tuple[float, RevokedLogin | None]]
        self.forget()

    async def client_of(self, token: str, now: datetime, on_login: LoginListener) -> Client:
        """The client that this token speaks for.

        Raises `Unauthenticated` for a token that is not valid or whose login was revoked,
        `Forbidden` for one that no rule gives anything that exists, `Unavailable` while the
        issuer's keys are not known.
        """
        key, now_s = digest(token), now.timestamp()
        known = self._verified.get(key)
        is_fresh = known is not None and self._is_fresh(known, now_s)
        found = known if known is not None and is_fresh else await self._verify(token, now_s)
        if await self._is_revoked(found):
            raise Unauthenticated(
                "this login was revoked here; an administrator can allow it again"
            )
        if is_fresh:
            self._verified.move_to_end(key)
            return found.client
        if known is None:
            await on_login(found.client)
        self._verified[key] = found
        if len(self._verified) > MAX_VERIFIED:
            self._verified.popitem(last=False)
        return found.client

    async def is_valid(self, token_digest: str, now: datetime) -> bool | None:
        """Whether a token that was taken is still valid; None for one that is not known here."""
        known = self._verified.get(token_digest)
        if known is None:
            return None
        return now.timestamp() < self._end_s(known) and not await self._is_revoked(known)

    def revocation(self, tenant_id: str, subject: str, now: datetime) -> RevokedLogin:
        """What ends the login of this subject in a tenant, once the store has it."""
        client_id = client_id_of(self._options.issuer, subject)
        return RevokedLogin(tenant_id, client_id, subject, now)

    def forget(self) -> None:
        """Ask the store anew: somebody has revoked or allowed a login here."""
        self._revoked = OrderedDict()

    async def _is_revoked(self, known: _Verified) -> bool:
        """What the store says, for a second on other nodes than the one where it was changed."""
        cache, now_s = self._revoked, monotonic()
        key = known.client.tenant_id, known.client.id
        read_s, login = cache.get(key, (-REVOKED_CACHE_S, None))
        if now_s - read_s >= REVOKED_CACHE_S:
            login = await self._store.revoked_login(*key)
            # into the dictionary of before, if it was forgotten meanwhile
            cache[key] = now_s, login
            if len(cache) > MAX_VERIFIED:
                cache.popitem(last=False)
        return login is not None and not login.takes_token_of(known.issued_s)

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
        issued_s = float(claims["iat"]) if "iat" in claims else None
        return _Verified(client, float(claims["exp"]), issued_s, now_s)

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

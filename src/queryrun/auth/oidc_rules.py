"""Rules: the claims of a login at another issuer -> tenant, entities, scopes and orgs. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from queryrun.auth.model import Scope
from queryrun.errors import Forbidden

ANY = "*"
"""As the value of a condition: the claim is there, whatever it says."""
REFERENCE = re.compile(r"\{([^{}]+)\}")
MAX_VALUES = 200
"""That a template may expand to. More are refused: who loses an org loses rows without a word."""

KEY_KINDS = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    "EdDSA": "OKP",
}
"""Algorithms that can be allowed, and the kind of their keys. `none` and those with a shared secret
are not among them: whoever can check such a token can make one."""

MAX_SUBJECT_CHARS = 255
"""As OpenID Connect has it."""

Claims = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ClaimRule:
    """What a login gets when all conditions of `when` hold: claim -> value that it is or contains.

    The texts of tenant, entities and orgs may name claims in braces.
    """

    when: Mapping[str, str]
    tenant: str
    entities: tuple[str, ...]
    scopes: frozenset[Scope]
    orgs: tuple[str, ...] = ()

    def fits(self, claims: Claims) -> bool:
        """Whether every condition holds."""
        return all(_holds(claims, claim, value) for claim, value in self.when.items())


@dataclass(frozen=True, slots=True)
class Grant:
    """What a login gets. `entities` are names or ids."""

    tenant: str
    entities: tuple[str, ...]
    scopes: frozenset[Scope]
    orgs: tuple[str, ...]


def is_jwt_shaped(token: str) -> bool:
    """Whether it may be a JSON Web Token. Tokens of our own have no dots."""
    return token.count(".") == 2


def grant_of(claims: Claims, rules: Sequence[ClaimRule]) -> Grant | None:
    """What the first rule that fits gives; None when none fits.

    Rules are not added up: the scopes of one must not count in the entities of another. A rule
    whose texts name a claim that is missing does not fit: without orgs a login would see every row.
    """
    for rule in rules:
        if not rule.fits(claims):
            continue
        tenants = _expanded([rule.tenant], claims)
        entities, orgs = _expanded(rule.entities, claims), _expanded(rule.orgs, claims)
        if len(tenants) == 1 and entities and (orgs or not rule.orgs):
            return Grant(tenants[0], entities, rule.scopes, orgs)
    return None


def values_of(claims: Claims, name: str) -> tuple[str, ...]:
    """The values of a claim as texts, `a.b` being `b` in the object `a`; nothing when missing."""
    found = _found(claims, name)
    values = found if isinstance(found, list) else [found]
    return tuple(text for one in values if (text := _text(one)))


def _found(claims: Claims, name: str) -> object:
    """Names of claims have dots themselves (`https://x.example/roles`, the client ids in
    `resource_access`): the longest name that is there comes first."""
    if claims.get(name) is not None:
        return claims[name]
    for at in sorted((n for n, char in enumerate(name) if char == "."), reverse=True):
        inner = claims.get(name[:at])
        if isinstance(inner, Mapping) and (found := _found(inner, name[at + 1 :])) is not None:
            return found
    return None


def _holds(claims: Claims, name: str, value: str) -> bool:
    values = values_of(claims, name)
    return bool(values) if value == ANY else value in values


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return value.strip() if isinstance(value, str) else ""


def _expanded(templates: Sequence[str], claims: Claims) -> tuple[str, ...]:
    """The texts with claims put in, each once; nothing at all when a claim is missing. What a claim
    says is put in as it is: braces in it name nothing. `Forbidden` for too many texts."""
    found: list[str] = []
    for template in templates:
        values = {name: values_of(claims, name) for name in REFERENCE.findall(template)}
        if not all(values.values()):
            return ()
        if prod(map(len, values.values())) > MAX_VALUES:
            raise Forbidden(
                f"a claim of this login has more than the {MAX_VALUES} values that a rule of this "
                "service can use: give the login fewer, or the rule a claim with fewer"
            )
        for chosen in product(*values.values()):
            texts = dict(zip(values, chosen, strict=True))
            found.append(REFERENCE.sub(lambda one: texts[one[1]], template))  # noqa: B023
    return tuple(dict.fromkeys(found))

"""JSON Web Tokens of another issuer: which are taken, and what they claim. Pure but for the clock.

Signatures are checked by joserfc. What it is given is checked before: an algorithm of the
installation's list, and a key of the kind that belongs to the algorithm.
"""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from queryrun.auth.oidc_rules import KEY_KINDS, MAX_SUBJECT_CHARS
from queryrun.errors import Unauthenticated, Unavailable
from queryrun.texts import is_storable

MAX_TOKEN_CHARS = 8192
MAX_KEYS = 100
"""Of an issuer."""
MAX_FITTING = 4
"""Keys that one token may be signed with: with one name, or without any. Each costs a check."""
MIN_RSA_BITS = 2048
_TYPES = {"jwt", "at+jwt", "application/at+jwt"}

SigningKey = RSAKey | ECKey | OKPKey


@dataclass(frozen=True, slots=True)
class TokenOptions:
    """Whose tokens are taken. `clock_skew_s`: how far its clock may be off."""

    issuer: str
    audience: str
    algorithms: frozenset[str]
    clock_skew_s: float
    refused_subjects: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Header:
    """What a token says of its signature."""

    algorithm: str
    key_id: str | None


def read_header(token: str, algorithms: Collection[str]) -> Header:
    """The header, once its algorithm is allowed. Raises `Unauthenticated`."""
    if len(token) > MAX_TOKEN_CHARS:
        raise Unauthenticated("the token is too long")
    header = _json_object(token.partition(".")[0])
    algorithm, key_id = header.get("alg"), header.get("kid")
    kind = header.get("typ")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise Unauthenticated("the token is signed with an algorithm that is not allowed here")
    if kind is not None and (not isinstance(kind, str) or kind.lower() not in _TYPES):
        raise Unauthenticated("the token is of another type than JWT")
    if "crit" in header:
        raise Unauthenticated("the token demands extensions that this service does not have")
    return Header(algorithm, key_id if isinstance(key_id, str) else None)


def keys_of(document: object) -> list[Mapping[str, Any]]:
    """The public signing keys of a JWKS document; others are passed over. `Unavailable` for what is
    no such document: it says nothing of the keys, and those that are known go on."""
    listed = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(listed, list):
        raise Unavailable("the issuer of logins sends something else than its keys")
    found = [one for one in listed if isinstance(one, Mapping)]
    kinds = set(KEY_KINDS.values())
    return [one for one in found[:MAX_KEYS] if one.get("kty") in kinds and one.get("use") != "enc"]


class WrongSignatureError(Unauthenticated):
    """None of the issuer's keys that the token may mean made its signature."""


def fitting_keys(header: Header, keys: Sequence[Mapping[str, Any]]) -> list[SigningKey]:
    """The keys that the token may mean: of its name, without one all, of the kind that its
    algorithm needs. Several are an issuer's that changes its key and gives it no name of its own.
    """
    kind = KEY_KINDS[header.algorithm]
    fitting = [
        one
        for one in keys
        if one.get("kty") == kind
        and one.get("alg", header.algorithm) == header.algorithm
        and (header.key_id is None or one.get("kid") == header.key_id)
    ]
    return [key for one in fitting[:MAX_FITTING] if (key := _signing_key(one)) is not None]


def _signing_key(content: Mapping[str, Any]) -> SigningKey | None:
    """None for a key that is malformed, or too weak."""
    try:
        key = JWKRegistry.import_key({str(name): value for name, value in content.items()})
    except (JoseError, LookupError, ValueError, TypeError):  # LookupError: a curve nobody knows
        return None
    if isinstance(key, RSAKey) and key.public_key.key_size < MIN_RSA_BITS:
        return None
    return key if isinstance(key, RSAKey | ECKey | OKPKey) else None


def verified_claims(
    token: str, header: Header, keys: Sequence[SigningKey], options: TokenOptions, now_s: float
) -> dict[str, Any]:
    """The claims of a token that is the issuer's, for us, and valid now. Raises `Unauthenticated`
    that says what is wrong with it."""
    claims = _as_object(_signed(token, header, keys))
    if not all(map(is_storable, _texts(claims))):
        raise Unauthenticated("the token's claims have characters that are no text")
    if claims.get("iss") != options.issuer:
        raise Unauthenticated("the token is of another issuer")
    audience = claims.get("aud")
    if options.audience not in (audience if isinstance(audience, list) else [audience]):
        raise Unauthenticated("the token is for another audience")
    _check_times(claims, options.clock_skew_s, now_s)
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT_CHARS:
        raise Unauthenticated("the token has no subject")
    if subject in options.refused_subjects:
        raise Unauthenticated("this service does not take tokens of this login any more")
    return claims


def _signed(token: str, header: Header, keys: Sequence[SigningKey]) -> bytes:
    """The payload, once one of the keys has made the signature."""
    registry = jws.JWSRegistry(algorithms=[header.algorithm])
    for key in keys:
        with suppress(JoseError, ValueError, TypeError):
            payload: bytes = jws.deserialize_compact(token, key, registry=registry).payload
            return payload
    raise WrongSignatureError("the token's signature is not the issuer's")


def _texts(value: object) -> Iterator[str]:
    """Every text in a JSON value, names included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _check_times(claims: Mapping[str, Any], skew_s: float, now_s: float) -> None:
    expires_s = _number(claims.get("exp"))
    if expires_s is None:
        raise Unauthenticated("the token does not say when it expires")
    if now_s >= expires_s + skew_s:
        raise Unauthenticated("the token has expired")
    for name in ("nbf", "iat"):
        begins_s = _number(claims.get(name))
        if name in claims and begins_s is None:
            raise Unauthenticated(f"the token's {name} is no time")
        if begins_s is not None and begins_s > now_s + skew_s:
            raise Unauthenticated("the token is not valid yet")


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e12 else None


def _json_object(part: str) -> dict[str, Any]:
    try:
        return _as_object(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError) as error:
        raise Unauthenticated("the token is malformed") from error


def _as_object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unauthenticated("the token is malformed") from error
    if not isinstance(found, dict):
        raise Unauthenticated("the token is malformed")
    return found

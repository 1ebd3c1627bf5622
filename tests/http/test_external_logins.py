"""Tokens of another issuer as bearer tokens: a real issuer, discovery and keys over HTTP."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from flask import Response
from joserfc import jwt

from queryrun.auth.model import RevokedLogin, Scope
from queryrun.auth.oidc import REVOKED_CACHE_S, ExternalLogins, client_id_of
from queryrun.auth.oidc_keys import MAX_AGE_S, MAX_STALE_S, REFETCH_S, IssuerKeys
from queryrun.auth.oidc_rules import ClaimRule
from queryrun.auth.oidc_tokens import TokenOptions
from queryrun.auth.secrets import digest
from queryrun.http.app import build_app
from queryrun.settings import OidcRule, OidcSettings
from queryrun.wiring.issuer import IssuerDocuments
from tests.http.app_harness import ACME, FOREIGN, PUBLIC_URL, SELECT, TENANT, AppHarness
from tests.http.problem import assert_problem
from tests.oidc_server import AUDIENCE, DISCOVERY, OidcServer, new_key, oidc_server

pytestmark = pytest.mark.anyio

ANALYST = ClaimRule(
    {"groups": "analysts"}, TENANT, ("acme",), frozenset({Scope.READ, Scope.SUBMIT})
)
CUSTOMER = ClaimRule(
    {"customer": "*"}, TENANT, ("{customer}",), frozenset({Scope.READ}), ("{region}",)
)


@pytest.fixture(scope="module")
def running() -> Iterator[OidcServer]:
    with oidc_server() as server:
        yield server


@pytest.fixture
def issuer(running: OidcServer) -> OidcServer:
    """As new, but for its port."""
    running.keys, running.audience = [new_key("first")], AUDIENCE
    running.claims, running.documents = {}, {}
    running.requests.clear()
    return running


REFUSED = frozenset({"mallory"})


@dataclass
class Logins:
    """A service that takes the issuer's tokens."""

    harness: AppHarness
    issuer: OidcServer

    async def read(self, token: str) -> httpx2.Response:
        """A request with this token."""
        return await self.harness.call("GET", "/v2/query_runs", token=token)

    def forged(self, key: Any = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token that somebody else signs, or with other claims."""
        now_s = int(self.harness.clock().timestamp())
        content = {
            "iss": self.issuer.issuer,
            "aud": AUDIENCE,
            "sub": "ann",
            "groups": ["analysts"],
            "exp": now_s + 600,
            **claims,
        }
        content = {name: value for name, value in content.items() if value is not None}
        used = key or self.issuer.keys[-1]
        made = {"alg": "RS256", "kid": used.kid or "first", **(header or {})}
        return str(jwt.encode(made, content, used, algorithms=[made["alg"]]))


@pytest.fixture
async def logins(harness: AppHarness, issuer: OidcServer) -> AsyncIterator[Logins]:
    harness.clock.time = datetime.now(UTC)
    options = TokenOptions(issuer.issuer, AUDIENCE, frozenset({"RS256", "ES256"}), 30.0, REFUSED)
    settings = OidcSettings(issuer=issuer.issuer, audience=AUDIENCE, rules=[OidcRule()])
    keys = IssuerKeys(IssuerDocuments(settings, None).keys, lambda: harness.clock().timestamp())
    external = ExternalLogins(options, [ANALYST, CUSTOMER], keys, harness.database.auth)
    harness.app = replace(harness.app, external_logins=external)
    transport = httpx2.ASGITransport(app=build_app(harness.app), client=("192.0.2.1", 1234))
    async with httpx2.AsyncClient(transport=transport, base_url=PUBLIC_URL) as http:
        harness.http = http
        yield Logins(harness, issuer)


async def test_a_login_submits_and_reads_as_a_client_of_its_own(logins: Logins) -> None:
    token = logins.issuer.token("ann", groups=["staff", "analysts"])
    response = await logins.harness.call("POST", "/v2/query_runs", token=token, json=SELECT)
    assert response.status_code == 201
    run = await logins.harness.app.runs.store.get(response.json()["id"])
    assert run is not None
    assert run.request.client_id == client_id_of(logins.issuer.issuer, "ann")
    assert (run.request.tenant_id, run.request.entity_id) == (TENANT, ACME.id)
    assert len((await logins.read(token)).json()["data"]) == 1
    other = logins.issuer.token("bob", groups=["analysts"])
    assert (await logins.read(other)).json()["data"] == []


async def test_scopes_and_orgs_are_those_of_the_first_rule_that_fits(logins: Logins) -> None:
    token = logins.issuer.token("c", customer="globex", region=["emea", "apac"])
    assert (await logins.read(token)).status_code == 200
    assert_problem(
        await logins.harness.call("POST", "/v2/query_runs", token=token, json=SELECT),
        403,
        code="forbidden",
    )
    external = logins.harness.app.external_logins
    assert external is not None

    async def nothing(_client: object) -> None:
        return

    client = await external.client_of(token, logins.harness.clock(), nothing)
    assert client.org_ids == ("emea", "apac")
    assert [entity.name for entity in client.entities] == ["globex"]


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"groups": "others"},
        {"customer": "globex"},
        {"customer": "globex", "region": []},
        {"customer": "initech", "region": "emea"},
        {"customer": "nobody", "region": "emea"},
        {"customer": ["globex", "nobody"], "region": "emea"},
    ],
    ids=["none", "other group", "no org", "empty orgs", "other tenant", "unknown", "one unknown"],
)
async def test_a_login_that_no_rule_gives_all_it_needs_gets_nothing(
    logins: Logins, claims: dict[str, Any]
) -> None:
    assert_problem(await logins.read(logins.issuer.token("x", **claims)), 403)


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"iss": "https://elsewhere.example"}, "another issuer"),
        ({"aud": "another"}, "another audience"),
        ({"aud": None}, "another audience"),
        ({"exp": None}, "does not say when it expires"),
        ({"exp": "tomorrow"}, "does not say when it expires"),
        ({"exp": True}, "does not say when it expires"),
        ({"exp": 1}, "has expired"),
        ({"nbf": 9_999_999_999}, "not valid yet"),
        ({"iat": 9_999_999_999}, "not valid yet"),
        ({"iat": "now"}, "is no time"),
        ({"sub": None}, "no subject"),
        ({"sub": 7}, "no subject"),
        ({"sub": "x" * 256}, "no subject"),
        ({"sub": "mallory"}, "not take tokens of this login"),
    ],
)
async def test_a_token_with_wrong_claims_is_refused(
    logins: Logins, claims: dict[str, Any], says: str
) -> None:
    response = await logins.read(logins.forged(**claims))
    assert response.status_code == 401
    assert says in response.headers["www-authenticate"]


async def test_clocks_may_be_a_little_apart_and_no_more(logins: Logins) -> None:
    now_s = int(logins.harness.clock().timestamp())
    assert (await logins.read(logins.forged(exp=now_s - 20))).status_code == 200
    assert (await logins.read(logins.forged(nbf=now_s + 20))).status_code == 200
    assert (await logins.read(logins.forged(exp=now_s - 31))).status_code == 401
    assert (await logins.read(logins.forged(nbf=now_s + 40))).status_code == 401


async def test_a_token_that_was_taken_ends_when_it_expires(logins: Logins) -> None:
    token = logins.forged()
    assert (await logins.read(token)).status_code == 200
    logins.harness.clock.move(629)
    assert (await logins.read(token)).status_code == 200
    logins.harness.clock.move(2)
    assert (await logins.read(token)).status_code == 401


def unsigned(logins: Logins) -> list[str]:
    """Tokens whose signature is worth nothing."""
    public = logins.issuer.keys[-1].as_pem(private=False)

    def part(value: Any) -> str:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    claims = logins.forged().split(".")[1]
    headers = ({"alg": "none"}, {"alg": "None", "kid": "first"}, {"kid": "first"}, {"alg": 7})
    made = [f"{part(header)}.{claims}." for header in headers]
    for name in ("HS256", "HS512"):
        text = f"{part({'alg': name, 'kid': 'first'})}.{claims}"
        method = hashlib.sha256 if name == "HS256" else hashlib.sha512
        made.append(f"{text}.{part(hmac.new(public, text.encode(), method).digest())}")
    return made


async def test_no_algorithm_and_a_shared_secret_are_never_taken(logins: Logins) -> None:
    for token in unsigned(logins):
        response = await logins.read(token)
        assert response.status_code == 401, token
        assert "algorithm" in response.headers["www-authenticate"]


async def test_a_token_that_another_key_signed_is_refused(logins: Logins) -> None:
    stranger = new_key("first")
    response = await logins.read(logins.forged(key=stranger))
    assert "signature" in response.headers["www-authenticate"]
    header, claims, signature = logins.forged().split(".")
    other = logins.forged(sub="eve").split(".")[1]
    assert (await logins.read(f"{header}.{other}.{signature}")).status_code == 401
    assert (await logins.read(f"{header}.{claims}.")).status_code == 401


@pytest.mark.parametrize(
    "token",
    ["..", "a.b.c", "e30.e30.e30", "eyJhbGciOiJSUzI1NiJ9.e30.", f"{'x' * 9000}.a.b", "a.b"],
)
async def test_what_is_no_token_is_a_401(logins: Logins, token: str) -> None:
    assert (await logins.read(token)).status_code == 401


async def test_types_and_demands_that_are_not_ours_are_refused(logins: Logins) -> None:
    for header in ({"typ": "dpop+jwt"}, {"alg": "RS512"}):
        assert (await logins.read(logins.forged(header=header))).status_code == 401
    assert (await logins.read(logins.forged(header={"typ": "at+jwt"}))).status_code == 200


async def test_a_new_key_is_taken_within_half_a_minute(logins: Logins) -> None:
    assert (await logins.read(logins.forged())).status_code == 200
    logins.issuer.rotate()
    token = logins.forged()
    assert (await logins.read(token)).status_code == 401
    logins.harness.clock.move(REFETCH_S + 1)
    assert (await logins.read(token)).status_code == 200
    assert logins.issuer.requests["/jwks"] == 2


async def test_a_withdrawn_key_counts_for_an_hour_at_the_longest(logins: Logins) -> None:
    now_s = int(logins.harness.clock().timestamp())
    old = logins.forged(exp=now_s + 100_000)
    assert (await logins.read(old)).status_code == 200
    logins.issuer.rotate(keep=False)
    logins.harness.clock.move(MAX_AGE_S + 1)
    assert (await logins.read(old)).status_code == 401


async def test_a_new_key_of_the_old_name_is_taken(logins: Logins) -> None:
    assert (await logins.read(logins.forged())).status_code == 200
    logins.issuer.keys = [new_key("first")]
    token = logins.forged()
    assert (await logins.read(token)).status_code == 401
    logins.harness.clock.move(REFETCH_S + 1)
    assert (await logins.read(token)).status_code == 200


@pytest.mark.parametrize("names", [("first", "first"), ("first", "first", "first")])
async def test_keys_of_one_name_are_tried_and_no_strangers(
    logins: Logins, names: tuple[str, ...]
) -> None:
    logins.issuer.keys = [new_key(name) for name in names]
    for number, key in enumerate(logins.issuer.keys):
        assert (await logins.read(logins.forged(key=key, sub=f"s{number}"))).status_code == 200
    assert (await logins.read(logins.forged(key=new_key("first")))).status_code == 401


@pytest.mark.parametrize(
    "kid",
    ["../../../../dev/null", "first' OR '1'='1", "first\0", "http://127.0.0.1/key", ["first"]],
)
async def test_the_name_of_a_key_is_only_compared(logins: Logins, kid: object) -> None:
    stranger = new_key("first")
    token = logins.forged(key=stranger)
    header = json.dumps({"alg": "RS256", "kid": kid, "jku": "http://127.0.0.1/", "jwk": {}})
    named = base64.urlsafe_b64encode(header.encode()).rstrip(b"=").decode()
    response = await logins.read(".".join([named, *token.split(".")[1:]]))
    assert response.status_code == 401


async def test_an_issuer_that_drips_or_packs_its_keys_is_a_503(logins: Logins) -> None:
    def drips() -> Iterator[bytes]:
        while True:
            yield b" "
            time.sleep(0.2)

    packed = gzip.compress(b'{"keys": []}' + b" " * 50_000_000)
    jwks = logins.issuer.issuer + "/jwks"
    for document in (
        Response(drips(), mimetype="application/json"),
        Response(packed, headers={"content-encoding": "gzip"}),
        Response(json.dumps({"issuer": logins.issuer.issuer + "/", "jwks_uri": jwks})),
    ):
        logins.issuer.documents = {DISCOVERY: document}
        response = await asyncio.wait_for(logins.read(logins.forged()), 60)
        assert_problem(response, 503)
        logins.harness.clock.move(REFETCH_S + 1)
    assert "to the last slash" in response.text


async def test_tokens_of_unknown_keys_do_not_flood_the_issuer(logins: Logins) -> None:
    stranger = new_key("unknown")
    tokens = [logins.forged(key=stranger, sub=f"s{number}") for number in range(40)]
    responses = await asyncio.gather(*(logins.read(token) for token in tokens))
    assert {response.status_code for response in responses} <= {401, 429}
    assert logins.issuer.requests["/jwks"] == 1


async def test_an_issuer_that_is_away_is_a_503_and_known_keys_go_on(logins: Logins) -> None:
    away = Response(status=500)
    logins.issuer.documents = {DISCOVERY: away}
    assert_problem(await logins.read(logins.forged()), 503)
    logins.issuer.documents = {}
    logins.harness.clock.move(REFETCH_S + 1)
    assert (await logins.read(logins.forged())).status_code == 200
    logins.issuer.documents = {DISCOVERY: away}
    logins.harness.clock.move(MAX_AGE_S + 1)
    assert (await logins.read(logins.forged())).status_code == 200
    logins.harness.clock.move(MAX_STALE_S)
    assert_problem(await logins.read(logins.forged()), 503)


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://elsewhere.example", "jwks_uri": "https://elsewhere.example/jwks"},
        {"jwks_uri": "/jwks"},
        {"jwks_uri": "http://elsewhere.example/jwks"},
        {"jwks_uri": "file:///etc/passwd"},
        [],
        "x" * (1024**2 + 1),
    ],
)
async def test_a_discovery_document_that_is_not_the_issuers_is_not_used(
    logins: Logins, document: Any
) -> None:
    if isinstance(document, dict):
        document = {"issuer": logins.issuer.issuer, **document}
    logins.issuer.documents = {DISCOVERY: Response(json.dumps(document))}
    assert_problem(await logins.read(logins.forged()), 503)


async def test_redirects_are_not_followed(logins: Logins) -> None:
    moved = Response(status=302, headers={"location": f"{logins.issuer.issuer}/jwks"})
    logins.issuer.documents = {DISCOVERY: moved}
    assert_problem(await logins.read(logins.forged()), 503)


async def test_the_audit_log_and_entries_of_runs_name_the_login(logins: Logins) -> None:
    token = logins.issuer.token("ann@example.com", groups="analysts")
    for _ in range(2):
        await logins.harness.call("POST", "/v2/query_runs", token=token, json=SELECT)
    await logins.harness.database.audit.seal()
    entries = await logins.harness.database.audit.entries(after=0, limit=100)
    found = [(one.fields["event"], one.fields["detail"].get("login")) for one in entries]
    entries_of_login = [one for one in found if one[1] == "ann@example.com"]
    assert entries_of_login == [
        ("external_login", "ann@example.com"),
        ("run_submitted", "ann@example.com"),
        ("run_submitted", "ann@example.com"),
    ]


async def test_a_stream_and_a_wait_of_a_login_work(logins: Logins) -> None:
    token = logins.issuer.token("ann", groups="analysts")
    headers = {"prefer": "wait=1"}
    created = await logins.harness.call(
        "POST", "/v2/query_runs", token=token, json=SELECT, headers=headers
    )
    assert created.status_code == 201
    run_id = created.json()["id"]
    await logins.harness.complete(run_id)
    stream = await logins.harness.call("GET", f"/v2/query_runs/{run_id}/events", token=token)
    assert stream.status_code == 200
    assert '"complete"' in stream.text


ADMIN_LOGINS = "/admin/v1/logins"


async def change_login(
    logins: Logins, change: str, subject: str = "ann", **more: Any
) -> httpx2.Response:
    """Revoke or allow it, as an admin of the tenant or with another token."""
    scopes = frozenset({Scope.ADMIN_WRITE})
    token = more.pop("token", None) or await logins.harness.new_token(scopes=scopes)
    body = {"subject": subject, **more}
    return await logins.harness.call("POST", f"{ADMIN_LOGINS}/{change}", token=token, json=body)


async def test_a_revoked_login_is_out_at_once_with_its_runs_and_nobody_else(
    logins: Logins,
) -> None:
    ann, later = logins.forged(), logins.forged(jti="another")
    bob = logins.forged(sub="bob")
    call = logins.harness.call
    runs = {
        name: (await call("POST", "/v2/query_runs", token=token, json=SELECT)).json()["id"]
        for name, token in (("ann", ann), ("bob", bob))
    }
    for _ in range(2):
        response = await change_login(logins, "revoke")
        assert response.status_code == 200
    revoked = response.json()
    assert revoked["client_id"] == client_id_of(logins.issuer.issuer, "ann")
    assert (revoked["tenant_id"], revoked["allowed_time"]) == (TENANT, None)
    for token in (ann, later):
        refused = await logins.read(token)
        assert refused.status_code == 401
        assert "was revoked here" in refused.headers["www-authenticate"]
    assert (await logins.read(bob)).status_code == 200
    states = {
        name: run.state.value
        for name, run_id in runs.items()
        if (run := await logins.harness.app.runs.store.get(run_id)) is not None
    }
    assert states == {"ann": "canceled", "bob": "accepted"}


async def test_an_allowed_login_needs_a_token_from_after_that(logins: Logins) -> None:
    clock = logins.harness.clock
    old, silent = logins.forged(iat=int(clock().timestamp())), logins.forged()
    assert (await logins.read(old)).status_code == 200
    assert (await change_login(logins, "revoke")).status_code == 200
    clock.move(5)
    for _ in range(2):
        response = await change_login(logins, "allow")
        assert response.json()["allowed_time"] is not None
    for token in (old, silent):
        assert (await logins.read(token)).status_code == 401
    clock.move(1)
    new = logins.forged(iat=int(clock().timestamp()))
    assert (await logins.read(new)).status_code == 200
    assert (await change_login(logins, "revoke")).status_code == 200
    assert (await logins.read(new)).status_code == 401


async def test_a_revocation_by_another_node_counts_within_a_second(
    logins: Logins, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = [0.0]
    monkeypatch.setattr("queryrun.auth.oidc.monotonic", lambda: passed[0])
    token = logins.forged()
    assert (await logins.read(token)).status_code == 200
    client_id = client_id_of(logins.issuer.issuer, "ann")
    login = RevokedLogin(TENANT, client_id, "ann", logins.harness.clock())
    await logins.harness.database.auth.revoke_login(login)
    passed[0] = REVOKED_CACHE_S
    assert (await logins.read(token)).status_code == 401


async def test_a_stream_of_a_revoked_login_is_not_valid_any_more(logins: Logins) -> None:
    token = logins.forged()
    assert (await logins.read(token)).status_code == 200
    external, clock = logins.harness.app.external_logins, logins.harness.clock
    assert external is not None
    assert await external.is_valid(digest(token), clock()) is True
    await change_login(logins, "revoke")
    assert await external.is_valid(digest(token), clock()) is False


async def test_a_login_is_revoked_by_an_admin_of_its_tenant_and_in_no_other(
    logins: Logins,
) -> None:
    token = logins.forged()
    foreign = await logins.harness.new_token(FOREIGN, scopes=frozenset({Scope.ADMIN_WRITE}))
    assert (await change_login(logins, "revoke", token=foreign)).status_code == 200
    assert_problem(await change_login(logins, "revoke", token=foreign, tenant_id=TENANT), 403)
    reader = await logins.harness.new_token(scopes=frozenset({Scope.ADMIN_READ}))
    assert_problem(await change_login(logins, "revoke", token=reader), 403)
    assert (await logins.read(token)).status_code == 200
    listed = await logins.harness.call("GET", ADMIN_LOGINS, token=reader)
    assert listed.json() == {"next_page": None, "data": []}
    operator = await logins.harness.new_token(
        FOREIGN, scopes=frozenset({Scope.ADMIN_WRITE, Scope.ADMIN_ALL})
    )
    assert (await change_login(logins, "revoke", token=operator, tenant_id=TENANT)).is_success
    assert (await logins.read(token)).status_code == 401
    (entry,) = (await logins.harness.call("GET", ADMIN_LOGINS, token=reader)).json()["data"]
    assert entry["subject"] == "ann"


@pytest.mark.parametrize("subject", ["", "x" * 256, "a\0b", 7, None])
async def test_what_is_no_subject_is_a_400(logins: Logins, subject: Any) -> None:
    assert_problem(await change_login(logins, "revoke", subject), 400)


async def test_a_login_that_was_never_revoked_cannot_be_allowed(logins: Logins) -> None:
    assert_problem(await change_login(logins, "allow", "nobody"), 404)


async def test_revocations_are_in_the_audit_log_once(logins: Logins) -> None:
    for change in ("revoke", "revoke", "allow", "allow"):
        await change_login(logins, change, "o'hara | 7")
    entries = await logins.harness.database.audit.entries(after=0, limit=100)
    found = [one.fields for one in entries if one.fields["event"].startswith("login_")]
    assert [one["event"] for one in found] == ["login_revoked", "login_allowed"]
    assert {one["detail"]["subject_login"] for one in found} == {"o'hara | 7"}


async def test_without_an_issuer_there_is_no_login_to_revoke(harness: AppHarness) -> None:
    token = await harness.new_token(scopes=frozenset({Scope.ADMIN_WRITE}))
    for change in ("revoke", "allow"):
        path = f"{ADMIN_LOGINS}/{change}"
        response = await harness.call("POST", path, token=token, json={"subject": "ann"})
        assert_problem(response, 404, "subject", code="resource_not_found")
    assert (await harness.call("GET", ADMIN_LOGINS, token=token)).json()["data"] == []


async def test_clients_of_the_store_go_on_as_before(logins: Logins) -> None:
    assert (await logins.read(await logins.harness.new_token())).status_code == 200
    assert (await logins.read("qrt_unknown")).status_code == 401
    assert logins.issuer.requests == {}


async def test_without_an_issuer_its_tokens_are_unknown(harness: AppHarness) -> None:
    response = await harness.call("GET", "/v2/query_runs", token="eyJhbGciOiJSUzI1NiJ9.e30.AA")
    assert response.status_code == 401

"""`POST /oauth/token` (contract E)."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote_plus, urlencode

import httpx2
import pytest
import structlog.testing

from queryrun.auth.clients import revoke_client, rotate_secret
from queryrun.auth.model import Scope
from queryrun.auth.tokens import issue_token
from queryrun.http.rate_limits import Rates
from tests.conftest import Clock
from tests.http.app_harness import (
    ACME,
    DEFAULT_SETTINGS,
    GLOBEX,
    SELECT,
    AppHarness,
    open_app_harness,
)
from tests.http.problem import assert_problem

pytestmark = pytest.mark.anyio


def form(harness: AppHarness, **other: str) -> dict[str, str]:
    """The form of a good request, with fields replaced."""
    fields = {
        "client_id": harness.client_id,
        "client_secret": harness.secret,
        "grant_type": "client_credentials",
    }
    return {**fields, **other}


async def request_token(
    harness: AppHarness, data: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> httpx2.Response:
    """One token request, without a bearer token unless given."""
    return await harness.call("POST", "/oauth/token", token="", data=data, headers=headers)


def assert_refused(response: httpx2.Response, status: int, error: str) -> None:
    """The response satisfies RFC 6749 section 5.2 and the SDK that reads `message`."""
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == {"error", "error_description", "message"}
    assert body["error"] == error
    assert body["message"] == body["error_description"]
    assert response.headers["zuora-request-id"]


async def test_valid_credentials_get_a_bearer_token_for_an_hour(harness: AppHarness) -> None:
    response = await request_token(harness, form(harness))
    body = response.json()
    assert response.status_code == 200
    assert set(body) == {"access_token", "expires_in", "jti", "scope", "token_type"}
    assert body["expires_in"] == 3599
    assert body["token_type"] == "bearer"
    assert re.fullmatch(r"[0-9a-f]{32}", body["jti"])
    assert f"entity.{ACME.id}" in body["scope"].split()
    assert f"tenant.{ACME.tenant_id}" in body["scope"].split()
    assert response.headers["cache-control"] == "no-store"
    run = await harness.call("POST", "/v2/query_runs", token=body["access_token"], json=SELECT)
    assert run.status_code == 201


async def test_an_old_bearer_token_on_the_token_endpoint_is_ignored(harness: AppHarness) -> None:
    """The Python SDK sends it on every refresh (contract E)."""
    response = await request_token(harness, form(harness), {"authorization": "Bearer long-expired"})
    assert response.status_code == 200


async def test_basic_credentials_are_form_decoded(harness: AppHarness) -> None:
    """RFC 6749 section 2.3.1."""
    pair = f"{quote_plus(harness.client_id)}:{quote_plus(harness.secret)}"
    basic = base64.b64encode(pair.encode()).decode()
    response = await request_token(
        harness, {"grant_type": "client_credentials"}, {"authorization": f"Basic {basic}"}
    )
    assert response.status_code == 200


async def test_a_new_token_does_not_invalidate_earlier_ones(harness: AppHarness) -> None:
    await request_token(harness, form(harness))
    assert (await harness.call("POST", "/v2/query_runs", json=SELECT)).status_code == 201


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "0" * 36}, 401, "invalid_client"),
        ({"client_id": "short"}, 401, "invalid_client"),
        ({"client_secret": "x" * 43}, 401, "invalid_client"),
        ({"client_id": ""}, 400, "invalid_request"),
        ({"client_secret": ""}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 400, "unsupported_grant_type"),
    ],
)
async def test_a_bad_form_is_refused(
    harness: AppHarness, change: dict[str, str], status: int, error: str
) -> None:
    assert_refused(await request_token(harness, form(harness, **change)), status, error)


async def test_json_instead_of_a_form_is_an_invalid_request(harness: AppHarness) -> None:
    response = await harness.call("POST", "/oauth/token", token="", json=form(harness))
    assert_refused(response, 400, "invalid_request")


async def test_a_form_field_given_twice_is_an_invalid_request(harness: AppHarness) -> None:
    content = urlencode(form(harness)) + "&grant_type=client_credentials"
    response = await harness.call(
        "POST",
        "/oauth/token",
        token="",
        content=content,
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert_refused(response, 400, "invalid_request")


async def test_a_missing_grant_type_is_an_invalid_request(harness: AppHarness) -> None:
    fields = form(harness)
    del fields["grant_type"]
    assert_refused(await request_token(harness, fields), 400, "invalid_request")


async def test_the_token_endpoint_accepts_only_post(harness: AppHarness) -> None:
    response = await harness.call("GET", "/oauth/token", token="")
    assert response.headers["allow"] == "POST"
    assert_refused(response, 405, "invalid_request")


async def test_an_entity_of_another_client_is_unauthorized(harness: AppHarness) -> None:
    response = await request_token(harness, form(harness), {"zuora-entity-ids": GLOBEX.id})
    assert_refused(response, 403, "unauthorized_client")


async def test_a_token_expires_after_an_hour(harness: AppHarness) -> None:
    harness.clock.move(3601)
    response = await harness.call("GET", "/v2/query_runs/x")
    assert_problem(response, 401)
    assert 'error="invalid_token"' in response.headers["www-authenticate"]


async def test_revoking_a_client_invalidates_its_tokens_immediately(harness: AppHarness) -> None:
    await revoke_client(harness.database.auth, harness.client_id, harness.clock)
    assert_problem(await harness.call("GET", "/v2/query_runs/x"), 401)
    assert_refused(await request_token(harness, form(harness)), 401, "invalid_client")


async def test_a_rotated_secret_is_valid_until_its_grace_period_ends(harness: AppHarness) -> None:
    auth = harness.database.auth
    issued = await rotate_secret(auth, harness.client_id, harness.clock, grace_s=60)
    assert (await request_token(harness, form(harness))).status_code == 200
    assert (
        await request_token(harness, form(harness, client_secret=issued.secret))
    ).status_code == 200
    harness.clock.move(61)
    assert_refused(await request_token(harness, form(harness)), 401, "invalid_client")
    assert (
        await request_token(harness, form(harness, client_secret=issued.secret))
    ).status_code == 200


async def test_scopes_decide_what_a_token_may_do(harness: AppHarness) -> None:
    token = await harness.new_token(ACME, scopes=frozenset({Scope.READ}))
    response = await harness.call("POST", "/v2/query_runs", token=token, json=SELECT)
    assert_problem(response, 403)


async def test_token_requests_are_limited_per_address(tmp_path: Path, clock: Clock) -> None:
    settings = replace(DEFAULT_SETTINGS, auth_address_rates=Rates.of(2))
    async with open_app_harness(tmp_path, clock, settings) as harness:
        responses = [await request_token(harness, form(harness)) for _ in range(3)]
    assert [response.status_code for response in responses] == [200, 200, 429]
    assert 0 < int(responses[-1].headers["retry-after"]) <= 60
    assert responses[-1].json()["error"] == "temporarily_unavailable"


async def test_invalid_tokens_get_429_in_the_end_and_valid_ones_never_do(
    tmp_path: Path, clock: Clock
) -> None:
    settings = replace(DEFAULT_SETTINGS, auth_address_rates=Rates.of(2))
    async with open_app_harness(tmp_path, clock, settings) as harness:
        responses = [await harness.call("GET", "/v2/query_runs/x", token="bad") for _ in range(3)]
        assert_problem(await harness.call("GET", "/v2/query_runs/x"), 404)
        assert (await request_token(harness, form(harness))).status_code == 200
    assert_problem(responses[0], 401)
    assert_problem(responses[2], 429)


async def test_wrong_secrets_lock_out_neither_their_client_nor_others(
    tmp_path: Path, clock: Clock
) -> None:
    """From the same address, as behind a proxy."""
    settings = replace(DEFAULT_SETTINGS, auth_address_rates=Rates.of(2))
    async with open_app_harness(tmp_path, clock, settings) as harness:
        wrong = form(harness) | {"client_secret": "wrong"}
        refused = [(await request_token(harness, wrong)).status_code for _ in range(3)]
        assert refused == [401, 401, 429]
        assert (await request_token(harness, form(harness))).status_code == 200
        client_id, secret = await harness.new_client(ACME)
        other = form(harness) | {"client_id": client_id, "client_secret": secret}
        used_up = [(await request_token(harness, form(harness))).status_code for _ in range(2)]
        assert used_up == [200, 429]
        assert (await request_token(harness, other)).status_code == 200


async def test_a_failed_login_is_logged_with_its_address_and_client_and_no_secret(
    harness: AppHarness,
) -> None:
    with structlog.testing.capture_logs() as lines:
        await request_token(harness, form(harness) | {"client_secret": "a-wrong-secret"})
        await request_token(harness, form(harness) | {"client_id": "x" * 36})
        await harness.call("GET", "/v2/query_runs/x", token="a-wrong-token")
        await harness.call("GET", "/v2/query_runs/x", token="")
    failed = [line for line in lines if line["event"] == "login_failed"]
    assert [line.get("client_id") for line in failed] == [harness.client_id, None, None]
    assert {line["remote_address"] for line in lines} == {"192.0.2.1"}
    for secret in ("a-wrong-secret", "a-wrong-token", harness.secret, "xxxx"):
        assert secret not in str(lines)


# --- revocation (RFC 7009) ------------------------------------------------------------------------


async def revoke(harness: AppHarness, token: str, **other: str) -> httpx2.Response:
    """Revoke a token with the harness's credentials, or others."""
    fields = {"client_id": harness.client_id, "client_secret": harness.secret, "token": token}
    sent = {"content-type": "application/x-www-form-urlencoded"}
    content = urlencode(fields | other)
    return await harness.call("POST", "/oauth/revoke", token="", content=content, headers=sent)


async def test_a_revoked_token_is_refused_and_the_others_are_not(harness: AppHarness) -> None:
    other = (
        await issue_token(harness.database.auth, harness.client_id, harness.secret, harness.clock)
    ).token
    assert (await harness.call("GET", "/v2/query_runs", token=other)).status_code == 200
    for _ in range(2):
        response = await revoke(harness, other, token_type_hint="access_token")
        assert (response.status_code, response.json()) == (200, {})
    assert_problem(await harness.call("GET", "/v2/query_runs", token=other), 401)
    assert (await harness.call("GET", "/v2/query_runs")).status_code == 200


async def test_nobody_revokes_the_token_of_another_client(harness: AppHarness) -> None:
    client_id, secret = await harness.new_client(ACME)
    response = await revoke(harness, harness.token, client_id=client_id, client_secret=secret)
    assert response.status_code == 200
    assert (await harness.call("GET", "/v2/query_runs")).status_code == 200


async def test_a_revocation_needs_credentials_and_a_token(harness: AppHarness) -> None:
    wrong = await revoke(harness, harness.token, client_secret="x" * 42)
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
    missing = await revoke(harness, "")
    assert (missing.status_code, missing.json()["error"]) == (400, "invalid_request")
    assert (await harness.call("GET", "/v2/query_runs")).status_code == 200

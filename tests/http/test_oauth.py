"""`POST /oauth/token` (contract E)."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote_plus, urlencode

import httpx2
import pytest

from queryrun.auth.clients import revoke_client, rotate_secret
from queryrun.auth.model import Scope
from queryrun.http.limits import Rates
from queryrun.http.parts import HttpSettings
from tests.conftest import Clock
from tests.http.house import ACME, GLOBEX, SELECT, House, open_house
from tests.http.problem import assert_problem

pytestmark = pytest.mark.anyio


def form(house: House, **other: str) -> dict[str, str]:
    """The form of a good request, with fields replaced."""
    fields = {
        "client_id": house.client_id,
        "client_secret": house.secret,
        "grant_type": "client_credentials",
    }
    return {**fields, **other}


async def ask(
    house: House, data: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> httpx2.Response:
    """One token request, without a bearer token unless given."""
    return await house.call("POST", "/oauth/token", token="", data=data, headers=headers)


def assert_refused(answer: httpx2.Response, status: int, error: str) -> None:
    """The answer satisfies RFC 6749 section 5.2 and the SDK that reads `message`."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error", "error_description", "message"}
    assert body["error"] == error
    assert body["message"] == body["error_description"]
    assert answer.headers["zuora-request-id"]


async def test_good_credentials_buy_a_bearer_token_for_an_hour(house: House) -> None:
    answer = await ask(house, form(house))
    body = answer.json()
    assert answer.status_code == 200
    assert set(body) == {"access_token", "expires_in", "jti", "scope", "token_type"}
    assert body["expires_in"] == 3599
    assert body["token_type"] == "bearer"
    assert re.fullmatch(r"[0-9a-f]{32}", body["jti"])
    assert f"entity.{ACME.id}" in body["scope"].split()
    assert f"tenant.{ACME.tenant_id}" in body["scope"].split()
    assert answer.headers["cache-control"] == "no-store"
    run = await house.call("POST", "/v2/query_runs", token=body["access_token"], json=SELECT)
    assert run.status_code == 201


async def test_an_old_bearer_token_on_the_token_endpoint_is_ignored(house: House) -> None:
    """The Python SDK sends it on every refresh (contract E)."""
    answer = await ask(house, form(house), {"authorization": "Bearer long-expired"})
    assert answer.status_code == 200


async def test_basic_credentials_are_form_decoded(house: House) -> None:
    """RFC 6749 section 2.3.1."""
    pair = f"{quote_plus(house.client_id)}:{quote_plus(house.secret)}"
    basic = base64.b64encode(pair.encode()).decode()
    answer = await ask(
        house, {"grant_type": "client_credentials"}, {"authorization": f"Basic {basic}"}
    )
    assert answer.status_code == 200


async def test_a_new_token_leaves_earlier_ones_alone(house: House) -> None:
    await ask(house, form(house))
    assert (await house.call("POST", "/v2/query_runs", json=SELECT)).status_code == 201


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
    house: House, change: dict[str, str], status: int, error: str
) -> None:
    assert_refused(await ask(house, form(house, **change)), status, error)


async def test_json_instead_of_a_form_is_an_invalid_request(house: House) -> None:
    answer = await house.call("POST", "/oauth/token", token="", json=form(house))
    assert_refused(answer, 400, "invalid_request")


async def test_a_form_field_given_twice_is_an_invalid_request(house: House) -> None:
    content = urlencode(form(house)) + "&grant_type=client_credentials"
    answer = await house.call(
        "POST",
        "/oauth/token",
        token="",
        content=content,
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert_refused(answer, 400, "invalid_request")


async def test_a_missing_grant_type_is_an_invalid_request(house: House) -> None:
    fields = form(house)
    del fields["grant_type"]
    assert_refused(await ask(house, fields), 400, "invalid_request")


async def test_the_token_endpoint_knows_only_post(house: House) -> None:
    answer = await house.call("GET", "/oauth/token", token="")
    assert answer.headers["allow"] == "POST"
    assert_refused(answer, 405, "invalid_request")


async def test_an_entity_of_another_client_is_unauthorized(house: House) -> None:
    answer = await ask(house, form(house), {"zuora-entity-ids": GLOBEX.id})
    assert_refused(answer, 403, "unauthorized_client")


async def test_a_token_dies_after_an_hour(house: House) -> None:
    house.clock.move(3601)
    answer = await house.call("GET", "/v2/query_runs/x")
    assert_problem(answer, 401)
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_revoking_a_client_kills_its_tokens_at_once(house: House) -> None:
    await revoke_client(house.database.auth, house.client_id, house.clock)
    assert_problem(await house.call("GET", "/v2/query_runs/x"), 401)
    assert_refused(await ask(house, form(house)), 401, "invalid_client")


async def test_a_rotated_secret_counts_until_its_grace_is_over(house: House) -> None:
    auth = house.database.auth
    issued = await rotate_secret(auth, house.client_id, house.clock, grace_s=60)
    assert (await ask(house, form(house))).status_code == 200
    assert (await ask(house, form(house, client_secret=issued.secret))).status_code == 200
    house.clock.move(61)
    assert_refused(await ask(house, form(house)), 401, "invalid_client")
    assert (await ask(house, form(house, client_secret=issued.secret))).status_code == 200


async def test_scopes_decide_what_a_token_may_do(house: House) -> None:
    token = await house.new_token(ACME, scopes=frozenset({Scope.READ}))
    answer = await house.call("POST", "/v2/query_runs", token=token, json=SELECT)
    assert_problem(answer, 403)


async def test_token_requests_are_limited_per_address(tmp_path: Path, clock: Clock) -> None:
    settings = HttpSettings(auth_address_rates=Rates.of(2))
    async with open_house(tmp_path, clock, settings) as house:
        answers = [await ask(house, form(house)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert answers[-1].json()["error"] == "temporarily_unavailable"


async def test_bad_tokens_count_against_the_address(tmp_path: Path, clock: Clock) -> None:
    """Guessing tokens is no cheaper than guessing secrets."""
    settings = HttpSettings(auth_address_rates=Rates.of(2))
    async with open_house(tmp_path, clock, settings) as house:
        answers = [await house.call("GET", "/v2/query_runs/x", token="bad") for _ in range(3)]
    assert_problem(answers[0], 401)
    assert_problem(answers[2], 429)

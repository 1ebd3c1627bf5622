"""Sessions of the console: who gets one, what it authorizes, how it ends, and who cannot use it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from queryrun.auth.clients import revoke_client
from tests.conftest import Clock
from tests.http.app_harness import ACME, OPEN_SETTINGS, AppHarness, open_app_harness

pytestmark = pytest.mark.anyio

CONSOLE = {"x-queryrun-console": "1"}
SESSION = "/console/session"
RUNS = "/v2/query_runs"


async def sign_in(harness: AppHarness, **changes: str) -> httpx2.Response:
    """A sign-in with the harness's own client."""
    body = {"client_id": harness.client_id, "client_secret": harness.secret, **changes}
    return await harness.call("POST", SESSION, token="", headers=CONSOLE, json=body)


def cookie_of(response: httpx2.Response) -> str:
    """The session cookie that a response sets, as a browser sends it back."""
    return response.headers["set-cookie"].partition(";")[0]


async def call_as(
    harness: AppHarness, cookie: str, method: str, path: str, **headers: str
) -> httpx2.Response:
    """A request of the console's page with this cookie."""
    sent = {"cookie": cookie, **CONSOLE, **headers}
    # The test client keeps cookies of its own: a browser that is somebody else's must not.
    harness.http.cookies.clear()
    return await harness.call(method, path, token="", headers=sent)


@pytest.fixture
async def cookie(harness: AppHarness) -> str:
    """The cookie of a session."""
    response = await sign_in(harness)
    assert response.status_code == 200, response.text
    harness.http.cookies.clear()
    return cookie_of(response)


async def test_a_session_is_a_cookie_that_no_script_and_no_other_site_gets(
    harness: AppHarness,
) -> None:
    response = await sign_in(harness)
    attributes = response.headers["set-cookie"].split("; ")[1:]
    assert attributes == ["Path=/", "HttpOnly", "SameSite=Strict"]
    assert response.headers["cache-control"] == "no-store"
    assert harness.secret not in response.text
    assert response.json()["client_id"] == harness.client_id
    assert response.json()["entities"] == [{"id": ACME.id, "name": "acme"}]


@pytest.mark.parametrize("by", ["public_url", "proxy"])
async def test_behind_https_the_cookie_is_bound_to_host_and_https(
    tmp_path: Path, clock: Clock, by: str
) -> None:
    async with open_app_harness(tmp_path, clock) as harness:
        if by == "public_url":
            object.__setattr__(harness.app, "public_url", "https://queries.test")
        sent = {**CONSOLE, **({"x-forwarded-proto": "https"} if by == "proxy" else {})}
        body = {"client_id": harness.client_id, "client_secret": harness.secret}
        response = await harness.call("POST", SESSION, token="", headers=sent, json=body)
        set_cookie = response.headers["set-cookie"]
        assert set_cookie.startswith("__Host-queryrun_")
        assert "; Secure" in set_cookie


async def test_the_cookie_authorizes_the_public_api(harness: AppHarness, cookie: str) -> None:
    assert (await call_as(harness, cookie, "GET", SESSION)).status_code == 200
    assert (await call_as(harness, cookie, "GET", RUNS)).status_code == 200
    run = await harness.create()
    response = await call_as(harness, cookie, "POST", f"{RUNS}/{run['id']}/cancel")
    assert response.json()["state"] == "canceled"


async def test_the_cookie_alone_authorizes_nothing(harness: AppHarness, cookie: str) -> None:
    """What another site's form, link, image or frame makes a browser send."""
    run = await harness.create()
    for method, path in (
        ("GET", RUNS),
        ("GET", SESSION),
        ("POST", f"{RUNS}/{run['id']}/cancel"),
        ("POST", "/console/session/extend"),
    ):
        harness.http.cookies.clear()
        response = await harness.call(method, path, token="", headers={"cookie": cookie})
        assert response.status_code == 401, path
    assert (await harness.call("GET", f"{RUNS}/{run['id']}")).json()["state"] == "accepted"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
async def test_requests_of_other_sites_are_not_authorized(
    harness: AppHarness, cookie: str, site: str
) -> None:
    response = await call_as(harness, cookie, "GET", RUNS, **{"sec-fetch-site": site})
    assert response.status_code == 401
    response = await call_as(harness, cookie, "GET", RUNS, **{"sec-fetch-site": "same-origin"})
    assert response.status_code == 200


async def test_no_other_site_may_send_the_header(harness: AppHarness, cookie: str) -> None:
    """A preflight gets no permission, so a browser sends nothing after it."""
    headers = {
        "origin": "https://evil.test",
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-queryrun-console",
    }
    response = await harness.call("OPTIONS", RUNS, token="", headers=headers)
    assert response.status_code == 405
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_another_site_can_sign_nobody_in_or_out(
    harness: AppHarness, cookie: str, method: str
) -> None:
    body = {"client_id": harness.client_id, "client_secret": harness.secret}
    response = await harness.call(method, SESSION, token="", headers={"cookie": cookie}, json=body)
    assert response.status_code == 403
    assert "set-cookie" not in response.headers
    assert (await call_as(harness, cookie, "GET", SESSION)).status_code == 200


async def test_a_stolen_cookie_ends_with_the_sign_out(harness: AppHarness, cookie: str) -> None:
    response = await call_as(harness, cookie, "DELETE", SESSION)
    assert "Max-Age=0" in response.headers["set-cookie"]
    assert (await call_as(harness, cookie, "GET", RUNS)).status_code == 401
    assert (await call_as(harness, cookie, "DELETE", SESSION)).status_code == 200


async def test_a_session_ends_with_its_client(harness: AppHarness, cookie: str) -> None:
    await revoke_client(harness.database.auth, harness.client_id, harness.clock)
    assert (await call_as(harness, cookie, "GET", RUNS)).status_code == 401


async def test_signing_in_again_ends_the_session_before(harness: AppHarness, cookie: str) -> None:
    body = {"client_id": harness.client_id, "client_secret": harness.secret}
    headers = {**CONSOLE, "cookie": cookie}
    response = await harness.call("POST", SESSION, token="", headers=headers, json=body)
    assert cookie_of(response) != cookie
    assert (await call_as(harness, cookie, "GET", RUNS)).status_code == 401


async def test_an_idle_session_ends(harness: AppHarness, cookie: str, clock: Clock) -> None:
    clock.move(OPEN_SETTINGS.session_idle_s - 1)
    assert (await call_as(harness, cookie, "GET", RUNS)).status_code == 200
    clock.move(1)
    assert (await call_as(harness, cookie, "GET", RUNS)).status_code == 401
    assert (await call_as(harness, cookie, "POST", f"{SESSION}/extend")).status_code == 401


async def test_a_session_is_extended_for_twelve_hours_at_most(
    harness: AppHarness, cookie: str, clock: Clock
) -> None:
    for _ in range(47):
        clock.move(900)
        response = await call_as(harness, cookie, "POST", f"{SESSION}/extend")
        assert response.status_code == 200
    clock.move(900)
    assert (await call_as(harness, cookie, "GET", RUNS)).status_code == 401


async def test_requests_alone_do_not_extend_a_session(
    harness: AppHarness, cookie: str, clock: Clock
) -> None:
    """A page that is left open asks for its runs: that is no sign of a person."""
    for _ in range(2):
        clock.move(OPEN_SETTINGS.session_idle_s / 2)
        response = await call_as(harness, cookie, "GET", RUNS)
    assert response.status_code == 401


async def test_several_cookies_of_the_name_count_for_nothing(
    harness: AppHarness, cookie: str
) -> None:
    """Another host of the domain may set one: whose session it is would be its choice."""
    name = cookie.partition("=")[0]
    both = f"{name}=qrt_{'0' * 64}; {cookie}"
    assert (await call_as(harness, both, "GET", RUNS)).status_code == 401


async def test_a_wrong_secret_signs_nobody_in_and_opens_no_dialog(harness: AppHarness) -> None:
    for changes in ({"client_secret": "wrong"}, {"client_id": "x"}, {"client_secret": ""}):
        response = await sign_in(harness, **changes)
        assert response.status_code == 401
        assert "set-cookie" not in response.headers
        assert not response.headers["www-authenticate"].startswith("Basic")


async def test_sign_ins_are_limited_as_tokens_are(tmp_path: Path, clock: Clock) -> None:
    rates = replace(OPEN_SETTINGS.auth_tenant_rates.of(3))
    settings = replace(OPEN_SETTINGS, auth_address_rates=rates)
    async with open_app_harness(tmp_path, clock, settings) as harness:
        wrong = [await sign_in(harness, client_secret="wrong") for _ in range(4)]
        assert [one.status_code for one in wrong] == [401, 401, 401, 429]
        right = [await sign_in(harness) for _ in range(4)]
        assert [one.status_code for one in right] == [200, 200, 200, 429]


async def test_a_malformed_body_is_refused_without_quoting_it(harness: AppHarness) -> None:
    bodies: tuple[object, ...] = (
        {"client_id": 1},
        {"client_id": "a", "client_secret": "hidden", "more": 1},
        [],
    )
    for body in bodies:
        response = await harness.call("POST", SESSION, token="", headers=CONSOLE, json=body)
        assert response.status_code == 400
        assert "hidden" not in response.text


async def test_an_event_stream_of_a_session_ends_with_it(harness: AppHarness, cookie: str) -> None:
    """The check of the stream's token begins with the stream, so a stream that ends has begun."""
    run = await harness.create()
    stream = asyncio.ensure_future(call_as(harness, cookie, "GET", f"{RUNS}/{run['id']}/events"))
    await asyncio.wait({stream}, timeout=0.5)
    assert not stream.done()
    assert (await call_as(harness, cookie, "DELETE", SESSION)).status_code == 200
    async with asyncio.timeout(60):
        response = await stream
    assert response.status_code == 200
    assert "event: state" in response.text


async def test_without_a_console_there_are_no_sessions(tmp_path: Path, clock: Clock) -> None:
    async with open_app_harness(tmp_path, clock) as harness:
        cookie = cookie_of(await sign_in(harness))
    other = tmp_path / "other"
    other.mkdir()
    settings = replace(OPEN_SETTINGS, serve_console=False)
    async with open_app_harness(other, clock, settings) as harness:
        assert (await sign_in(harness)).status_code == 404
        assert (await call_as(harness, cookie, "GET", RUNS)).status_code == 401
        assert (await harness.call("GET", "/")).headers["location"] == "docs"
        assert (await harness.call("GET", "/console")).status_code == 404

"""The page of the API on a phone: found by a word, copied from, and tried with a token."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import TIMEOUT_MS
from tests.e2e.conftest import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("browser")]


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda one: errors.append(one.text) if one.type == "error" else None)
    page.goto(f"{server.url}/docs")
    yield page
    context.close()
    assert not errors


TABLES_CUT_OFF = """() => [...document.querySelectorAll("section[id$=Run] .table")]
    .map(one => [one.closest("section").id, one.scrollWidth, one.clientWidth])
    .filter(([, whole, seen]) => whole > seen)"""
"""Tables of operations whose text a reader would have to push aside, line by line."""


def test_an_operation_is_found_copied_and_tried(page: Page, server: Server) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate(TABLES_CUT_OFF) == []
    page.get_by_label("Search", exact=True).fill("dry_run durably")
    expect(page.locator("section:visible")).to_have_count(1)
    section = page.locator("#createQueryRun")
    section.get_by_text("curl", exact=True).click()
    expect(section.locator("pre", has_text="curl -X POST")).to_be_visible()
    page.get_by_label("Search", exact=True).fill("no such words anywhere")
    expect(page.get_by_text("Nothing has all of these words.")).to_be_visible()
    page.get_by_label("Search", exact=True).fill("durably")

    issued = server.made.issued
    page.get_by_label("Client id").fill(issued.client.id)
    page.get_by_label("Client secret").fill(issued.secret)
    page.get_by_role("button", name="Get a token").click()
    expect(page.get_by_text("A token was issued.")).to_be_visible()
    section.get_by_text("Try it", exact=True).click()
    section.get_by_label("Body").fill('{"sql": "SELECT 1 AS a", "content_type": "csv"}')
    section.get_by_role("button", name="Send").click()
    expect(section.locator("form pre")).to_contain_text("201 ")
    newest = server.http.get("/v2/query_runs").json()["data"][0]
    assert newest["sql"] == "SELECT 1 AS a"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_root_leads_people_to_the_page_and_programs_nowhere_else(server: Server) -> None:
    """Relative, so that a prefix stays."""
    response = server.http.get("/", follow_redirects=False)
    assert (response.status_code, response.headers["location"]) == (303, "console")

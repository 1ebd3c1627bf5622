"""The manual in a browser, as the service serves it: searched, dark, and nothing from elsewhere."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from queryrun.manual.site import Site
from tests.browser.conftest import Console

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("browser")]


def test_the_manual_is_searched_and_dark_and_requests_no_other_server(console: Console) -> None:
    """Whatever its policy refuses would be an error in the browser's console, and fail the test."""
    if Site().manifest() is None:
        pytest.skip("NOT TESTED: the manual is not built (`make docs`)")
    page, requested = console.page, set[str]()
    page.on("request", lambda request: requested.add(urlsplit(request.url).netloc))
    page.emulate_media(color_scheme="dark")
    console.open("/docs/index.html")
    page.locator("input[name=query]").click()
    page.locator("input[name=query]").press_sequentially("reaped")
    expect(page.locator(".md-search-result__item").first).to_be_visible()
    page.locator(".md-search-result__link").first.click()
    page.wait_for_url(re.compile(r"/docs/.+\.html"))
    console.picture("manual")
    expect(page.locator("body")).to_have_attribute("data-md-color-scheme", "slate")
    assert requested == {urlsplit(console.server.url).netloc}

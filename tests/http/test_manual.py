"""The manual over HTTP: which files are served, how, and what its pages may load."""

from __future__ import annotations

import gzip
from pathlib import Path

import msgspec
import pytest

from queryrun.http import manual
from queryrun.manual.site import Manifest, Site
from tests.http.app_harness import AppHarness

pytestmark = pytest.mark.anyio

PAGE = b"<!doctype html><title>Tutorial</title>"
BUILT = Manifest("1.2.3", frozenset({"how-to/cancel.html", "openapi.md"}), ("sha256-abc=",))


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A build of one page, beside files that it does not name."""
    (tmp_path / "how-to").mkdir()
    (tmp_path / "how-to/cancel.html").write_bytes(PAGE)
    (tmp_path / "how-to/cancel.html.gz").write_bytes(gzip.compress(PAGE))
    (tmp_path / "openapi.md").write_bytes(b"of a kind that is not served")
    (tmp_path / "other.html").write_bytes(b"not of this build")
    (tmp_path / "manifest.json").write_bytes(msgspec.json.encode(BUILT))
    monkeypatch.setattr(manual, "_site", Site(tmp_path))
    return tmp_path


async def test_a_page_is_served_to_anybody_and_may_load_nothing_from_elsewhere(
    harness: AppHarness, built: Path
) -> None:
    response = await harness.call("GET", "/docs/how-to/cancel.html", token="")
    assert (response.status_code, response.content) == (200, PAGE)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self' 'sha256-abc=';")
    assert "http" not in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    "name", ["other.html", "openapi.md", "manifest.json", "../site.py", "how-to", "%2e%2e/site.py"]
)
async def test_what_the_build_does_not_name_is_not_there(
    harness: AppHarness, built: Path, name: str
) -> None:
    response = await harness.call("GET", f"/docs/{name}", token="")
    assert response.status_code == 404


async def test_without_a_build_the_answer_says_how_to_make_one(
    harness: AppHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manual, "_site", Site(tmp_path))
    response = await harness.call("GET", "/docs/index.html", token="")
    assert response.status_code == 404
    assert "make docs" in response.text
    assert (await harness.call("GET", "/docs", token="")).status_code == 200, "the API's page stays"


LINK = 'href="docs/index.html"'


async def test_the_page_of_the_api_leads_to_the_manual_where_there_is_one(
    harness: AppHarness, built: Path
) -> None:
    assert LINK in (await harness.call("GET", "/docs", token="")).text


async def test_the_page_of_the_api_leads_to_no_manual_that_is_not_there(
    harness: AppHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manual, "_site", Site(tmp_path))
    assert LINK not in (await harness.call("GET", "/docs", token="")).text

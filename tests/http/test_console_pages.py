"""The console's page and its files: where they are, how they are cached, what they forbid."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import msgspec
import pytest

from queryrun.console.assets import Assets, Manifest
from queryrun.http.console import pages
from tests.http.app_harness import AppHarness

pytestmark = pytest.mark.anyio

SCRIPT = b"console.log('hello')"
BUILT = Manifest(
    "main-AB12.js", "main-CD34.css", "icon-EF56.svg", ("part-1.js",), ("main-AB12.js",)
)


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A build of one script."""
    directory = tmp_path / "static"
    directory.mkdir()
    (directory / "manifest.json").write_bytes(msgspec.json.encode(BUILT))
    (directory / "main-AB12.js").write_bytes(SCRIPT)
    (directory / "main-AB12.js.gz").write_bytes(gzip.compress(SCRIPT))
    (directory / "secret.js").write_bytes(b"not of this build")
    monkeypatch.setattr(pages, "_assets", Assets(directory))
    return directory


async def test_home_leads_to_the_console_whatever_the_prefix(harness: AppHarness) -> None:
    response = await harness.call("GET", "/", token="")
    assert (response.status_code, response.headers["location"]) == (303, "console")


@pytest.mark.parametrize(
    ("path", "base"),
    [
        ("/console", "console/"),
        ("/console/", "./"),
        ("/console/runs", "./"),
        ("/console/runs/", "../"),
        ("/console/runs/abc", "../"),
        ("/console/a/b/c", "../../"),
    ],
)
async def test_the_page_finds_its_files_from_every_address(
    harness: AppHarness, built: Path, path: str, base: str
) -> None:
    response = await harness.call("GET", path, token="")
    assert response.status_code == 200
    assert f'<base href="{base}">' in response.text
    assert 'src="assets/main-AB12.js"' in response.text


async def test_the_page_can_be_framed_by_nobody_and_runs_no_inline_script(
    harness: AppHarness, built: Path
) -> None:
    response = await harness.call("GET", "/console", token="")
    policy = response.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|style=", response.text)


async def test_the_nonce_for_styles_is_new_every_time(harness: AppHarness, built: Path) -> None:
    responses = [await harness.call("GET", "/console", token="") for _ in range(2)]
    policies = {one.headers["content-security-policy"] for one in responses}
    assert len(policies) == 2
    for response in responses:
        (nonce,) = re.findall(r'data-nonce="([^"]{16,})"', response.text)
        assert f"'nonce-{nonce}'" in response.headers["content-security-policy"]
        assert response.headers["cache-control"] == "no-store"


async def test_files_are_kept_for_good_and_sent_compressed(
    harness: AppHarness, built: Path
) -> None:
    path = "/console/assets/main-AB12.js"
    plain = await harness.call("GET", path, token="", headers={"accept-encoding": "identity"})
    packed = await harness.call("GET", path, token="", headers={"accept-encoding": "gzip"})
    assert plain.content == packed.content == SCRIPT
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    for response in (plain, packed):
        assert "immutable" in response.headers["cache-control"]
        assert response.headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize(
    "name", ["manifest.json", "secret.js", "..%2fassets.py", "main-AB12.js.gz", "%2e%2e", "x.js"]
)
async def test_only_files_of_the_build_are_served(
    harness: AppHarness, built: Path, name: str
) -> None:
    response = await harness.call("GET", f"/console/assets/{name}", token="")
    assert b"not of this build" not in response.content
    assert not response.headers["content-type"].startswith("text/javascript")


async def test_without_a_build_the_page_says_how_to_make_one(
    harness: AppHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_assets", Assets(tmp_path / "none"))
    response = await harness.call("GET", "/console", token="")
    assert response.headers["content-type"].startswith("text/plain")
    assert "make console" in response.text
    assert (await harness.call("GET", "/healthz", token="")).status_code == 200

"""The documentation as a site: it builds without a warning, whole, and loads nothing from outside.

The generator runs in its own environment (`make docs`); without it these tests are skipped.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tools import build_docs
from tools.set_version import version

REMOTE = re.compile(r"^(?:[a-z]+:)?//")
LOADS = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
NOT_LOADED = {"canonical", "next", "prev", "edit"}


class Page(HTMLParser):
    """What a page loads, where it leads, and the anchors that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = {""}
        self.styled: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect one tag."""
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        self.styled += [f"<{tag} style={found['style']}>"] if "style" in found else []
        if tag in LOADS and LOADS[tag] in found and found.get("rel") not in NOT_LOADED:
            self.loads.append(found[LOADS[tag]])
        elif tag == "a" and "href" in found:
            self.links.append(found["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built anew from the pages as they are."""
    is_required = bool(os.environ.get("CI")) and not os.environ.get("WITHOUT_DOCS_SITE")
    if not (build_docs.ENVIRONMENT / "bin/mkdocs").exists() and not is_required:
        pytest.skip("NOT TESTED: the site's tools are not installed (`make docs`)")
    directory = tmp_path_factory.mktemp("site")
    source, built = directory / "pages", directory / "site"
    build_docs.gather(source)
    assert build_docs.generate(source, built) == 0, "the generator's warnings are above"
    build_docs.finish(source, built)
    return built


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    """Every page of the site, by its address."""
    paths = [path for path in site.rglob("*.html") if path.name != "404.html"]
    return {
        path.relative_to(site).as_posix(): Page(path.read_text(encoding="utf-8")) for path in paths
    }


def test_every_page_of_the_repository_is_in_the_site(pages: dict[str, Page]) -> None:
    sources = [path.relative_to(build_docs.DOCS) for path in build_docs.DOCS.rglob("*.md")]
    expected = {path.with_suffix(".html").as_posix() for path in sources}
    expected |= {
        Path(page).with_suffix(".html").as_posix() for page in build_docs.OF_THE_ROOT.values()
    }
    assert {one.replace("README.html", "index.html") for one in expected} == set(pages)


def test_every_page_names_the_version_that_it_describes(pages: dict[str, Page], site: Path) -> None:
    named = f"queryrun {version()}"
    assert not [one for one in pages if named not in (site / one).read_text(encoding="utf-8")]


def test_every_page_can_be_reached_from_the_first(pages: dict[str, Page]) -> None:
    reached, waiting = {"index.html"}, ["index.html"]
    while waiting:
        address = waiting.pop()
        for target, _anchor in targets(address, pages[address].links):
            if target in pages and target not in reached:
                reached.add(target)
                waiting.append(target)
    assert set(pages) - reached == set()


def targets(address: str, links: list[str]) -> Iterator[tuple[str, str]]:
    """Where the links of a page lead within the site: address and anchor."""
    for link in links:
        if ":" not in link.partition("/")[0] and not REMOTE.match(link):
            path, _, anchor = link.partition("#")
            whole = os.path.normpath(Path(address).parent / path) if path else address
            yield whole, anchor


def test_no_link_is_dead(pages: dict[str, Page], site: Path) -> None:
    dead = [
        f"{address}: {target}#{anchor}"
        for address, page in pages.items()
        for target, anchor in targets(address, page.links)
        if not is_there(target, anchor, pages, site)
    ]
    assert dead == []


def is_there(target: str, anchor: str, pages: dict[str, Page], site: Path) -> bool:
    """Whether a link's page, or file, exists, and the page has the anchor."""
    if target in pages:
        return anchor in pages[target].anchors or anchor.startswith("__")
    return target in (".", "..") or (site / target).is_file()


def test_pages_load_nothing_from_elsewhere(pages: dict[str, Page], site: Path) -> None:
    assert [load for page in pages.values() for load in page.loads if REMOTE.match(load)] == []
    for path in (*site.rglob("*.css"), *site.rglob("*.js")):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", text), path.name


def test_no_page_needs_a_style_that_the_policy_refuses(pages: dict[str, Page]) -> None:
    assert [one for page in pages.values() for one in page.styled] == []


def test_the_search_finds_pages_and_llms_txt_names_them(site: Path, pages: dict[str, Page]) -> None:
    index = json.loads((site / "search/search_index.json").read_text(encoding="utf-8"))
    searched = {entry["location"].partition("#")[0] for entry in index["docs"]}
    assert set(pages) - searched == set()
    named = re.findall(
        r"^- \[[^\n]*?\]\((\S+\.html)\): ", (site / "llms.txt").read_text(), re.MULTILINE
    )
    assert set(named) == set(pages)


def test_the_manifest_names_the_version_every_file_and_every_script(site: Path) -> None:
    manifest = json.loads((site / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["version"] == version()
    assert all((site / name).is_file() for name in manifest["files"])
    assert "index.html" in manifest["files"]
    assert all(re.fullmatch(r"sha256-[\w+/]{43}=", digest) for digest in manifest["scripts"])

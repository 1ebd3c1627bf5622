"""One server and one browser for all tests; every test has a browser profile of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from queryrun.auth.model import IssuedSecret
from queryrun.cli import clients
from queryrun.cli.clients import NewClient
from queryrun.cli.home import init_home
from queryrun.console.assets import Assets
from tests.browser import chromium
from tests.e2e.conftest import Server, ServerHarness

TIMEOUT_MS = 60_000
"""For a machine that has much else to do: what is waited for takes milliseconds on its own."""
MARKUP = "<img src=x onerror=\"window.hacked='cell'\"><script>window.hacked='script'</script>"
HOSTILE = [
    {"note": MARKUP, MARKUP: "name"},
    {"note": "bell\u0007 escape\u001b[31m turned\u202eeman\u202c"},
    {"note": "long " + "x" * 1_000_000},
    {"note": ""},
    {"note": None},
]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
FOCUSED = "`in focus: ${document.activeElement?.outerHTML.slice(0, 300)}`"
PICTURES = os.environ.get("CONSOLE_PICTURES", "")
"""A directory for pictures of screens (`make console-pictures`); empty: none are kept."""


@pytest.fixture(scope="module")
def browser_path() -> str:
    """Chromium. Without one, or without a built console, tests are skipped; in CI they fail."""
    missing = ""
    path = chromium.executable()
    if Assets().manifest() is None:
        missing = "the console is not built (`make console`)"
    elif path is None or not chromium.AXE.exists():
        missing = "there is no browser (`make browser`)"
    if missing and os.environ.get("CI") and not os.environ.get("WITHOUT_BROWSER"):
        pytest.fail(missing, pytrace=False)
    if missing or path is None:
        pytest.skip(f"NOT TESTED: {missing}")
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, browser_path: str) -> Iterator[Server]:
    """A server with two tables: orders, and one whose every text is an attack."""
    directory = tmp_path_factory.mktemp("browser")
    made = init_home(directory / "home", entity="main", factor=None)
    data = made.home / "data/main"
    orders = "\n".join(f"{n},{'open' if n % 3 else 'paid'},{n * 7 % 100}.50" for n in range(1, 41))
    (data / "orders.csv").write_text(f"id,state,amount\n{orders}\n", encoding="utf-8")
    (data / "hostile.json").write_text("\n".join(map(json.dumps, HOSTILE)), encoding="utf-8")
    harness = ServerHarness(made, directory / "log")
    yield harness.serve(
        {
            "QUERYRUN_SOURCES__LIVE__DIALECT": "trino",
            "QUERYRUN_SOURCES__LIVE__QUEUED_PER_TENANT": "0",
            "QUERYRUN_RATES__PRESET": "off",
        }
    )
    harness.close()


@pytest.fixture(scope="module")
def operator(server: Server) -> IssuedSecret:
    """A client that administers the tenant, in two entities."""
    scopes = ["read", "submit", "cancel", "admin:write"]
    new = NewClient(["main", "other"], scopes, name="operator")
    return clients.create(server.made.home, new)


@pytest.fixture(scope="module")
def browser(browser_path: str, server: Server, operator: IssuedSecret) -> Iterator[Browser]:
    """The browser. It comes after what needs an event loop and ends with the module, because
    Playwright's event loop lives in this thread for as long, and no other can."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=browser_path, args=ARGUMENTS)
        yield launched
        launched.close()


@dataclass
class Console:
    """The page, and what went wrong in it."""

    page: Page
    server: Server
    operator: IssuedSecret
    faults: list[str] = field(default_factory=list)

    def open(self, path: str = "/console") -> None:
        """Go to an address of the console."""
        self.page.goto(self.server.url + path)

    def sign_in(self, waits_for: str = ".cm-content") -> None:
        """Sign in as the home's own client, and wait for the editor."""
        self.sign_in_as(self.server.made.issued, waits_for)

    def sign_in_as(self, issued: IssuedSecret, waits_for: str = ".cm-content") -> None:
        """Sign in as this client, and wait until its page shows this."""
        self.page.get_by_label("Client id").fill(issued.client.id)
        self.page.get_by_label("Client secret").fill(issued.secret)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.locator(waits_for).first.wait_for()

    def write(self, sql: str) -> None:
        """Replace the statement."""
        editor = self.page.locator(".cm-content")
        editor.click()
        self.page.keyboard.press("ControlOrMeta+a")
        # Over a coloured selection Chromium tries to keep the colour by an inline style, which the
        # policy refuses, and reports it as the page's fault.
        self.page.keyboard.press("Delete")
        self.page.keyboard.insert_text(sql)

    def run(self, sql: str, state: str = "Complete") -> None:
        """Run a statement and wait for its state on the screen."""
        self.write(sql)
        self.page.keyboard.press("Escape")
        self.page.keyboard.press("ControlOrMeta+Enter")
        self.page.locator(".run .state", has_text=state).wait_for()

    def cell(self, row: int, column: int) -> str:
        """The text of a cell, as it is shown."""
        return self.page.locator(f"#cell-{row}-{column}").inner_text()

    def picture(self, name: str) -> None:
        """Keep a picture of the screen, if pictures are wanted."""
        if PICTURES:
            # Not "hide": that would put a style into the page, which its policy forbids.
            self.page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), caret="initial")


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh profile."""
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(TIMEOUT_MS)
    yield context
    context.close()


@pytest.fixture
def console(context: BrowserContext, server: Server, operator: IssuedSecret) -> Iterator[Console]:
    """The console, not signed in. Errors of its script and of its policy fail the test."""
    page = context.new_page()
    found = Console(page, server, operator)
    page.on("pageerror", lambda error: found.faults.append(str(error)))
    page.on(
        "console",
        lambda message: (
            found.faults.append(f"{message.text[-60:]} {message.location}")
            if message.type == "error" and "status of" not in message.text
            else None
        ),
    )
    yield found
    print(page.locator("body").inner_text(), page.evaluate(FOCUSED), sep="\n")  # of a failed test
    assert not found.faults
    assert page.evaluate("window.hacked") is None

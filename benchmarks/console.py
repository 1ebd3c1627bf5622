"""The console in a real browser: how long people wait for it (`make console browser` first).

Lighthouse is measured when `LIGHTHOUSE` names its command, which is not installed with the rest:
`npm install --prefix DIR --ignore-scripts lighthouse`, then `DIR/node_modules/.bin/lighthouse`.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from tests.browser import chromium

from benchmarks import table
from benchmarks.served import Served, served

CANCELS = int(os.environ.get("CANCELS", "200"))
RUNS = 100_000
ROUNDS = 50
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
CONTRACT_DIALECT = {"QUERYRUN_SOURCES__LIVE__DIALECT": "trino"}
RUNAWAY = (
    "SELECT count(*) FROM UNNEST(sequence(1, 10000)) a (x) CROSS JOIN UNNEST(sequence(1, 10000)) "
    "b (y) CROSS JOIN UNNEST(sequence(1, 10000)) c (z) WHERE x * y % 7 > z % 5"
)
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
CATEGORIES = ("performance", "accessibility", "best-practices")


def measure() -> None:
    """Print the tables."""
    path = chromium.executable()
    if path is None:
        raise SystemExit("there is no browser: `make browser`")
    with served(CONTRACT_DIALECT) as server:
        secret = (server.client_id, server.client_secret)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
            rows = [
                _row("first contentful paint, signed in", _paints(browser, server, secret)),
                _row("statement validated", _validations(server)),
                _row(
                    "click on Stop → *Proven stopped* on the screen",
                    _stops(browser, server, secret),
                ),
            ]
            server.submit_and_wait("SELECT 1 AS one")
            add_runs(server.home / "queryrun.db", RUNS)
            rows.append(_row(f"a page of 50 of {RUNS:,} runs", _pages(server)))
            rows.append(_row("the same, by state and tag", _pages(server, filtered=True)))
            browser.close()
        head = ["what", "times", "p50 ms", "p95 ms", "p99 ms", "max ms"]
        table.show("The console in Chromium", head, rows)
        _lighthouse(server, secret, path)


def _row(what: str, found_ms: list[float]) -> list[str]:
    figures = [*(table.percentile(found_ms, p) for p in (50, 95, 99)), max(found_ms)]
    return [what, str(len(found_ms)), *(f"{value:.0f}" for value in figures)]


def _timed_ms(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def _sign_in(browser: Browser, server: Served, secret: tuple[str, str]) -> Page:
    page = browser.new_context(locale="en-GB").new_page()
    page.goto(f"{server.url}/console")
    page.get_by_label("Client id").fill(secret[0])
    page.get_by_label("Client secret").fill(secret[1])
    page.get_by_role("button", name="Sign in").click()
    page.locator(".cm-content").wait_for()
    return page


def _paints(browser: Browser, server: Served, secret: tuple[str, str]) -> list[float]:
    """Each in the same profile, as a person who comes back."""
    page = _sign_in(browser, server, secret)
    found = []
    for _ in range(20):
        page.goto(f"{server.url}/console")
        page.locator(".cm-content").wait_for()
        found.append(float(page.evaluate(FIRST_PAINT)))
    page.context.close()
    return found


def _validations(server: Served) -> list[float]:
    body = {"sql": "SELECT count(*) AS n, max(x) FROM UNNEST(sequence(1, 9)) t (x) WHERE x > 3"}
    return [
        _timed_ms(lambda: server.http.post("/v2/validate", json=body).raise_for_status())
        for _ in range(ROUNDS * 4)
    ]


def _stops(browser: Browser, server: Served, secret: tuple[str, str]) -> list[float]:
    """As the page itself measures it, from the click to the frame that shows the proof."""
    page = _sign_in(browser, server, secret)
    editor = page.locator(".cm-content")
    editor.click()
    page.keyboard.insert_text(RUNAWAY)
    found = []
    for _ in range(CANCELS):
        page.locator(".cm-content").click()
        page.keyboard.press("Escape")
        page.keyboard.press("ControlOrMeta+Enter")
        page.locator(".run .state.running").wait_for()
        page.get_by_role("button", name="Stop", exact=True).click()
        displayed = (
            page.locator(".timeline li", has_text="On this screen").locator(".at").inner_text()
        )
        figure, unit = displayed.removeprefix("+ ").split()
        found.append(float(figure.replace(",", "")) * (1000 if unit == "s" else 1))
    page.context.close()
    return found


def add_runs(database: Path, count: int) -> None:
    """Add complete runs to a home while its server runs: copies of its newest one, with tags."""
    with sqlite3.connect(database, timeout=60) as connection:
        seq = connection.execute("SELECT max(seq) FROM runs WHERE state = 'complete'").fetchone()[0]
        for name, own in (("runs", "seq"), ("run_requests", "run_seq")):
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
            changed = {own: f"{seq} + n", "tags": """'[["team","' || (n % 20) || '"]]'"""}
            if name == "runs":
                uuid = "'00000000-0000-4000-8000-' || printf('%012x', n)"
                changed |= {"id": uuid, "created_ms": "created_ms + n"}
            values = ", ".join(changed.get(column, column) for column in columns)
            connection.execute(
                f"WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers"
                f" LIMIT {count}) INSERT INTO {name} ({', '.join(columns)})"
                f" SELECT {values} FROM {name}, numbers WHERE {own} = {seq}"
            )


def _pages(server: Served, *, filtered: bool = False) -> list[float]:
    """Following `next_page`, as the history does."""
    params: dict[str, str | list[str]] = {"page_size": "50"}
    if filtered:
        params["filter[]"] = ["state.EQ:complete", "tags[team].EQ:7"]
    found = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        response = server.http.get("/v2/query_runs", params=params)
        found.append((time.perf_counter() - began) * 1000)
        response.raise_for_status()
        next_page = response.json()["next_page"]
        if next_page is None:
            break
        params["cursor"] = next_page
    return found


def _lighthouse(server: Served, secret: tuple[str, str], path: str) -> None:
    command = os.environ.get("LIGHTHOUSE")
    if not command:
        print("\nLighthouse: not measured (`LIGHTHOUSE` names no command)")
        return
    body = {"client_id": secret[0], "client_secret": secret[1]}
    headers = {"x-queryrun-console": "1"}
    session = server.http.post("/console/session", json=body, headers=headers)
    session.raise_for_status()
    cookie = session.headers["set-cookie"].split(";")[0]
    pages = {"sign in": "{}", "query": json.dumps({"Cookie": cookie})}
    rows = [[name, *_scores(command, server.url, path, given)] for name, given in pages.items()]
    table.show("Lighthouse, desktop", ["page", *CATEGORIES], rows)


def _scores(command: str, url: str, path: str, headers: str) -> list[str]:
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.json"
        subprocess.run(
            [
                *(command, f"{url}/console", "--quiet", "--preset=desktop", "--output=json"),
                f"--output-path={report}",
                f"--only-categories={','.join(CATEGORIES)}",
                f"--extra-headers={headers}",
                f"--chrome-flags=--headless {' '.join(ARGUMENTS)}",
            ],
            check=True,
            env=os.environ | {"CHROME_PATH": path},
        )
        found = json.loads(report.read_text())["categories"]
    return [f"{found[name]['score'] * 100:.0f}" for name in CATEGORIES]

"""Journeys through the console: asked, watched, stopped, looked at, found again, kept."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import BrowserContext, Route, expect

from tests.browser import chromium
from tests.browser.conftest import MARKUP, TIMEOUT_MS, Console

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("browser"),
]
expect.set_options(timeout=TIMEOUT_MS)

RUNAWAY = (
    "SELECT count(*) FROM UNNEST(sequence(1, 10000)) a (x) CROSS JOIN UNNEST(sequence(1, 10000)) "
    "b (y) CROSS JOIN UNNEST(sequence(1, 10000)) c (z) WHERE x * y % 7 > z % 5"
)
BY_STATE = (
    "SELECT state, count(*) AS orders, sum(amount) AS amount\n"
    "FROM orders\nGROUP BY state\nORDER BY 1"
)


def test_a_person_asks_looks_and_finds_it_again(console: Console) -> None:
    page = console.page
    console.open("/")
    console.sign_in()
    page.locator("summary", has_text="orders").click()
    expect(page.locator("details.table[open] .columns")).to_contain_text("amount")
    console.write("SELECT * FROM ")
    page.get_by_role("button", name="Insert name").first.click()
    expect(page.locator(".cm-content")).to_contain_text("FROM orders")

    console.run(BY_STATE)
    assert [console.cell(row, 0) for row in (0, 1)] == ["open", "paid"]
    expect(page.get_by_role("columnheader", name="orders")).to_contain_text("bigint")
    console.picture("query")
    page.get_by_role("button", name="Columns", exact=True).click()
    expect(page.locator("caption")).to_contain_text("all 2 rows")
    page.get_by_role("button", name="Chart", exact=True).click()
    expect(page.locator(".chart canvas")).to_be_visible()
    with page.expect_download() as chart:
        page.get_by_role("button", name="Save as PNG").click()
    assert chart.value.path().read_bytes().startswith(b"\x89PNG")
    with page.expect_download() as file:
        page.get_by_role("link", name="Download csv").click()
    assert file.value.path().read_text().startswith("state,orders,amount\nopen,27,")

    page.get_by_role("link", name="Address of this run").click()
    page.wait_for_url(re.compile(r"/console/runs/[0-9a-f-]{36}$"))
    page.reload()
    expect(page.locator("#cell-0-0")).to_have_text("open")
    page.get_by_role("link", name="Runs").click()
    expect(page.locator("table.runs tbody tr").first).to_contain_text("FROM orders")
    console.picture("runs")
    page.get_by_label("State").select_option("failed")
    expect(page.locator(".nothing")).to_contain_text("with these filters")


def test_the_keyboard_alone_is_enough(console: Console) -> None:
    page, keys = console.page, console.page.keyboard
    issued = console.server.made.issued
    console.open()
    expect(page.get_by_label("Client id")).to_be_focused()
    keys.insert_text(issued.client.id)
    keys.press("Tab")
    keys.insert_text(issued.secret)
    keys.press("Enter")
    page.locator(".cm-content").wait_for()
    for _ in range(40):
        if page.evaluate("document.activeElement.classList.contains('cm-content')"):
            break
        keys.press("Tab")
    keys.insert_text("SELECT id, state FROM orders ORDER BY id")
    keys.press("Control+Enter")
    page.locator("#cell-0-0").wait_for()
    keys.press("Escape")  # closes completion; the second lets Tab leave the editor
    keys.press("Escape")
    for _ in range(40):
        if page.evaluate("document.activeElement.getAttribute('role') === 'grid'"):
            break
        keys.press("Tab")
    for key in ("ArrowDown", "ArrowRight", "Enter"):
        keys.press(key)
    expect(page.get_by_role("dialog")).to_contain_text("state, row 2")
    keys.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_runaway_is_stopped_and_the_screen_proves_it(console: Console) -> None:
    page = console.page
    console.open()
    console.sign_in()
    console.run(RUNAWAY, "Running")
    # Before it, no worker has a statement: such a stop is proven too, and has fewer steps.
    expect(page.locator(".run")).to_contain_text("executing")
    page.get_by_role("button", name="Stop", exact=True).click()
    page.locator(".run .state", has_text="Proven stopped").wait_for()
    steps = page.locator(".timeline li.done")
    expect(page.locator(".timeline li").last).to_contain_text("On this screen")
    expect(steps.nth(0)).to_contain_text("Asked (user) by its submitter")
    taken = r"\+ [\d.]+ m?s"
    for text in ("Interrupt sent", "Reaped: its memory", "Unfinished file removed", "slot is back"):
        step = page.locator(".timeline li.done", has_text=text)
        expect(step).to_contain_text(re.compile(taken))
    console.picture("stopped")


def test_all_of_a_statement_is_sent_however_long_it_is(console: Console) -> None:
    """An editor parses what it shows, and what there is time for."""
    console.open()
    console.sign_in()
    numbers = ", ".join(map(str, range(8_000)))
    console.run(f"SELECT count(*) AS n FROM orders WHERE id IN ({numbers}) AND id < 8")
    expect(console.page.locator("#cell-0-0")).to_have_text("7")


def test_the_statement_at_the_cursor_is_run_and_no_other(console: Console) -> None:
    console.open()
    console.sign_in()
    routine = "WITH FUNCTION f() RETURNS bigint BEGIN DECLARE a bigint DEFAULT 7; RETURN a; END"
    console.run(f"SELECT nothing; -- not; this\n{routine}\nSELECT f() AS n;\n")
    expect(console.page.locator("#cell-0-0")).to_have_text("7")


def test_errors_are_underlined_while_a_statement_is_written(console: Console) -> None:
    page = console.page
    console.open()
    console.sign_in()
    console.write("SELECT id,\n  amout\nFROM orders")
    expect(page.locator(".cm-lintRange-error")).to_have_text("amout")
    page.keyboard.press("F8")
    expect(page.locator(".cm-tooltip-lint")).to_contain_text("Did you mean 'amount'")
    page.keyboard.press("Escape")
    console.run("SELECT id,\n  amout\nFROM orders", "Failed")
    expect(page.locator(".run .failure")).to_contain_text("Line 2, column 3")
    console.picture("failed")


def test_hostile_data_is_text_and_nothing_else(console: Console) -> None:
    page = console.page
    console.open()
    console.sign_in()
    page.locator("summary", has_text="hostile").click()
    console.run("SELECT * FROM hostile")
    note = 0 if console.cell(0, 0).startswith("<img") else 1
    assert console.cell(0, note) == MARKUP
    assert "\u202e" not in console.cell(1, note)
    assert "\u2039U+202E\u203a" in console.cell(1, note)
    assert len(console.cell(2, note)) < 200
    assert console.cell(3, note) == "empty"
    assert console.cell(4, note) == "NULL"
    page.locator(f"#cell-2-{note}").dblclick()
    expect(page.get_by_role("dialog")).to_contain_text("1,000,005 characters")
    page.keyboard.press("Escape")
    for button in ("Columns", "Chart", "Rows"):
        page.get_by_role("button", name=button, exact=True).click()
    console.run(
        f"SELECT '{MARKUP.replace(chr(39), chr(39) * 2)}' AS \"{MARKUP.replace(chr(34), '')}\""
    )
    console.run(f'SELECT "{MARKUP.replace(chr(34), "")}" FROM orders', "Failed")
    page.get_by_role("link", name="Runs").click()
    page.locator("table.runs").wait_for()


def test_a_hundred_thousand_rows_are_a_few_on_the_screen(console: Console) -> None:
    page = console.page
    console.open()
    console.sign_in()
    console.run(
        "SELECT a * 1000 + b AS n FROM UNNEST(sequence(0, 99)) x (a) "
        "CROSS JOIN UNNEST(sequence(1, 1000)) y (b) ORDER BY 1"
    )
    page.locator("#cell-0-0").wait_for()
    page.locator(".grid").focus()
    page.keyboard.press("Control+End")
    expect(page.locator("#cell-99999-0")).to_have_text("100000")
    assert page.locator(".grid-row").count() < 100


def test_statements_are_kept_with_their_parameters(console: Console) -> None:
    page = console.page
    console.open()
    console.sign_in()
    console.write(
        "SELECT count(*) AS n FROM orders WHERE state = {{state}} AND id < {{most:number}}"
    )
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_label("Name").fill("Orders <b>by</b> state")
    page.get_by_label("Folder").fill("sales/daily")
    page.get_by_role("dialog").get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url(re.compile("/console/statements/"))
    page.reload()
    page.get_by_label("state text").fill("paid' OR '1' = '1")
    page.get_by_label("most number").fill("20 OR true")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("must be a number")
    page.get_by_label("most number").fill("20")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#cell-0-0")).to_have_text("0")
    page.get_by_label("state text").fill("paid")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#cell-0-0")).to_have_text("6")
    page.get_by_role("link", name="Statements").click()
    expect(page.get_by_role("link", name="Orders <b>by</b> state")).to_be_visible()
    console.picture("statements")


def test_a_statement_has_fields_for_its_bound_parameters(console: Console) -> None:
    """In a text, a quoted name and a comment there is none."""
    page = console.page
    console.open()
    console.sign_in()
    console.write(
        "SELECT count(*) AS n, :day + INTERVAL '1' DAY AS d, ':no' AS \":neither\" FROM orders "
        "WHERE state = :state AND id < :most -- :nor"
    )
    page.get_by_label("Type of :day").select_option("date")
    page.get_by_label(":day", exact=True).fill("2024-02-28")
    page.get_by_label(":state", exact=True).fill("paid' OR '1' = '1")
    page.get_by_label(":most", exact=True).fill("20")
    assert page.get_by_role("group", name="Parameters").locator("input").count() == 3
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#cell-0-0")).to_have_text("0")
    expect(page.locator("#cell-0-1")).to_have_text("2024-02-29")
    page.get_by_label(":state", exact=True).fill("paid")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#cell-0-0")).to_have_text("6")


def test_an_operator_administers_without_reading_statements(console: Console) -> None:
    page = console.page
    console.open()
    console.sign_in_as(console.operator)
    page.get_by_role("combobox", name="Entity").select_option(label="other")
    console.run("SELECT 1 AS one")
    page.get_by_role("link", name="Operate").click()
    for section in ("This node", "Nodes", "Sources", "Live runs", "The tenant"):
        expect(page.get_by_role("region", name=section, exact=True).first).to_be_visible()
    console.picture("operate")
    run_id = console.server.submit(RUNAWAY)["id"]
    theirs = page.get_by_role("region", name="Runs of the tenant")
    expect(theirs).to_contain_text(run_id[:8])
    expect(theirs).not_to_contain_text("sequence")
    expect(page.get_by_role("region", name="Queue by entity")).to_contain_text("main")
    theirs.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("No entity has anything running or waiting.")).to_be_visible()
    record = console.server.get(run_id, "cancellation")["cancellation"]
    assert (record["reason"], record["canceled_by"]) == ("admin", console.operator.client.id)

    page.get_by_role("link", name="Clients").click()
    page.get_by_role("button", name="New client").click()
    page.get_by_label("Name").fill("Reports <b>")
    page.get_by_role("dialog").get_by_label("main").check()
    page.get_by_role("button", name="Create").click()
    secret = page.get_by_role("dialog", name="The secret, this once")
    expect(secret).to_contain_text("Client secret")
    secret.get_by_role("button", name="Close").click()
    row = page.get_by_role("row", name="Reports <b>")
    page.once("dialog", lambda dialog: dialog.accept())
    row.get_by_role("button", name="Revoke").click()
    expect(row).to_contain_text("revoked")
    console.picture("clients")

    page.get_by_role("link", name="Audit").click()
    page.get_by_label("Event").select_option("client_revoked")
    entries = page.get_by_role("region", name="Entries")
    expect(entries.locator("tbody tr")).to_have_count(1)
    expect(entries).to_contain_text(console.operator.client.id[:8])
    page.get_by_role("link", name="Usage").click()
    page.locator(".filters select").select_option("source")
    expect(page.get_by_role("region", name="Usage by group")).to_contain_text("live")
    expect(page.get_by_role("region", name="Limits by name")).to_contain_text("500,000 rows")


def test_who_may_not_administer_sees_what_is_missing(console: Console) -> None:
    page = console.page
    console.open("/console/operate")
    console.sign_in(waits_for="h1")
    expect(page.get_by_text("need the scope admin:read")).to_be_visible()
    assert page.get_by_role("link", name="Clients").count() == 0


def test_a_run_is_found_by_its_text_behind_the_first_page(console: Console) -> None:
    page, server = console.page, console.server
    server.submit("SELECT 'needle' AS found")
    for _ in range(60):
        server.submit("SELECT 1 AS hay")
    console.open()
    console.sign_in()
    page.get_by_role("link", name="Runs").click()
    page.locator("table.runs").wait_for()
    assert page.locator("table.runs tbody tr").count() == 50
    page.get_by_label("Text").fill("Needle")
    page.get_by_role("button", name="Search older runs").click()
    expect(page.locator("table.runs tbody tr")).to_have_count(1)
    expect(page.locator("table.runs")).to_contain_text("needle")


def test_the_session_is_out_of_reach_of_scripts_and_ends(
    console: Console, context: BrowserContext
) -> None:
    page = console.page
    console.open()
    console.sign_in()
    origin = console.server.url
    (cookie,) = context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    kept = page.evaluate("document.cookie + JSON.stringify(localStorage)")
    assert console.server.made.issued.secret not in kept
    assert cookie["value"] not in kept
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    context.add_cookies([{"name": cookie["name"], "value": cookie["value"], "url": origin}])
    page.reload()
    expect(page.get_by_label("Client secret")).to_be_visible()


def test_the_console_works_behind_a_prefix(console: Console) -> None:
    """As behind a proxy that takes the prefix away."""
    page, origin = console.page, console.server.url

    def forward(route: Route) -> None:
        route.fulfill(response=route.fetch(url=route.request.url.replace("/tools/query", "", 1)))

    page.route(f"{origin}/tools/query/**", forward)
    for address in ("/tools/query/console", "/tools/query/console/runs"):
        page.goto(origin + address)
        page.locator("h1").wait_for()
    page.get_by_label("Client id").fill(console.server.made.issued.client.id)
    page.get_by_label("Client secret").fill(console.server.made.issued.secret)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Query").click()
    page.wait_for_url(re.compile("/tools/query/console/$"))
    console.run("SELECT 1 AS one")
    expect(page.locator("#cell-0-0")).to_have_text("1")
    # A request of the page may be on its way, and would fail the next test when its page is closed.
    page.unroute_all(behavior="ignoreErrors")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360), ("light", 2560)])
def test_axe_finds_nothing(console: Console, scheme: str, width: int) -> None:
    page = console.page
    page.emulate_media(
        color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce"
    )
    page.set_viewport_size({"width": width, "height": 900})
    axe = chromium.AXE.read_text(encoding="utf-8")

    def check(screen: str) -> None:
        page.evaluate(axe)
        assert not console.faults
        found = page.evaluate("axe.run().then(result => result.violations)")
        console.faults.clear()  # axe itself tries inline styles, which the policy forbids
        assert not [(one["id"], one["nodes"][0]["html"][:300]) for one in found], screen
        overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0, f"{screen} is wider than the screen"
        console.picture(f"{screen}-{scheme}-{width}")

    console.open()
    page.get_by_label("Client id").wait_for()
    check("sign-in")
    console.sign_in()
    console.run(BY_STATE)
    page.locator("#cell-0-0").wait_for()
    check("query")
    page.get_by_role("button", name="Columns", exact=True).click()
    check("columns")
    console.run("SELECT nothing FROM orders", "Failed")
    check("failed")
    for name in ("Runs", "Statements", "Operate", "Usage"):
        page.get_by_role("link", name=name).click()
        page.locator("h1, h2", has_text=name).first.wait_for()
        page.wait_for_load_state("networkidle")
        check(name.lower())
    page.get_by_role("button", name="Sign out").click()
    console.sign_in_as(console.operator, waits_for="h1")
    for name in ("Operate", "Clients", "Audit"):
        page.get_by_role("link", name=name).click()
        page.locator("h1, h2", has_text=name).first.wait_for()
        page.wait_for_load_state("networkidle")
        check(f"{name.lower()}-admin")

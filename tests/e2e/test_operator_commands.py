"""`queryrun admin`, `usage` and `webhooks`, and what `run` says to the server, on a real server.

The commands run in this process: a process of its own takes a second for each.
"""

from __future__ import annotations

import json
from asyncio import run
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from time import monotonic, sleep
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner, Result

from queryrun_cli.main import program
from queryrun_client import AsyncClient, Client
from tests.e2e.conftest import Server, ServerHarness

WEBHOOKS = {
    "QUERYRUN_WEBHOOKS__ALLOWED_NETWORKS": "127.0.0.1/32",
    "QUERYRUN_WEBHOOKS__ALLOW_HTTP": "true",
}
RUNAWAY = "SELECT count(*) AS n FROM range(10000000000) a(i) JOIN range(1000) b(i) ON a.i > b.i"


@dataclass
class Commands:
    """The command line, logged in as the home's first client, which may everything."""

    server: Server
    config: Path

    @property
    def credentials(self) -> tuple[str, str, str]:
        """What the Python client takes."""
        issued = self.server.made.issued
        return self.server.url, issued.client.id, issued.secret

    def run(self, *arguments: str) -> Result:
        """What a command has printed, and its exit status."""
        return CliRunner().invoke(program(), arguments)

    def lines(self, *arguments: str, status: int = 0) -> list[str]:
        """The lines that a command prints."""
        done = self.run(*arguments)
        assert done.exit_code == status, (arguments, done.output, done.exception)
        return done.stdout.splitlines()

    def object(self, *arguments: str) -> dict[str, Any]:
        """The one JSON object that it prints."""
        (line,) = self.lines(*arguments)
        found: dict[str, Any] = json.loads(line)
        return found

    def objects(self, *arguments: str) -> list[dict[str, Any]]:
        """A JSON object from each line."""
        return [json.loads(line) for line in self.lines(*arguments, "--json")]

    def profile(self, name: str, client: dict[str, Any]) -> None:
        """Write a profile of another client."""
        path = self.config / "queryrun" / "profiles.json"
        kept = json.loads(path.read_text())
        kept["profiles"][name] = {
            "url": self.server.url,
            "client_id": client["id"],
            "client_secret": client["secret"],
        }
        path.write_text(json.dumps(kept))


Messages = Queue[dict[str, str]]


@contextmanager
def listening() -> Iterator[tuple[str, Messages]]:
    """A receiver on loopback: its URL, and the id and type of each message."""
    messages: Messages = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """One message."""
            content = json.loads(self.rfile.read(int(self.headers["content-length"])))
            messages.put({"webhook-id": self.headers["webhook-id"], "type": content["type"]})
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hook", messages
        server.shutdown()
        thread.join()


@pytest.fixture
def commands(harness: ServerHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """A server with a table, and two profiles: the home's first client, and an operator."""
    home = harness.made.home
    duckdb.sql(f"COPY (SELECT i AS id FROM range(1000) t(i)) TO '{home}/data/main/numbers.parquet'")
    server = harness.serve(WEBHOOKS)
    config = tmp_path / "config"
    (config / "queryrun").mkdir(parents=True)
    issued = harness.made.issued
    own = {"url": server.url, "client_id": issued.client.id, "client_secret": issued.secret}
    path = config / "queryrun" / "profiles.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps({"current": "default", "profiles": {"default": own}}))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config))
    for name in ("QUERYRUN_URL", "QUERYRUN_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    found = Commands(server, config)
    scopes = [f"--scope={one}" for one in ("read", "admin", "admin:write", "admin:all")]
    create = ("clients", "create", "--home", str(home), "--entity", "main", "--json", *scopes)
    made = json.loads(found.run(*create).stdout)
    found.profile("ops", {"id": made["client_id"], "secret": made["client_secret"]})
    return found


def test_an_operator_makes_a_customer_and_takes_it_away(commands: Commands) -> None:
    ops = ("--profile", "ops")
    assert commands.lines("admin", "create-tenant", "globex", *ops) == ["globex"]
    (entity,) = commands.lines("admin", "create-entity", "sales", "--tenant=globex", *ops)
    assert commands.lines("admin", "create-entity", "sales", "--tenant=globex", *ops) == [entity]
    (listed,) = commands.objects("admin", "entities", "--tenant=globex", *ops)
    assert listed["id"] == entity
    assert {one["id"] for one in commands.objects("admin", "tenants", *ops)} >= {"globex"}
    made = commands.object(
        "admin", "create-client", "app", "--entity=sales", "--tenant=globex", *ops
    )
    commands.profile("app", made)
    assert commands.lines("run", "SELECT 1 AS a", "--profile=app", "--quiet") == ["a", "1"]
    rotated = commands.object("admin", "rotate-client", made["id"], "--grace-hours=0", *ops)
    assert rotated["secret"] != made["secret"]
    changed = commands.object("admin", "change-client", made["id"], "--scope=read", *ops)
    assert changed["scopes"] == ["read"]
    commands.profile("app", rotated)
    refused = commands.run("run", "SELECT 1 AS a", "--profile=app")
    assert refused.exit_code == 1
    (listed,) = commands.objects("admin", "clients", "--tenant=globex", *ops)
    assert (listed["id"], "secret" in listed) == (made["id"], False)
    assert commands.lines("admin", "revoke-client", made["id"], *ops) == [f"revoked {made['id']}"]
    assert commands.run("ls", "--profile=app").exit_code == 1


def test_a_rotated_secret_has_its_grace_a_client_its_end_and_the_log_who_did_it(
    commands: Commands,
) -> None:
    ops = ("--profile", "ops")
    until = "2100-01-31T00:00:00Z"
    guest = commands.object(
        "admin", "create-client", "guest", "--entity=main", f"--expires={until}", *ops
    )
    assert guest["expires_time"].startswith("2100-01-31T00:00:00")
    rotated = commands.object("admin", "rotate-client", guest["id"], *ops)
    for name, secret in (("before", guest), ("after", rotated)):
        commands.profile(name, secret)
        assert commands.lines("run", "SELECT 1 AS a", f"--profile={name}", "--quiet") == ["a", "1"]
    entries = commands.objects("admin", "audit", f"--subject={guest['id']}", *ops)
    assert [one["event"] for one in entries] == ["client_secret_rotated", "client_created"]
    (operator,) = {one["client_id"] for one in entries}
    assert operator not in ("", guest["id"])
    of_operator = commands.objects("admin", "audit", f"--client={operator}", *ops)
    assert [one["position"] for one in of_operator] == [one["position"] for one in entries]
    (made,) = commands.objects(
        "admin", "audit", "--event=client_created", f"--client={operator}", *ops
    )
    assert made["subject"] == guest["id"]


def test_an_operator_sets_limits_and_stops_runs(commands: Commands) -> None:
    ops = ("--profile", "ops")
    (entity,) = commands.objects("admin", "entities", *ops)
    limit = ("admin", "set-limit", "entity", entity["id"], "runs_per_day")
    assert commands.object(*limit, "2", *ops)["value"] == 2
    (listed,) = commands.objects("admin", "limits", *ops)
    assert (listed["name"], listed["value"]) == ("runs_per_day", 2)
    (run_id,) = commands.lines("run", "--no-wait", RUNAWAY)
    commands.server.wait_until_claimed(run_id)
    (running,) = commands.objects("admin", "runs", *ops)
    assert (running["id"], running["state"]) == (run_id, "in_progress")
    (source,) = commands.objects("admin", "sources", *ops)
    assert (source["name"], source["available"]) == ("live", True)
    commands.lines("admin", "stop", run_id, *ops)
    assert commands.server.finished(run_id)["state"] == "canceled"
    refused = first_refusal(commands)
    assert (refused.exit_code, "runs_per_day" in refused.output) == (1, True)
    assert commands.run("run", "--dry-run", "SELECT 1 AS a").exit_code == 1
    assert commands.object(*limit, *ops)["value"] is None
    commands.lines("run", "SELECT 1 AS a")


def first_refusal(commands: Commands) -> Result:
    """Sums that a submit is judged by may be a second old: one more run may pass meanwhile."""
    deadline_s = monotonic() + 60
    while (done := commands.run("run", "SELECT 1 AS a")).exit_code == 0:
        assert monotonic() < deadline_s, "nothing is refused"
    return done


def test_a_client_without_the_scope_is_refused_with_what_it_lacks(commands: Commands) -> None:
    for command in (("admin", "tenants"), ("admin", "create-entity", "x"), ("admin", "runs")):
        refused = commands.run(*command)
        assert (refused.exit_code, "admin:" in refused.output) == (1, True), refused.output


def test_usage_is_a_table_a_csv_file_and_json(commands: Commands) -> None:
    for tag in ("red", "blue", "red"):
        commands.lines("run", "SELECT sum(id) AS s FROM numbers", "--quiet", "--tag", f"team={tag}")
    rows = commands.objects("usage", "--by=tag:team", "--by=source")
    assert [(one["tag"], one["source"], one["attempts"]) for one in rows] == [
        ("blue", "live", 1),
        ("red", "live", 2),
    ]
    assert all(one["read_bytes"] > 0 for one in rows)
    head, *lines = commands.lines("usage", "--by=tag:team", "--csv")
    assert head.startswith("tag,")
    assert [line.partition(",")[0] for line in lines] == ["blue", "red"]
    head, *lines = commands.lines("usage", "--by=day")
    assert (head.split()[0], len(lines)) == ("day", 1)


def test_webhooks_are_made_paused_listed_and_replayed(commands: Commands) -> None:
    with listening() as (url, messages):
        made = commands.object("webhooks", "create", url, "--event=run.complete")
        assert made["secret"].startswith("whsec_")
        commands.lines("webhooks", "pause", made["id"])
        commands.lines("run", "SELECT 1 AS a", "--quiet")
        (waiting,) = commands.objects("webhooks", "deliveries")
        assert waiting["state"] == "pending"
        commands.lines("webhooks", "resume", made["id"])
        assert messages.get(timeout=60)["webhook-id"] == waiting["id"]
        while commands.object("webhooks", "delivery", waiting["id"])["state"] != "delivered":
            sleep(0.05)
        assert commands.lines("webhooks", "replay", waiting["id"], "--state=delivered") == ["1"]
        assert messages.get(timeout=60)["webhook-id"] == waiting["id"]
        assert commands.object("webhooks", "rotate", made["id"])["secret"] != made["secret"]
        (listed,) = commands.objects("webhooks", "ls")
        assert (listed["id"], "secret" in listed) == (made["id"], False)
        commands.lines("webhooks", "rm", made["id"])
        assert commands.objects("webhooks", "ls") == []


def test_run_says_whom_to_tell_and_whether_to_go_on(commands: Commands) -> None:
    with listening() as (url, messages):
        commands.object("webhooks", "create", "--kind=run")
        commands.lines("run", "SELECT 1 AS a", "--quiet", "--notify-url", url)
        types = [messages.get(timeout=60)["type"] for _ in range(3)]
        assert types == ["run.accepted", "run.in_progress", "run.complete"]
    alone = ("run", RUNAWAY, "--no-wait", "--cancel-on-disconnect", "0")
    (gone,) = commands.lines(*alone)
    (kept,) = commands.lines(*alone, "--keep")
    with Client(*commands.credentials) as client:
        while "canceled" not in {one.state for one in client.runs()}:
            sleep(0.1)
    assert commands.server.get(gone)["state"] == "canceled"
    assert commands.server.get(kept)["state"] in ("accepted", "in_progress")
    commands.server.cancel(kept)


def test_a_dry_run_prints_what_would_be_read(commands: Commands) -> None:
    sql = "SELECT sum(id) AS s FROM numbers"
    first, head, row = commands.lines("run", "--dry-run", sql)
    assert first.startswith("would read ")
    assert "1,000 rows on live (exact)" in first
    assert (head.split()[0], row.split()[0]) == ("table", "numbers")
    (body,) = commands.objects("run", "--dry-run", sql)
    assert (body["dry_run"], body["rows_read"]) == (True, 1000)
    (line,) = commands.lines("run", "--dry-run", "SELECT nope FROM numbers", status=3)
    assert line.startswith("would fail: name_not_found: ")
    assert commands.objects("ls") == [{"runs": []}]


def test_the_python_client_asks_for_a_dry_run(commands: Commands) -> None:
    with Client(*commands.credentials) as client:
        found = client.dry_run("SELECT sum(id) AS s FROM numbers")
        assert (found.certainty, found.rows_read, found.error) == ("exact", 1000, None)
        assert [(one.name, one.columns) for one in found.tables] == [("numbers", ("id",))]
        failing = client.dry_run("SELECT nope FROM numbers")
        assert failing.error is not None
        assert failing.error.code == "name_not_found"

    async def asynchronous() -> None:
        async with AsyncClient(*commands.credentials) as client:
            assert (await client.dry_run("SELECT 1 AS a")).bytes_read == 0

    run(asynchronous())

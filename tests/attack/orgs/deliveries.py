"""What a client of orgs is told outside its results by messages and by limits: of hidden rows, of
clients that see more, and of what it could see before its rights were narrowed.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any

import httpx2 as httpx

from queryrun.auth.model import IssuedSecret
from queryrun.cli import clients
from tests.attack.orgs.facts import STATEMENTS, same_text, written
from tests.attack.orgs.statements import CONDITIONS, GROUP, RUNS, new_org_client
from tests.attack.receiver import ALLOWED, Messages, receiving
from tests.attack.registry import Outcome, attack
from tests.attack.targets import Targets
from tests.e2e.conftest import RUNAWAY, Server

HOOKS, DELIVERIES = "/v2/webhooks", "/v2/webhook_deliveries"
WAIT = {"prefer": "wait=50"}
ENVIRON = {"QUERYRUN_SOURCES__LIVE__ORG_COLUMN": "org", **ALLOWED}
LARGE = "SELECT * FROM account a ORDER BY id"
"""What a client that sees all rows runs meanwhile."""
LIMITS = [
    ("client", "cpu_s_per_day", 0),
    *(("entity", "read_bytes_per_day", 1), ("entity", "written_bytes_per_day", 1)),
    *(("entity", "stored_bytes", 1), ("entity", "runs_per_day", 1)),
    *(("entity", "downloaded_bytes_per_day", 1), ("entity", "cpu_s_per_month", 0)),
    *(("entity", "result_bytes", 1), ("entity", "submits_per_minute", 1)),
]
"""Each is reached before the client asks: level, name and value. One that a statement reaches
while it runs tells what a clock tells, if the statement takes long enough: SECURITY.md says so."""


def _submit(http: httpx.Client, sql: str, **more: Any) -> httpx.Response:
    body = {"sql": sql, "content_type": "csv", **more}
    return http.post(f"{RUNS}?fields[]=id,state,error,number_of_rows", json=body, headers=WAIT)


def _delivery_ids(http: httpx.Client, **params: str) -> list[str]:
    """Of all that the client finds, page by page."""
    found: list[str] = []
    page = http.get(DELIVERIES, params=params).json()
    while True:
        found += [one["id"] for one in page["data"]]
        if page["next_page"] is None:
            return found
        page = http.get(DELIVERIES, params={**params, "cursor": page["next_page"]}).json()


def _until_delivered(admin: httpx.Client) -> None:
    """Until nothing of the entity waits. Polls the server."""
    deadline_s = time.monotonic() + 60
    while admin.get(DELIVERIES, params={"state": "pending"}).json()["data"]:
        assert time.monotonic() < deadline_s, "deliveries are still pending"
        time.sleep(0.05)


def _operator(targets: Targets, server: Server, entity: str) -> httpx.Client:
    scopes = ["admin", "admin:write"]
    return targets.client_of(
        server, clients.create(server.made.home, clients.NewClient([entity], scopes))
    )


class _Limits:
    """Sets a limit of the client or its entity, and takes it away."""

    def __init__(self, operator: httpx.Client, issued: IssuedSecret) -> None:
        self._operator = operator
        [entity] = issued.client.entities
        self._subjects = {"client": issued.client.id, "entity": entity.id}

    @contextmanager
    def of(self, level: str, name: str, value: int) -> Iterator[None]:
        body = {"level": level, "subject": self._subjects[level], "name": name}
        self._set(body | {"value": value})
        try:
            yield
        finally:
            self._set(body)

    def _set(self, body: dict[str, Any]) -> None:
        response = self._operator.post("/admin/v1/limits", json=body)
        assert response.status_code == 200, response.text


def _received(
    targets: Targets, server: Server, entity: str, statements: list[str], messages: Messages
) -> list[str]:
    """Everything that the client of an org in this entity is told."""
    operator = _operator(targets, server, entity)
    everybody = new_org_client(targets, server, entity, [])
    issued = clients.create(server.made.home, clients.NewClient([entity], orgs=["north"]))
    http = targets.client_of(server, issued)
    for body in ({"url": f"{messages.url}/{entity}"}, {"kind": "run"}):
        assert http.post(HOOKS, json=body).status_code == 201
    assert _submit(everybody, LARGE).json()["state"] == "complete"
    where = {"notify_url": f"{messages.url}/{entity}/run"}
    received = [same_text(_submit(http, sql, **where)) for sql in statements]
    limits = _Limits(operator, issued)
    for level, name, value in LIMITS:
        with limits.of(level, name, value):
            dry = http.post(f"{RUNS}?dry_run=true", json={"sql": LARGE, "content_type": "csv"})
            received += [same_text(http.get("/v2/limits")), same_text(dry)]
            received.append(same_text(_submit(http, LARGE, **where)))
    assert _submit(everybody, LARGE).json()["state"] == "complete"
    _until_delivered(operator)
    details = [http.get(f"{DELIVERIES}/{one}") for one in _delivery_ids(http)]
    received += sorted(same_text(one) for one in details)
    for path in (f"/{entity}", f"/{entity}/run"):
        received += sorted(same_text(json.dumps(body)) for body in messages.at(path))
    assert any("limit.reached" in text for text in received), "no limit was reached"
    return received


@attack(GROUP, "messages of runs, limits and refusals, and the lists of them",
        before="16, with the bytes read of hidden rows", bar=0,
        unit="texts that tell of hidden rows", timeout_s=180)  # fmt: skip
def messages_of_rows(targets: Targets) -> Outcome:
    """Webhooks, `notify_url`, deliveries, `limit.reached`: over two entities, as all rows are in
    one of them and only the client's own in the other."""
    server = targets.fresh(ENVIRON)
    statements = STATEMENTS[2:6] if targets.quick else STATEMENTS
    with receiving() as messages:
        found = []
        for entity, condition in CONDITIONS.items():
            written(server.made.data_dir.parent / entity, condition, "one_file")
            found.append(_received(targets, server, entity, statements, messages))
    pairs = list(zip_longest(*found))
    telling = [f"{one} / {other}" for one, other in pairs if one != other]
    return Outcome(len(telling), len(pairs), "\n".join(telling))


class _Narrowed:
    """An admin with subscriptions, which becomes a client of an org."""

    def __init__(self, targets: Targets, server: Server, receiver: str) -> None:
        self.operator = _operator(targets, server, "main")
        self.other = new_org_client(targets, server, "main", [])
        issued = clients.create(server.made.home, clients.NewClient(["main"], ["admin"]))
        self.id = issued.client.id
        self.http = targets.client_of(server, issued)
        hook = {"url": f"{receiver}/entity", "of_entity": True}
        self.hook = self.http.post(HOOKS, json=hook).json()["id"]
        assert self.http.post(HOOKS, json={"kind": "run"}).status_code == 201
        self.http.put(f"{HOOKS}/{self.hook}", json={"paused": True})
        self.receiver = receiver

    def submit(self, **headers: str) -> httpx.Response:
        """A run of its own, that names a receiver."""
        body = {"sql": "SELECT 1 AS id", "content_type": "csv"}
        body["notify_url"] = f"{self.receiver}/run"
        return self.http.post(RUNS, json=body, headers=headers)

    def narrow(self) -> None:
        """Take the scope of admins and all orgs but one."""
        change = {"scopes": ["read", "submit", "cancel"], "org_ids": ["north"]}
        response = self.operator.post(f"/admin/v1/clients/{self.id}/change", json=change)
        assert response.status_code == 200, response.text


def _reading(stream: httpx.Response) -> threading.Thread:
    """Reads the stream to its end in a thread."""
    thread = threading.Thread(target=lambda: list(stream.iter_raw()), daemon=True)
    thread.start()
    return thread


@attack(GROUP, "what a client hears and finds once its rights were narrowed", before="29 of 32",
        bar=0, unit="ways to runs of all rows", timeout_s=180)  # fmt: skip
def narrowed(targets: Targets) -> Outcome:
    """Messages that waited, replays, rotations, the lists, stored responses, an open stream."""
    server = targets.fresh(ENVIRON)
    with receiving() as messages:
        who = _Narrowed(targets, server, messages.url)
        key, cancel_key = {"idempotency-key": "create"}, {"idempotency-key": "cancel"}
        own_run = who.submit(**key, **WAIT).json()["id"]
        long = {"sql": RUNAWAY, "content_type": "csv"}
        canceled = who.http.post(RUNS, json=long).json()["id"]
        path = f"{RUNS}/{canceled}/cancel?fields[]=state,usage,attempts"
        assert who.http.post(path, headers=cancel_key | WAIT).json()["state"] == "canceled"
        requested = who.submit(**{"async": "true"})
        request_path = f"/v2/requests/{requested.json()['request_id']}"
        theirs = _submit(who.other, "SELECT 2 AS id").json()["id"]
        watched = who.other.post(RUNS, json=long).json()["id"]
        _until_delivered_to_run(who)
        before = _delivery_ids(who.http)
        hidden = {own_run, canceled, theirs, watched}
        with who.http.stream("GET", f"{RUNS}/{watched}/events") as stream:
            reader = _reading(stream)
            who.narrow()
            reader.join(10)
            ways = {"open stream": reader.is_alive()}
            who.other.post(f"{RUNS}/{watched}/cancel")
            reader.join()
        arrived = len(messages.bodies)
        who.http.put(f"{HOOKS}/{who.hook}", json={"paused": False})
        who.http.post(f"{HOOKS}/{who.hook}/rotate")
        for state in ("dead", "delivered"):
            since = {"from_time": "2020-01-01T00:00:00Z", "state": state}
            who.http.post(f"{DELIVERIES}/replay", json=since)
        who.http.post(f"{DELIVERIES}/replay", json={"ids": before})
        hidden.add(_submit(who.other, "SELECT 3 AS id").json()["id"])
        own = who.submit(**WAIT).json()["id"]
        _until_delivered(who.operator)
        after = [body["data"].get("id") for _, body in messages.bodies[arrived:]]
        assert own in after, "the client is told of runs that it may read"
        ways |= {f"message of {one}": one in hidden for one in set(after)}
        ways["list of deliveries"] = any(_delivery_ids(who.http, run_id=one) for one in hidden)
        ways |= {f"delivery {one}": _is_found(who, f"{DELIVERIES}/{one}") for one in before}
        ways["stored response"] = own_run in who.submit(**key).text
        ways["stored cancel"] = canceled in who.http.post(path, headers=cancel_key).text
        ways["asynchronous request"] = _is_found(who, request_path)
        ways["revoked"] = _is_notified_when_revoked(targets, server, who, messages)
    worked = [name for name, works in ways.items() if works]
    return Outcome(len(worked), len(ways), "; ".join(worked))


def _is_found(who: _Narrowed, path: str) -> bool:
    return who.http.get(path).status_code != 404


def _until_delivered_to_run(who: _Narrowed) -> None:
    """Until what goes to the `notify_url` is there; what is paused waits."""
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        listed = who.http.get(DELIVERIES, params={"state": "pending"}).json()["data"]
        if all(one["webhook_id"] == who.hook for one in listed):
            return
        time.sleep(0.05)
    raise AssertionError("deliveries are still pending")


def _is_notified_when_revoked(
    targets: Targets, server: Server, who: _Narrowed, messages: Messages
) -> bool:
    """What waited for a client's paused webhook, once it is revoked and an admin lets it go on."""
    issued = clients.create(server.made.home, clients.NewClient(["main"]))
    http = targets.client_of(server, issued)
    hook = http.post(HOOKS, json={"url": f"{messages.url}/revoked"}).json()["id"]
    http.put(f"{HOOKS}/{hook}", json={"paused": True})
    assert _submit(http, "SELECT 4 AS id").json()["state"] == "complete"
    clients.revoke(server.made.home, issued.client.id)
    who.operator.put(f"{HOOKS}/{hook}", json={"paused": False})
    _until_delivered(who.operator)
    return bool(messages.at("/revoked"))

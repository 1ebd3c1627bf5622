"""What a client with a token tries against other entities: load, limits, keys, links, rights."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2 as httpx

from queryrun.cli import clients
from tests.attack.registry import Outcome, attack
from tests.attack.targets import Targets, log_of, memory_mib, new_client
from tests.attack.wire import connect, flood, waiting_for_health
from tests.e2e.conftest import RUNAWAY, Server

RUNS = "/v2/query_runs"
SMALL = {"sql": "SELECT 1 AS a", "content_type": "csv"}
LONG = {"sql": RUNAWAY, "content_type": "csv"}
GROUP = "tenants"


def _entity(targets: Targets, server: Server, name: str, *scopes: str) -> httpx.Client:
    return targets.client_of(server, new_client(server, name, scopes))


def _submit(http: httpx.Client, body: dict[str, Any], **headers: str) -> httpx.Response:
    return http.post(RUNS, json=body, headers=headers)


def _completed_s(http: httpx.Client) -> float:
    """How long a small run takes from its submit to its end; 60 if it takes longer."""
    began_s = time.monotonic()
    response = _submit(http, SMALL, prefer="wait=50")
    done = response.status_code == 201 and response.json()["state"] == "complete"
    return time.monotonic() - began_s if done else 60.0


def _cancel_all(http: httpx.Client) -> None:
    listed = http.get(RUNS, params={"filter[]": "state.IN:[accepted,in_progress]"}).json()
    for run in listed["data"]:
        http.post(f"{RUNS}/{run['id']}/cancel")


@attack(GROUP, "unknown keys, nested lists and numbers in a body of 8 MB", before="11.8 s",
        bar=2.0, unit="s of stalled /healthz", timeout_s=180)  # fmt: skip
def large_bodies(targets: Targets) -> Outcome:
    server = targets.shared()
    http = _entity(targets, server, "bodies")
    keys = b",".join(b'"k%d":1' % number for number in range(600_000))
    bodies = [
        b"{" + keys + b"}",
        b'{"tags":{' + keys + b"}}",
        b'{"tags":[' + b",".join([b"{}"] * 2_500_000) + b"]}",
        b'{"timeout_seconds":' + b"1" * 7_000_000 + b"}",
        b'{"sql":"' + b"\\u0041" * 1_300_000 + b'"}',
        b"[" * 4_000_000,
    ]
    largest = 0
    with waiting_for_health(server) as waits:
        for body in bodies:
            sent = gzip.compress(body, 1)
            headers = {"content-type": "application/json", "content-encoding": "gzip"}
            for path in (RUNS, "/query/jobs"):
                response = http.post(path, content=sent, headers=headers)
                assert response.status_code == 400, response.text[:300]
                largest = max(largest, len(response.content))
    assert largest < 20_000, f"a refusal of {largest} bytes"
    return Outcome(waits.longest_s, len(bodies) * 2, f"largest refusal {largest} bytes")


@attack(GROUP, "large bodies that never end", before="all of them, 8 MB each", bar=200,
        unit="MiB more resident", timeout_s=180)  # fmt: skip
def unfinished_bodies(targets: Targets) -> Outcome:
    """Of one entity's client, while another's is served."""
    server = targets.fresh()
    other, attacker = _entity(targets, server, "others"), _entity(targets, server, "endless")
    token = str(attacker.headers["authorization"]).encode()
    head = (
        b"POST /v2/query_runs HTTP/1.1\r\nHost: x\r\nAuthorization: %b\r\n"
        b"Content-Type: application/json\r\nContent-Length: 8000000\r\n\r\n" % token
    )
    _completed_s(other)
    before_mib = memory_mib(server)
    streams = [connect(server) for _ in range(40)]
    for stream in streams:
        flood(stream, head + b" " * 7_900_000)
    held_mib = memory_mib(server) - before_mib
    large = {**SMALL, "sql": "SELECT 1 AS a" + " " * 500_000}
    served = _submit(other, large, prefer="wait=50").status_code == 201
    for stream in streams:
        stream.close()
    return Outcome(max(0.0, held_mib) if served else float("inf"), len(streams))


def _many_readings() -> Iterator[tuple[dict[str, Any], str]]:
    """Bodies and `Prefer` headers that a pattern could divide in very many ways."""
    blanks = " " * 30_000
    for prefer in (
        f'wait={blanks}"a"b',
        f"wait{blanks}x",
        f"wait={blanks}1{blanks[:1000]};",
        "," * 9_000,
    ):
        yield dict(SMALL), prefer
    zoned = "timestamp with time zone"
    for kind, value in (
        (zoned, blanks + "x"), (zoned, f"2024-01-01{blanks}?"), ("a" + blanks + "x", "1"),
        (f"decimal{blanks}({blanks}1", "1"), ("array(" * 5_000, "1"), ("json", "[" * 30_000),
        ("decimal(1 2)", "1"),
    ):  # fmt: skip
        yield {**SMALL, "sql": "SELECT ?", "parameters": [{"type": kind, "value": value}]}, ""
    for sql in (
        "/**/" * 8_000 + "SELECT 1 AS a",
        "/*" * 15_000,
        "SHOW FUNCTIONS LIKE '" + "%_" * 40 + "zzz'",
        f"SELECT CAST('2{blanks}?' AS timestamp with time zone) AS a",
        f"SELECT CAST('{blanks}x' AS integer) AS a",
    ):
        yield {**SMALL, "sql": sql}, ""


@attack(GROUP, "texts that a pattern could read in many ways", before="hours, for 2 kB of blanks",
        bar=2.0, unit="s of stalled /healthz, or until a response", timeout_s=180)  # fmt: skip
def many_readings(targets: Targets) -> Outcome:
    server = targets.shared({"QUERYRUN_SOURCES__LIVE__DIALECT": "trino"})
    http = _entity(targets, server, "patterns")
    longest_s, tried = 0.0, 0
    with waiting_for_health(server) as waits:
        for body, prefer in _many_readings():
            began_s = time.monotonic()
            response = _submit(http, body, **({"prefer": prefer} if prefer else {}))
            longest_s = max(longest_s, time.monotonic() - began_s)
            assert response.status_code in (201, 400), response.text[:300]
            tried += 1
    _cancel_all(http)
    return Outcome(max(longest_s, waits.longest_s), tried)


@attack(GROUP, "14 long runs of another entity: refused submits", before="429 queue_full", bar=0,
        timeout_s=120, unit="refusals")  # fmt: skip
def full_queue(targets: Targets) -> Outcome:
    server = targets.fresh()
    hog, other = _entity(targets, server, "hog"), _entity(targets, server, "other")
    accepted = [_submit(hog, LONG).status_code for _ in range(15)]
    refused = sum(_submit(other, SMALL).status_code != 201 for _ in range(10))
    own = _submit(hog, LONG)
    assert own.status_code == 429
    assert "your entity" in own.json()["errors"][0]["message"]
    _cancel_all(hog)
    return Outcome(refused, 10, f"{accepted.count(201)} of the hog's accepted")


@attack(GROUP, "every slot held by long runs of another entity", before="until they end", bar=15.0,
        unit="s until a small run is complete", timeout_s=120)  # fmt: skip
def held_slots(targets: Targets) -> Outcome:
    server = targets.fresh()
    hog, other = _entity(targets, server, "hog"), _entity(targets, server, "other")
    runs = [_submit(hog, LONG).json()["id"] for _ in range(10)]
    deadline_s = time.monotonic() + 15
    while time.monotonic() < deadline_s:
        states = [hog.get(f"{RUNS}/{run}").json()["state"] for run in runs]
        if states.count("in_progress") >= 5:
            break
    waited_s = _completed_s(other)
    _cancel_all(hog)
    return Outcome(waited_s, len(runs))


@attack(GROUP, "40 large statements of another entity in the guard", before="39 s", bar=10.0,
        unit="s until a large statement is judged", timeout_s=180)  # fmt: skip
def guard_turns(targets: Targets) -> Outcome:
    server = targets.fresh()
    hog, other = _entity(targets, server, "guard-hog"), _entity(targets, server, "guard-other")
    text = "SELECT " + " + ".join(f"(a{n} * {n})" for n in range(4_000)) + " FROM t"
    number, probes, longest_s = 4 if targets.quick else 40, 3, 0.0
    with ThreadPoolExecutor(number) as threads:
        bodies = [{**SMALL, "sql": f"{text} -- {n}"} for n in range(number)]
        for body in bodies:
            threads.submit(_submit, hog, body)
        for probe in range(probes):
            large = {**SMALL, "sql": f"SELECT '{'x' * 30_000}' AS a -- {probe}"}
            began_s = time.monotonic()
            assert _submit(other, large).status_code in (201, 429)
            longest_s = max(longest_s, time.monotonic() - began_s)
    return Outcome(longest_s, number)


def _flood(
    call: Callable[[], object], threads: int, done: threading.Event
) -> list[threading.Thread]:
    def again() -> None:
        while not done.is_set():
            call()

    started = [threading.Thread(target=again) for _ in range(threads)]
    for thread in started:
        thread.start()
    return started


@attack(GROUP, "24 previews at once of another entity's large file", before="16.6 s", bar=5.0,
        unit="s for a download of a few bytes", timeout_s=180)  # fmt: skip
def previews(targets: Targets) -> Outcome:
    server = targets.shared()
    hog, other = _entity(targets, server, "preview-hog"), _entity(targets, server, "preview-other")
    rows = "SELECT x.range AS a, y.range AS b FROM range(300) x, range(300) y"
    large = _submit(hog, {**SMALL, "sql": rows}, prefer="wait=50").json()
    small = _submit(other, SMALL, prefer="wait=50").json()
    assert large["state"] == small["state"] == "complete", (large, small)
    done = threading.Event()
    path = f"{RUNS}/{large['id']}/rows?offset=80000"
    flood = _flood(lambda: hog.get(path), 4 if targets.quick else 24, done)
    longest_s, downloads = 0.0, 3 if targets.quick else 10
    try:
        for _ in range(downloads):
            began_s = time.monotonic()
            assert httpx.get(small["file"]["url"], timeout=60).status_code == 200
            longest_s = max(longest_s, time.monotonic() - began_s)
    finally:
        done.set()
        for thread in flood:
            thread.join()
    return Outcome(longest_s, downloads)


@attack(GROUP, "idempotency keys that another entity has used", before="422", bar=0,
        timeout_s=120, unit="refused keys")  # fmt: skip
def idempotency_keys(targets: Targets) -> Outcome:
    server = targets.shared()
    first, second = _entity(targets, server, "key-a"), _entity(targets, server, "key-b")
    refused = 0
    for number in range(5):
        key = f"order-{number}"
        ours = _submit(first, SMALL, **{"idempotency-key": key})
        theirs = _submit(second, {**SMALL, "sql": "SELECT 2 AS a"}, **{"idempotency-key": key})
        refused += theirs.status_code != 201 or theirs.json()["id"] == ours.json()["id"]
    return Outcome(refused, 5)


def _links(response: Any) -> int:
    return str(response).count("/files/") + str(response).count("dataFile")


@attack(GROUP, "file links for a client without the scope read", before="1 link", bar=0,
        timeout_s=120, unit="links and values")  # fmt: skip
def unread(targets: Targets) -> Outcome:
    server = targets.shared()
    http = _entity(targets, server, "unread", "submit", "cancel")
    every = "?fields[]=file,error,progress,attempts,number_of_rows,state,tags"
    secret = "SELECT CAST('secret-value' AS bigint) AS a"
    job = {"query": "SELECT 1 AS a", "outputFormat": "CSV", "compression": "NONE",
           "output": {"target": "S3"}}  # fmt: skip
    wait = {"prefer": "wait=50"}
    responses = [
        http.post(RUNS, json=SMALL, headers=wait),
        http.post(RUNS + every, json=SMALL, headers=wait),
        http.post(RUNS + every, json={**SMALL, "sql": secret}, headers=wait),
        http.post("/query/jobs", json=job, headers=wait),
        http.post("/query/jobs", json={**job, "query": secret}, headers=wait),
    ]
    run_id = responses[0].json()["id"]
    assert responses[0].json()["state"] == "complete"
    paths = ("", "/rows", "/events")
    responses += [http.get(f"{RUNS}/{run_id}{path}") for path in paths]
    responses += [http.get(RUNS), http.get("/query/jobs"), http.get(f"/query/jobs/{run_id}")]
    responses.append(http.post(f"{RUNS}/{run_id}/cancel{every}"))
    responses.append(http.delete(f"/query/jobs/{run_id}"))
    found = 0
    for response in responses:
        text = response.text.replace(secret, "") + str(response.headers)
        found += _links(text) + ("secret-value" in text)
    return Outcome(found, len(responses))


@attack(GROUP, "runs of another entity as the admin of one", before="all of the tenant's", bar=0,
        timeout_s=120, unit="runs seen or canceled")  # fmt: skip
def foreign_admin(targets: Targets) -> Outcome:
    server = targets.shared()
    owner, admin = _entity(targets, server, "owned"), _entity(targets, server, "admins", "admin")
    run_id = _submit(owner, SMALL).json()["id"]
    tried = [
        admin.get(f"{RUNS}/{run_id}"),
        admin.get(f"{RUNS}/{run_id}/rows"),
        admin.get(f"{RUNS}/{run_id}/events"),
        admin.post(f"{RUNS}/{run_id}/cancel"),
        server.http.get(f"{RUNS}/{run_id}"),
    ]
    seen = sum(response.status_code != 404 for response in tried)
    seen += run_id in admin.get(RUNS).text
    seen += run_id in admin.get("/query/jobs").text
    return Outcome(seen, len(tried) + 2)


@attack(GROUP, "an event stream after its client is revoked", before="15 minutes", bar=5.0,
        unit="s until the stream and the run have ended", timeout_s=120)  # fmt: skip
def revoked(targets: Targets) -> Outcome:
    server = targets.fresh()
    issued = new_client(server, "revoked")
    http = targets.client_of(server, issued)
    run_id = _submit(http, LONG).json()["id"]
    server.computing_worker(run_id)
    with http.stream("GET", f"{RUNS}/{run_id}/events") as stream:
        assert stream.status_code == 200
        chunks = stream.iter_raw()
        next(chunks)
        began_s = time.monotonic()
        clients.revoke(server.made.home, issued.client.id)
        for _ in chunks:
            pass
    assert http.get(f"{RUNS}/{run_id}").status_code == 401
    while "attempt_stopped" not in log_of(server).read_text() and time.monotonic() < began_s + 10:
        time.sleep(0.02)
    return Outcome(time.monotonic() - began_s)


@attack(GROUP, "a result larger than the entity's quota", before="no quota", bar=0,
        timeout_s=120, unit="results kept, or others refused")  # fmt: skip
def full_quota(targets: Targets) -> Outcome:
    server = targets.fresh({"QUERYRUN_LIMITS__RESULTS_PER_ENTITY": "1MB"})
    hog, other = _entity(targets, server, "hog"), _entity(targets, server, "other")
    rows = "SELECT x.range AS a, y.range AS b FROM range(500) x, range(500) y"
    large = {**SMALL, "sql": rows}
    run = hog.post(f"{RUNS}?fields[]=state,error", json=large, headers={"prefer": "wait=50"}).json()
    assert run["error"]["code"] == "quota_exceeded", run
    return Outcome((run["state"] != "failed") + (_completed_s(other) > 20), 2)

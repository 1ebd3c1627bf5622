"""Webhooks end to end: a node, real receivers that fail in every way, and libraries that verify."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import httpx2 as httpx
import pytest
import standardwebhooks
import svix.webhooks

from queryrun.cli.home import MadeHome
from queryrun.runs.limits import Level
from tests.faults.node_harness import RUNAWAY, NodeHarness, open_node
from tests.faults.receiver import Message, Receiver, receiver
from tests.ports import free_port
from tests.tls import Authority, server_context

pytestmark = pytest.mark.anyio

ALLOWED = {
    "QUERYRUN_WEBHOOKS__ALLOWED_NETWORKS": "127.0.0.1/32",
    "QUERYRUN_WEBHOOKS__ALLOW_HTTP": "true",
}
SELECT = {"sql": "SELECT 1 AS one", "content_type": "csv"}
TIMEOUT_S = 60.0
LIFE = ["run.accepted", "run.in_progress", "run.complete"]


@asynccontextmanager
async def service(
    made: MadeHome, **environ: str
) -> AsyncIterator[tuple[NodeHarness, httpx.AsyncClient]]:
    """A node that may send to loopback, and its API."""
    async with open_node(made, environ=ALLOWED | environ) as harness, harness.http() as api:
        yield harness, api


async def webhook(api: httpx.AsyncClient, url: str, **more: object) -> dict[str, Any]:
    """A new webhook, with its secret."""
    body = {"url": url, **more}
    response = await api.post("/v2/webhooks", json=body)
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


async def run(api: httpx.AsyncClient, **more: object) -> str:
    """Submit a run; its id."""
    response = await api.post("/v2/query_runs", json=SELECT | more)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


async def delivery(
    api: httpx.AsyncClient, holds: Callable[[dict[str, Any]], bool], **params: str
) -> dict[str, Any]:
    """The first delivery for which it holds, with its attempts, once there is one."""
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            page = (await api.get("/v2/webhook_deliveries", params=params)).json()
            for one in page["data"]:
                if holds(one):
                    found = await api.get(f"/v2/webhook_deliveries/{one['id']}")
                    result: dict[str, Any] = found.json()
                    return result
            await asyncio.sleep(0.02)


def has_failed(one: dict[str, Any]) -> bool:
    """Whether an attempt has ended and another will be made."""
    due = datetime.fromisoformat(one["next_attempt_time"] or one["finished_time"])
    is_waiting = due > datetime.now(UTC) + timedelta(seconds=1)
    is_leased = due > datetime.now(UTC) + timedelta(seconds=30)
    return bool(one["attempt_count"] == 1 and is_waiting and not is_leased)


def verified(message: Message, secret: str) -> bool:
    """Whether both libraries, unmodified, take the message for ours."""
    standardwebhooks.Webhook(secret).verify(message.body, message.headers)
    svix.webhooks.Webhook(secret).verify(message.body, message.headers)
    return True


def of_run(messages: list[Message], run_id: str) -> list[str]:
    """The events of a run, in the order of their arrival."""
    return [one.content["type"] for one in messages if one.content["data"]["id"] == run_id]


async def test_the_events_of_a_run_arrive_in_order_signed_and_small(made: MadeHome) -> None:
    async with service(made) as (_, api), receiver() as hook:
        secret = (await webhook(api, hook.url))["secret"]
        run_id = await run(api)
        messages = await hook.until(3)
        assert of_run(messages, run_id) == LIFE
        assert all(verified(one, secret) for one in messages)
        last = messages[-1]
        assert last.headers["content-type"] == "application/json"
        assert len(last.body) < 1000
        assert set(last.content) == {"type", "timestamp", "data"}
        assert last.content["data"]["url"].endswith(f"/v2/query_runs/{run_id}")
        assert len({one.headers["webhook-id"] for one in messages}) == 3
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            verified(Message(last.path, last.headers, last.body + b" "), secret)


async def test_a_failed_run_and_a_limit_are_told(made: MadeHome) -> None:
    limit = {"QUERYRUN_SOURCES__LIVE__MAX_OUTPUT_ROWS": "3"}
    events = ["run.failed", "limit.reached"]
    async with service(made, **limit) as (_, api), receiver() as hook:
        await webhook(api, hook.url, events=events)
        await run(api, sql="SELECT i FROM range(9) t(i)")
        messages = await hook.until(2)
        assert [one.content["type"] for one in messages] == ["limit.reached", "run.failed"]
        assert {one.content["data"]["code"] for one in messages} == {"row_limit_exceeded"}


async def test_a_submit_that_a_limit_refuses_is_told_once(made: MadeHome) -> None:
    async with service(made) as (node, api), receiver() as hook:
        client_id = made.issued.client.id
        limits = node.node.database.limits
        await limits.set_limit(Level.CLIENT, client_id, "submits_per_minute", 1)
        secret = (await webhook(api, hook.url, events=["limit.reached"]))["secret"]
        await run(api)
        for _ in range(3):
            assert (await api.post("/v2/query_runs", json=SELECT)).status_code == 429
        [message, *more] = await hook.until(1)
        assert verified(message, secret)
        assert message.content["type"] == "limit.reached"
        data = message.content["data"]
        assert (data["limit"], data["level"], data["value"]) == ("submits_per_minute", "client", 1)
        assert data["url"].endswith("/v2/limits?source=live")
        listed = (await api.get("/v2/webhook_deliveries")).json()["data"]
        assert len(listed) <= 2  # one for each minute
        assert listed[-1]["query_run_id"] is None
        assert len(more) < 2


async def test_a_run_is_told_to_its_own_url_with_the_secret_of_its_client(made: MadeHome) -> None:
    async with service(made) as (_, api), receiver() as hook:
        refused = await api.post("/v2/query_runs", json=SELECT | {"notify_url": hook.url})
        assert refused.status_code == 400
        assert "kind 'run'" in refused.json()["errors"][0]["message"]
        secret = (await webhook(api, "", kind="run", events=["run.complete"]))["secret"]
        await run(api)
        run_id = await run(api, notify_url=f"{hook.url}?job=7")
        [message] = await hook.until(1)
        assert (message.path, message.content["data"]["id"]) == ("/hook?job=7", run_id)
        assert verified(message, secret)
        read = await api.get(f"/v2/query_runs/{run_id}?fields[]=notify_url")
        assert read.json() == {"notify_url": f"{hook.url}?job=7"}


async def test_while_a_secret_is_rotated_messages_carry_both_signatures(made: MadeHome) -> None:
    async with service(made) as (_, api), receiver() as hook:
        made_hook = await webhook(api, hook.url, events=["run.complete"])
        path = f"/v2/webhooks/{made_hook['id']}/rotate"
        lost = (await api.post(path, json={"grace_s": 600})).json()
        rotated = (await api.post(path, json={"grace_s": 600})).json()
        await run(api)
        [message] = await hook.until(1)
        for one in (made_hook, lost, rotated):
            assert verified(message, one["secret"])
        final = (await api.post(path, json={"grace_s": 0})).json()
        await run(api)
        message = (await hook.until(2))[-1]
        assert verified(message, final["secret"])
        with pytest.raises(svix.webhooks.WebhookVerificationError):
            verified(message, rotated["secret"])


FAILURES: dict[str, tuple[int | None, str | None]] = {
    "500 Oops": (500, None),
    "404 Not Found": (404, None),
    "302 Found": (302, None),
    "huge body": (500, None),
    "reset": (None, "connection"),
    "close": (None, "closed without a response"),
    "huge head": (None, "headers of more than"),
    "nonsense": (None, "not HTTP"),
}
"""What a receiver does, and what the attempt says of it."""


async def test_receivers_that_fail_in_every_way_get_the_same_message_again(
    made: MadeHome,
) -> None:
    async with AsyncExitStack() as stack:
        _, api = await stack.enter_async_context(service(made))
        hooks: dict[str, tuple[Receiver, str]] = {}
        for how in FAILURES:
            hook = await stack.enter_async_context(receiver())
            behaviour = iter([how])
            hook.behave = lambda _message, left=behaviour: next(left, "200 OK")  # type: ignore[misc]
            one = await webhook(api, hook.url, events=["run.complete"])
            hooks[how] = hook, one["id"]
        await run(api)
        for how, (code, words) in FAILURES.items():
            hook, webhook_id = hooks[how]
            first, second = await hook.until(2)
            assert first.headers["webhook-id"] == second.headers["webhook-id"]
            assert first.body == second.body
            done = await delivery(
                api, lambda one: one["state"] == "delivered", webhook_id=webhook_id
            )
            assert [one["status"] for one in done["attempts"]] == [code, 200]
            assert words is None or words in done["attempts"][0]["error"]
            assert len(done["attempts"][0]["response"] or "") <= 1024


async def test_a_receiver_that_is_not_there_is_tried_again(made: MadeHome) -> None:
    async with service(made) as (_, api):
        await webhook(api, f"http://127.0.0.1:{free_port()}/", events=["run.complete"])
        await run(api)
        found = await delivery(api, has_failed)
        assert found["attempts"][0]["error"].startswith("no connection: ")


async def test_a_slow_body_is_not_waited_for(made: MadeHome) -> None:
    async with service(made) as (_, api), receiver() as hook:
        hook.behave = lambda _message: "slow body"
        await webhook(api, hook.url, events=["run.complete"])
        await run(api)
        done = await delivery(api, lambda one: one["state"] == "delivered")
        assert [one["response"] for one in done["attempts"]] == ["so"]


async def test_a_receiver_that_hangs_or_is_paused_hurts_nobody_else(made: MadeHome) -> None:
    async with service(made) as (_, api), receiver() as slow, receiver() as quick:
        slow.behave = lambda _message: "hang"
        await webhook(api, slow.url, events=["run.complete"])
        paused = await webhook(api, quick.url, events=["run.failed", "run.complete"])
        await api.put(f"/v2/webhooks/{paused['id']}", json={"paused": True})
        await webhook(api, quick.url, events=["run.complete"])
        ids = {await run(api) for _ in range(12)}
        messages = await quick.until(12)
        assert {one.content["data"]["id"] for one in messages} == ids
        assert len(slow.messages) <= 8
        await api.put(f"/v2/webhooks/{paused['id']}", json={"paused": False})
        assert len(await quick.until(24)) == 24


async def test_a_certificate_that_is_not_trusted_is_refused(made: MadeHome, tmp_path: Path) -> None:
    pem = tmp_path / "server.pem"
    pem.write_text(Authority(tmp_path / "ca.pem").issue())
    with refused_handshakes(pem) as url:
        async with service(made) as (_, api):
            await webhook(api, url, events=["run.complete"])
            await run(api)
            found = await delivery(api, has_failed)
            assert found["attempts"][0]["error"].startswith("TLS: ")


@contextmanager
def refused_handshakes(pem: Path) -> Iterator[str]:
    """The URL of a server whose clients refuse its certificate."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                context = server_context(pem)
                with (
                    context.wrap_socket(
                        connection, server_side=True, do_handshake_on_connect=False
                    ) as tls,
                    suppress(OSError),
                ):
                    tls.do_handshake()

    thread = Thread(target=serve)
    thread.start()
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


INSIDE = [
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://10.1.2.3/",
    "https://169.254.169.254/latest/meta-data",
    "https://[::ffff:10.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://0.0.0.0/",
    "https://[fe80::1]/",
    "https://224.0.0.1/",
    "http://example.com/",
    "ftp://example.com/",
    "https://user:password@example.com/",
    "https://example.com/#part",
    "https://ex ample.com/",
    "https:///",
]


async def test_a_url_that_leads_inside_is_refused_when_it_is_given(made: MadeHome) -> None:
    async with open_node(made) as harness, harness.http() as api:
        for url in INSIDE:
            response = await api.post("/v2/webhooks", json={"url": url})
            assert response.status_code == 400, url
            assert response.json()["errors"][0]["parameter"] == "url"


async def test_a_name_that_leads_inside_is_refused_at_every_attempt(
    made: MadeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the name led to before: the address of the connection is the one checked."""
    seen: list[str] = []
    resolve = socket.getaddrinfo

    def lead_inside(host: str, *rest: Any, **more: Any) -> Any:
        if host != "receiver.example":
            return resolve(host, *rest, **more)
        seen.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", lead_inside)
    async with service(made) as (_, api):
        await webhook(api, "https://receiver.example/", events=["run.complete"])
        await run(api)
        found = await delivery(api, has_failed)
        assert "not public" in found["attempts"][0]["error"]
        assert seen


async def test_dead_deliveries_are_replayed_with_their_ids(made: MadeHome) -> None:
    async with service(made) as (_, api), receiver() as hook:
        hook.behave = lambda _message: "410 Gone"
        await webhook(api, hook.url, events=["run.complete"])
        run_id = await run(api)
        dead = await delivery(api, lambda one: one["state"] == "dead", run_id=run_id)
        hook.behave = lambda _message: "204 No Content"
        body = {"ids": [dead["id"]]}
        response = await api.post("/v2/webhook_deliveries/replay", json=body)
        assert response.json() == {"replayed": 1}
        done = await delivery(api, lambda one: one["state"] == "delivered")
        assert [one["status"] for one in done["attempts"]] == [410, 204]
        assert hook.messages[0].headers["webhook-id"] == hook.messages[1].headers["webhook-id"]
        since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        again: dict[str, object] = {"from_time": since, "state": "delivered"}
        response = await api.post("/v2/webhook_deliveries/replay", json=again)
        assert response.json() == {"replayed": 1}
        await hook.until(3)


async def test_secrets_are_in_no_log_in_no_audit_entry_and_not_in_the_database(
    made: MadeHome, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with service(made) as (harness, api), receiver() as hook:
        login = {"username": "carol", "password": "correct-horse"}
        created = await webhook(api, hook.url, events=["run.complete"], **login)
        await api.post(f"/v2/webhooks/{created['id']}/rotate", json={})
        await run(api)
        [message] = await hook.until(1)
        basic = base64.b64encode(b"carol:correct-horse").decode()
        assert message.headers["authorization"] == f"Basic {basic}"
        await api.delete(f"/v2/webhooks/{created['id']}")
        entries = await harness.node.database.audit.entries(after=0, limit=100)
        events = [entry.fields["event"] for entry in entries]
        for event in ("created", "secret_rotated", "deleted"):
            assert f"webhook_{event}" in events
        read = await api.get("/v2/webhooks")
        readable = json.dumps([entry.content for entry in entries]) + read.text
    stored = b"".join(path.read_bytes() for path in made.home.glob("queryrun.db*"))
    output = capfd.readouterr()
    seen = readable + output.out + output.err + caplog.text
    for secret in (created["secret"], created["secret"][6:], "correct-horse", basic):
        assert secret not in seen
        assert secret.encode() not in stored


async def test_the_outcomes_of_asynchronous_requests_are_called_out(
    made: MadeHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the contract's form, over https on its default port; here that port is another one."""
    authority = Authority(tmp_path / "ca.pem")
    pem = tmp_path / "server.pem"
    pem.write_text(authority.issue())
    trusted = {"QUERYRUN_WEBHOOKS__CA_FILE": str(authority.certificate)}
    async with receiver(server_context(pem)) as hook, service(made, **trusted) as (_, api):
        _lead_default_port_to(hook, monkeypatch)
        refused = await api.post("/v2/webhooks", json={"url": hook.url, "kind": "callout"})
        assert refused.status_code == 400
        url = "https://127.0.0.1/callout"
        await webhook(api, url, kind="callout", username="carol", password="horse")
        sent = {"async": "true", "zuora-track-id": "nightly-7"}
        created = await api.post("/v2/query_runs", json=SELECT, headers=sent)
        run_id = created.headers["location"].rpartition("/")[2]
        [message] = await hook.until(1)
        content = message.content
        assert content.pop("createTime").endswith("Z")
        assert len(content.pop("completeTime")) == 20
        path = content["request"].pop("url")
        assert path.endswith("/v2/query_runs")
        assert content == {
            "request": {
                "id": created.json()["request_id"],
                "method": "POST",
                "trackId": "nightly-7",
            },
            "state": "succeeded",
            "data": {"id": run_id},
        }
        assert message.headers["authorization"].startswith("Basic ")
        hook.behave = lambda _message: "400 Bad Request"
        bad = SELECT | {"sql": "DROP TABLE x"}
        await api.post("/v2/query_runs", json=bad, headers=sent)
        failed = (await hook.until(2))[-1].content
        assert failed["state"] == "failed"
        assert failed["reasons"][0]["code"] == "invalid_parameter"
        assert failed["processId"]
        await delivery(api, lambda one: one["state"] == "dead")


async def test_the_outcome_of_an_asynchronous_cancel_is_called_out_without_being_read(
    made: MadeHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path / "ca.pem")
    pem = tmp_path / "server.pem"
    pem.write_text(authority.issue())
    environ = {
        "QUERYRUN_WEBHOOKS__CA_FILE": str(authority.certificate),
        "QUERYRUN_LEASES__REAP_INTERVAL_S": "0.2",
    }
    async with receiver(server_context(pem)) as hook, service(made, **environ) as (_, api):
        _lead_default_port_to(hook, monkeypatch)
        await webhook(api, "https://127.0.0.1/callout", kind="callout")
        run_id = await run(api, sql=RUNAWAY)
        path = f"/v2/query_runs/{run_id}/cancel"
        await api.post(path, headers={"async": "true"})
        [message] = await hook.until(1)
        assert message.content["data"] == {"id": run_id}
        assert message.content["request"]["url"].endswith(path)
        assert (await api.get(f"/v2/query_runs/{run_id}")).json()["state"] == "canceled"


def _lead_default_port_to(hook: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections to port 443 of loopback reach the receiver: nobody else listens there."""
    port = int(hook.url.split(":")[2].partition("/")[0])
    connect = asyncio.open_connection

    async def connect_there(host: str, to_port: int, **more: Any) -> Any:
        return await connect(host, port if to_port == 443 else to_port, **more)

    monkeypatch.setattr(asyncio, "open_connection", connect_there)
    assert ssl.HAS_SNI

"""`GET /files/{key}`: what a signed link opens, and what it does not (contract A11, F9, H17)."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from typing import Any

import httpx2
import pytest

from queryrun.auth.tokens import issue_token
from queryrun.http.app import build_app
from queryrun.http.context import DOWNLOAD_THREADS, KnownFile
from tests.http.app_harness import AppHarness
from tests.http.problem import assert_problem

pytestmark = pytest.mark.anyio

DATA = b"one,two\n1,2\n3,4\n"


async def link(harness: AppHarness, data: bytes = DATA, suffix: str = ".csv") -> str:
    """A link to a file with this content."""
    run = await harness.create()
    await harness.complete(run["id"], data, suffix)
    body = (await harness.call("GET", f"/v2/query_runs/{run['id']}")).json()
    return str(body["file"]["url"])


async def fetch(harness: AppHarness, url: str, **headers: str) -> httpx2.Response:
    """The file, without a token."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await harness.call("GET", url, token="", headers=sent)


async def test_a_link_opens_without_authorization(harness: AppHarness) -> None:
    response = await fetch(harness, await link(harness))
    assert response.status_code == 200
    assert response.content == DATA
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-length"] == str(len(DATA))
    disposition = response.headers["content-disposition"]
    assert re.match(r'attachment; filename="[0-9a-f-]{36}_\d+\.csv"', disposition)
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers["zuora-request-id"]


async def test_a_compressed_file_is_sent_as_it_is(harness: AppHarness) -> None:
    """Clients unpack it themselves; a Content-Encoding would make some of them do it twice."""
    url = await link(harness, b"\x1f\x8b" + b"x" * 3000, ".csv.gz")
    response = await fetch(harness, url, accept_encoding="gzip")
    assert response.headers["content-type"] == "application/gzip"
    assert "content-encoding" not in response.headers
    assert len(response.content) == 3002


@pytest.mark.parametrize(
    ("suffix", "content_type"),
    [
        (".json", "application/x-ndjson"),
        (".tsv", "text/tab-separated-values; charset=utf-8"),
        (".dsv", "text/plain; charset=utf-8"),
        (".csv.zip", "application/zip"),
        (".csv.gz.enc", "application/octet-stream"),
    ],
)
async def test_the_content_type_follows_the_last_suffix(
    harness: AppHarness, suffix: str, content_type: str
) -> None:
    response = await fetch(harness, await link(harness, suffix=suffix))
    assert response.headers["content-type"] == content_type


async def test_head_returns_the_same_headers_without_the_bytes(harness: AppHarness) -> None:
    url = await link(harness)
    got = await fetch(harness, url)
    head = await harness.call("HEAD", url, token="")
    assert head.content == b""
    for name in ("content-length", "content-type", "etag", "content-disposition"):
        assert head.headers[name] == got.headers[name]


@pytest.mark.parametrize(
    ("requested", "start", "end"),
    [
        ("bytes=0-2", 0, 3),
        ("bytes=4-", 4, len(DATA)),
        ("bytes=-3", len(DATA) - 3, len(DATA)),
        ("bytes=-999", 0, len(DATA)),
        ("bytes=8-99999", 8, len(DATA)),
    ],
)
async def test_a_range_request_gets_that_part(
    harness: AppHarness, requested: str, start: int, end: int
) -> None:
    response = await fetch(harness, await link(harness), range=requested)
    assert response.status_code == 206
    assert response.content == DATA[start:end]
    assert response.headers["content-range"] == f"bytes {start}-{end - 1}/{len(DATA)}"
    assert response.headers["content-length"] == str(end - start)


@pytest.mark.parametrize("requested", ["bytes=99-", "bytes=16-20", "bytes=-0"])
async def test_a_range_outside_the_file_is_416(harness: AppHarness, requested: str) -> None:
    response = await fetch(harness, await link(harness), range=requested)
    assert_problem(response, 416, "range", code="range_not_satisfiable")
    assert response.headers["content-range"] == f"bytes */{len(DATA)}"


@pytest.mark.parametrize("requested", ["lines=1-2", "bytes=a-b", "bytes=3-1", "bytes=0-1,3-4", "x"])
async def test_a_range_that_is_not_understood_gets_the_whole_file(
    harness: AppHarness, requested: str
) -> None:
    """RFC 9110 section 14.2."""
    response = await fetch(harness, await link(harness), range=requested)
    assert response.status_code == 200
    assert response.content == DATA


async def test_if_range_gives_the_part_only_while_the_file_is_the_same(harness: AppHarness) -> None:
    url = await link(harness)
    etag = (await fetch(harness, url)).headers["etag"]
    same = await fetch(harness, url, range="bytes=0-2", if_range=etag)
    other = await fetch(harness, url, range="bytes=0-2", if_range='"other"')
    assert (same.status_code, other.status_code) == (206, 200)


async def test_if_none_match_saves_the_download(harness: AppHarness) -> None:
    url = await link(harness)
    etag = (await fetch(harness, url)).headers["etag"]
    for known in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        response = await fetch(harness, url, if_none_match=known)
        assert response.status_code == 304
        assert response.content == b""
        assert response.headers["etag"] == etag
    assert (await fetch(harness, url, if_none_match='"x"')).status_code == 200


async def test_an_empty_file_is_fine(harness: AppHarness) -> None:
    response = await fetch(harness, await link(harness, b"", ".json"))
    assert response.status_code == 200
    assert response.headers["content-length"] == "0"


async def test_a_link_expires_after_four_hours_and_reading_the_run_makes_a_new_one(
    harness: AppHarness,
) -> None:
    run = await harness.create()
    await harness.complete(run["id"])
    path = f"/v2/query_runs/{run['id']}"
    url = (await harness.call("GET", path)).json()["file"]["url"]
    harness.clock.move(4 * 3600)
    assert (await fetch(harness, url)).status_code == 200
    harness.clock.move(1)
    assert_problem(await fetch(harness, url), 403, "signature", code="link_refused")
    auth = harness.database.auth
    harness.token = (
        await issue_token(auth, harness.client_id, harness.secret, harness.clock)
    ).token
    fresh = (await harness.call("GET", path)).json()["file"]["url"]
    assert (await fetch(harness, fresh)).status_code == 200


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"signature=.", "signature=x"),
        (r"signature=[0-9a-f]+", "signature="),
        (r"&signature=[0-9a-f]+", ""),
        (r"expires=\d", "expires=9"),
        (r"expires=\d+", "expires="),
        (r"expires=\d+", "expires=-1"),
        (r"\.csv", ".tsv"),
        (r"/files/", "/files/../"),
        (r"_1833251171549653", "_1833251171549654"),
    ],
)
async def test_a_changed_link_opens_nothing(harness: AppHarness, old: str, new: str) -> None:
    url = await link(harness)
    changed = re.sub(old, new, url, count=1)
    assert changed != url
    response = await fetch(harness, changed)
    if "../" in new:
        assert response.status_code in (403, 404)
    else:
        assert_problem(response, 403, "signature", code="link_refused")


async def test_a_file_past_its_retention_is_gone(harness: AppHarness) -> None:
    url = await link(harness)
    harness.results.files.clear()
    assert_problem(await fetch(harness, url), 404, "file", code="resource_not_found")


async def test_an_unavailable_store_is_not_a_missing_file(harness: AppHarness) -> None:
    url = await link(harness)
    harness.results.away = True
    response = await fetch(harness, url)
    assert response.status_code == 503
    assert response.json()["retryable"] is True


async def test_size_and_checksum_are_included_when_they_are_named(harness: AppHarness) -> None:
    run = await harness.create()
    await harness.complete(run["id"], DATA)
    path = f"/v2/query_runs/{run['id']}"

    async def file_of(*fields: str) -> dict[str, object]:
        params = {"fields[]": ",".join(fields)}
        return dict((await harness.call("GET", path, params=params)).json()["file"])

    contract = {"id", "url", "content_type", "type"}
    assert set(await file_of()) == set(await file_of("file")) == contract
    assert set(await file_of("file.size")) == {*contract, "size"}
    both = await file_of("file", "file.size", "file.sha256")
    assert set(both) == {*contract, "size", "sha256"}
    assert (both["size"], both["sha256"]) == (len(DATA), sha256(DATA).hexdigest())


async def test_a_download_ends_when_the_client_disconnects(harness: AppHarness) -> None:
    """The rest of a big file is not read for a disconnected client."""
    url = httpx2.URL(await link(harness, b"x" * 700_000))
    sent: list[bytes] = []
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))
        gone.set()

    scope = {
        "type": "http",
        "method": "GET",
        "path": url.path,
        "query_string": url.query,
        "headers": [],
        "client": ("192.0.2.1", 1),
    }
    await build_app(harness.app)(scope, receive, send)
    assert sum(map(len, sent)) < 7_000


async def test_an_entity_with_many_downloads_delays_anothers_by_a_chunk_at_a_time(
    harness: AppHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every thread reads for the first one, and more of its downloads wait; then comes another."""
    urls = [await link(harness) for _ in range(DOWNLOAD_THREADS + 4)]
    other = await link(harness)
    known = harness.app.threads.known_files
    for url in (*urls, other):
        key = url.partition("?")[0].rpartition("/")[2]
        known.put(key, KnownFile("another" if url == other else "busy"))
    order, free, read = list[str](), threading.Semaphore(0), harness.results.read
    lock = threading.Lock()

    def slow(key: str, start: int, end: int) -> Iterator[bytes]:
        with lock:
            order.append(key)
        free.acquire()
        yield from read(key, start, end)

    monkeypatch.setattr(harness.results, "read", slow)
    busy = [asyncio.ensure_future(fetch(harness, url)) for url in urls]
    await _until(lambda: len(order) == DOWNLOAD_THREADS)
    late = asyncio.ensure_future(fetch(harness, other))
    waiting = harness.app.threads.download_turns._waiting
    for read_chunks in (1, 2):  # one delays the look at the file, the second its first chunk
        await _until(lambda: "another" in waiting)
        free.release()
        await _until(partial(_has_length, order, DOWNLOAD_THREADS + read_chunks))
    assert order[-1] in other
    for _ in range(1000):
        free.release()
    responses = await asyncio.gather(late, *busy)
    assert {response.content for response in responses} == {DATA}


def _has_length(found: list[str], length: int) -> bool:
    return len(found) == length


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - other threads make it true
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("changed", [DATA[:-1], DATA + b"5,6\n", b""])
async def test_a_file_of_another_size_than_was_stored_is_no_result(
    harness: AppHarness, changed: bytes
) -> None:
    """Somebody has cut it or written to it: nobody takes what is left for the whole."""
    url = await link(harness)
    key = next(iter(harness.results.files))
    harness.results.files[key] = changed
    response = await fetch(harness, url)
    assert_problem(response, 404, "file", code="resource_not_found")
    assert f"{len(DATA)} were stored" in response.text
    harness.results.files[key] = DATA
    assert (await fetch(harness, url)).content == DATA

"""`GET /files/{key}`: what a signed link opens, and what it does not (contract A11, F9, H17)."""

from __future__ import annotations

import re

import httpx2
import pytest

from queryrun.auth.tokens import issue_token
from tests.http.house import House
from tests.http.problem import assert_problem

pytestmark = pytest.mark.anyio

DATA = b"one,two\n1,2\n3,4\n"


async def link(house: House, data: bytes = DATA, suffix: str = ".csv") -> str:
    """A link to a file with this content."""
    run = await house.create()
    await house.complete(run["id"], data, suffix)
    body = (await house.call("GET", f"/v2/query_runs/{run['id']}")).json()
    return str(body["file"]["url"])


async def fetch(house: House, url: str, **headers: str) -> httpx2.Response:
    """The file, without a token."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await house.call("GET", url, token="", headers=sent)


async def test_a_link_opens_without_authorization(house: House) -> None:
    answer = await fetch(house, await link(house))
    assert answer.status_code == 200
    assert answer.content == DATA
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-length"] == str(len(DATA))
    disposition = answer.headers["content-disposition"]
    assert re.match(r'attachment; filename="[0-9a-f-]{36}_\d+\.csv"', disposition)
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["zuora-request-id"]


async def test_a_compressed_file_is_sent_as_it_is(house: House) -> None:
    """Clients unpack it themselves; a Content-Encoding would make some of them do it twice."""
    url = await link(house, b"\x1f\x8b" + b"x" * 3000, ".csv.gz")
    answer = await fetch(house, url, accept_encoding="gzip")
    assert answer.headers["content-type"] == "application/gzip"
    assert "content-encoding" not in answer.headers
    assert len(answer.content) == 3002


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
    house: House, suffix: str, content_type: str
) -> None:
    answer = await fetch(house, await link(house, suffix=suffix))
    assert answer.headers["content-type"] == content_type


async def test_head_says_the_same_without_the_bytes(house: House) -> None:
    url = await link(house)
    got = await fetch(house, url)
    head = await house.call("HEAD", url, token="")
    assert head.content == b""
    for name in ("content-length", "content-type", "etag", "content-disposition"):
        assert head.headers[name] == got.headers[name]


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-2", 0, 3),
        ("bytes=4-", 4, len(DATA)),
        ("bytes=-3", len(DATA) - 3, len(DATA)),
        ("bytes=-999", 0, len(DATA)),
        ("bytes=8-99999", 8, len(DATA)),
    ],
)
async def test_a_range_is_answered_with_that_part(
    house: House, asked: str, start: int, end: int
) -> None:
    answer = await fetch(house, await link(house), range=asked)
    assert answer.status_code == 206
    assert answer.content == DATA[start:end]
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(DATA)}"
    assert answer.headers["content-length"] == str(end - start)


@pytest.mark.parametrize("asked", ["bytes=99-", "bytes=16-20", "bytes=-0"])
async def test_a_range_outside_the_file_is_416(house: House, asked: str) -> None:
    answer = await fetch(house, await link(house), range=asked)
    assert_problem(answer, 416, "range", code="range_not_satisfiable")
    assert answer.headers["content-range"] == f"bytes */{len(DATA)}"


@pytest.mark.parametrize("asked", ["lines=1-2", "bytes=a-b", "bytes=3-1", "bytes=0-1,3-4", "x"])
async def test_a_range_that_is_not_understood_gets_the_whole_file(house: House, asked: str) -> None:
    """RFC 9110 section 14.2."""
    answer = await fetch(house, await link(house), range=asked)
    assert answer.status_code == 200
    assert answer.content == DATA


async def test_if_range_gives_the_part_only_while_the_file_is_the_same(house: House) -> None:
    url = await link(house)
    etag = (await fetch(house, url)).headers["etag"]
    same = await fetch(house, url, range="bytes=0-2", if_range=etag)
    other = await fetch(house, url, range="bytes=0-2", if_range='"other"')
    assert (same.status_code, other.status_code) == (206, 200)


async def test_if_none_match_saves_the_download(house: House) -> None:
    url = await link(house)
    etag = (await fetch(house, url)).headers["etag"]
    for known in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        answer = await fetch(house, url, if_none_match=known)
        assert answer.status_code == 304
        assert answer.content == b""
        assert answer.headers["etag"] == etag
    assert (await fetch(house, url, if_none_match='"x"')).status_code == 200


async def test_an_empty_file_is_fine(house: House) -> None:
    answer = await fetch(house, await link(house, b"", ".json"))
    assert answer.status_code == 200
    assert answer.headers["content-length"] == "0"


async def test_a_link_dies_after_four_hours_and_reading_the_run_makes_a_new_one(
    house: House,
) -> None:
    run = await house.create()
    await house.complete(run["id"])
    path = f"/v2/query_runs/{run['id']}"
    url = (await house.call("GET", path)).json()["file"]["url"]
    house.clock.move(4 * 3600)
    assert (await fetch(house, url)).status_code == 200
    house.clock.move(1)
    assert_problem(await fetch(house, url), 403, "signature", code="link_refused")
    auth = house.database.auth
    house.token = (await issue_token(auth, house.client_id, house.secret, house.clock)).token
    fresh = (await house.call("GET", path)).json()["file"]["url"]
    assert (await fetch(house, fresh)).status_code == 200


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
async def test_a_changed_link_opens_nothing(house: House, old: str, new: str) -> None:
    url = await link(house)
    changed = re.sub(old, new, url, count=1)
    assert changed != url
    answer = await fetch(house, changed)
    if "../" in new:
        assert answer.status_code in (403, 404)
    else:
        assert_problem(answer, 403, "signature", code="link_refused")


async def test_a_file_past_its_retention_is_gone(house: House) -> None:
    url = await link(house)
    house.results.files.clear()
    assert_problem(await fetch(house, url), 404, "file", code="resource_not_found")


async def test_a_store_that_is_away_is_no_missing_file(house: House) -> None:
    url = await link(house)
    house.results.away = True
    answer = await fetch(house, url)
    assert answer.status_code == 503
    assert answer.json()["retryable"] is True


async def test_size_and_checksum_come_when_file_is_asked_for_by_name(house: House) -> None:
    run = await house.create()
    await house.complete(run["id"], DATA)
    path = f"/v2/query_runs/{run['id']}"
    plain = (await house.call("GET", path)).json()["file"]
    named = (await house.call("GET", path, params=[("fields[]", "file")])).json()["file"]
    assert set(named) - set(plain) == {"size", "sha256"}
    assert named["size"] == len(DATA)

"""Links, previews and encrypted files on a real server with local results."""

from __future__ import annotations

import hashlib
import os
import re
import time

import httpx2 as httpx
import pyrage
import pytest

from tests.e2e.conftest import Server, ServerHarness

SQL = "SELECT i, 'é' || i AS t FROM range(100000) t(i) ORDER BY i"


@pytest.fixture
def server(common: Server) -> Server:
    """One server for the tests that leave it as it is."""
    return common


def test_a_link_serves_the_whole_file_ranges_and_headers(server: Server) -> None:
    done = server.finished(server.submit(SQL)["id"])
    file = server.get(done["id"], "file.size,file.sha256")["file"]
    whole = httpx.get(file["url"], headers={"accept-encoding": "gzip"})
    assert whole.headers["content-type"] == "text/csv; charset=utf-8"
    assert whole.headers["content-disposition"].startswith(f'attachment; filename="{file["id"]}"')
    assert "content-encoding" not in whole.headers
    assert (file["size"], file["sha256"]) == (
        len(whole.content),
        hashlib.sha256(whole.content).hexdigest(),
    )
    etag = whole.headers["etag"]
    part = httpx.get(file["url"], headers={"range": "bytes=5-1000004", "if-range": etag})
    assert (part.status_code, part.content) == (206, whole.content[5:1_000_005])
    changed = httpx.get(file["url"], headers={"range": "bytes=5-9", "if-range": '"older"'})
    assert (changed.status_code, changed.content) == (200, whole.content)
    head = httpx.head(file["url"])
    assert (head.content, head.headers["content-length"]) == (b"", str(file["size"]))
    assert httpx.get(file["url"], headers={"if-none-match": etag}).status_code == 304


@pytest.mark.parametrize(
    ("encoding", "media_type"),
    [("gzip", "application/gzip"), ("zip", "application/zip"), ("zstd", "application/zstd")],
)
def test_a_compressed_file_has_no_content_encoding_header(
    server: Server, encoding: str, media_type: str
) -> None:
    done = server.finished(server.submit(SQL, content_encoding=encoding)["id"])
    response = httpx.get(done["file"]["url"], headers={"accept-encoding": "gzip, zstd"})
    assert response.headers["content-type"] == media_type
    assert "content-encoding" not in response.headers


def test_every_read_signs_a_new_link_and_forged_or_expired_links_are_refused(
    harness: ServerHarness,
) -> None:
    server = harness.serve({"QUERYRUN_RESULTS__LINK_TTL_S": "0"})
    done = server.finished(server.submit("SELECT 1 AS a")["id"])
    expired = done["file"]["url"]
    until = int(re.search(r"expires=(\d+)", expired)[1]) + 1  # type: ignore[index]  # it is there
    while time.time() <= until:
        response = httpx.get(expired)
    response = httpx.get(expired)
    assert response.status_code == 403
    assert response.json()["type"] == "forbidden"
    assert server.get(done["id"])["file"]["url"] != expired
    later = expired.replace(f"expires={until - 1}", f"expires={until + 10_000}")
    assert httpx.get(later).status_code == 403


def test_runs_and_files_are_removed_after_their_retention(harness: ServerHarness) -> None:
    server = harness.serve()
    done = server.finished(server.submit("SELECT 1 AS a")["id"])
    assert server.result_files() == [done["file"]["id"]]
    server.terminate()
    server = harness.serve({"QUERYRUN_RESULTS__RETENTION_DAYS": "0"})
    deadline = time.monotonic() + 20
    while server.http.get(f"/v2/query_runs/{done['id']}").status_code != 404:
        assert time.monotonic() < deadline
    while server.result_files():
        assert time.monotonic() < deadline


def test_rows_of_a_result_can_be_previewed(server: Server) -> None:
    done = server.finished(server.submit(SQL, content_encoding="gzip")["id"])
    path = f"/v2/query_runs/{done['id']}/rows"
    body = server.http.get(path, params={"offset": "50000", "limit": "2"}).json()
    assert body == {
        "columns": ["i", "t"],
        "rows": [["50000", "é50000"], ["50001", "é50001"]],
        "offset": 50_000,
        "number_of_rows": 100_000,
        "more": True,
    }


@pytest.mark.parametrize(
    ("content_type", "encoding"), [("parquet", "none"), ("arrow", "none"), ("json", "zstd")]
)
def test_rows_of_a_binary_result_can_be_previewed(
    server: Server, content_type: str, encoding: str
) -> None:
    run = server.submit(SQL, content_type=content_type, content_encoding=encoding)
    done = server.finished(run["id"])
    path = f"/v2/query_runs/{done['id']}/rows"
    body = server.http.get(path, params={"offset": "50000", "limit": "2"}, timeout=60).json()
    assert (body["columns"], body["rows"]) == (
        ["i", "t"],
        [[50000, "é50000"], [50001, "é50001"]],
    )
    assert (body["number_of_rows"], body["more"]) == (100_000, True)


def test_a_result_for_a_recipient_of_age_is_an_age_file_without_preview(server: Server) -> None:
    identity = pyrage.x25519.Identity.generate()
    run = server.submit("SELECT 1 AS a", encryption_key=str(identity.to_public()))
    done = server.finished(run["id"])
    assert done["file"]["id"].endswith(".csv.enc")
    assert pyrage.decrypt(httpx.get(done["file"]["url"]).content, [identity]) == b"a\n1\n"
    assert server.http.get(f"/v2/query_runs/{run['id']}/rows").status_code == 404


def test_files_without_a_run_are_swept(harness: ServerHarness) -> None:
    """Partial files of a lost node, and committed files older than the retention."""
    results = harness.made.home / "results"
    results.mkdir(exist_ok=True)
    old = time.time() - 40 * 24 * 3600
    for name, written in ((".lost.csv.part", old), ("gone.csv", old), ("new.csv", time.time())):
        (results / name).write_bytes(b"a\n")
        os.utime(results / name, (written, written))
    server = harness.serve()
    deadline = time.monotonic() + 20
    while server.result_files() != ["new.csv"]:
        assert time.monotonic() < deadline, server.result_files()

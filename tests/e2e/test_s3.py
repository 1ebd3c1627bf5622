"""Results in a bucket of a real S3 server: downloads, cancels and crashes."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx2 as httpx
import pytest

from queryrun.results.s3bucket import S3Bucket
from queryrun.results.s3location import S3Location
from tests.e2e.conftest import Server, ServerHarness, wait_logged
from tests.faults.test_shortages import waiting_for
from tests.s3_server import CREDENTIALS, S3Server, bucket_at, keys_in

LARGE = "SELECT i, hash(i) AS h FROM range(300000) t(i)"
"""About 8 MB: two parts."""
ENDLESS = "SELECT i, hash(i) AS h FROM range(100000000000) t(i)"
"""Writes until it is stopped."""


@pytest.fixture
def location(s3_server: S3Server) -> S3Location:
    """A new bucket."""
    return s3_server.new_bucket()


@pytest.fixture
def bucket(location: S3Location) -> Iterator[S3Bucket]:
    """The bucket, to inspect it."""
    with bucket_at(location) as bucket:
        yield bucket


@pytest.fixture
def environ(location: S3Location) -> dict[str, str]:
    """Settings of a server that uses the bucket."""
    return {
        "QUERYRUN_RESULTS__STORE": "s3",
        "QUERYRUN_RESULTS__BUCKET": location.bucket,
        "QUERYRUN_RESULTS__PREFIX": location.prefix,
        "QUERYRUN_RESULTS__ENDPOINT": location.endpoint,
        "QUERYRUN_RESULTS__PART_SIZE": "5MiB",
        "AWS_ACCESS_KEY_ID": CREDENTIALS.access_key_id,
        "AWS_SECRET_ACCESS_KEY": CREDENTIALS.secret_access_key,
    }


@pytest.fixture
def server(harness: ServerHarness, environ: dict[str, str]) -> Server:
    """A server on the bucket, with presigned links."""
    return harness.serve(environ)


def wait_for(names: Callable[[], list[str]], pattern: str) -> str:
    """Wait for a name that matches, and return the first."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for name in names():
            if re.fullmatch(pattern, name):
                return name
    raise AssertionError(f"nothing like {pattern}")


@pytest.mark.parametrize("sql", ["SELECT 1 AS a", LARGE], ids=["one put", "parts"])
def test_a_result_is_in_the_bucket_and_its_link_leads_there(
    server: Server, bucket: S3Bucket, location: S3Location, sql: str
) -> None:
    done = server.finished(server.submit(sql, content_encoding="gzip")["id"])
    assert done["state"] == "complete", done
    file = server.get(done["id"], "file.size,file.sha256")["file"]
    assert file["url"].startswith(
        f"{location.endpoint}/{location.bucket}/{location.prefix}{file['id']}?"
    )
    response = httpx.get(file["url"], headers={"accept-encoding": "identity"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/gzip"
    assert "content-encoding" not in response.headers
    assert response.headers["content-disposition"].startswith(
        f'attachment; filename="{file["id"]}"'
    )
    assert file["size"] == len(response.content)
    assert file["sha256"] == hashlib.sha256(response.content).hexdigest()
    assert gzip.decompress(response.content).count(b"\n") == done["number_of_rows"] + 1
    assert keys_in(bucket) == [file["id"]]
    assert server.result_files() == []


def test_a_presigned_link_serves_ranges_and_refuses_changes(server: Server) -> None:
    done = server.finished(server.submit("SELECT 12345 AS abcdef")["id"])
    url = done["file"]["url"]
    whole = httpx.get(url)
    etag = whole.headers["etag"]
    part = httpx.get(url, headers={"range": "bytes=2-4", "if-range": etag})
    assert (whole.text, part.status_code, part.text) == ("abcdef\n12345\n", 206, "cde")
    forged = re.sub(r"X-Amz-Signature=.", "X-Amz-Signature=x", url)
    longer = re.sub(r"X-Amz-Expires=\d+", "X-Amz-Expires=99999", url)
    other = url.replace(".csv?", ".tsv?")
    assert [httpx.get(bad).status_code for bad in (forged, longer, other)] == [403] * 3


def test_the_first_rows_of_a_parquet_result_come_from_the_bucket(server: Server) -> None:
    done = server.finished(server.submit(LARGE, content_type="parquet")["id"])
    path = f"/v2/query_runs/{done['id']}/rows"
    body = server.http.get(path, params={"offset": "200000", "limit": "1"}, timeout=60).json()
    assert (body["columns"], body["rows"][0][0]) == (["i", "h"], 200_000)


def test_proxied_links_hide_the_bucket(
    harness: ServerHarness, environ: dict[str, str], location: S3Location
) -> None:
    server = harness.serve({**environ, "QUERYRUN_RESULTS__LINKS": "proxied"})
    done = server.finished(server.submit(LARGE)["id"])
    url = done["file"]["url"]
    assert url.startswith(server.url)
    whole = httpx.get(url)
    assert len(whole.text.splitlines()) == 300_001
    part = httpx.get(
        url, headers={"range": "bytes=6000000-6000099", "if-range": whole.headers["etag"]}
    )
    assert (part.status_code, part.content) == (206, whole.content[6_000_000:6_000_100])
    head = httpx.head(url)
    assert head.headers["content-length"] == str(len(whole.content))
    assert httpx.get(url.replace("signature=", "signature=0")).status_code == 403


def test_a_cancel_during_an_upload_leaves_nothing(server: Server, bucket: S3Bucket) -> None:
    run = server.submit(ENDLESS)
    wait_for(lambda: keys_in(bucket), rf"{run['id']}_.*\?")
    assert server.cancel(run["id"]).json()["state"] == "canceled"
    assert keys_in(bucket) == []


def test_the_upload_of_a_killed_worker_is_aborted_and_the_run_requeued(
    server: Server, bucket: S3Bucket
) -> None:
    run = server.submit(ENDLESS)
    first = wait_for(lambda: keys_in(bucket), rf"{run['id']}_.*\?")
    (worker,) = server.workers_of(run["id"])
    os.kill(worker, signal.SIGKILL)
    again = wait_for(lambda: [name for name in keys_in(bucket) if name != first], r".*\?")
    assert again.startswith(run["id"])
    assert first not in keys_in(bucket)
    server.cancel(run["id"])
    assert keys_in(bucket) == []


def test_the_upload_of_a_killed_server_is_aborted_after_the_restart(
    harness: ServerHarness, server: Server, environ: dict[str, str], bucket: S3Bucket
) -> None:
    run = server.submit(ENDLESS)
    first = wait_for(lambda: keys_in(bucket), rf"{run['id']}_.*\?")
    server.kill()
    second = harness.serve({**environ, "QUERYRUN_WORKERS__SLOTS": "0"})
    assert second.get(run["id"])["state"] == "accepted"
    assert first not in keys_in(bucket)


def test_a_run_waits_for_a_store_that_refuses_with_its_reason(
    harness: ServerHarness, environ: dict[str, str]
) -> None:
    server = harness.serve({**environ, "AWS_SECRET_ACCESS_KEY": "mistyped-secret"})
    run = server.submit("SELECT 1")
    waiting_for(server, run["id"], "SignatureDoesNotMatch")
    assert server.get(run["id"], "id,remaining_attempts")["remaining_attempts"] == 3
    readiness = server.http.get("/readyz")
    assert (readiness.status_code, readiness.json()["status"]) == (503, "unavailable")
    assert "SignatureDoesNotMatch" in readiness.json()["checks"]["results"]
    assert "mistyped-secret" not in harness.log.read_text()


def test_files_past_their_retention_are_removed_from_the_bucket(
    harness: ServerHarness, server: Server, environ: dict[str, str], bucket: S3Bucket
) -> None:
    run = server.finished(server.submit("SELECT 1")["id"])
    assert len(keys_in(bucket)) == 1
    server.terminate()
    harness.serve({**environ, "QUERYRUN_RESULTS__RETENTION_DAYS": "0"})
    deadline = time.monotonic() + 20
    while keys_in(bucket):
        assert time.monotonic() < deadline, f"the file of {run['id']} is still there"


def test_no_secret_is_in_the_environment_or_name_of_a_worker(server: Server) -> None:
    server.finished(server.submit("SELECT 1")["id"])
    for pid in server.workers():
        for what in ("environ", "cmdline"):
            with suppress(FileNotFoundError, ProcessLookupError):  # a worker may exit meanwhile
                content = Path(f"/proc/{pid}/{what}").read_bytes()
                assert CREDENTIALS.secret_access_key.encode() not in content


def test_a_missing_credentials_file_leaves_the_last_credentials_in_use(
    harness: ServerHarness, environ: dict[str, str]
) -> None:
    """A tool may be replacing it."""
    keys = harness.made.home / "keys"
    keys.write_text(
        f"[default]\naws_access_key_id = {environ.pop('AWS_ACCESS_KEY_ID')}\n"
        f"aws_secret_access_key = {environ.pop('AWS_SECRET_ACCESS_KEY')}\n"
    )
    server = harness.serve({**environ, "QUERYRUN_RESULTS__CREDENTIALS_FILE": "keys"})
    keys.unlink()
    assert server.finished(server.submit("SELECT 1 AS a")["id"])["state"] == "complete"
    wait_logged(harness.log, "s3_credentials_unreadable")

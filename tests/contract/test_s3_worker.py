"""A worker writes to a bucket of a real server without a key: the node signs what it may ask."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

import httpx2 as httpx
import pytest
from structlog.testing import capture_logs

from queryrun.engines.source_spec import SourceSpec
from queryrun.errors import RunFailed
from queryrun.processes.frames import encode
from queryrun.results.names import disposition, media_type
from queryrun.results.s3 import S3ResultStore
from queryrun.results.s3bucket import S3Bucket
from queryrun.results.s3location import S3Location
from queryrun.results.sigv4 import EMPTY_SHA256, UnsignedRequest
from queryrun.wiring.child_roles import CHILD_ROLES
from queryrun.worker.errors import WorkerDied
from queryrun.worker.frames import Done, Execute, ResultsSpec, WorkerConfig
from queryrun.worker.pool import PoolOptions, WorkerPool
from tests.s3_server import CREDENTIALS, S3Server, bucket_at, keys_in

PART_BYTES = 5 * 1024 * 1024
GREEDY = {**CHILD_ROLES, "worker": "tests.integration.worker.greedy:main"}


@pytest.fixture
def location(s3_server: S3Server) -> S3Location:
    """A new bucket."""
    return s3_server.new_bucket()


@pytest.fixture
def bucket(location: S3Location) -> Iterator[S3Bucket]:
    """With the node's keys."""
    with bucket_at(location) as bucket:
        yield bucket


def config_of(location: S3Location, directory: Path) -> WorkerConfig:
    """A worker over empty data that writes to the bucket."""
    (directory / "data").mkdir()
    options = {**asdict(location), "part_bytes": str(PART_BYTES)}
    return WorkerConfig(
        entity_id="e1",
        source=SourceSpec("duckdb", {"data_dir": str(directory / "data")}),
        results=ResultsSpec("s3", options),
        memory_bytes=512 * 1024**2,
        threads=1,
        spill_dir="",
        spill_bytes=1024**3,
    )


def export(sql: str, key: str, **changes: str) -> Execute:
    """A statement whose result is an object."""
    fields = {"content_type": "csv", "content_encoding": "none", **changes}
    return Execute(
        *("r1", 1, sql, key, fields["content_type"], fields["content_encoding"], None, None),
        row_limit=0,
        size_limit_bytes=0,
    )


@asynccontextmanager
async def pool_of(directory: Path, roles: Mapping[str, str]) -> AsyncIterator[WorkerPool]:
    """A pool of one worker."""
    pool = WorkerPool(PoolOptions(directory / "spill", max_workers=1, warm=0), roles)
    await pool.start()
    try:
        yield pool
    finally:
        await pool.close()


@pytest.mark.anyio
async def test_a_worker_writes_small_and_large_files_and_has_no_key(
    location: S3Location, bucket: S3Bucket, tmp_path: Path
) -> None:
    config, store = config_of(location, tmp_path), S3ResultStore(bucket)
    assert CREDENTIALS.access_key_id.encode() not in encode(config)
    assert CREDENTIALS.secret_access_key.encode() not in encode(config)
    large = "SELECT md5(CAST(i AS VARCHAR)) AS a FROM range(500000) t(i)"
    async with pool_of(tmp_path, CHILD_ROLES) as pool:
        worker = await pool.take(config)
        for key, sql in (("small.csv", "SELECT 1 AS a"), ("large.csv", large)):
            permit = store.upload_permit(key)
            done = await worker.execute(export(sql, key), lambda _: None, permit)
            assert isinstance(done, Done), done
            assert store.take_over(None, key, done.size_bytes)
            stored = b"".join(store.read(key, 0, done.size_bytes))
            assert hashlib.sha256(stored).hexdigest() == done.sha256
    assert keys_in(bucket) == ["large.csv", "small.csv"]


@pytest.mark.anyio
async def test_a_worker_that_asks_for_another_object_is_killed(
    location: S3Location, bucket: S3Bucket, tmp_path: Path
) -> None:
    bucket.put("theirs.csv", b"theirs", {})
    store = S3ResultStore(bucket)
    path = f"/{location.bucket}/{location.prefix}"
    requests = [f"{method} {path}theirs.csv {EMPTY_SHA256}" for method in ("PUT", "DELETE", "GET")]
    async with pool_of(tmp_path, GREEDY) as pool:
        config = config_of(location, tmp_path)
        worker = await pool.take(config)
        own = export(f"HEAD {path}own.csv {EMPTY_SHA256}", "own.csv")
        done = await worker.execute(own, lambda _: None, store.upload_permit("own.csv"))
        assert isinstance(done, Done), "its own is signed"
        with pytest.raises(RunFailed):
            store.take_over(None, "own.csv", 0)
        pool.give_back(worker)
        for request in requests:
            worker = await pool.take(config)
            with capture_logs() as logs, pytest.raises(WorkerDied):
                await worker.execute(
                    export(request, "own.csv"), lambda _: None, store.upload_permit("own.csv")
                )
            assert "worker_upload_refused" in [entry["event"] for entry in logs]
            pool.give_back(worker)
    assert b"".join(store.read("theirs.csv", 0, 6)) == b"theirs"


def test_a_signature_is_good_for_its_bytes_and_its_object_alone(
    location: S3Location, bucket: S3Bucket
) -> None:
    """The real server refuses everything else."""
    store = S3ResultStore(bucket)
    permit = store.upload_permit("own.csv")
    assert permit is not None
    host = location.endpoint.rpartition("/")[2]
    path = f"/{location.bucket}/{location.prefix}own.csv"
    headers = {"content-type": media_type("own.csv"), "content-disposition": disposition("own.csv")}
    request = UnsignedRequest(
        *("PUT", host, path, (), headers), payload_sha256=hashlib.sha256(b"mine").hexdigest()
    )
    signed = dict(permit.sign(request))
    signed.pop("host")
    theirs = path.replace("own.csv", "theirs.csv")
    for method, at, body in (
        ("PUT", path, b"else"),
        ("PUT", theirs, b"mine"),
        ("DELETE", path, b""),
        ("GET", path, b""),
        ("PUT", f"{path}?acl", b"mine"),
    ):
        sent = httpx.request(method, f"http://{host}{at}", headers=signed, content=body)
        assert sent.status_code in (400, 403), (method, at, sent.text)
    sent = httpx.request("PUT", f"http://{host}{path}", headers=signed, content=b"mine")
    assert sent.status_code == 200, sent.text
    assert keys_in(bucket) == ["own.csv"]

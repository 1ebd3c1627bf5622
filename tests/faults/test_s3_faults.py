"""A faulty store: what a writer, a reader and a cleanup of attempts get, and leave behind."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing

import pytest

from queryrun.errors import FailureCode, RunFailed
from queryrun.results.s3 import S3ResultStore
from queryrun.results.s3bucket import S3Bucket
from queryrun.results.s3location import S3Location
from queryrun.results.sigv4 import Credentials
from tests.s3_proxy import Fault, FaultProxy, Plan, fault_proxy, first
from tests.s3_server import FAST_FAILURE, S3Server, bucket_at, keys_in

PART_BYTES = 5 * 1024 * 1024
KEY = "run_1.csv"
SMALL = b"a,b\n1,2\n"
LARGE = bytes(range(256)) * 45_000  # 11.5 MB: three parts


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[FaultProxy]:
    """In front of the server, injecting faults."""
    with fault_proxy(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def location(s3_server: S3Server, proxy: FaultProxy) -> S3Location:
    """A new bucket, reached through the proxy."""
    return s3_server.new_bucket(endpoint=proxy.endpoint)


@pytest.fixture
def store(location: S3Location) -> Iterator[S3ResultStore]:
    """The store under test, with short timeouts."""
    with bucket_at(location, FAST_FAILURE) as bucket:
        yield S3ResultStore(bucket, part_bytes=PART_BYTES)


@pytest.fixture
def bucket(location: S3Location) -> Iterator[S3Bucket]:
    """The same bucket without faults, to see what is left in it."""
    with bucket_at(location) as bucket:
        yield bucket


def write(store: S3ResultStore, data: bytes) -> None:
    """As a worker does: commit, or abort and pass the failure on."""
    writer = store.open(KEY)
    try:
        writer.write(data)
        writer.commit()
    except BaseException:
        writer.abort()
        raise


def failure(store: S3ResultStore, data: bytes) -> RunFailed:
    """How writing fails."""
    with pytest.raises(RunFailed) as failed:
        write(store, data)
    return failed.value


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["one put", "parts"])
@pytest.mark.parametrize("fault", [Fault.BUSY, Fault.HANG_UP, Fault.LOSE_RESPONSE])
def test_a_hiccup_costs_nothing(
    store: S3ResultStore, proxy: FaultProxy, fault: Fault, data: bytes
) -> None:
    """Whatever the store once refuses or loses is sent again, the completing of an upload too."""
    writer = store.open(KEY)
    writer.write(data)
    proxy.plan = first(1, fault, "P")
    writer.commit()
    assert b"".join(store.read(KEY, 0, len(data))) == data


@pytest.mark.parametrize(
    ("fault", "method", "word"),
    [
        (Fault.BUSY, "P", ""),
        (Fault.SILENT, "P", ""),
        (Fault.HANG_UP, "P", ""),
        (Fault.BUSY, "PUT", "partNumber=2"),
        (Fault.SILENT, "PUT", "partNumber=2"),
        (Fault.HANG_UP, "PUT", "partNumber=2"),
        (Fault.LOSE_RESPONSE, "PUT", "partNumber=3"),
        (Fault.BUSY, "POST", "uploadId"),
        (Fault.LATE_ERROR, "POST", "uploadId"),
        (Fault.CUT, "POST", "uploads="),
    ],
)
def test_a_fault_that_stays_fails_the_attempt_and_leaves_nothing(
    store: S3ResultStore,
    bucket: S3Bucket,
    proxy: FaultProxy,
    fault: Fault,
    method: str,
    word: str,
) -> None:
    proxy.plan = first(100, fault, method, word)
    failed = failure(store, LARGE).failure
    proxy.plan = first(0, Fault.NONE)
    store.discard(KEY)  # as the settler of the attempt does
    assert failed.code is FailureCode.STORAGE_FAILED
    assert failed.code.retryable
    assert keys_in(bucket) == []


def test_the_writer_itself_aborts_its_upload(
    store: S3ResultStore, bucket: S3Bucket, proxy: FaultProxy
) -> None:
    proxy.plan = first(100, Fault.BUSY, "PUT", "partNumber=2")
    failure(store, LARGE)
    assert keys_in(bucket) == []
    assert any(line.startswith("DELETE") and "uploadId" in line for line in proxy.seen)


def test_a_completed_upload_whose_response_was_lost_is_committed(
    store: S3ResultStore, proxy: FaultProxy
) -> None:
    """The second try gets "no such upload": the upload has become the file."""
    proxy.plan = first(100, Fault.LOSE_RESPONSE, "POST", "uploadId")
    write(store, LARGE)
    assert b"".join(store.read(KEY, 0, len(LARGE))) == LARGE


def test_a_full_store_is_distinguished_from_a_broken_one(
    store: S3ResultStore, proxy: FaultProxy
) -> None:
    proxy.plan = first(100, Fault.FULL, "PUT")
    assert failure(store, LARGE).failure.code is FailureCode.STORAGE_FULL


def test_a_fault_during_cleanup_is_reported(store: S3ResultStore, proxy: FaultProxy) -> None:
    """The settler logs it and continues; the sweep comes later."""
    proxy.plan = first(100, Fault.BUSY)
    with pytest.raises(RunFailed):
        store.discard(KEY)


def test_a_truncated_download_is_never_accepted_as_complete(
    store: S3ResultStore, proxy: FaultProxy
) -> None:
    write(store, LARGE)
    proxy.plan = first(1, Fault.CUT, "GET")
    got = bytearray()
    chunks = store.read(KEY, 0, len(LARGE))
    with pytest.raises(RunFailed) as failed:
        got.extend(itertools.chain.from_iterable(chunks))
    assert failed.value.failure.code is FailureCode.STORAGE_FAILED
    assert len(got) < len(LARGE)


def test_a_reader_that_stops_early_leaves_no_connection_with_an_unread_response(
    store: S3ResultStore,
) -> None:
    write(store, LARGE)
    chunks = store.read(KEY, 0, len(LARGE))
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]  # it is a generator
    assert b"".join(store.read(KEY, 10, 20)) == LARGE[10:20]


@pytest.mark.parametrize(
    "plan", [first(0, Fault.NONE), first(1, Fault.BUSY, "HEAD")], ids=["at once", "again"]
)
def test_stat_sees_the_file(store: S3ResultStore, proxy: FaultProxy, plan: Plan) -> None:
    write(store, SMALL)
    proxy.plan = plan
    found = store.stat(KEY)
    assert found is not None
    assert found.size_bytes == len(SMALL)


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["one put", "parts"])
def test_wrong_credentials_fail_the_attempt_by_name(location: S3Location, data: bytes) -> None:
    wrong = Credentials("test-access-key", "not-the-secret")
    with closing(S3Bucket(location, lambda: wrong, FAST_FAILURE)) as bucket:
        failed = failure(S3ResultStore(bucket, part_bytes=PART_BYTES), data).failure
    assert failed.code is FailureCode.STORAGE_FAILED
    assert "SignatureDoesNotMatch" in failed.message
    assert "not-the-secret" not in failed.message


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["one put", "parts"])
def test_a_bucket_that_is_gone_fails_the_attempt_by_name(s3_server: S3Server, data: bytes) -> None:
    with bucket_at(s3_server.location(), FAST_FAILURE) as bucket:
        failed = failure(S3ResultStore(bucket, part_bytes=PART_BYTES), data).failure
    assert failed.code is FailureCode.STORAGE_FAILED
    assert "NoSuchBucket" in failed.message


def test_a_server_that_is_gone_fails_the_attempt() -> None:
    with bucket_at(S3Location("results", endpoint="http://127.0.0.1:9"), FAST_FAILURE) as bucket:
        failed = failure(S3ResultStore(bucket), SMALL).failure
    assert failed.code is FailureCode.STORAGE_FAILED
    assert "Unreachable" in failed.message

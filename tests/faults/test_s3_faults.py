"""A faulty store: what a writer, a reader and a cleanup of attempts get, and leave behind."""

from __future__ import annotations

import itertools
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from queryrun.errors import FailureCode, RunFailed
from queryrun.results.s3 import S3ResultStore
from queryrun.results.s3bucket import S3Bucket
from queryrun.results.s3http import RequestPolicy, S3Http, S3Request, bound_silence
from queryrun.results.s3location import S3Location
from queryrun.results.sigv4 import Credentials, sign_with, utc_now
from tests.s3_proxy import Fault, FaultProxy, Plan, fault_proxy, first
from tests.s3_server import CREDENTIALS, FAST_FAILURE, S3Server, bucket_at, keys_in

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
def test_a_transient_error_has_no_effect(
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
def test_a_permanent_fault_fails_the_attempt_and_leaves_nothing(
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
def test_wrong_credentials_fail_the_attempt_and_are_named(
    location: S3Location, data: bytes
) -> None:
    wrong = Credentials("test-access-key", "not-the-secret")
    with closing(S3Bucket(location, lambda: wrong, FAST_FAILURE)) as bucket:
        failed = failure(S3ResultStore(bucket, part_bytes=PART_BYTES), data).failure
    assert failed.code is FailureCode.STORAGE_FAILED
    assert "SignatureDoesNotMatch" in failed.message
    assert "not-the-secret" not in failed.message


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["one put", "parts"])
def test_a_missing_bucket_fails_the_attempt_and_is_named(s3_server: S3Server, data: bytes) -> None:
    with bucket_at(s3_server.location(), FAST_FAILURE) as bucket:
        failed = failure(S3ResultStore(bucket, part_bytes=PART_BYTES), data).failure
    assert failed.code is FailureCode.STORAGE_FAILED
    assert "NoSuchBucket" in failed.message


def test_an_unreachable_server_fails_the_attempt() -> None:
    with bucket_at(S3Location("results", endpoint="http://127.0.0.1:9"), FAST_FAILURE) as bucket:
        failed = failure(S3ResultStore(bucket), SMALL).failure
    assert failed.code is FailureCode.STORAGE_FAILED
    assert "Unreachable" in failed.message


class _CutConnections(socketserver.StreamRequestHandler):
    """The first two connections serve one request each, and are silent from then on."""

    def handle(self) -> None:
        server = self.server
        assert isinstance(server, _CutServer)
        is_cut = next(server.accepted) < 2
        while self.rfile.readline():
            while self.rfile.readline().strip():
                pass
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx")
            if is_cut:
                server.over.wait()
                return


class _CutServer(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _CutConnections)
        self.accepted = itertools.count()
        self.over = threading.Event()


@pytest.fixture
def cut_server() -> Iterator[_CutServer]:
    """A store whose network is cut once two connections are idle, and mended for new ones."""
    with _CutServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


def test_a_retry_after_a_cut_network_does_not_wait_for_other_connections_of_before(
    cut_server: _CutServer,
) -> None:
    """One of several idle connections does not respond: the retry opens a new one."""
    policy = RequestPolicy(response_timeout_s=1.0, retry_delays_s=(0.0,))
    endpoint = f"http://127.0.0.1:{cut_server.server_address[1]}"
    request = S3Request("GET", "/a")
    signer = sign_with(lambda: CREDENTIALS, "us-east-1", utc_now)
    with closing(S3Http(endpoint, signer, policy)) as http:
        streams = [http.stream(request, 10)[1] for _ in range(2)]
        assert [b"".join(stream) for stream in streams] == [b"x", b"x"]  # two are idle now
        assert http.send(request).body == b"x"


def test_a_connection_to_the_store_is_ended_by_the_kernel_when_nothing_is_acknowledged(
    cut_server: _CutServer,
) -> None:
    with socket.create_connection(("127.0.0.1", cut_server.server_address[1])) as connection:
        bound_silence(connection)
        option = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert 0 < option <= 15_000
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


def test_a_probe_of_a_silent_bucket_ends_within_seconds(
    location: S3Location, proxy: FaultProxy
) -> None:
    """With the policy of a node: runs wait until a probe succeeds, and one at a time is made."""
    proxy.plan = first(100, Fault.SILENT)
    with bucket_at(location) as bucket, pytest.raises(RunFailed):
        S3ResultStore(bucket, part_bytes=PART_BYTES).check()
    assert len(proxy.seen) == 2

"""Where a worker's results go decides what it may access, and its secrets stay out of reprs."""

from __future__ import annotations

import msgspec

from queryrun.engines.source_spec import SourceSpec
from queryrun.processes.frames import encode
from queryrun.results.sigv4 import Credentials
from queryrun.worker.frames import ResultsSpec, WorkerConfig, decode_to_worker
from queryrun.worker.main import sandbox_policy

CREDENTIALS = Credentials("the-id", "the-secret", "the-token")
LOCAL = WorkerConfig(
    entity_id="e",
    source=SourceSpec("duckdb", {"data_dir": "/data"}),
    results=ResultsSpec("local", {"directory": "/outbox"}),
    memory_bytes=1,
    threads=1,
    spill_dir="/spill",
    spill_bytes=1,
)
S3 = msgspec.structs.replace(LOCAL, results=ResultsSpec("s3", {"bucket": "b"}, CREDENTIALS))


def test_results_in_a_directory_need_an_outbox_there_and_no_network() -> None:
    policy = sandbox_policy(LOCAL)
    assert (policy.read_write, policy.network) == (("/spill", "/outbox"), False)


def test_results_in_a_bucket_need_the_network_and_no_directory() -> None:
    policy = sandbox_policy(S3)
    assert (policy.read_write, policy.network) == (("/spill",), True)


def test_credentials_reach_the_worker_and_no_repr() -> None:
    received = decode_to_worker(encode(S3)[4:])
    assert received == S3
    assert isinstance(received, WorkerConfig)
    assert received.results.credentials == CREDENTIALS
    assert "the-secret" not in repr(received)
    assert "the-token" not in repr(received)


def test_new_credentials_make_another_config() -> None:
    """So no idle worker is reused with the old ones."""
    renewed = ResultsSpec("s3", {"bucket": "b"}, Credentials("the-id", "another"))
    assert msgspec.structs.replace(S3, results=renewed) != S3

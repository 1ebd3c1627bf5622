"""Where a worker's results go decides what it may access; no worker gets a key of the store."""

from __future__ import annotations

import msgspec

from queryrun.engines.source_spec import SourceSpec
from queryrun.worker.frames import ResultsSpec, WorkerConfig
from queryrun.worker.main import sandbox_policy

LOCAL = WorkerConfig(
    entity_id="e",
    source=SourceSpec("duckdb", {"data_dir": "/data"}),
    results=ResultsSpec("local", {"directory": "/outbox"}),
    memory_bytes=1,
    threads=1,
    spill_dir="/spill",
    spill_bytes=1,
)
S3 = msgspec.structs.replace(LOCAL, results=ResultsSpec("s3", {"bucket": "b"}))


def test_results_in_a_directory_need_an_outbox_there_and_no_network() -> None:
    policy = sandbox_policy(LOCAL)
    assert (policy.read_write, policy.network) == (("/spill", "/outbox"), False)


def test_results_in_a_bucket_need_the_network_and_no_directory() -> None:
    policy = sandbox_policy(S3)
    assert (policy.read_write, policy.network) == (("/spill",), True)

"""Where a worker's results go decides what it may access; no worker gets a key of the store."""

from __future__ import annotations

import msgspec
import pytest

from queryrun.engines.source_spec import Secret, SourceSpec
from queryrun.worker.frames import ResultsSpec, WorkerConfig
from queryrun.worker.main import sandbox_policy
from queryrun.worker.relay_targets import Address, addresses_of, without_secret

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


def test_results_in_a_bucket_need_a_relay_and_no_network_of_its_own() -> None:
    policy = sandbox_policy(S3)
    assert (policy.read_write, policy.network, policy.given_sockets) == (("/spill",), False, True)


def test_a_worker_of_trino_gets_neither_secret_nor_network() -> None:
    options = {"url": "https://trino.test", "auth": "password", "spool_url": "http://spool.test"}
    source = SourceSpec("trino", options, Secret("hidden"))
    policy = sandbox_policy(msgspec.structs.replace(LOCAL, source=source))
    assert (policy.network, policy.given_sockets) == (False, True)
    assert addresses_of(source, LOCAL.results) == {
        "engine": Address("trino.test", 443),
        "spool": Address("spool.test", 80),
    }
    assert without_secret(source) == SourceSpec("trino", {**options, "auth": "none"})


@pytest.mark.parametrize(
    ("options", "port"),
    [
        ({"url": "sc://spark.test", "ui_url": ""}, 15002),
        ({"url": "sc://spark.test:1", "ui_url": "https://ui.test"}, 1),
    ],
)
def test_a_worker_of_spark_gets_neither_secret_nor_network(
    options: dict[str, str], port: int
) -> None:
    source = SourceSpec("spark", {**options, "auth": "token"}, Secret("hidden"))
    policy = sandbox_policy(msgspec.structs.replace(LOCAL, source=source))
    assert (policy.network, policy.ports, policy.given_sockets) == (False, (), True)
    assert addresses_of(source, LOCAL.results) == {"engine": Address("spark.test", port)}
    assert without_secret(source) == SourceSpec("spark", {**options, "auth": "none"})


@pytest.mark.parametrize(
    ("options", "address"),
    [
        ({"bucket": "b", "region": "eu-west-1"}, Address("s3.eu-west-1.amazonaws.com", 443)),
        ({"bucket": "b", "endpoint": "http://[::1]:9000"}, Address("::1", 9000)),
        (
            {"bucket": "b", "endpoint": "https://s3.test", "addressing": "virtual"},
            Address("b.s3.test", 443),
        ),
    ],
)
def test_the_store_is_where_its_requests_go(options: dict[str, str], address: Address) -> None:
    assert addresses_of(LOCAL.source, ResultsSpec("s3", options)) == {"results": address}

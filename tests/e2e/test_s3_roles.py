"""A node that has a role and no keys: it starts, writes results and links to them."""

from __future__ import annotations

import os
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.e2e.conftest import ServerHarness
from tests.role_endpoints import CONTAINER_TOKEN, role_endpoints, signing_gateway
from tests.s3_server import S3Server
from tests.s3_server import moto_server as moto_server  # a fixture

NO_KEYS = {
    "AWS_ACCESS_KEY_ID": "",
    "AWS_SECRET_ACCESS_KEY": "",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def test_a_node_with_the_role_of_its_container_serves_results(
    harness: ServerHarness, moto_server: S3Server, tmp_path: Path
) -> None:
    location = moto_server.new_bucket()
    (tmp_path / "token").write_text(CONTAINER_TOKEN)
    with role_endpoints() as endpoints, signing_gateway(moto_server.endpoint) as gateway:
        gateway.accepted = [endpoints.current]
        server = harness.serve(
            NO_KEYS
            | {
                "QUERYRUN_RESULTS__STORE": "s3",
                "QUERYRUN_RESULTS__BUCKET": location.bucket,
                "QUERYRUN_RESULTS__PREFIX": location.prefix,
                "QUERYRUN_RESULTS__ENDPOINT": gateway.endpoint,
                "QUERYRUN_RESULTS__CREDENTIALS": "chain",
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{endpoints.endpoint}/container",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "token"),
            }
        )
        done = server.finished(server.submit("SELECT 1 AS a")["id"])
        assert done["state"] == "complete", done
        link = server.get(done["id"], "file")["file"]["url"]
        assert link.startswith(gateway.endpoint)
        assert httpx.get(link).text == "a\n1\n"
        assert gateway.refused == []
    log = harness.log.read_text()
    assert "secret-1" not in log
    assert "token-1" not in log


def test_a_node_without_any_role_refuses_to_start(
    harness: ServerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in NO_KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("QUERYRUN_RESULTS__STORE", "s3")
    monkeypatch.setenv("QUERYRUN_RESULTS__BUCKET", "b")
    monkeypatch.setenv("QUERYRUN_RESULTS__CREDENTIALS", "chain")
    assert "no AWS credentials were found" in harness.refused_to_serve()

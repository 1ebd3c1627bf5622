"""The how-to of the cluster, executed verbatim, on a real PostgreSQL and a real S3 server."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from queryrun.http.metrics import HttpMetrics
from queryrun.runs.metrics import RunMetrics
from queryrun.settings import LeaseSettings
from queryrun.wiring.options import FENCE
from tests.docs.executed import ROOT, Workspace, blocks_of
from tests.ports import free_port
from tests.postgres_server import PostgresServer
from tests.postgres_server import _program as postgres_program
from tests.postgres_server import postgres_server as postgres_server  # a fixture
from tests.s3_server import CREDENTIALS, S3Server
from tests.s3_server import s3_server as s3_server  # the same

PAGE = "docs/how-to/cluster.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")


@pytest.fixture
def workspace(
    postgres_server: PostgresServer, s3_server: S3Server, tmp_path: Path
) -> Iterator[Workspace]:
    """A directory in which the page is executed; nodes that it leaves behind are killed."""
    programs = f"{Path(sys.executable).parent}:{Path(postgres_program('pg_dump')).parent}"
    bucket = s3_server.new_bucket()
    ports = {port: str(free_port()) for port in ("8080", "8081")}
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("QUERYRUN_", "AWS_"))}
    environ = kept | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "DATABASE_URL": postgres_server.url(postgres_server.new_database()),
        "AWS_ACCESS_KEY_ID": CREDENTIALS.access_key_id,
        "AWS_SECRET_ACCESS_KEY": CREDENTIALS.secret_access_key,
        "BUCKET": bucket.bucket,
        "S3_ENDPOINT": bucket.endpoint,
    }
    yield Workspace(tmp_path, environ, lambda text: re.sub("808[01]", lambda m: ports[m[0]], text))
    for pid in tmp_path.glob("*.pid"):
        _kill(int(pid.read_text()), str(tmp_path))


def test_the_commands_make_a_cluster_and_restart_it(workspace: Workspace) -> None:
    *before, restore = blocks_of(PAGE)
    workspace.execute(before)
    lose_everything(workspace.environ["DATABASE_URL"])
    workspace.execute([restore])
    for name in ("one", "two"):
        assert not Path(
            f"/proc/{(workspace.directory / f'{name}.pid').read_text().strip()}"
        ).exists()


def lose_everything(url: str) -> None:
    """The database is empty, as after the loss of its disk."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


def test_every_metric_that_is_named_is_one_that_nodes_show() -> None:
    registry = CollectorRegistry()
    RunMetrics(registry)
    HttpMetrics(registry)
    exposed = {metric.name for metric in registry.collect()}
    named = set(re.findall(r"`(queryrun_[a-z_]+)", TEXT))
    assert named
    assert {name.removesuffix("_total") for name in named} <= exposed


def test_the_times_that_are_named_are_the_defaults() -> None:
    leases = LeaseSettings()
    assert f"`leases.lease_s` ({leases.lease_s:g} s)" in TEXT
    assert f"{FENCE} × `lease_s`" in TEXT
    assert f"after a heartbeat ({leases.heartbeat_s:g} s)" in TEXT
    assert leases.poll_s == 1, "a second later (`poll_s`)"


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)", TEXT))))
def test_what_the_page_links_to_is_there(link: str) -> None:
    assert (ROOT / "docs/how-to" / link).exists()


def _kill(pid: int, directory: str) -> None:
    """Kill a node of the page, if that is what still runs under this number."""
    try:
        if str(Path(f"/proc/{pid}/cwd").readlink()) == directory:
            os.kill(pid, signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError):
        return

"""Clients that other generators make from our own document create a run, wait for it, download its
file, and cancel another: against a served home."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from queryrun.cli.home import init_home
from tests.clients import generated_clients, life_cycles
from tests.e2e.conftest import RUNAWAY, Server, ServerHarness

pytestmark = pytest.mark.xdist_group("generated-clients")
SQL = "SELECT i AS id, 'x' || i AS name FROM range(3) r(i) ORDER BY i"
EXPECTED = (generated_clients.NO_JDK, life_cycles.NO_GO)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("life-cycles")
    home = init_home(directory / "home", entity="main", factor=None)
    harness = ServerHarness(home, directory / "log")
    yield harness.serve()
    harness.close()


@pytest.mark.parametrize("generator", life_cycles.GENERATORS)
def test_a_generated_client_takes_a_run_through_its_life(generator: str, server: Server) -> None:
    if missing := life_cycles.what_is_missing(generator):
        if os.environ.get("CI") and missing not in EXPECTED:
            assert os.environ.get("WITHOUT_GENERATOR"), missing
        pytest.skip(f"no client by {generator}: {missing}")
    token = server.http.headers["authorization"].removeprefix("Bearer ")
    found = life_cycles.run_life_cycle(generator, server.url, token, SQL, RUNAWAY)
    assert found == {
        "state": "complete",
        "rows": 3,
        "content": "id,name\n0,x0\n1,x1\n2,x2\n",
        "canceled": "canceled",
    }

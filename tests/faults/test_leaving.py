"""A node that is going to stop says so first, and refuses nothing until its balancer knows."""

from __future__ import annotations

import pytest

from queryrun.cli.home import MadeHome
from tests.faults.node_harness import open_node

pytestmark = pytest.mark.anyio


async def test_a_leaving_node_is_not_ready_and_still_accepts_but_claims_nothing(
    made: MadeHome,
) -> None:
    async with open_node(made) as harness, harness.http() as http:
        harness.node.leave()
        assert (await http.get("/readyz")).status_code == 503
        body = {"sql": "SELECT 1 AS a", "content_type": "csv"}
        response = await http.post("/v2/query_runs", json=body)
        assert response.status_code == 201, "the balancer may not know yet"
        await harness.node.dispatcher.extend_leases()
        assert harness.node.dispatcher.held == 0
        assert (await http.get(f"/v2/query_runs/{response.json()['id']}")).status_code == 200
        await harness.node.drain(0)
        assert (await http.post("/v2/query_runs", json=body)).status_code == 503

"""Two nodes on one database, one of them killed: no message is lost or out of order, and the ledger
is exact. A small count of `make kill-ledger CLUSTER=yes`."""

from __future__ import annotations

from tests.cluster.nodes import Cluster
from tests.faults.killed_nodes import kill_nodes_of_a_cluster

KILLS = 2


def test_kills_of_nodes_lose_no_message_and_leave_the_ledger_exact(cluster: Cluster) -> None:
    outcome = kill_nodes_of_a_cluster(cluster, KILLS)
    assert outcome.is_good, outcome
    assert outcome.runs >= KILLS
    assert outcome.messages >= 3 * outcome.runs

"""Nodes on one database find out who serves what, and where they contradict each other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from queryrun.runs.cluster import ClusterWatch, NodeFacts

FACTS = NodeFacts("node-a", True, {"live": "1"}, link_key="k", results="bucket")


class Registry:
    """The nodes that a test names."""

    def __init__(self, *others: NodeFacts) -> None:
        self.others = others
        self.announced: NodeFacts | None = None

    def announce(self, facts: NodeFacts) -> None:
        self.announced = facts

    async def beat(self) -> None:
        """They are as they are."""

    async def leave(self) -> None:
        """It stays."""


def test_nodes_that_agree_have_no_problem() -> None:
    registry = Registry(replace(FACTS, node="node-b"))
    watch = ClusterWatch(registry, FACTS)
    assert registry.announced == FACTS
    assert watch.problem() is None


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (replace(FACTS, node="node-b", link_key="x"), "link.key"),
        (replace(FACTS, node="node-b", results="elsewhere"), "[results]"),
        (replace(FACTS, node="node-b", sources={"live": "2"}), "[sources.live]"),
    ],
)
def test_a_contradiction_names_the_node_and_the_setting(other: NodeFacts, words: str) -> None:
    problem = ClusterWatch(Registry(other), FACTS).problem() or ""
    assert "node-b" in problem
    assert words in problem


def test_nodes_may_serve_different_sources() -> None:
    other = replace(FACTS, node="node-b", sources={"warehouse": "9"})
    watch = ClusterWatch(Registry(other), FACTS)
    assert watch.problem() is None
    assert watch.has_worker("warehouse")


def test_a_source_that_only_nodes_without_workers_know_has_no_worker() -> None:
    front = replace(FACTS, is_worker=False)
    watch = ClusterWatch(Registry(replace(front, node="node-b")), front)
    assert not watch.has_worker("live")
    assert "live" in (watch.problem() or "")
    assert ClusterWatch(Registry(replace(FACTS, node="node-c")), front).has_worker("live")

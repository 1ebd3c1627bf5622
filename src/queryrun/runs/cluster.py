"""What the nodes on one database know of each other: who serves which source, and where their
settings contradict each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import structlog

log = structlog.get_logger()

LIVE_S = 35.0
"""A node that said nothing for this long serves nothing: more than three of its beats."""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What a node says of itself. Digests only: no address, no key, no secret."""

    node: str
    is_worker: bool
    sources: Mapping[str, str] = field(default_factory=dict)
    """Sources that it serves, and a digest of what must be the same on all nodes."""
    link_key: str = ""
    results: str = ""
    slots: int = 0
    """Statements that it runs at the same time, fair slots included."""
    version: str = ""


class NodeRegistry(Protocol):
    """The nodes on a database (`db.database.Database.nodes`)."""

    @property
    def others(self) -> tuple[NodeFacts, ...]:
        """The other live nodes, as of the last `beat`."""
        ...

    def announce(self, facts: NodeFacts) -> None:
        """What this node says of itself from the next `beat` on."""
        ...

    async def beat(self) -> None:
        """Say what this node serves, and read what the others do. `Unavailable`."""
        ...

    async def leave(self) -> None:
        """This node stops. `Unavailable`."""
        ...


class NoOtherNode:
    """For a database that one node owns."""

    others: tuple[NodeFacts, ...] = ()

    def announce(self, facts: NodeFacts) -> None:
        """Nobody listens."""

    async def beat(self) -> None:
        """Does nothing."""

    async def leave(self) -> None:
        """Does nothing."""


class ClusterWatch:
    """Finds sources without a worker, and settings in which this node contradicts another."""

    def __init__(self, registry: NodeRegistry, facts: NodeFacts) -> None:
        self._registry = registry
        self._facts = facts
        self._logged: str | None = None
        registry.announce(facts)

    def has_worker(self, source: str) -> bool:
        """Whether any live node, this one included, runs statements on the source."""
        return any(one.is_worker and source in one.sources for one in self.nodes())

    def nodes(self) -> tuple[NodeFacts, ...]:
        """The live nodes, this one first; of the others as of the last `NodeRegistry.beat`."""
        return (self._facts, *self._registry.others)

    def problem(self) -> str | None:
        """How this node contradicts another one, for operators. Logs each change once."""
        found = next(filter(None, map(self._contradiction, self._registry.others)), None)
        found = found or self._unserved()
        if found != self._logged:
            self._logged = found
            if found is not None:
                log.error("cluster_inconsistent", reason=found)
        return found

    def _unserved(self) -> str | None:
        unserved = sorted(name for name in self._facts.sources if not self.has_worker(name))
        if not unserved:
            return None
        return (
            f"no live node with the role worker serves {', '.join(unserved)}: its runs wait; start "
            "a worker that has the source"
        )

    def _contradiction(self, other: NodeFacts) -> str | None:
        if other.link_key and self._facts.link_key and other.link_key != self._facts.link_key:
            return (
                f"node {other.node} signs links with another key, so each refuses the other's "
                "links: copy one link.key (results.link_key_file) to all nodes"
            )
        if other.results != self._facts.results:
            return (
                f"node {other.node} stores results elsewhere, so its files cannot be read here: "
                "give all nodes the same [results] bucket, prefix and endpoint"
            )
        for name in sorted(set(self._facts.sources) & set(other.sources)):
            if self._facts.sources[name] != other.sources[name]:
                return (
                    f"node {other.node} has other settings of the source {name}: give all nodes "
                    f"the same [sources.{name}]"
                )
        return None

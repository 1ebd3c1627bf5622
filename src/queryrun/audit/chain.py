"""The chain of digests: each covers an entry and the digest before it. Pure.

Whoever changes, removes, inserts or reorders entries would have to write all later digests anew,
and then the end of the chain differs from every end that was noted before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from queryrun.audit.model import ChainedEntry, ChainHead

FIRST_DIGEST = "0" * 64
"""Before the first entry."""


def digest_of(previous: str, position: int, at_ms: int, content: str) -> str:
    """The digest of an entry: SHA-256, in hex, of four lines: the digest before it, its position,
    its time and its content."""
    return sha256(f"{previous}\n{position}\n{at_ms}\n{content}".encode()).hexdigest()


@dataclass
class ChainVerifier:
    """Verifies entries in the order of their positions. `feed` each, then `finish`.

    `anchors`: positions and their digests that were noted earlier and kept somewhere else.
    """

    head: ChainHead
    anchors: Mapping[int, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    count: int = 0

    def __post_init__(self) -> None:
        self._position = self.head.base_position
        self._digest = self.head.base_digest
        self._seen: set[int] = set()

    def feed(self, entry: ChainedEntry) -> None:
        """Compare one entry with the chain so far; after a fault go on with its own digest."""
        self.count += 1
        if entry.position != self._position + 1:
            self.faults.append(
                f"entries are missing between positions {self._position} and {entry.position}"
            )
        found = digest_of(self._digest, entry.position, entry.at_ms, entry.content)
        if found != entry.digest and entry.position == self._position + 1:
            self.faults.append(f"the entry at position {entry.position} was changed or moved")
        self._compare_anchor(entry.position, entry.digest)
        self._position, self._digest = entry.position, entry.digest

    def _compare_anchor(self, position: int, digest: str) -> None:
        self._seen.add(position) if position in self.anchors else None
        if self.anchors.get(position, digest) != digest:
            self.faults.append(
                f"the chain was written anew: position {position} has another digest than was noted"
            )

    def finish(self) -> None:
        """There are no more entries."""
        if (self._position, self._digest) != (self.head.position, self.head.digest):
            self.faults.append(
                f"entries are missing at the end: the chain ends at position {self._position}, and "
                f"its head is {self.head.position}"
            )
        for position in sorted(set(self.anchors) - self._seen):
            if position > self.head.base_position:
                self.faults.append(f"position {position}, which was noted, is missing")
            elif position == self.head.base_position:
                self._compare_anchor(position, self.head.base_digest)

"""The chain of digests: each covers an entry and the digest before it. Pure.

Whoever changes, removes, inserts or reorders entries would have to write all later digests anew,
and then the end of the chain differs from every end that was noted before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from queryrun.audit.model import AuditEvent, ChainedEntry, ChainHead

FIRST_DIGEST = "0" * 64
"""Before the first entry."""


def digest_of(previous: str, position: int, at_ms: int, content: str) -> str:
    """The digest of an entry: SHA-256, in hex, of four lines: the digest before it, its position,
    its time and its content. Bytes that are no UTF-8, which somebody has put into a database, are
    surrogates in the texts and count as the bytes that they are."""
    text = f"{previous}\n{position}\n{at_ms}\n{content}"
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


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
        self._removed: object = None
        """Up to which position and digest the retention says that it removed entries."""

    def feed(self, entry: ChainedEntry) -> None:
        """Compare one entry with the chain so far; after a fault go on with its own digest."""
        self.count += 1
        if entry.position <= self._position:
            self.faults.append(f"an entry was added in front of the chain: {entry.position}")
            return
        if entry.position != self._position + 1:
            self.faults.append(
                f"entries are missing between positions {self._position} and {entry.position}"
            )
        found = digest_of(self._digest, entry.position, entry.at_ms, entry.content)
        if found != entry.digest and entry.position == self._position + 1:
            self.faults.append(f"the entry at position {entry.position} was changed or moved")
        self._compare_anchor(entry.position, entry.digest)
        self._position, self._digest = entry.position, entry.digest
        if AuditEvent.ENTRIES_REMOVED in entry.content:
            self._note_removal(entry)

    def _note_removal(self, entry: ChainedEntry) -> None:
        detail = entry.fields.get("detail")
        if entry.fields.get("event") == AuditEvent.ENTRIES_REMOVED and isinstance(detail, dict):
            self._removed = (detail.get("position"), detail.get("digest"))

    def _compare_anchor(self, position: int, digest: str) -> None:
        self._seen.add(position) if position in self.anchors else None
        if self.anchors.get(position, digest) != digest:
            self.faults.append(
                f"the chain was written anew: position {position} has another digest than was noted"
            )

    def finish(self, end: ChainHead | None = None, *, are_some_waiting: bool = False) -> None:
        """There are no more entries. `end`: the head after they were read, when it may have moved.

        While entries wait to be sealed, the one that tells of a removal may be among them.
        """
        end = end or self.head
        if (self._position, self._digest) != (end.position, end.digest):
            what = "missing at" if self._position < end.position else "added or changed at"
            self.faults.append(
                f"entries are {what} the end: the chain ends at position {self._position}, and "
                f"its head is {end.position}"
            )
        begin = (self.head.base_position, self.head.base_digest)
        if begin[0] and not are_some_waiting and self._removed != begin:
            self.faults.append(
                f"the entries up to position {begin[0]} are missing: no entry says that the "
                "retention removed them"
            )
        for position in sorted(set(self.anchors) - self._seen):
            if position > self.head.base_position:
                self.faults.append(f"position {position}, which was noted, is missing")
            elif position == self.head.base_position:
                self._compare_anchor(position, self.head.base_digest)

"""The chain names what was changed, removed, inserted or moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryrun.audit.chain import FIRST_DIGEST, ChainVerifier, digest_of
from queryrun.audit.model import AuditEntry, AuditEvent, ChainedEntry, ChainHead, content_of
from queryrun.db.audit_rows import chained

ROWS = [
    (1000 + n, content_of(AuditEntry(AuditEvent.RUN_SUBMITTED, "t", "e", "c", f"run-{n}")))
    for n in range(6)
]
ENTRIES = [ChainedEntry(*one) for one in chained(ROWS, 0, FIRST_DIGEST)]
HEAD = ChainHead(6, ENTRIES[-1].digest, 0, FIRST_DIGEST)

Entries = list[ChainedEntry]
Edit = Callable[[Entries, int, int], Entries]


def faults(
    entries: Entries, head: ChainHead = HEAD, anchors: Mapping[int, str] | None = None
) -> list[str]:
    """What verifying these entries shows."""
    verifier = ChainVerifier(head, anchors or {})
    for entry in entries:
        verifier.feed(entry)
    verifier.finish()
    return verifier.faults


def test_a_chain_as_it_was_written_has_no_fault() -> None:
    assert faults(ENTRIES) == []
    assert faults(ENTRIES, anchors={3: ENTRIES[2].digest, 6: HEAD.digest}) == []


def test_a_chain_without_entries_has_no_fault() -> None:
    assert faults([], ChainHead(0, FIRST_DIGEST, 0, FIRST_DIGEST)) == []


def _without(entries: Entries) -> Entries:
    return entries[:2] + entries[3:]


def _without_the_last(entries: Entries) -> Entries:
    return entries[:-1]


def _without_the_first(entries: Entries) -> Entries:
    return entries[1:]


def _swapped(entries: Entries) -> Entries:
    one, other = entries[2], entries[3]
    moved = [replace(other, position=3), replace(one, position=4)]
    return entries[:2] + moved + entries[4:]


def _repeated(entries: Entries) -> Entries:
    return entries[:3] + entries[2:]


def _inserted(entries: Entries) -> Entries:
    forged = replace(entries[2], position=4, content="{}")
    later = [replace(entry, position=entry.position + 1) for entry in entries[3:]]
    return [*entries[:3], forged, *later]


@pytest.mark.parametrize(
    "tamper",
    [_without, _without_the_last, _without_the_first, _swapped, _repeated, _inserted],
)
def test_entries_that_are_missing_moved_or_added_are_found(
    tamper: Callable[[Entries], Entries],
) -> None:
    assert faults(tamper(ENTRIES))


@given(index=st.integers(0, 5), text=st.text())
def test_any_changed_content_is_found_at_its_position(index: int, text: str) -> None:
    changed = replace(ENTRIES[index], content=text)
    found = faults([*ENTRIES[:index], changed, *ENTRIES[index + 1 :]])
    assert found == [f"the entry at position {index + 1} was changed or moved"]


def test_a_changed_time_is_found() -> None:
    assert faults([replace(ENTRIES[0], at_ms=1), *ENTRIES[1:]])


def test_a_chain_that_is_written_anew_is_found_by_a_noted_end() -> None:
    rows = [(1, ROWS[0][1]), *ROWS[1:]]
    forged = [ChainedEntry(*one) for one in chained(rows, 0, FIRST_DIGEST)]
    head = ChainHead(6, forged[-1].digest, 0, FIRST_DIGEST)
    assert faults(forged, head) == []
    assert faults(forged, head, anchors={4: ENTRIES[3].digest})
    shorter = ChainHead(3, forged[2].digest, 0, FIRST_DIGEST)
    assert faults(forged[:3], shorter, anchors={4: ENTRIES[3].digest})


def _removal(position: int, digest: str) -> ChainedEntry:
    """What the retention appends."""
    detail = {"position": position, "digest": digest, "count": position}
    content = content_of(AuditEntry(AuditEvent.ENTRIES_REMOVED, detail=detail))
    return ChainedEntry(*chained([(9000, content)], 6, HEAD.digest)[0])


def test_a_chain_may_begin_behind_what_the_retention_removed() -> None:
    last = _removal(2, ENTRIES[1].digest)
    base = ChainHead(7, last.digest, 2, ENTRIES[1].digest)
    rest = [*ENTRIES[2:], last]
    assert faults(rest, base) == []
    assert faults(rest, base, anchors={2: ENTRIES[1].digest, 1: ENTRIES[0].digest}) == []
    assert faults(rest, base, anchors={2: ENTRIES[0].digest})


def test_a_beginning_that_no_entry_says_was_removed_is_missing() -> None:
    assert faults(ENTRIES[2:], ChainHead(6, HEAD.digest, 2, ENTRIES[1].digest))
    other = _removal(1, ENTRIES[0].digest)
    base = ChainHead(7, other.digest, 2, ENTRIES[1].digest)
    assert "no entry says" in faults([*ENTRIES[2:], other], base)[0]


def test_the_digest_is_documented_and_stays_what_it_is() -> None:
    found = digest_of(FIRST_DIGEST, 1, 1000, ROWS[0][1])
    assert found == "1a7925f733efe1b35f6feb24897666e060e75b326474640262552032d521ad88"


OTHER = [
    ChainedEntry(*one)
    for one in chained([(at, text.replace("run-", "other-")) for at, text in ROWS], 0, FIRST_DIGEST)
]
POSITIONS = st.integers(0, len(ENTRIES) - 1)


def _removed(entries: Entries, at: int, _: int) -> Entries:
    return [*entries[:at], *entries[at + 1 :]]


def _doubled(entries: Entries, at: int, to: int) -> Entries:
    return [*entries[:to], entries[at], *entries[to:]]


def _moved(entries: Entries, at: int, to: int) -> Entries:
    rest = _removed(entries, at, to)
    return _doubled([*rest[:to], entries[at], *rest[to:]], 0, 0)[1:]


def _renumbered(entries: Entries, at: int, to: int) -> Entries:
    """Two entries change their places, and their numbers with them."""
    found = list(entries)
    one, other = found[at], found[to]
    found[at] = replace(other, position=one.position)
    found[to] = replace(one, position=other.position)
    return found


def _truncated(entries: Entries, at: int, _: int) -> Entries:
    return entries[:at]


def _spliced(entries: Entries, at: int, _: int) -> Entries:
    """From there on the entries of another log, which are a chain of their own."""
    return [*entries[:at], *OTHER[at:]]


def _forged(entries: Entries, at: int, _: int) -> Entries:
    """A made-up entry with a digest that fits what is before it, and later ones counted on."""
    before = entries[at - 1].digest if at else FIRST_DIGEST
    made = ChainedEntry(at + 1, 1000, "{}", digest_of(before, at + 1, 1000, "{}"))
    later = [replace(one, position=one.position + 1) for one in entries[at:]]
    return [*entries[:at], made, *later]


EDITS = [_removed, _doubled, _moved, _renumbered, _truncated, _spliced, _forged]


@given(st.lists(st.tuples(st.sampled_from(EDITS), POSITIONS, POSITIONS), min_size=1, max_size=4))
def test_whatever_is_done_to_the_entries_is_found(edits: list[tuple[Edit, int, int]]) -> None:
    entries = list(ENTRIES)
    for edit, at, to in edits:
        if entries:
            last = len(entries) - 1
            entries = edit(entries, min(at, last), min(to, last))
    assert bool(faults(entries)) == (entries != ENTRIES)


@given(st.integers(0, len(ENTRIES) - 1), st.data())
def test_an_end_that_is_cut_off_with_the_head_is_found_by_any_later_anchor(
    kept: int, data: st.DataObject
) -> None:
    """And a chain that goes on with entries of another log, written anew with its head."""
    noted = data.draw(st.integers(kept + 1, len(ENTRIES)))
    anchors = {noted: ENTRIES[noted - 1].digest}
    digest = ENTRIES[kept - 1].digest if kept else FIRST_DIGEST
    head = ChainHead(kept, digest, 0, FIRST_DIGEST)
    assert faults(ENTRIES[:kept], head) == []
    assert faults(ENTRIES[:kept], head, anchors)
    anew = [ChainedEntry(*one) for one in chained(
        [(one.at_ms, one.content) for one in OTHER[kept:]], kept, digest)]  # fmt: skip
    entries = [*ENTRIES[:kept], *anew]
    moved_head = ChainHead(len(entries), entries[-1].digest, 0, FIRST_DIGEST)
    assert faults(entries, moved_head) == []
    assert faults(entries, moved_head, anchors)

"""Verify and export the audit log of a home. Works while its server runs."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import typer

from queryrun.audit.chain import ChainVerifier
from queryrun.audit.model import ChainedEntry, ChainHead, WaitingEntries
from queryrun.cli.clients import with_store
from queryrun.db.audit_rows import MAX_POSITION
from queryrun.db.database import Database
from queryrun.errors import ConfigurationError
from queryrun.settings import Settings

_PAGE = 1000
MAX_READINGS = 3
"""Of the log, while the retention shortens it."""
_ANCHOR = re.compile(r"(\d{1,18}):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Verified:
    """What verifying the log has shown. No fault is good."""

    head: ChainHead
    count: int
    waiting: WaitingEntries
    faults: Sequence[str]


def verify(home: Path, anchors: Sequence[str]) -> Verified:
    """Verify the whole chain. `anchors`: `POSITION:DIGEST`, as the server logs them.

    Everything in the log is read, and then the head once more: what is behind it was put there by
    somebody else.
    """
    noted = dict(map(_anchor, anchors))

    async def work(database: Database, _: Settings) -> Verified:
        for _reading in range(MAX_READINGS):
            verifier, end = await _read(database, noted)
            if end.base_position == verifier.head.base_position:
                break  # or else the retention has removed entries meanwhile
        waiting = await database.audit.waiting()
        verifier.finish(end, are_some_waiting=waiting.count > 0)
        return Verified(end, verifier.count, waiting, verifier.faults)

    return with_store(home, work)


async def _read(database: Database, noted: Mapping[int, str]) -> tuple[ChainVerifier, ChainHead]:
    """All entries, wherever they are, and the head afterwards; what was appended in between too."""
    verifier, after = ChainVerifier(await database.audit.head(), noted), -MAX_POSITION
    while page := await database.audit.entries(after=after, limit=_PAGE):
        for entry in page:
            verifier.feed(entry)
        after = page[-1].position
    end = await database.audit.head()
    async for entry in _entries(database, after, end.position):
        verifier.feed(entry)
    return verifier, end


def export(home: Path, after: int) -> None:
    """Print every sealed entry behind a position as a line of JSON, oldest first."""

    async def work(database: Database, _: Settings) -> None:
        head = await database.audit.head()
        async for entry in _entries(database, max(after, head.base_position), head.position):
            typer.echo(json.dumps(entry_object(entry)))

    with_store(home, work)


def show_verified(verified: Verified, *, as_json: bool) -> None:
    """Print the outcome; the lines of faults come first."""
    head = verified.head
    if as_json:
        typer.echo(json.dumps(dict(_outcome(verified))))
        return
    for fault in verified.faults:
        typer.echo(f"fault: {fault}")
    if head.base_position:
        typer.echo(f"the retention has removed the entries up to position {head.base_position}")
    typer.echo(
        f"{'NOT intact' if verified.faults else 'intact'}: {verified.count} entries, "
        f"{verified.waiting.count} more not in the chain yet"
    )
    typer.echo(f"anchor {head.position}:{head.digest}")


def _outcome(verified: Verified) -> Iterator[tuple[str, object]]:
    yield "intact", not verified.faults
    yield "faults", list(verified.faults)
    yield "entries", verified.count
    yield "waiting", verified.waiting.count
    yield "removed_up_to", verified.head.base_position
    yield "anchor", f"{verified.head.position}:{verified.head.digest}"


def entry_object(entry: ChainedEntry) -> Mapping[str, object]:
    """An entry as it is exported. `content` is the text that the digest covers."""
    time = datetime.fromtimestamp(entry.at_ms / 1000, UTC)
    return {
        "position": entry.position,
        "time": time.isoformat(timespec="milliseconds"),
        **entry.fields,
        "at_ms": entry.at_ms,
        "content": entry.content,
        "digest": entry.digest,
    }


async def _entries(database: Database, after: int, last: int) -> AsyncIterator[ChainedEntry]:
    """Those behind `after` up to `last`, a page at a time."""
    while page := await database.audit.entries(after=after, limit=_PAGE):
        for entry in page:
            if entry.position > last:
                return
            yield entry
        after = page[-1].position


def _anchor(text: str) -> tuple[int, str]:
    found = _ANCHOR.fullmatch(text.strip())
    if found is None:
        raise ConfigurationError(f"anchor {text!r}: use POSITION:DIGEST, as the server logs it")
    return int(found[1]), found[2]

"""The protocol between a node and a process that writes copies.

The node sends CopiesConfig, WriteCopies*; the process sends WrittenCopies for each of these.
Nothing in it is a caller's text: a source is the installation's, a request has digests alone.
"""

from __future__ import annotations

from queryrun.engines.source_spec import SourceSpec
from queryrun.processes.frames import Frame
from queryrun.tables.text.requests import CopiesMade, CopiesRequest


class CopiesConfig(Frame, frozen=True, tag="copies_config"):
    """What the process may read and use. Sent once, first."""

    source: SourceSpec
    memory_bytes: int
    threads: int
    spill_bytes: int
    work_dir: str
    requested_by: str
    """The handle of the process that waits for the copies: without it nobody needs them."""


class WriteCopies(Frame, frozen=True, tag="write_copies"):
    """Make these."""

    request: CopiesRequest


class WrittenCopies(Frame, frozen=True, tag="written_copies"):
    """What came of it."""

    made: CopiesMade


ToCopies = CopiesConfig | WriteCopies

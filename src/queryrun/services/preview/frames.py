"""The protocol between a node and a preview process.

The node sends:      MakePreview, FileChunk*
The process sends:   ReadRange*, then PreviewRows | PreviewRefused
"""

from __future__ import annotations

from queryrun.processes.frames import Frame
from queryrun.results.preview import PreviewRequest


class MakePreview(Frame, frozen=True, tag="preview"):
    """Which rows of which kind of file, and the size of the file."""

    request: PreviewRequest
    size_bytes: int


class FileChunk(Frame, frozen=True, tag="chunk"):
    """A part of the range that was requested last; several parts make the range."""

    data: bytes


class ReadRange(Frame, frozen=True, tag="read"):
    """Send the bytes of the file from `start` to before `end`."""

    start: int
    end: int


class PreviewRows(Frame, frozen=True, tag="rows"):
    """The rows; every value as JSON."""

    columns: list[str]
    rows: list[list[bytes]]


class PreviewRefused(Frame, frozen=True, tag="refused"):
    """There is no preview within the limits, and why."""

    reason: str


ToPreview = MakePreview | FileChunk
FromPreview = ReadRange | PreviewRows | PreviewRefused

"""What a node and a worker say to each other: length-prefixed msgpack over one socket pair.

Nothing is pickled. Every frame is a 4-byte big-endian length followed by one tagged struct.
A frame is at most `MAX_FRAME_BYTES`; a peer that sends more is broken and is dropped.

The node's side of the talk:   Bind, (Execute, (Keep | Interrupt)*)*
The worker's side:             Ready, (Stage* | Progress*, Trouble?, Done | Failed, Ready?)*

A worker that has been bound serves one entity of one source for the rest of its life. After a
clean `Done` or `Failed` it opens a fresh engine session, says `Ready` and may serve again.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from typing import Literal

import msgspec

from queryrun.engines.registry import ENGINES, EngineKind
from queryrun.results.sigv4 import Credentials

MAX_FRAME_BYTES = 16 * 1024 * 1024
"""A statement is at most 1,000,000 characters (contract F7), 4 bytes each, and some room."""

_LENGTH = struct.Struct(">I")


class Frame(msgspec.Struct, frozen=True, tag_field="t"):
    """Anything sent either way."""


# --- node to worker -------------------------------------------------------------------------


class Secret(msgspec.Struct, frozen=True):
    """A password or token that never shows in a repr."""

    text: str

    def __repr__(self) -> str:
        return "Secret()"


class SourceSpec(msgspec.Struct, frozen=True):
    """Which data a worker opens: an engine and its entity-resolved options (paths, catalog, …).

    `secret` is what an engine elsewhere asks for; it comes along for the reason that
    `ResultsSpec` gives.
    """

    engine: str
    options: dict[str, str]
    secret: Secret | None = None

    @property
    def kind(self) -> EngineKind:
        """What the engine can do (`engines.registry`)."""
        return ENGINES[self.engine]

    @property
    def secret_text(self) -> str | None:
        """The secret itself, for the engine alone."""
        return self.secret.text if self.secret else None

    @property
    def places(self) -> tuple[str, ...]:
        """The files and directories that an embedded engine reads; none for one elsewhere."""
        found = [self.options[name] for name in ("data_dir", "database") if name in self.options]
        if "database" in self.options:
            found.append(f"{self.options['database']}.wal")
        return tuple(found)


class ResultsSpec(msgspec.Struct, frozen=True):
    """Where the worker writes result files.

    The credentials come along because a worker reads no file of ours and inherits no environment;
    so new ones count from the next attempt on. They never show in a repr.
    """

    kind: Literal["local", "s3"]
    options: dict[str, str]
    credentials: Credentials | None = None


class Bind(Frame, frozen=True, tag="bind"):
    """Which walls the worker lives behind from now on. Sent once, first."""

    entity_id: str
    source: SourceSpec
    results: ResultsSpec
    memory_bytes: int
    threads: int
    spill_dir: str
    spill_bytes: int
    time_zone: str = "UTC"


class Execute(Frame, frozen=True, tag="execute"):
    """Run this statement and commit its result under `file_key`."""

    run_id: str
    attempt: int
    statement: str
    file_key: str
    content_type: str
    content_encoding: str
    column_separator: str | None
    encryption_key: str | None
    row_limit: int
    """Rows a result may have; one more fails the run. 0: no limit."""
    size_limit_bytes: int
    """Bytes a result file may have; 0: no limit."""
    deleted_rows: str = "exclude"
    """`exclude`, `include` or `only` (contract F3)."""
    org_column: str = ""
    org_ids: tuple[str, ...] = ()
    """Of tables with that column, only rows of these orgs; empty: no restriction."""
    until_s: float = 0.0
    """When the worker dies by itself unless a `ExtendLease` moves that; 0: never. On the monotonic
    clock, which all processes of a machine share."""


class ExtendLease(Frame, frozen=True, tag="keep"):
    """The lease was extended: the running statement may go on until then. No news otherwise."""

    until_s: float


class Interrupt(Frame, frozen=True, tag="interrupt"):
    """Stop what you are doing, repeat it to the engine until it heeds, then exit."""


# --- worker to node -------------------------------------------------------------------------


class Ready(Frame, frozen=True, tag="ready"):
    """A session is open; the next `Execute` starts at once. `handle` is the engine handle."""

    handle: str


class StageReached(Frame, frozen=True, tag="stage"):
    """The attempt has come this far (the values of `runs.model.Stage`)."""

    stage: str


class Progress(Frame, frozen=True, tag="progress"):
    """How far it is; sent a few times a second while the statement runs."""

    percent: float | None
    rows: int
    size_bytes: int


class Done(Frame, frozen=True, tag="done"):
    """The file is committed under its key, durable and whole."""

    rows: int
    size_bytes: int
    sha256: str


class Failed(Frame, frozen=True, tag="failed"):
    """The attempt went wrong, and nothing is left under its key. `code` is a `FailureCode`.

    `interrupted`: the worker heeded an `Interrupt`; it exits by itself after this frame.
    """

    code: str
    message: str
    line: int | None = None
    column: int | None = None
    interrupted: bool = False


class Trouble(Frame, frozen=True, tag="trouble"):
    """Something of ours broke. For the log alone: never holds a message, which may hold SQL."""

    exception: str
    """The type's name."""
    where: tuple[str, ...]
    """`module:line function` of our own code, innermost last."""


ToWorker = Bind | Execute | ExtendLease | Interrupt
ToNode = Ready | StageReached | Progress | Done | Failed | Trouble

_encoder = msgspec.msgpack.Encoder()
_to_worker = msgspec.msgpack.Decoder(ToWorker)
_to_node = msgspec.msgpack.Decoder(ToNode)


def encode(frame: Frame) -> bytes:
    """One frame as it goes over the wire, its length in front."""
    body = _encoder.encode(frame)
    return _LENGTH.pack(len(body)) + body


def decode_to_worker(body: bytes) -> ToWorker:
    """A frame's body as a worker reads it. Raises `msgspec.DecodeError` for anything else."""
    frame: ToWorker = _to_worker.decode(body)
    return frame


def decode_to_node(body: bytes) -> ToNode:
    """A frame's body as a node reads it. Raises `msgspec.DecodeError` for anything else."""
    frame: ToNode = _to_node.decode(body)
    return frame


def body_length(prefix: bytes) -> int:
    """The length that a 4-byte prefix announces; `ValueError` beyond `MAX_FRAME_BYTES`."""
    (length,) = _LENGTH.unpack(prefix)
    if length > MAX_FRAME_BYTES:
        raise ValueError(f"frame of {length} bytes is larger than {MAX_FRAME_BYTES}")
    return int(length)


async def receive_body(reader: asyncio.StreamReader) -> bytes:
    """The next frame's body. `EOFError` at the end, `ValueError` for one that is too large."""
    return await reader.readexactly(body_length(await reader.readexactly(_LENGTH.size)))


class FrameSplitter:
    """Cuts a stream of bytes into frame bodies. Holds at most one frame and one read's bytes."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[bytes]:
        """The bodies that are whole now. `ValueError` for a frame that is too large."""
        self._pending += data
        while len(self._pending) >= _LENGTH.size:
            end = _LENGTH.size + body_length(bytes(self._pending[: _LENGTH.size]))
            if len(self._pending) < end:
                return
            body = bytes(self._pending[_LENGTH.size : end])
            del self._pending[:end]
            yield body

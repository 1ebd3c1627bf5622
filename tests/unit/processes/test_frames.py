"""Frames survive the wire in any chunks, and invalid bytes are rejected."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryrun.processes.frames import MAX_FRAME_BYTES, Frame, FrameSplitter, encode, packet_body
from queryrun.worker.frames import (
    Done,
    Failed,
    InternalError,
    Progress,
    Ready,
    StageReached,
    decode_from_worker,
)

_FRAMES = st.one_of(
    st.builds(Ready),
    st.builds(StageReached, st.text()),
    st.builds(Progress, st.none() | st.floats(0, 100), st.integers(0, 9), st.integers(0, 9)),
    st.builds(Done, st.integers(0, 2**40), st.integers(0, 2**40), st.text()),
    st.builds(Failed, st.text(), st.text(), st.none() | st.integers(1, 9)),
    st.builds(InternalError, st.text(), st.lists(st.text()).map(tuple)),
)


@given(st.lists(_FRAMES), st.integers(1, 40))
def test_frames_arrive_whole_and_in_order_for_any_chunking(
    frames: list[Frame], chunk_bytes: int
) -> None:
    stream = b"".join(encode(frame) for frame in frames)
    splitter = FrameSplitter()
    chunks = [stream[at : at + chunk_bytes] for at in range(0, len(stream), chunk_bytes)]
    bodies = [body for chunk in chunks for body in splitter.feed(chunk)]
    assert [decode_from_worker(body) for body in bodies] == frames


def test_a_frame_that_is_too_large_is_refused_before_it_is_read() -> None:
    announced = (MAX_FRAME_BYTES + 1).to_bytes(4, "big")
    with pytest.raises(ValueError, match="larger"):
        list(FrameSplitter().feed(announced))


@pytest.mark.parametrize("body", [b"", b"\xc1", msgspec.msgpack.encode({"t": "execute"})])
def test_a_frame_that_no_worker_sends_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_from_worker(body)


def test_a_packet_is_exactly_one_frame() -> None:
    packet = encode(StageReached("executing"))
    assert decode_from_worker(packet_body(packet)) == StageReached("executing")
    for broken in (b"", packet[:3], packet[:-1], packet + b"x"):
        with pytest.raises(ValueError):
            packet_body(broken)

"""Bodies: however they arrive, they end where they end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryrun.http.server.body import BodyRefusedError, ChunkedBody, CountedBody
from queryrun.http.server.limits import (
    FREE_CHUNKS,
    MAX_CHUNK_LINE_BYTES,
    MAX_TRAILER_BYTES,
)

NEXT = b"GET /next HTTP/1.1\r\n"


def _fed(body: ChunkedBody | CountedBody, wire: bytes, cuts: list[int]) -> tuple[bytes, bytes]:
    """Feed the bytes in the pieces that the cuts make."""
    at, read, rest = 0, b"", b""
    for cut in [*sorted(cut % (len(wire) + 1) for cut in cuts), len(wire)]:
        if body.complete:
            return read, rest + wire[at:]
        part, rest = body.feed(wire[at:cut])
        read, at = read + part, cut
    return read, rest


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.lists(st.integers(0, 500)))
def test_chunks_come_together_wherever_the_packets_are_cut(
    chunks: list[bytes], cuts: list[int]
) -> None:
    wire = b"".join(b'%X;a="b\\";"\r\n%b\r\n' % (len(one), one) for one in chunks)
    body = ChunkedBody()
    assert _fed(body, wire + b"00\r\nTrailer: t\r\n\r\n" + NEXT, cuts) == (b"".join(chunks), NEXT)
    assert body.complete


@given(st.binary(max_size=100), st.lists(st.integers(0, 200)))
def test_a_counted_body_ends_after_its_length(data: bytes, cuts: list[int]) -> None:
    body = CountedBody(len(data))
    assert _fed(body, data + NEXT, cuts) == (data, NEXT)
    assert body.complete


@pytest.mark.parametrize(
    "wire",
    [
        b"3\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3\r\nab\r\n0\r\n\r\n",
        b"3\r\nabc\r\n0\r\n\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"+3\r\nabc\r\n0\r\n\r\n",
        b"-3\r\nabc\r\n0\r\n\r\n",
        b" 3\r\nabc\r\n0\r\n\r\n",
        b"3 \r\nabc\r\n0\r\n\r\n",
        b"\r\nabc\r\n0\r\n\r\n",
        b"g\r\nabc\r\n0\r\n\r\n",
        b"3;a=\nb\r\nabc\r\n0\r\n\r\n",
        b"3;a=\rb\r\nabc\r\n0\r\n\r\n",
        b"3;\r\nabc\r\n0\r\n\r\n",
        b'3;a="b\r\nabc\r\n0\r\n\r\n',
        b"3\r\r\nabc\r\n0\r\n\r\n",
        b"100000000\r\n",
        b"0\r\nTrailer\r\n\r\n",
        b"0\r\n folded: t\r\n\r\n",
        b"0\r\nA: b\0\r\n\r\n",
    ],
)
def test_malformed_chunks_are_refused(wire: bytes) -> None:
    with pytest.raises(BodyRefusedError):
        ChunkedBody().feed(wire)


def test_chunk_lines_and_trailers_are_bounded_before_they_end() -> None:
    with pytest.raises(BodyRefusedError):
        ChunkedBody().feed(b"1;" + b"a" * MAX_CHUNK_LINE_BYTES)
    with pytest.raises(BodyRefusedError):
        ChunkedBody().feed(b"0\r\nA: " + b"b" * MAX_TRAILER_BYTES)
    with pytest.raises(BodyRefusedError):
        ChunkedBody().feed(b"0\r\n" + b"A: b\r\n" * MAX_TRAILER_BYTES)


def test_a_flood_of_tiny_chunks_is_refused_and_normal_ones_are_not() -> None:
    with pytest.raises(BodyRefusedError):
        ChunkedBody().feed(b"1\r\na\r\n" * (FREE_CHUNKS + 100))
    body = ChunkedBody()
    part, _ = body.feed((b"40\r\n" + b"a" * 64 + b"\r\n") * 10 * FREE_CHUNKS)
    assert len(part) == 640 * FREE_CHUNKS

"""What a receiver answers: the line and headers of its response, whatever bytes it sends."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from queryrun.webhooks.send import MAX_HEAD_BYTES, SendError, _head, _retry_after_s


async def _read(raw: bytes) -> int:
    reader = asyncio.StreamReader(limit=MAX_HEAD_BYTES)
    reader.feed_data(raw + b"\r\n\r\n")
    reader.feed_eof()
    code, _ = await _head(reader)
    return code


def head(raw: bytes) -> int:
    """The status in these bytes."""
    return asyncio.run(_read(raw))


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"HTTP/1.1 200 OK", 200),
        (b"HTTP/1.0 204", 204),
        (b"HTTP/1.1 599 ", 599),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted", 202),
    ],
)
def test_the_status_of_a_response_is_read(raw: bytes, code: int) -> None:
    assert head(raw) == code


@pytest.mark.parametrize(
    "status",
    [b"2\xb20", b"\xb2\xb3\xb9", b"99999999999999999999", b"20", b"2000", b"000", b"-20", b""],
)
def test_a_status_that_is_none_is_an_error_that_can_be_recorded(status: bytes) -> None:
    with pytest.raises(SendError, match="not HTTP"):
        head(b"HTTP/1.1 " + status + b" OK")


def test_interim_responses_without_end_are_an_error() -> None:
    with pytest.raises(SendError, match="interim"):
        head(b"\r\n\r\n".join([b"HTTP/1.1 103 Early Hints"] * 50))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("Mon, 30 Nov 2026 07:10:30 GMT", 30.0),
        ("Monday, 30-Nov-26 07:10:30 GMT", 30.0),
        ("Mon Nov 30 07:10:30 2026", 30.0),
        ("Mon, 30 Nov 2026 07:09:00 GMT", 0.0),
        ("9999999", 0.0),
        ("-5", 0.0),
        ("soon", 0.0),
        ("Mon, 99 Nov 2026 99:99:99 GMT", 0.0),
        ("", 0.0),
    ],
)
def test_a_receiver_says_when_to_try_again_in_seconds_or_as_a_date(
    text: str, seconds: float
) -> None:
    now = datetime(2026, 11, 30, 7, 10, tzinfo=UTC)
    assert _retry_after_s({"retry-after": text}, now) == seconds

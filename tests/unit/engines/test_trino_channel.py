"""The queue of pages is bounded, and neither side waits for one that is gone."""

from __future__ import annotations

import threading

import pytest

from queryrun.engines.trino.channel import HELD, Channel

LONG_S = 60.0


def test_items_arrive_in_order_and_then_the_end() -> None:
    channel: Channel[int] = Channel()

    def put() -> None:
        for number in range(100):
            channel.put(number, LONG_S)
        channel.end()

    thread = threading.Thread(target=put)
    thread.start()
    assert list(channel) == list(range(100))
    thread.join()


def test_no_more_than_the_bound_is_held() -> None:
    channel: Channel[int] = Channel()
    for number in range(HELD):
        assert channel.put(number, LONG_S)
    assert not channel.put(HELD, timeout_s=0.001)


def test_an_abort_wakes_a_reader() -> None:
    channel: Channel[int] = Channel()
    thread = threading.Thread(target=lambda: channel.abort(KeyError("gone")))
    thread.start()
    with pytest.raises(KeyError):
        list(channel)
    thread.join()


def test_an_abort_wakes_a_writer() -> None:
    channel: Channel[int] = Channel()
    for number in range(HELD):
        channel.put(number, LONG_S)
    thread = threading.Thread(target=lambda: channel.abort(KeyError("gone")))
    thread.start()
    with pytest.raises(KeyError):
        channel.put(HELD, LONG_S)
    thread.join()


def test_what_waited_is_not_read_after_an_abort_and_the_first_reason_counts() -> None:
    channel: Channel[int] = Channel()
    channel.put(1, LONG_S)
    channel.abort(KeyError("first"))
    channel.abort(ValueError("second"))
    with pytest.raises(KeyError):
        next(iter(channel))

"""A log that nobody reads costs lines, which are counted, and never time."""

from __future__ import annotations

import json
import os
import threading
import time

from queryrun.cli.log_writer import LogWriter

LINE = "x" * 999 + "\n"


def test_lines_arrive_in_order() -> None:
    reading, writing = os.pipe()
    writer = LogWriter(writing)
    for number in range(100):
        writer.write(f"{number}\n")
    writer.close()
    os.close(writing)
    with os.fdopen(reading) as file:
        assert file.read().split() == [str(number) for number in range(100)]
    assert writer.dropped == 0


def test_nothing_waits_for_a_reader_that_does_not_read_and_the_lost_lines_are_counted() -> None:
    reading, writing = os.pipe()
    writer = LogWriter(writing, max_queued_bytes=100_000)
    for _ in range(2000):
        writer.write(LINE)
    assert 0 < writer.dropped < 2000
    writer_thread = threading.Thread(target=writer.close)
    writer_thread.start()
    with os.fdopen(reading) as file:
        lines = [file.readline() for _ in range(2000 - writer.dropped + 1)]
    writer_thread.join()
    os.close(writing)
    (reported,) = [json.loads(line) for line in lines if line != LINE]
    assert reported["event"] == "log_lines_dropped"
    assert reported["lines"] == writer.dropped


def test_a_reader_that_has_gone_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    writer = LogWriter(writing)
    writer.write(LINE)
    writer.close()
    os.close(writing)
    assert writer.dropped == 1


def test_lines_that_a_full_disk_did_not_take_are_counted_and_told_of_once_there_is_room() -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    writer = LogWriter(descriptor)
    for _ in range(3):
        writer.write(LINE)
    deadline = time.monotonic() + 30
    while writer.dropped < 3:
        assert time.monotonic() < deadline
    reading, writing = os.pipe()
    os.dup2(writing, descriptor)
    writer.write("again\n")
    writer.close()
    os.close(writing)
    os.close(descriptor)
    with os.fdopen(reading) as file:
        again, report = file.read().splitlines()
    assert (again, json.loads(report)["lines"]) == ("again", 3)

"""Bytes on sockets, as no client library would send them, and how long others wait meanwhile."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.attack.targets import address_of
from tests.e2e.conftest import RUNAWAY, Server

PROBE_INTERVAL_S = 0.02
RESPONSE_TIMEOUT_S = 15.0
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"


def connect(server: Server, timeout_s: float = RESPONSE_TIMEOUT_S) -> socket.socket:
    """A new connection. The caller closes it."""
    return socket.create_connection(address_of(server), timeout=timeout_s)


def exchange(server: Server, sent: bytes, *, timeout_s: float = RESPONSE_TIMEOUT_S) -> bytes:
    """Send bytes on a new connection and read until the server closes it, or for `timeout_s`."""
    with connect(server, timeout_s) as stream:
        flood(stream, sent)
        return read_all(stream, timeout_s)


def flood(stream: socket.socket, sent: bytes) -> None:
    """Send everything, unless the server closes the connection before."""
    with contextlib.suppress(ConnectionError, TimeoutError):
        stream.sendall(sent)


def read_all(stream: socket.socket, timeout_s: float) -> bytes:
    """What the server sends until it closes the connection, or for `timeout_s`."""
    received = bytearray()
    stream.settimeout(timeout_s)
    with contextlib.suppress(ConnectionError, TimeoutError):
        while chunk := stream.recv(65536):
            received += chunk
    return bytes(received)


def status_of(response: bytes) -> int:
    """The status of the first response; 0 when there is none."""
    return (
        int(response[9:12]) if response.startswith(b"HTTP/1.") and response[9:12].isdigit() else 0
    )


def is_closed(stream: socket.socket, timeout_s: float = 0.01) -> bool:
    """Whether the server has closed this connection. What it sent before is thrown away."""
    stream.settimeout(timeout_s)
    try:
        while stream.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


@dataclass
class Waits:
    """The longest time that somebody else waited while an attack ran."""

    longest_s: float = 0.0
    count: int = 0


@contextmanager
def waiting_for_health(server: Server) -> Iterator[Waits]:
    """Ask for `/healthz` again and again while the block runs, each time on a new connection."""
    waits, done = Waits(), threading.Event()

    def probe() -> None:
        while not done.is_set():
            began_s = time.monotonic()
            response = exchange(server, HEALTH + b"Connection: close\r\n\r\n", timeout_s=60)
            waits.longest_s = max(waits.longest_s, time.monotonic() - began_s)
            if status_of(response) != 200:
                waits.longest_s = float("inf")
            waits.count += 1
            done.wait(PROBE_INTERVAL_S)

    thread = threading.Thread(target=probe)
    thread.start()
    try:
        yield waits
    finally:
        done.set()
        thread.join()


def longest_cancel_s(server: Server, attack: Callable[[threading.Event], None], runs: int) -> Waits:
    """Cancel running statements while `attack` runs in a thread until its event is set.

    From the moment a cancel is sent until its response says `canceled`, on a new connection each.
    """
    waits, done = Waits(), threading.Event()
    thread = threading.Thread(target=attack, args=(done,))
    thread.start()
    try:
        for _ in range(runs):
            run = server.submit(RUNAWAY)
            server.computing_worker(run["id"])
            began_s = time.monotonic()
            state = server.cancel(run["id"]).json()["state"]
            while state != "canceled":
                state = server.get(run["id"])["state"]
            waits.longest_s = max(waits.longest_s, time.monotonic() - began_s)
            waits.count += 1
    finally:
        done.set()
        thread.join()
    return waits

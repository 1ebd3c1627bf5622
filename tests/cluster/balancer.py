"""A balancer in front of nodes that looks at each once a second: haproxy, or a stand-in for it.

The stand-in does what matters here and no more: it asks `/readyz` once a second, takes a node out
after two refusals and back in after one success, and passes each connection to a node that is in,
in turn. It retries nothing, and neither does haproxy as it is configured here.
"""

from __future__ import annotations

import contextlib
import selectors
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx

from tests.ports import free_port

INTERVAL_S = 1.0
FALL = 2
_CONFIG = """\
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout check 5s
  retries 0
frontend clients
  bind 127.0.0.1:{port}
  default_backend nodes
backend nodes
  balance roundrobin
  option httpchk GET /readyz
  default-server check inter {interval_ms} fall {fall} rise 1
{servers}
"""

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def haproxy(ports: Sequence[int], root: Path) -> Iterator[str]:
    """The URL of a real haproxy before the nodes at these ports."""
    assert HAPROXY is not None
    port = free_port()
    servers = "\n".join(f"  server n{one} 127.0.0.1:{one}" for one in ports)
    config = root / "haproxy.cfg"
    interval_ms = round(INTERVAL_S * 1000)
    config.write_text(
        _CONFIG.format(port=port, servers=servers, interval_ms=interval_ms, fall=FALL)
    )
    with (root / "haproxy.log").open("w") as log:
        process = subprocess.Popen([HAPROXY, "-db", "-f", str(config)], stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@contextmanager
def stand_in(ports: Sequence[int], _root: Path) -> Iterator[str]:
    """The URL of the stand-in before the nodes at these ports."""
    balancer = _StandIn(ports)
    try:
        yield f"http://127.0.0.1:{balancer.port}"
    finally:
        balancer.close()


BALANCERS: dict[str, Callable[[Sequence[int], Path], contextlib.AbstractContextManager[str]]] = {
    "haproxy": haproxy,
    "stand-in": stand_in,
}


class _StandIn:
    def __init__(self, ports: Sequence[int]) -> None:
        self._refusals = dict.fromkeys(ports, FALL)
        self._turn = 0
        self._closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.2)
        self.port = int(self._listener.getsockname()[1])
        self._threads = [
            *(threading.Thread(target=self._check_forever, args=(port,)) for port in ports),
            threading.Thread(target=self._accept_forever),
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._closed.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _check_forever(self, port: int) -> None:
        while not self._closed.wait(INTERVAL_S):
            self._refusals[port] = 0 if _is_ready(port) else self._refusals[port] + 1

    def _accept_forever(self) -> None:
        while not self._closed.is_set():
            with contextlib.suppress(TimeoutError):
                near, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        """A client whose node cannot be reached is cut off, which it counts."""
        ready = [port for port, refusals in self._refusals.items() if refusals < FALL]
        self._turn += 1
        with near, contextlib.suppress(OSError):
            if not ready:
                near.sendall(
                    b"HTTP/1.1 503 no node\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                )
                return
            with socket.create_connection(("127.0.0.1", ready[self._turn % len(ready)])) as far:
                _pass_both(near, far)


def _is_ready(port: int) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200
    return False


def _pass_both(near: socket.socket, far: socket.socket) -> None:
    """Until one side ends: these connections carry one request each."""
    other = {near: far, far: near}
    with selectors.DefaultSelector() as selector:
        for one in other:
            selector.register(one, selectors.EVENT_READ)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for key, _ in selector.select(1):
                assert isinstance(key.fileobj, socket.socket)
                if not (data := key.fileobj.recv(65536)):
                    return
                other[key.fileobj].sendall(data)

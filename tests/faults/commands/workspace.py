"""Where a line is played: copies of a good home and good files, and servers that respond badly."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.ports import free_port

_MAKE = """
import sys
from pathlib import Path
from queryrun.cli.home import init_home
made = init_home(Path(sys.argv[1]), entity="main", factor=None)
(made.data_dir / "t.csv").write_text("a,b\\n1,x\\n2,y\\n")
"""


@dataclass
class Workspace:
    """The files of one case. A situation changes them, the environment, and the process itself."""

    root: Path
    names: dict[str, str]
    """What stands for the names in braces."""
    environ: dict[str, str]
    in_child: list[Callable[[], object]] = field(default_factory=list)
    """Done in the process of the command, before it begins."""
    after: list[Callable[[], object]] = field(default_factory=list)
    """Done here, once it has ended."""
    stdin: bytes | None = None
    """Instead of the line's own."""

    @property
    def home(self) -> Path:
        """The home."""
        return Path(self.names["home"])

    @property
    def database(self) -> Path:
        """The home's database."""
        return self.home / "queryrun.db"

    @property
    def new(self) -> Path:
        """What a command makes."""
        return Path(self.names["new"])


def make_template(root: Path) -> Path:
    """A good home with a table, made by another process: this one has to stay without threads."""
    home = root / "template"
    subprocess.run([sys.executable, "-c", _MAKE, str(home)], check=True, timeout=120)
    return home


def make_workspace(root: Path, template: Path, url: str) -> Workspace:
    """Files that are good."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    home = root / "home"
    shutil.copytree(template, home)
    (root / "q.sql").write_text("SELECT 1 AS a\n")
    (root / "secret").write_text("b" * 43)
    (root / "key").write_text("0" * 64)
    (root / "sealed").write_bytes(b"x" * 100)
    (root / "user").mkdir()
    names = {
        "home": str(home),
        "new": str(root / "new"),
        "sql": str(root / "q.sql"),
        "secret": str(root / "secret"),
        "key": str(root / "key"),
        "sealed": str(root / "sealed"),
        "client": (home / "first-client.id").read_text().strip(),
        "url": url,
        "port": str(free_port()),
    }
    environ = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    environ |= {
        "HOME": str(root / "user"),
        "QUERYRUN_URL": url,
        "QUERYRUN_CLIENT_ID": "a",
        "QUERYRUN_CLIENT_SECRET": "b",
    }
    return Workspace(root, names, environ)


_HTML = b"<html><title>502 Bad Gateway</title></html>"
RESPONSES: dict[str, bytes] = {
    "hangs up": b"",
    "speaks SMTP": b"220 mail.example.com ESMTP\r\n",
    "says 502 in HTML": b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (len(_HTML), _HTML),
    "says 200 in HTML": b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: %d\r\n"
    b"connection: close\r\n\r\n%s" % (len(_HTML), _HTML),
    "says 401 without a body": b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n"
    b"connection: close\r\n\r\n",
    "says 200 with a list": b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
    b"content-length: 2\r\nconnection: close\r\n\r\n[]",
    "cuts its response": b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
    b"content-length: 900\r\nconnection: close\r\n\r\n{",
    "redirects to itself": b"HTTP/1.1 302 Found\r\nlocation: /oauth/token\r\ncontent-length: 0\r\n"
    b"connection: close\r\n\r\n",
    "has no length": b"HTTP/1.1 200 OK\r\ncontent-length: many\r\nconnection: close\r\n\r\n{}",
}


@contextmanager
def bad_servers() -> Iterator[dict[str, str]]:
    """The URLs of servers that respond as `RESPONSES` says; in a process of their own."""
    listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in RESPONSES}
    pid = os.fork()
    if pid == 0:
        try:
            _respond_forever(listeners)
        finally:
            os._exit(0)
    urls = {n: f"http://127.0.0.1:{one.getsockname()[1]}" for n, one in listeners.items()}
    try:
        yield urls
    finally:
        for one in listeners.values():
            one.close()
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def _respond_forever(listeners: dict[str, socket.socket]) -> None:
    threads = [
        threading.Thread(target=_serve, args=(one, RESPONSES[name]))
        for name, one in listeners.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _serve(listener: socket.socket, response: bytes) -> None:
    while True:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError, ssl.SSLError):
            connection.settimeout(5)
            connection.recv(65536)
            connection.sendall(response)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(65536)

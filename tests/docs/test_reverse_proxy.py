"""The configurations of docs/how-to/reverse-proxy.md, in a real nginx before a real server."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from tests.docs.executed import FENCE, ROOT
from tests.e2e.conftest import Server, ServerHarness, harness
from tests.ports import free_port
from tests.tls import Authority

__all__ = ["harness"]

PAGE = (ROOT / "docs/how-to/reverse-proxy.md").read_text(encoding="utf-8")
NGINX = [text for language, text in FENCE.findall(PAGE) if language == "nginx"]
TOML = [text for language, text in FENCE.findall(PAGE) if language == "toml"]
PREFIXES = ("", "/tools/query")


@dataclass
class Proxied:
    """A server behind nginx."""

    url: str
    server: Server
    http: httpx.Client
    log: Path

    def submit(self, sql: str) -> str:
        """The id of a new run."""
        body = {"sql": sql, "content_type": "csv"}
        run = self.http.post(f"{self.url}/v2/query_runs", json=body)
        assert run.status_code == 201, run.text
        return str(run.json()["id"])


@pytest.fixture(params=range(len(NGINX)), ids=["a host of its own", "below a path"])
def proxied(
    request: pytest.FixtureRequest, harness: ServerHarness, tmp_path: Path
) -> Iterator[Proxied]:
    """The page's configuration; names, ports and certificates are those of this machine."""
    if shutil.which("nginx") is None:
        is_required = bool(os.environ.get("CI")) and not os.environ.get("WITHOUT_NGINX")
        assert not is_required, "nginx is not installed"
        pytest.skip("NOT TESTED: nginx is not installed (apt-get install nginx-light)")
    port, configured = free_port(), tomllib.loads(TOML[request.param])["server"]
    url = f"https://127.0.0.1:{port}{PREFIXES[request.param]}"
    assert configured["public_url"].endswith(PREFIXES[request.param])
    server = harness.serve(
        {
            "QUERYRUN_SERVER__PUBLIC_URL": url,
            "QUERYRUN_SERVER__TRUSTED_PROXIES": configured["trusted_proxies"],
        }
    )
    authority = Authority(tmp_path / "authority.pem")
    context = ssl.create_default_context(cafile=str(authority.certificate))
    config = configuration(NGINX[request.param], port, server.url, authority, tmp_path)
    with nginx(config, port, tmp_path), httpx.Client(verify=context, timeout=60) as http:
        http.headers["authorization"] = server.http.headers["authorization"]
        yield Proxied(url, server, http, harness.log)


def configuration(
    text: str, port: int, upstream: str, authority: Authority, directory: Path
) -> Path:
    """The block in a file that nginx takes as a whole; it writes into `directory` alone."""
    (directory / "server.pem").write_text(authority.issue(), encoding="ascii")
    text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    text = text.replace("server 127.0.0.1:8080", f"server {upstream.removeprefix('http://')}")
    text = re.sub(r"/etc/nginx/tls/\S+?\.(?:pem|key)", str(directory / "server.pem"), text)
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{name}_temp_path {directory / name};\n" for name in names)
    whole = (
        f"daemon off; worker_processes 1; pid {directory}/nginx.pid;\n"
        f"error_log {directory}/nginx.log notice; events {{}}\n"
        f"http {{ access_log off;\n{paths}{text}\n}}\n"
    )
    config = directory / "nginx.conf"
    config.write_text(whole, encoding="utf-8")
    return config


@contextmanager
def nginx(config: Path, port: int, directory: Path) -> Iterator[None]:
    """nginx in the foreground until the end of the block."""
    command = ["nginx", "-p", str(directory), "-c", str(config)]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until_open(port, process)
            yield
        finally:
            process.send_signal(signal.SIGTERM)


def wait_until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when the port takes a connection; fail when the process has ended."""
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        assert process.poll() is None, "nginx has ended"
        assert time.monotonic() < deadline, "nginx does not listen"


def test_a_run_is_made_watched_downloaded_and_cancelled_through_the_proxy(proxied: Proxied) -> None:
    http, url = proxied.http, proxied.url
    secret = proxied.server.made.issued
    form = {
        "grant_type": "client_credentials",
        "client_id": secret.client.id,
        "client_secret": secret.secret,
    }
    assert http.post(f"{url}/oauth/token", data=form).status_code == 200
    run_id = proxied.submit("SELECT 42 AS number")
    run = http.get(f"{url}/v2/query_runs/{run_id}", headers={"prefer": "wait=30"}).json()
    assert run["file"]["url"].startswith(f"{url}/files/")
    assert download(http, run["file"]["url"]).text == "number\n42\n"
    runaway = proxied.submit("SELECT list_sum(range(200000000))")
    canceled = http.post(f"{url}/v2/query_runs/{runaway}/cancel")
    assert canceled.json()["state"] == "canceled"


def test_events_arrive_while_the_run_is_still_running(proxied: Proxied) -> None:
    """A proxy that collects would show nothing before the end, which never comes by itself."""
    run_id = proxied.submit("SELECT list_sum(range(200000000))")
    with proxied.http.stream("GET", f"{proxied.url}/v2/query_runs/{run_id}/events") as events:
        first = next(line for line in events.iter_lines() if line.startswith("data:"))
    assert run_id in first
    assert proxied.http.post(f"{proxied.url}/v2/query_runs/{run_id}/cancel").status_code == 200


def test_pages_are_found_and_the_callers_claim_of_an_address_is_not_believed(
    proxied: Proxied,
) -> None:
    http, url = proxied.http, proxied.url
    assert http.get(f"{url}/", follow_redirects=True).status_code == 200
    assert http.get(f"{url}/docs").status_code == 200
    session: Any = {
        "client_id": proxied.server.made.issued.client.id,
        "client_secret": proxied.server.made.issued.secret,
    }
    headers = {"x-queryrun-console": "1", "x-forwarded-for": "203.0.113.7"}
    signed_in = http.post(f"{url}/console/session", json=session, headers=headers)
    assert signed_in.status_code == 200, signed_in.text
    assert "; Secure" in signed_in.headers["set-cookie"]
    assert "__Host-" in signed_in.headers["set-cookie"]
    assert "203.0.113.7" not in proxied.log.read_text(encoding="utf-8")


def download(http: httpx.Client, link: str) -> httpx.Response:
    """A download as whoever holds the link makes it: without a token."""
    response = http.get(link, headers={"authorization": ""})
    assert response.status_code == 200, response.text
    return response

"""The services of deploy/compose.yaml as processes on loopback: the same commands, arguments and
environment, with a container's paths and host names replaced by those of this machine.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2 as httpx
import yaml

from tests import s3_server
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
QUERYRUN = str(Path(sys.executable).with_name("queryrun"))


def compose_file() -> dict[str, Any]:
    """The file with its anchors resolved and its variables at their defaults."""
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    text = re.sub(r"(?<!\$)\$\{\w+:-([^}]*)\}", r"\1", text).replace("$$", "$")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def entrypoint() -> list[str]:
    """What the image runs, without the init process that containers need."""
    (line,) = re.findall(
        r"^ENTRYPOINT (.*)$", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE
    )
    command: list[str] = json.loads(line)
    assert command[:3] == ["/usr/local/bin/dumb-init", "--single-child", "--"]
    return command[3:]


def first_client_command() -> list[str]:
    """The arguments that the head of the file documents for `admin`."""
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    (command,) = re.findall(r"^# +docker compose .* run --rm admin (.*)$", text, re.MULTILINE)
    return shlex.split(command)


def commands_before_compose() -> list[str]:
    """The commands of the head that prepare the host, but for the secrets."""
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    return [one.strip() for one in re.findall(r"^# +(mkdir [^#\n]*)", text, re.MULTILINE)]


WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--")
"""Root as a user whom permissions hold: a container's user owns no directory of the host."""


@dataclass
class Composed:
    """The services of the composition on this machine."""

    folder: Path
    services: dict[str, Any]
    hosts: dict[str, str]
    """`host:port` inside the composition -> here."""
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def here(self, service: str, text: str) -> str:
        """A text of the files, with the container's paths and names replaced."""
        replaced = {
            "/run/secrets": str(self.folder / "secrets"),
            "/var/lib/queryrun": str(self.home(service)),
            "/srv/data": str(self.folder / "data"),
            "0.0.0.0": "127.0.0.1",  # noqa: S104 replaced, not bound
        }
        for old, new in {**replaced, **self.hosts}.items():
            text = text.replace(old, new)
        return text

    def home(self, service: str) -> Path:
        """The home of a node, with its configuration where compose mounts it."""
        return self.folder / "homes" / service

    def start(self, service: str) -> None:
        """Start a node as compose would; returns at once."""
        environ = self._environ(service)
        self.ports[service] = free_port()
        environ["QUERYRUN_SERVER__PORT"] = str(self.ports[service])
        self.processes[service] = self._popen(service, self._argv(service), environ)

    def start_s3(self) -> None:
        """The S3 server: the very script, with the program that tests build and its port."""
        service = self.services["s3"]
        (script,) = service["command"]
        port = self.hosts["s3:7070"].rpartition(":")[2]
        for old, new in {
            "/data": str(self.folder / "bucket"),
            "versitygw": str(s3_server.PROGRAM),
            ":7070": f"127.0.0.1:{port}",
        }.items():
            script = script.replace(old, new)
        (self.folder / "bucket").mkdir()
        argv = [*service["entrypoint"], self.here("s3", script)]
        self.processes["s3"] = self._popen("s3", argv, {"PATH": os.environ["PATH"]})

    def prepare(self, command: str) -> None:
        """Run a command of the host, in a copy of the place where it is documented to run."""
        here = command.replace("deploy/data", str(self.folder / "data"))
        subprocess.run(shlex.split(here), check=True)

    def run(self, service: str, arguments: list[str], *, without_rights: bool = False) -> str:
        """`docker compose run --rm SERVICE ARGUMENTS`: what it printed.

        `without_rights`: the directory of the data is not the user's to write.
        """
        (self.folder / "data").chmod(0o555 if without_rights else 0o755)
        before = WITHOUT_RIGHTS if without_rights and os.geteuid() == 0 else ()
        done = subprocess.run(
            [*before, *self._program(), *arguments],
            env=self._environ(service),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop(self, service: str) -> int:
        """What `docker compose stop` does; the exit status, within the grace period."""
        process = self.processes.pop(service)
        process.send_signal(signal.Signals[self.services[service]["stop_signal"]])
        return process.wait(timeout=seconds(self.services[service]["stop_grace_period"]))

    def wait_until_healthy(self, service: str) -> None:
        """Run the service's own health check until it passes."""
        test = self.services[service]["healthcheck"]["test"]
        assert test[0] == "CMD"
        program = {"python": sys.executable}.get(test[1], test[1])
        port = str(self.ports.get(service, ""))
        argv = [program, *(word.replace("8080", port) for word in test[2:])]
        argv = [word.replace("127.0.0.1:7070", self.hosts["s3:7070"]) for word in argv]
        deadline = time.monotonic() + 30
        while subprocess.run(argv, capture_output=True, check=False).returncode != 0:
            assert self.processes[service].poll() is None, self.log(service)
            assert time.monotonic() < deadline, self.log(service)

    @contextmanager
    def client(self, service: str, issued: Mapping[str, str]) -> Iterator[httpx.Client]:
        """An authorised client of one node."""
        form = {"grant_type": "client_credentials"} | {
            name: issued[name] for name in ("client_id", "client_secret")
        }
        with httpx.Client(base_url=f"http://127.0.0.1:{self.ports[service]}", timeout=60) as http:
            response = http.post("/oauth/token", data=form)
            assert response.status_code == 200, response.text
            http.headers["authorization"] = f"Bearer {response.json()['access_token']}"
            yield http

    def log(self, service: str) -> str:
        """The end of its log."""
        return (self.folder / f"{service}.log").read_text(encoding="utf-8")[-3000:]

    def close(self) -> None:
        """Kill what still runs."""
        for process in self.processes.values():
            process.kill()
            process.wait()

    def _program(self) -> list[str]:
        command = entrypoint()
        assert command == ["queryrun"]
        return [QUERYRUN]

    def _argv(self, service: str) -> list[str]:
        return [*self._program(), *self.services[service]["command"]]

    def _environ(self, service: str) -> dict[str, str]:
        """The service's variables; also writes its configuration file."""
        home = self.home(service)
        home.mkdir(parents=True, exist_ok=True)
        for config in self.services[service]["configs"]:
            text = (DEPLOY / config["source"]).read_text(encoding="utf-8")
            target = Path(self.here(service, config["target"]))
            target.write_text(self.here(service, text), encoding="utf-8")
        variables = self.services[service]["environment"].items()
        return {"PATH": os.environ["PATH"]} | {k: self.here(service, v) for k, v in variables}

    def _popen(
        self, service: str, argv: list[str], environ: dict[str, str]
    ) -> subprocess.Popen[str]:
        with (self.folder / f"{service}.log").open("w") as log:
            return subprocess.Popen(argv, env=environ, stdout=log, stderr=log, text=True)


@contextmanager
def composed(folder: Path, hosts: Mapping[str, str]) -> Iterator[Composed]:
    """The services of compose.yaml; what was started is stopped afterwards."""
    services = Composed(folder, compose_file()["services"], dict(hosts))
    make_secrets(folder / "secrets", hosts)
    (folder / "data").mkdir()
    try:
        yield services
    finally:
        services.close()


def make_secrets(directory: Path, hosts: Mapping[str, str]) -> None:
    """Run `deploy/secrets.sh`, and let the database's URL lead to where the database is here."""
    subprocess.run([DEPLOY / "secrets.sh", directory], check=True)
    url_file = directory / "database-url"
    url_file.chmod(0o600)
    url_file.write_text(url_file.read_text().replace("postgres:5432", hosts["postgres:5432"]))


def seconds(text: str) -> float:
    """`60s` as compose writes it."""
    return float(text.removesuffix("s"))

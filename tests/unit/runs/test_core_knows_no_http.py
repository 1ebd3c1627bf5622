"""The core and the stores know nothing of HTTP: no status, method, header, body or route."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import queryrun.db
import queryrun.runs

WORDS = {"http", "https", "status", "method", "header", "headers", "body", "route", "cookie"}
FOREIGN = {"transaction_status"}
"""Names of libraries that mean something else."""
ROUTES = ("/v1/", "/v2/", "/query/", "/oauth/")

MODULES = [
    path
    for package in (queryrun.runs, queryrun.db)
    for path in sorted(Path(str(package.__file__)).parent.rglob("*.py"))
]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_module_of_the_core_names_http(module: Path) -> None:
    tree = ast.parse(module.read_text("utf-8"))
    found = {name for name in _identifiers(tree) if WORDS & set(name.lower().split("_"))}
    found -= FOREIGN
    found |= {text for text in _texts(tree) if any(route in text for route in ROUTES)}
    assert not found


def test_the_check_finds_what_it_looks_for() -> None:
    tree = ast.parse('def send(status_code):\n    return "/v2/query_runs"')
    assert "status_code" in set(_identifiers(tree))
    assert "/v2/query_runs" in set(_texts(tree))


def _identifiers(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.arg | ast.keyword) and node.arg is not None:
            yield node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.ImportFrom | ast.Import):
            for alias in node.names:
                yield from alias.name.split(".")
            yield from (getattr(node, "module", None) or "").split(".")


def _texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value

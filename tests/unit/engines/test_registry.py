"""Each engine is one entry of the registry, and no other module knows an engine by its name."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import pytest

import queryrun
from queryrun.engines.base import CatalogOpener, SessionOpener
from queryrun.engines.registry import ENGINES, EngineKind
from queryrun.sql.guard.verdict import GuardName

SOURCES = Path(queryrun.__file__).parent
ALL = pytest.mark.parametrize("kind", ENGINES.values(), ids=lambda kind: kind.name)


def loaded(entry_point: str) -> Any:
    """What an entry point names."""
    module, _, name = entry_point.partition(":")
    return getattr(import_module(module), name)


@ALL
@pytest.mark.parametrize(
    ("entry_point", "opener"), [("session", SessionOpener), ("catalog", CatalogOpener)]
)
def test_an_entry_point_takes_the_parameters_of_its_protocol(
    kind: EngineKind, entry_point: str, opener: type
) -> None:
    expected = list(inspect.signature(opener.__call__).parameters)[1:]
    accepted = list(inspect.signature(loaded(getattr(kind, entry_point))).parameters)
    assert accepted[: len(expected)] == expected


@ALL
def test_only_a_remote_engine_opens_for_the_remote_stop_service(kind: EngineKind) -> None:
    assert bool(kind.remote) is kind.is_remote
    if kind.is_remote:
        assert {"stop", "names", "check"} <= set(dir(kind.open_remote()))
    else:
        with pytest.raises(ValueError, match="worker process"):
            kind.open_remote()


@ALL
def test_the_guard_of_a_dialect_is_one_that_exists(kind: EngineKind) -> None:
    assert {kind.guard(dialect) for dialect in kind.dialects} <= set(get_args(GuardName))
    assert kind.guard("trino") == "trino"


@pytest.mark.parametrize(
    ("engine", "path", "is_database"),
    [("duckdb", "a/b.duckdb", True), ("duckdb", "a/b", False), ("trino", "a/b.duckdb", False)],
)
def test_a_database_file_is_known_by_its_suffix(engine: str, path: str, is_database: bool) -> None:
    assert ENGINES[engine].is_database(Path(path)) is is_database


def test_no_module_outside_the_engines_compares_names_of_engines() -> None:
    """The cancel suite may not import the server, and knows the engines that it can speak to."""
    found = [
        f"{path.relative_to(SOURCES)}:{node.lineno}"
        for path in SOURCES.rglob("*.py")
        if path.relative_to(SOURCES).parts[0] not in {"engines", "cancel_suite"}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare) and names_an_engine(node)
    ]
    assert found == []


def names_an_engine(comparison: ast.Compare) -> bool:
    """Whether a constant in it is an engine's name."""
    return any(
        isinstance(node, ast.Constant) and node.value in ENGINES for node in ast.walk(comparison)
    )

"""The cancel suite, with reduced counts, on remote engines, whose own query lists it inspects.

Time limits are not asserted here: the suite judges them itself, on a quiet machine.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.test_cancel_suite import assert_kept, run_suite
from tests.spark_server import SparkServer
from tests.spark_server import spark_server as spark_server  # a fixture
from tests.trino_server import TrinoServer
from tests.trino_server import trino_server as trino_server  # the same

FEW = ("--classes", "ABDEG", "--scale", "0.005")
pytestmark = pytest.mark.timeout(600)


def trino_engine(server: TrinoServer) -> tuple[str, ...]:
    """The options of the command. The server hands out large results by way of its object store."""
    spool = ("--engine-spool-url", server.spool_url) if server.spool_url else ()
    return ("--engine", "trino", "--engine-url", server.url, *spool)


def test_every_guarantee_holds_on_trino(trino_server: TrinoServer, tmp_path: Path) -> None:
    engine = trino_engine(trino_server)
    _, classes = run_suite(tmp_path / "report", *engine, *FEW)
    for one in classes:
        assert_kept(one)


def test_heavy_statements_are_stopped_on_trino(trino_server: TrinoServer, tmp_path: Path) -> None:
    names = ("cross join count", "hashing", "copy: csv, gzip")
    selected = [argument for name in names for argument in ("--statement", name)]
    engine = trino_engine(trino_server)
    few = ("--classes", "C", "--scale", "0.2")
    _, [found] = run_suite(tmp_path / "report", *engine, *few, *selected)
    assert_kept(found)
    assert [row["name"] for row in found["rows"]] == list(names)


def test_every_guarantee_holds_on_spark(spark_server: SparkServer, tmp_path: Path) -> None:
    engine = ("--engine", "spark", "--engine-url", spark_server.url)
    _, classes = run_suite(
        tmp_path / "report", *engine, "--engine-ui-url", spark_server.ui_url, *FEW
    )
    for one in classes:
        assert_kept(one)

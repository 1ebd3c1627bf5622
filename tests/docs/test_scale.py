"""docs/reference/scale.md matches what the model computes from the costs listed there."""

from __future__ import annotations

import contextlib
import io
import re

import pytest
from benchmarks import scale, table
from benchmarks.scale_claims import WAYS, Claims
from benchmarks.scale_model import Costs, Model

from tests.docs.executed import ROOT

PAGE = (ROOT / "docs/reference/scale.md").read_text(encoding="utf-8")


def costs_on_the_page() -> Costs:
    """Those that were measured when the page was written."""
    (section,) = re.findall(rf"^### {scale.COSTS}\n\n(.*?)\n\n", PAGE, re.MULTILINE | re.DOTALL)
    lines = [line.strip("| ").split("|") for line in section.splitlines()[2:]]
    return Costs.printed([[cell.strip() for cell in cells] for cells in lines])


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(costs_on_the_page())


def test_every_table_of_the_page_is_what_the_model_computes_from_its_costs() -> None:
    """On failure: the program or the model has changed; `python -m benchmarks scale`."""
    for title, head, rows in scale.tables(costs_on_the_page()):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            table.show(title, head, rows)
        assert printed.getvalue().strip() in PAGE, title


def test_the_text_of_the_page_matches_its_tables(model: Model) -> None:
    limits = {limit.name: limit.first() for limit in model.limits()}
    cpu, costs = limits["PostgreSQL's CPU"], model.costs
    kept_bytes = costs.kept_table_bytes_per_run + costs.kept_index_bytes_per_run
    in_short = PAGE[PAGE.index("## In short") : PAGE.index("## What a run costs")]
    assert f"so {limits['connections']} nodes at 500 connections" in in_short
    assert f"with {cpu} it is 16" in in_short
    assert f"a run that is kept takes {kept_bytes / 1e3:.1f} KB" in in_short
    assert f"{costs.node_cpu_ms_per_run:.0f} ms of CPU" in in_short
    assert f"are {kept_bytes / 1e3:.1f} TB in PostgreSQL" in in_short


def test_limits_are_listed_in_the_order_in_which_nodes_reach_them(model: Model) -> None:
    met = [limit.first() or 10**9 for limit in model.limits()]
    named = {limit.name: limit.first() or 10**9 for limit in model.limits()}
    assert [named[row[0]] for row in model.limit_rows()] == sorted(met)


def test_a_limit_is_reached_exactly_where_its_load_exceeds_its_capacity(model: Model) -> None:
    for limit in model.limits():
        first = limit.first()
        if first is not None:
            assert limit.load(first - 1) <= limit.capacity < limit.load(first), limit.name


def test_the_simulation_is_the_same_each_time_and_keeps_up_with_what_arrives(model: Model) -> None:
    once, again = (Claims(30, model.costs, WAYS[0]) for _ in range(2))
    seen = once.run()
    assert seen == again.run()
    expected = once.runs_per_s * 15
    assert len(seen.waits_s) == pytest.approx(expected, rel=0.15)

"""The model of scale: measured costs, what they add up to, and which limit comes first."""

from __future__ import annotations

from benchmarks import scale_claims, scale_costs, table
from benchmarks.scale_model import KEPT, NODES, Assumed, Constants, Costs, Model, Rows

Table = tuple[str, list[str], Rows]
COSTS = "Measured costs"
_AT_NODES = [f"{nodes:,} nodes" for nodes in NODES]


def measure() -> None:
    """Measure costs, and print them and everything that follows from them."""
    for title, head, rows in tables(scale_costs.measured()):
        table.show(title, head, rows)


def tables(costs: Costs) -> list[Table]:
    """Every table of the page; the same costs give the same tables."""
    model = Model(costs)
    return [
        (COSTS, ["cost", "value", "of"], costs.rows()),
        ("What the program does by default", ["constant", "value"], Constants().rows()),
        ("What is assumed", ["assumption", "value"], Assumed().rows()),
        ("One node", ["figure", "value"], model.one_node_rows()),
        ("Nodes with all slots busy, per second", ["what", *_AT_NODES], model.load_rows()),
        (
            "Limits",
            ["limit", *_AT_NODES, "reached at nodes", "what to do then"],
            model.limit_rows(),
        ),
        ("Runs kept", ["what", *(f"{kept:,}" for kept in KEPT)], model.kept_rows()),
        ("Claims, simulated", scale_claims.HEAD, scale_claims.rows(costs)),
    ]

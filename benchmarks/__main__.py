"""`python -m benchmarks [name ...]`: run all measurements, or those named, and print tables."""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmarks import (
    cancels,
    claims,
    clients,
    cluster,
    console,
    dry_run,
    export,
    footprint,
    history,
    metering,
    org_timing,
    overshoot,
    parsing,
    results,
    runs,
    scale,
    table,
    tpch,
    tracing,
    webhooks,
)

ALL: dict[str, Callable[[], None]] = {
    "footprint": footprint.measure,
    "runs": runs.measure,
    "cancels": cancels.measure,
    "claims": claims.measure,
    "cluster": cluster.measure,
    "clients": clients.measure,
    "console": console.measure,
    "dry_run": dry_run.measure,
    "export": export.measure,
    "parsing": parsing.measure,
    "tpch": tpch.measure,
    "results": results.measure,
    "history": history.measure,
    "metering": metering.measure,
    "org_timing": org_timing.measure,
    "overshoot": overshoot.measure,
    "scale": scale.measure,
    "tracing": tracing.measure,
    "webhooks": webhooks.measure,
}


def main(names: list[str]) -> None:
    """Run the named measurements, or all of them."""
    unknown = set(names) - set(ALL)
    if unknown:
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    print(f"Measured on: {table.machine()}")
    for name in names or ALL:
        ALL[name]()


if __name__ == "__main__":
    main(sys.argv[1:])

"""Runs a real Trino and records its results for the suite: `python -m tests.differential.judge`.

The server is the one that other tests use too (`tests/trino_process.py`, `make trino-server`); it
is stopped afterwards. Only statements without a recorded result are run, unless `--all` is given;
`--url` uses a server that runs already.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from pathlib import Path

from tests import trino_process
from tests.differential.suite import RECORDED_RESULTS, Case, cases, own_tables, recorded
from tests.differential.tpcds_tables import make_tables as make_tpcds_tables
from tests.differential.trino_client import TrinoClient

START_S = 180
_OPTIONS = trino_process.Options(
    catalogs={**trino_process.CATALOGS, "tpcds": "connector.name=tpcds\n"}
)
_TPCH = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"]
_FUNCTIONS = Path("src/queryrun/sql/compile/functions.json")


def main() -> None:
    """Record what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a server that runs already")
    parser.add_argument("--all", action="store_true", help="ask everything again")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        url = options.url or stack.enter_context(trino_process.running(_OPTIONS))
        client = stack.enter_context(TrinoClient(url))
        client.wait(START_S)
        _make_tables(client)
        make_tpcds_tables(client)
        _record_functions(client)
        _record(url, everything=options.all)


def _record(url: str, *, everything: bool) -> None:
    known = {} if everything else recorded()
    by_group: dict[str, list[Case]] = {}
    for case in cases():
        by_group.setdefault(case.group, []).append(case)
    RECORDED_RESULTS.mkdir(exist_ok=True)
    for group, members in by_group.items():
        lines = []
        client = TrinoClient(url, schema=members[0].schema)
        for case in members:
            entry = known.get(case.sql) or client.query(case.sql)
            result = {"sql": case.sql, "columns": entry.columns, "rows": entry.rows}
            if entry.error:
                result = {"sql": case.sql, "error": entry.error}
            lines.append(json.dumps(result, ensure_ascii=False))
        text = "[\n" + ",\n".join(lines) + "\n]\n"
        (RECORDED_RESULTS / f"{group}.json").write_text(text, encoding="utf-8")


def _record_functions(client: TrinoClient) -> None:
    functions: dict[str, list[list[str]]] = {}
    for name, *rest in client.query("SHOW FUNCTIONS").rows:
        functions.setdefault(name, []).append([str(cell) for cell in rest])
    if functions:
        _FUNCTIONS.write_text(
            json.dumps(functions, indent=0, sort_keys=True, ensure_ascii=False) + "\n", "utf-8"
        )


def _make_tables(client: TrinoClient) -> None:
    for name, query in own_tables().items():
        client.run_command(f"DROP TABLE IF EXISTS {name}")
        client.run_command(f"CREATE TABLE {name} AS {query}")
    for name in _TPCH:
        client.run_command(f"DROP TABLE IF EXISTS {name}")
        columns = client.query(f"SHOW COLUMNS FROM tpch.tiny.{name}").rows
        items = ", ".join(_as_generated(column, kind) for column, kind, *_ in columns)
        client.run_command(f"CREATE TABLE {name} AS SELECT {items} FROM tpch.tiny.{name}")


def _as_generated(column: str, kind: str) -> str:
    """The generator of the other side writes decimals with 15 digits."""
    return f"CAST({column} AS decimal(15,2)) AS {column}" if kind.startswith("decimal") else column


if __name__ == "__main__":
    main()

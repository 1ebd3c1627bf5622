"""What a client of orgs learns of hidden rows beside its results: from lists of tables, estimates,
plans, usage, limits and events, over files of every layout.

Two entities have the same tables, one with everybody's rows and one with those of the client's org
alone: every response must be the same for both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import httpx2 as httpx

from tests.attack.orgs.statements import CONDITIONS, GROUP, RUNS, new_org_client
from tests.attack.registry import Outcome, attack
from tests.attack.targets import Targets
from tests.org_attacks import PLAIN, ROWS

STATEMENTS = [
    "SELECT count(*), min(id), max(id) FROM account",
    "SELECT * FROM account WHERE id < 30 ORDER BY id",
    "SELECT count(*) FROM account WHERE note = 'hidden'",
    "SELECT count(*) FROM account WHERE org = 'south' AND id > 2000",
    "SELECT 1 / divisor FROM account WHERE id > 2990",
    "SELECT CAST(note AS integer) FROM account ORDER BY id LIMIT 1",
    "SHOW STATS FOR account",
    "SHOW STATS FOR (SELECT * FROM account WHERE id > 5)",
    "EXPLAIN SELECT count(*) FROM account WHERE id > 5",
    "EXPLAIN (TYPE IO, FORMAT JSON) SELECT * FROM account",
    "EXPLAIN (TYPE DISTRIBUTED) SELECT * FROM account WHERE org = 'south'",
    "EXPLAIN (TYPE VALIDATE) SELECT note FROM account",
    "DESCRIBE account",
    "SHOW CREATE TABLE account",
    "SHOW TABLES",
    'SELECT * FROM "account$partitions"',
    'SELECT * FROM "account$files"',
    'SELECT * FROM "account$snapshots"',
    'SELECT "$path", "$file_size", "$file_modified_time" FROM account LIMIT 1',
    "SELECT * FROM information_schema.tables ORDER BY table_name",
    "SELECT * FROM information_schema.columns ORDER BY table_name, ordinal_position",
    "SELECT * FROM information_schema.table_constraints",
    "SELECT query_id FROM system.runtime.queries",
    "SELECT * FROM system.metadata.table_comments",
    "SELECT * FROM system.metadata.analyze_properties",
    "SELECT nosuch FROM account",
    "SELECT * FROM accounts",
]
QUICK_STATEMENTS = 5
"""Of them under pytest, of one layout."""
_VARIES = [
    (re.compile(r"msg_[0-9a-f]{32}(_\d+)?"), "MESSAGE"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}(_\d+)?"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:?\d\d)"), "TIME"),
    (re.compile(r'"(url|next_page)": ?"[^"]*"'), "WHERE"),
    (re.compile(r'"(wall_ms|queued_ms|processing_duration|duration_ms)": ?[\d.]+'), "CLOCK"),
]
"""What differs between any two runs."""


def _one_file(directory: Path, rows: str) -> None:
    duckdb.sql(f"COPY ({rows}) TO '{directory}/account.parquet'")


def _file_per_org(directory: Path, rows: str) -> None:
    (directory / "account").mkdir()
    for org in ("north", "south"):
        found = f"SELECT * FROM ({rows}) WHERE org = '{org}'"
        with duckdb.connect() as connection:
            is_empty = connection.execute(f"SELECT count(*) FROM ({found})").fetchone() == (0,)
        if not is_empty:
            duckdb.sql(f"COPY ({found}) TO '{directory}/account/{org}.parquet'")


def _partitioned(directory: Path, rows: str) -> None:
    duckdb.sql(f"COPY ({rows}) TO '{directory}/account' (FORMAT parquet, PARTITION_BY (org))")


def _csv(directory: Path, rows: str) -> None:
    duckdb.sql(f"COPY ({rows}) TO '{directory}/account.csv' (HEADER)")


def _json(directory: Path, rows: str) -> None:
    duckdb.sql(f"COPY ({rows}) TO '{directory}/account.json' (FORMAT json)")


LAYOUTS: dict[str, Callable[[Path, str], None]] = {
    "file_per_org": _file_per_org,
    "one_file": _one_file,
    "partitioned": _partitioned,
    "csv": _csv,
    "json": _json,
}


def written(directory: Path, condition: str, layout: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    LAYOUTS[layout](directory, f"SELECT * FROM ({ROWS}) WHERE {condition} ORDER BY id")
    duckdb.sql(f"COPY ({PLAIN}) TO '{directory}/plain.parquet'")


def same_text(found: httpx.Response | str) -> str:
    """The response, or a message, without what differs between any two."""
    text = found if isinstance(found, str) else f"{found.status_code} {found.text}"
    for pattern, word in _VARIES:
        text = pattern.sub(word, text)
    return text


def _responses(http: httpx.Client, statements: list[str]) -> Iterator[tuple[str, str]]:
    """Each request, and what came of it."""
    every = same_text(http.get("/v2/tables"))
    yield "tables", re.sub(r'"version":"[0-9a-f]{16}"', "VERSION", every)
    yield "table", same_text(http.get("/v2/tables/account"))
    for sql in statements:
        body: dict[str, Any] = {"sql": sql, "content_type": "csv"}
        yield f"dry run of {sql}", same_text(http.post(f"{RUNS}?dry_run=true", json=body))
        submitted = http.post(RUNS, json=body, headers={"prefer": "wait=50"})
        yield f"run of {sql}", same_text(submitted)
        run = submitted.json()
        if submitted.status_code != 201:
            continue
        fields = "usage,file,error,number_of_rows,state,warnings,progress"
        for path in (f"?fields[]={fields}", "/rows?limit=50"):
            yield f"{path} of {sql}", same_text(http.get(f"{RUNS}/{run['id']}{path}"))
        if run.get("file"):
            yield f"result of {sql}", httpx.get(run["file"]["url"], timeout=60).text
    for path in ("/v2/limits", "/v2/options", f"{RUNS}?page_size=2"):
        yield path, same_text(http.get(path))
    usage = http.get("/v2/usage").json()["data"]
    counted = ("cpu_ms", "peak_memory_bytes", "read_bytes", "read_rows", "spilled_bytes", "tables")
    yield "/v2/usage", json.dumps([[day.get(name) for name in counted] for day in usage])
    for path in ("/admin/v1/usage", "/admin/v1/audit", "/admin/v1/clients", "/metrics"):
        response = http.get(path)
        yield path, f"{response.status_code} {'hidden' in response.text}"


def _around(all_rows: str, alone: str) -> list[str]:
    """Both from where they begin to differ."""
    at = next((i for i, (a, b) in enumerate(zip(all_rows, alone, strict=False)) if a != b), 0)
    return [text[max(0, at - 60) : at + 90] for text in (all_rows, alone)]


def differing(clients: Sequence[httpx.Client], statements: list[str]) -> list[str]:
    """The requests whose responses tell of hidden rows, with both responses."""
    everybody, north = (_responses(http, statements) for http in clients)
    pairs = zip(everybody, north, strict=True)
    return [
        f"{what}: {json.dumps(_around(all_rows, alone))}"
        for (what, all_rows), (_, alone) in pairs
        if all_rows != alone
    ]


@attack(GROUP, "facts beside the results: tables, estimates, plans, usage, limits", before="-",
        bar=0, unit="responses that tell of hidden rows", timeout_s=400)  # fmt: skip
def facts(targets: Targets) -> Outcome:
    """Rows, sizes, partitions, bounds and versions of hidden rows, over every layout of files."""
    layouts = list(LAYOUTS)[:1] if targets.quick else list(LAYOUTS)
    statements = STATEMENTS[:: len(STATEMENTS) // QUICK_STATEMENTS] if targets.quick else STATEMENTS
    found, tried = [], 0
    for layout in layouts:
        server = targets.fresh({"QUERYRUN_SOURCES__LIVE__ORG_COLUMN": "org"})
        for entity, condition in CONDITIONS.items():
            written(server.made.data_dir.parent / entity, condition, layout)
        clients = [new_org_client(targets, server, entity, ["north"]) for entity in CONDITIONS]
        found += [f"{layout}: {one}" for one in differing(clients, statements)]
        everyone = [new_org_client(targets, server, entity, []) for entity in CONDITIONS]
        assert differing(everyone, statements[:1]), "who sees all rows is shown them"
        tried += 10 + 5 * len(statements)
        targets.end_attack()
    return Outcome(len(found), tried, "\n".join(found))

"""What a client of orgs tries against the rows that are hidden from it, in both dialects.

Two entities of a server have the same tables: one with everybody's rows, one with those of the
client's org alone. A client that is restricted to the org is told the same by both.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import httpx2 as httpx

from queryrun.cli import clients
from queryrun.errors import InvalidRequest
from tests.attack.registry import Outcome, attack
from tests.attack.targets import Targets
from tests.e2e.conftest import Server
from tests.org_attacks import ATTACKS, NATIVE_ATTACKS, PLAIN, ROWS

GROUP = "orgs"
RUNS = "/v2/query_runs"
CONDITIONS = {"everybody": "true", "north": "org = 'north'"}
"""Which rows an entity holds."""
QUICK_STATEMENTS = 3
"""Of each list under pytest: `tests/unit/engines/test_org_barrier.py` asks all of an engine."""
UNITS = "statements that tell of hidden rows"


@cache
def _tables(condition: str) -> str:
    """Both tables as one script: the same rows for every kind of source."""
    return f"CREATE TABLE account AS FROM ({ROWS}) WHERE {condition}; CREATE TABLE plain AS {PLAIN}"


def _write(directory: Path, condition: str, *, is_database: bool) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    path = str(directory / "d.duckdb") if is_database else ":memory:"
    with duckdb.connect(path) as connection:
        connection.execute(_tables(condition))
        for name in () if is_database else ("account", "plain"):
            connection.execute(f"COPY {name} TO '{directory / name}.parquet'")


def _clients(targets: Targets, dialect: str, *, is_database: bool) -> list[httpx.Client]:
    """A client of the org in either entity, and one that no org restricts."""
    environ = {
        "QUERYRUN_SOURCES__LIVE__ORG_COLUMN": "org",
        "QUERYRUN_SOURCES__LIVE__DIALECT": dialect,
    }
    if is_database:
        environ["QUERYRUN_SOURCES__LIVE__DATA"] = "data/{entity}/d.duckdb"
    server = targets.fresh(environ)
    for entity, condition in CONDITIONS.items():
        _write(server.made.data_dir.parent / entity, condition, is_database=is_database)
    restricted = [new_org_client(targets, server, entity, ["north"]) for entity in CONDITIONS]
    return [*restricted, new_org_client(targets, server, "everybody", [])]


def new_org_client(targets: Targets, server: Server, entity: str, orgs: list[str]) -> httpx.Client:
    """A client of an entity that sees rows of these orgs; of all with none."""
    issued = clients.create(server.made.home, clients.NewClient([entity], orgs=orgs))
    return targets.client_of(server, issued)


def _response_to(http: httpx.Client, sql: str) -> Any:
    """The response to a statement: its rows, its failure, or the refusal."""
    body = {"sql": sql, "content_type": "csv"}
    response = http.post(
        f"{RUNS}?fields[]=state,error,number_of_rows,file", json=body, headers={"prefer": "wait=50"}
    )
    run = response.json()
    if response.status_code != 201:
        return response.status_code, run["errors"]
    rows = httpx.get(run["file"]["url"], timeout=60).text if run.get("file") else ""
    return run["state"], run.get("error"), run.get("number_of_rows"), rows


def _leaks(targets: Targets, statements: list[str], dialect: str, *, is_database: bool) -> Outcome:
    if targets.quick:
        statements = statements[:: max(1, len(statements) // QUICK_STATEMENTS)]
    everybody, north, unrestricted = _clients(targets, dialect, is_database=is_database)
    counted = [
        _response_to(http, "SELECT count(*) AS n FROM account") for http in (north, unrestricted)
    ]
    assert [rows[-1].split() for rows in counted] == [["n", "999"], ["n", "2997"]], counted
    leaking = [
        sql for sql in statements if _response_to(everybody, sql) != _response_to(north, sql)
    ]
    return Outcome(len(leaking), len(statements), "; ".join(leaking))


@attack(GROUP, "files, Trino's dialect", before="26 runs told values", bar=0, unit=UNITS,
        timeout_s=180)  # fmt: skip
def files(targets: Targets) -> Outcome:
    return _leaks(targets, ATTACKS, "trino", is_database=False)


@attack(GROUP, "a database file, Trino's dialect", before="as with files", bar=0, unit=UNITS,
        timeout_s=180)  # fmt: skip
def database(targets: Targets) -> Outcome:
    return _leaks(targets, ATTACKS, "trino", is_database=True)


@attack(GROUP, "files, DuckDB's dialect", before="histogram, stats and paths read them", bar=0,
        unit=UNITS, timeout_s=180)  # fmt: skip
def native_files(targets: Targets) -> Outcome:
    return _leaks(targets, NATIVE_ATTACKS + ATTACKS[:5], "native", is_database=False)


@attack(GROUP, "a database file, DuckDB's dialect", before="histogram and stats read them", bar=0,
        unit=UNITS, timeout_s=180)  # fmt: skip
def native_database(targets: Targets) -> Outcome:
    return _leaks(targets, NATIVE_ATTACKS + ATTACKS[:5], "native", is_database=True)


@attack(GROUP, "results of all rows, as an admin of orgs or from before", before="all", bar=0,
        unit="ways to them", timeout_s=180)  # fmt: skip
def results_of_others(targets: Targets) -> Outcome:
    """A client of orgs cannot be an admin, and one whose orgs are narrowed finds nothing of what
    it could read before."""
    server = targets.shared({"QUERYRUN_SOURCES__LIVE__ORG_COLUMN": "org"})
    home = server.made.home
    ways = [
        not _is_refused(home, clients.NewClient(["main"], [scope], ["north"]))
        for scope in ("admin", "tenant_admin", "admin:read", "admin:write", "admin:all")
    ]
    issued = clients.create(home, clients.NewClient(["main"]))
    http = targets.client_of(server, issued)
    body, wait = {"sql": "SELECT 1 AS id", "content_type": "csv"}, {"prefer": "wait=50"}
    run = http.post(RUNS, json=body, headers=wait).json()
    assert run["state"] == "complete", run
    admin = clients.create(home, clients.NewClient(["main"], ["admin:write"]))
    change = f"/admin/v1/clients/{issued.client.id}/change"
    by_admin = targets.client_of(server, admin).post(change, json={"org_ids": ["north"]})
    assert by_admin.status_code == 200, by_admin.text
    paths = [f"{RUNS}/{run['id']}{more}" for more in ("", "/rows", "/events")]
    paths += [f"/query/jobs/{run['id']}", RUNS, "/query/jobs"]
    ways += [str(run["file"]["id"]) in http.get(path).text for path in paths]
    return Outcome(sum(ways), len(ways))


def _is_refused(home: Path, new_client: clients.NewClient) -> bool:
    try:
        clients.create(home, new_client)
    except InvalidRequest:
        return True
    return False

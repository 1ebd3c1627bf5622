"""Statements by the thousand: a client of orgs against a database that holds only its rows.

`python -m tests.org_differential [COUNT] [SEED] [AFTER]` (`make org-differential`): answers,
failures and the engine's plans must be equal, in both dialects, on Parquet files and a `.duckdb`
file. Equal plans over equal tables use the same.
"""

from __future__ import annotations

import itertools
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from queryrun.engines.base import EngineLimits, RowFilter
from queryrun.engines.duckdb.session import DuckDBSession, open_session
from queryrun.errors import RunFailed
from tests.org_clauses import Clauses

BY_ORG = RowFilter(org_column="org", org_ids=("north",))
_TABLES = {
    "account": """SELECT i AS id, CASE WHEN i % 4 = 0 THEN 'north' ELSE 'south' END AS org,
      CASE WHEN i % 4 = 0 THEN 'n' || i ELSE 'secret' || i END AS note,
      CASE WHEN i % 4 = 0 THEN i % 7 + 1 ELSE 0 END AS k FROM range(400) t(i)""",
    "item": """SELECT i AS id, CASE WHEN i % 3 = 0 THEN 'north' ELSE 'east' END AS org,
      i % 50 AS account_id, CASE WHEN i % 3 = 0 THEN '1' ELSE 'no number' END AS note,
      CASE WHEN i % 3 = 0 THEN 2 ELSE 0 END AS k FROM range(300) t(i)""",
    "plain": "SELECT i AS id, i % 5 AS k, 'p' || i AS note FROM range(60) t(i)",
}
_RESTRICTED = ("account", "item")
_OF_CLAUSES = 0.7
"""Which part of the statements has other ways to rows than those here."""


class Generator:
    """Random statements; about a third of them fail on some row, their own or a hidden one."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - statements, no secrets

    def statements(self, count: int) -> Iterator[str]:
        """So many of them; the same for the same seed. Every second one is in DuckDB's own SQL."""
        for number in range(count):
            yield self._query(is_native=number % 2 == 1)

    def _query(self, *, is_native: bool) -> str:
        pick = self._random.choice
        if self._random.random() < _OF_CLAUSES:
            clauses = Clauses(self._random, self._number, self._condition)
            return clauses.native() if is_native else clauses.trino()
        shape = pick([self._plain, self._grouped, self._windowed, self._joined, self._nested])
        return shape()

    def _number(self, t: str) -> str:
        pick, n = self._random.choice, self._random.randint(0, 9)
        return pick(
            [
                f"{t}.id", f"{t}.k", f"{t}.id % {n + 1}", f"{n} / {t}.k", f"{t}.id / {t}.k",
                f"length({t}.note)", f"CAST({t}.note AS integer)", f"{t}.id * {t}.k - {n}",
                f"CASE WHEN {t}.k > {n} THEN {t}.id ELSE {n} END",
                f"coalesce(nullif({t}.k, 0), {n})",
                f"{n} % {t}.k",
            ]
        )  # fmt: skip

    def _condition(self, t: str, depth: int = 2) -> str:
        pick = self._random.choice
        if depth and self._random.random() < 0.4:
            joined = pick([" AND ", " OR "]).join(self._condition(t, depth - 1) for _ in range(2))
            return f"({joined})"
        return pick(
            [
                f"{self._number(t)} {pick(['<', '>=', '=', '<>'])} {self._number(t)}",
                f"{t}.note LIKE '{pick(['secret%', 'n%', '%1%'])}'",
                f"{t}.id IN (SELECT p.id FROM plain p WHERE {self._number('p')} < 3)",
                f"EXISTS (SELECT 1 FROM account x WHERE x.id = {self._number(t)})",
                f"{t}.id BETWEEN {self._random.randint(0, 9)} AND {self._random.randint(10, 90)}",
                f"{t}.note IS NOT NULL",
            ]
        )

    def _table(self) -> str:
        return self._random.choice(["account", "item", "plain"])

    def _plain(self) -> str:
        sql = f"SELECT t.id, {self._number('t')} AS v FROM {self._table()} t"
        return (
            f"{sql} WHERE {self._condition('t')} ORDER BY 1, 2 LIMIT {self._random.randint(1, 40)}"
        )

    def _grouped(self) -> str:
        aggregate = self._random.choice(["sum", "max", "min", "count", "avg"])
        return (
            f"SELECT t.k, {aggregate}({self._number('t')}) AS v FROM {self._table()} t "
            f"WHERE {self._condition('t')} GROUP BY t.k HAVING count(*) > 1 ORDER BY 1"
        )

    def _windowed(self) -> str:
        function = self._random.choice(["sum({})", "lag({})", "max({})"])
        value = function.format(self._number("t"))
        return (
            f"SELECT t.id, {value} OVER (PARTITION BY t.k ORDER BY t.id) AS v "
            f"FROM {self._table()} t ORDER BY t.id LIMIT 50"
        )

    def _joined(self) -> str:
        kind = self._random.choice(["JOIN", "LEFT JOIN", "FULL JOIN"])
        return (
            f"SELECT count(*), min(a.id), max(b.id) FROM {self._table()} a "
            f"{kind} {self._table()} b ON a.id = {self._number('b')} "
            f"WHERE {self._condition('a', 1)}"
        )

    def _nested(self) -> str:
        return (
            f"WITH c AS (SELECT * FROM {self._table()}) SELECT count(*), "
            f"(SELECT max({self._number('s')}) FROM {self._table()} s) AS m "
            f"FROM c WHERE {self._condition('c')}"
        )


@dataclass(slots=True)
class Pair:
    """The same source with everybody's rows and with one org's, given the same statements."""

    options: list[dict[str, str]]
    directory: Path
    sessions: list[DuckDBSession] = field(default_factory=list)

    def differs(self, statement: str) -> str:
        """What is not equal; empty when all is."""
        if not self.sessions:
            self.sessions = [self._opened(one) for one in self.options]
        everything, own = (_outcome(session, statement) for session in self.sessions)
        renewed = [session.renew() for session in self.sessions]
        if not all(renewed):
            self.close()
        return "" if everything == own else f"{statement}\n  {everything}\n  {own}"

    def close(self) -> None:
        """Close what is open."""
        while self.sessions:
            self.sessions.pop().close()

    def _opened(self, options: dict[str, str]) -> DuckDBSession:
        spill = tempfile.mkdtemp(dir=self.directory)
        limits = EngineLimits(256 * 1024**2, 1, spill, 64 * 1024**2)
        return open_session(options, limits)


def pairs(directory: Path) -> list[Pair]:
    """Parquet files and a `.duckdb` file, in both dialects: DuckDB's own is every second one's."""
    made = [
        [_made(directory / f"{kind}-{side}", kind, side) for side in ("all", "own")]
        for kind in ("files", "database")
    ]
    return [
        Pair([{**side, "dialect": dialect} for side in sides], directory)
        for sides in made
        for dialect in ("trino", "native")
    ]


def differences(
    count: int,
    seed: int,
    progress: Callable[[int, str], object] = lambda _n, _found: None,
    after: int = 0,
) -> list[str]:
    """Ask so many statements of every pair in turn, without the first `after`. `progress` gets how
    many were run, and what was different about the last one."""
    found: list[str] = []
    with tempfile.TemporaryDirectory() as directory:
        requests = pairs(Path(directory))
        statements = enumerate(Generator(seed).statements(count))
        for n, sql in itertools.islice(statements, after, None):
            found.append(requests[n % len(requests)].differs(sql))
            progress(n + 1, found[-1])
        for pair in requests:
            pair.close()
    return [difference for difference in found if difference]


def _made(path: Path, kind: str, side: str) -> dict[str, str]:
    path.mkdir()
    database = path / "d.duckdb"
    with duckdb.connect(str(database) if kind == "database" else ":memory:") as connection:
        for name, rows in _TABLES.items():
            is_own = side == "own" and name in _RESTRICTED
            condition = "org = 'north'" if is_own else "true"
            connection.execute(f"CREATE TABLE {name} AS FROM ({rows}) WHERE {condition}")
            if kind == "files":
                connection.execute(f"COPY {name} TO '{path / name}.parquet'")
    return {"database": str(database)} if kind == "database" else {"data_dir": str(path)}


def _outcome(session: DuckDBSession, statement: str) -> str:
    """The plan with its estimates, which decides what is used, and the rows, or how it fails."""
    try:
        planned = session.plan(statement, BY_ORG)
        plan = planned.connection.execute(
            f"EXPLAIN SELECT * FROM (\n{planned.relation})"
        ).fetchall()
        rows = planned.connection.execute(f"SELECT * FROM (\n{planned.relation})").fetchall()
    except RunFailed as failed:
        return repr(failed.failure)
    except duckdb.Error as error:
        return repr(getattr(session.failure_of(error), "failure", error))
    return f"{rows!r}\n{plan[0][1]}"


def main() -> None:
    """Print every difference as it is found, and how many there were. 10,000 statements are run
    twice each, behind barriers of their own: about a quarter of an hour of one core. What broke off
    goes on AFTER the number that it printed last."""

    def progress(done: int, difference: str) -> None:
        if difference:
            print(difference, flush=True)
        if done % 500 == 0:
            print(f"{done:,} of {count:,}", file=sys.stderr, flush=True)

    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    after = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    found = differences(count, seed, progress, after)
    print(f"{count - after:,} statements, {len(found)} different")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()

"""Pairs of writes of two nodes on PostgreSQL, interleaved: the outcome is that of some order.

A sample; `make interleavings` plays all of them.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.integration.db.interleaved import CASES, Case, Stage
from tests.postgres_server import PostgresServer, new_open_database, running

SAMPLE = random.Random(7).sample(CASES, 10)  # noqa: S311 - a sample
RACES = (
    Case("running", "complete", "cancel"),
    Case("running", "cancel", "complete"),
    Case("running", "claim within a limit", "claim"),
    Case("running, expired", "extend", "take over"),
    Case("running, expired", "take over", "take over"),
    Case("waiting", "claim", "cancel"),
    Case("waiting", "accept with a key", "accept with a key"),
)


@contextmanager
def stage_on(server: PostgresServer) -> Iterator[Stage]:
    with new_open_database(server) as (_, _, url), closing(Stage(url)) as stage:
        yield stage


def test_interleaved_writes_come_out_as_one_after_the_other(
    postgres_server: PostgresServer,
) -> None:
    with stage_on(postgres_server) as stage:
        broken = [one for case in (*RACES, *SAMPLE) for one in stage.violations(case)]
    assert broken == []


def test_a_write_without_a_fence_is_found(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The judge itself: a completion that looks at the run beside the row that it changes does not
    see the cancel that it waited for, and overwrites it."""
    with stage_on(postgres_server) as stage:
        for node in stage.nodes:
            unfenced = (
                node.sql["complete"]
                .replace("CASE r.state WHEN 'in_progress' THEN 'complete' END", "'complete'")
                .replace(
                    "AND (r.state || '') IN ('in_progress') AND",
                    "AND EXISTS (SELECT FROM runs s WHERE s.id = r.id AND s.state = 'in_progress')"
                    " AND",
                )
            )
            assert "EXISTS" in unfenced
            assert "THEN 'complete'" not in unfenced
            monkeypatch.setattr(node.store, "_sql", {**node.sql, "complete": unfenced})
        assert stage.violations(Case("running", "cancel", "complete"))


def main() -> int:
    """Play all."""
    broken = 0
    with running() as server, stage_on(server) as stage:
        for number, case in enumerate(CASES):
            for one in stage.violations(case):
                broken += 1
                print(one, flush=True)
            if number % 200 == 199:
                print(f"{number + 1} pairs", file=sys.stderr, flush=True)
    print(f"{len(CASES)} pairs, {broken} violations")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

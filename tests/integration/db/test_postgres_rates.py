"""Rates that several nodes count together: nothing is given out twice, little is held back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from queryrun.db.postgres.database import PostgresDatabase
from queryrun.db.postgres.rates import PostgresRates, RateWindow, portion_of
from tests.postgres_server import DatabaseClock, PostgresServer, new_open_database

pytestmark = pytest.mark.anyio

FEW = (RateWindow(3, 60),)
TWO = (RateWindow(2, 60), RateWindow(3, 3600))
MANY = (RateWindow(50_000, 60), RateWindow(2_000_000, 3600))


class Nodes:
    """Nodes that count in one database, whose clocks go with its clock."""

    def __init__(self, database: PostgresDatabase, clock: DatabaseClock) -> None:
        self.clock = clock
        self.database = database
        self.all = [PostgresRates(database.connections, self._now) for _ in range(3)]

    def _now(self) -> float:
        return self.clock.time.timestamp()


@pytest.fixture
def nodes(postgres_server: PostgresServer) -> Iterator[Nodes]:
    with new_open_database(postgres_server) as (database, clock, _):
        yield Nodes(database, clock)


async def granted(rates: PostgresRates, windows: tuple[RateWindow, ...], times: int) -> int:
    return sum([(await rates.take("k", windows)).granted for _ in range(times)])


async def test_nodes_share_a_small_quota_exactly(nodes: Nodes) -> None:
    shares = await asyncio.gather(*(granted(rates, FEW, 4) for rates in nodes.all))
    assert sum(shares) == 3


async def test_a_refusal_says_when_to_retry(nodes: Nodes) -> None:
    rates = nodes.all[0]
    await granted(rates, FEW, 3)
    refused = await rates.take("k", FEW)
    assert not refused.granted
    assert refused.retry_after_s == pytest.approx(20)
    nodes.clock.move(19.9)
    assert not (await rates.take("k", FEW)).granted
    nodes.clock.move(0.2)
    assert (await rates.take("k", FEW)).granted
    assert not (await rates.take("k", FEW)).granted


async def test_the_remaining_quota_and_its_reset_are_reported(nodes: Nodes) -> None:
    taken = await nodes.all[0].take("k", FEW)
    [state] = taken.windows
    assert (round(state.left, 6), round(state.whole_in_s, 6)) == (2, 20)
    await nodes.all[1].take("k", FEW)
    [state] = (await nodes.all[0].take("k", FEW)).windows
    assert (round(state.left, 6), round(state.whole_in_s, 6)) == (0, 60)


async def test_every_window_counts(nodes: Nodes) -> None:
    rates = nodes.all[0]
    assert await granted(rates, TWO, 5) == 2
    nodes.clock.move(60)
    assert await granted(rates, TWO, 5) == 1, "the hour allows one more"
    nodes.clock.move(1200)
    assert await granted(rates, TWO, 5) == 1


async def test_keys_have_their_own_quotas(nodes: Nodes) -> None:
    await granted(nodes.all[0], FEW, 3)
    assert (await nodes.all[0].take("other", FEW)).granted


async def test_a_large_quota_is_taken_in_portions(nodes: Nodes) -> None:
    """A thousandth at once: one statement for fifty requests."""
    assert (portion_of(FEW), portion_of(MANY)) == (1, 50)
    rates = nodes.all[0]
    assert await granted(rates, MANY, 50) == 50
    [(full_at,)] = await nodes.database.connections.read(
        lambda db: db.execute("SELECT full_at[1] FROM rate_buckets").fetchall()
    )
    assert full_at - nodes.clock.time.timestamp() * 1000 == pytest.approx(50 * 60_000 / 50_000)


async def test_nodes_together_never_exceed_a_large_quota(nodes: Nodes) -> None:
    small = (RateWindow(2_500, 60),)
    shares = await asyncio.gather(*(granted(rates, small, 1_000) for rates in nodes.all))
    assert sum(shares) == 2_500


async def test_buckets_that_are_full_again_are_removed(nodes: Nodes) -> None:
    await nodes.all[0].take("k", FEW)
    assert await nodes.all[0].forget_full() == 0
    nodes.clock.move(20)
    assert await nodes.all[0].forget_full() == 1


async def test_a_changed_set_of_windows_resets_only_where_necessary(nodes: Nodes) -> None:
    """The operator chose another preset while rows of the old one were there."""
    await nodes.all[0].take("k", TWO)
    await nodes.all[1].take("k", FEW)
    assert (await nodes.all[2].take("k", MANY)).granted

"""What an entity and a client may keep and write, and what a caller is told when it is full."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import pytest

from queryrun.errors import FailureCode, QuotaFull
from queryrun.results.formats import ContentType
from queryrun.runs.model import Output, RunRequest
from queryrun.runs.quotas import Quota, Quotas
from queryrun.runs.store import RunStore, Usage

pytestmark = pytest.mark.anyio

NONE, NOTHING = Quota(), Usage()
REQUEST = RunRequest("t", "e", "c", "live", "SELECT 1", Output(ContentType.CSV))


@dataclass
class Used:
    """A store that knows usage alone: of the entity, and of its client."""

    entity: Usage
    client: Usage
    reads: int = 0

    async def usage(self, *_key: str) -> tuple[Usage, Usage]:
        self.reads += 1
        return self.entity, self.client


def quotas(used: Used, entity: Quota, client: Quota = NONE) -> Quotas:
    return Quotas(cast("RunStore", used), entity, client)


async def test_without_limits_nothing_is_read() -> None:
    used = Used(Usage(10**12, 10**12, 10**12), NOTHING)
    none = quotas(used, NONE)
    await none.check_statement(REQUEST)
    assert (await none.result_room(REQUEST)).holds(10**15)
    assert used.reads == 0


async def test_a_statement_that_would_not_fit_is_refused_with_who_and_how_much() -> None:
    with pytest.raises(
        QuotaFull, match="your entity keeps 95 bytes of statements, and may keep 100"
    ):
        await quotas(Used(Usage(95), NOTHING), Quota(statements=100)).check_statement(REQUEST)
    own = quotas(Used(NOTHING, Usage(99)), NONE, Quota(statements=100))
    with pytest.raises(QuotaFull, match="your client keeps 99"):
        await own.check_statement(REQUEST)
    await quotas(Used(Usage(92), NOTHING), Quota(statements=100)).check_statement(REQUEST)


async def test_statements_count_in_bytes_and_those_just_accepted_count_too() -> None:
    used = Used(NOTHING, NOTHING)
    some = quotas(used, Quota(statements=20))
    accepted = replace(REQUEST, sql="'ä'" * 2)  # 8 bytes, 6 characters
    await some.check_statement(accepted)
    await some.check_statement(accepted)
    with pytest.raises(QuotaFull, match="keeps 16 bytes"):
        await some.check_statement(accepted)
    assert used.reads == 1


@pytest.mark.parametrize(
    ("entity", "client", "room", "word"),
    [
        (Quota(results=100), NONE, 60, "your entity keeps 40"),
        (Quota(written=100), NONE, 30, "your entity has written 70"),
        (Quota(results=100, written=100), NONE, 30, "has written 70"),
        (Quota(results=100), Quota(results=50), 45, "your client keeps 5"),
        (Quota(results=100), Quota(written=20), 10, "your client has written 10"),
    ],
)
async def test_a_result_has_the_smallest_room_that_is_left(
    entity: Quota, client: Quota, room: int, word: str
) -> None:
    used = Used(Usage(0, 40, 70), Usage(0, 5, 10))
    found = await quotas(used, entity, client).result_room(REQUEST)
    assert (found.size_bytes, found.is_full) == (room, False)
    assert found.holds(room)
    assert not found.holds(room + 1)
    failure = found.failure()
    assert failure.code is FailureCode.QUOTA_EXCEEDED
    assert word in failure.message


@pytest.mark.parametrize("kept", [100, 130])
async def test_nothing_fits_into_a_full_quota(kept: int) -> None:
    found = await quotas(Used(Usage(0, kept), NOTHING), Quota(results=100)).result_room(REQUEST)
    assert found.is_full
    assert not found.holds(1)

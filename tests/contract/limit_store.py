"""What every LimitStore must do."""

from __future__ import annotations

import asyncio
import random

import pytest

from queryrun.runs.limits import LIMITS, Level, LimitStore, LimitValue


class LimitStoreContract:
    """Inherited by the tests of every implementation, which bring `limits`."""

    pytestmark = pytest.mark.anyio

    async def test_the_limits_of_a_subject_are_those_that_were_set_last(
        self, limits: LimitStore
    ) -> None:
        drawn = random.Random(20)  # noqa: S311 - a walk, the same each time
        known: dict[tuple[Level, str, str], int] = {}
        subjects = [(level, name) for level in Level for name in ("a", "b", "*")]
        for _ in range(150):
            level, subject = drawn.choice(subjects)
            name = drawn.choice(list(LIMITS))
            value = drawn.choice([None, 0, 1, 2**53 - 1])
            await limits.set_limit(level, subject, name, value)
            known.pop((level, subject, name), None)
            if value is not None:
                known[level, subject, name] = value
            some = drawn.sample(subjects, 4)
            found = {(x.level, x.subject, x.name): x.value for x in await limits.limits_of(some)}
            assert found == {key: n for key, n in known.items() if key[:2] in some}
        everything = [(x.level, x.subject, x.name, x.value) for x in await limits.limits()]
        assert {row[:3]: row[3] for row in everything} == known
        assert {x.level for x in await limits.limits(Level.CLIENT)} == {Level.CLIENT}
        rows = {(x.level, x.subject) for x in await limits.limits(name="running")}
        assert rows == {key[:2] for key in known if key[2] == "running"}

    async def test_submits_are_counted_until_one_of_the_limits_is_used_up(
        self, limits: LimitStore
    ) -> None:
        wide = LimitValue(Level.TENANT, "t", "submits_per_minute", 5)
        small = LimitValue(Level.CLIENT, "c", "submits_per_minute", 2)

        async def used(*counted: LimitValue, is_counted: bool = True) -> list[int]:
            found = await limits.count_submit(counted, is_counted=is_counted)
            assert all(0 <= one.again_s <= 62 for one in found)
            return [one.used for one in found]

        assert await used(wide, small, is_counted=False) == [0, 0]
        assert [await used(wide, small) for _ in range(4)] == [[0, 0], [1, 1], [2, 2], [2, 2]]
        assert [await used(wide) for _ in range(5)] == [[2], [3], [4], [5], [5]]

    async def test_submits_at_the_same_time_are_each_counted(self, limits: LimitStore) -> None:
        limit = LimitValue(Level.ENTITY, "e", "submits_per_minute", 7)
        both = [limit, LimitValue(Level.SOURCE, "s", "submits_per_minute", 100)]
        found = await asyncio.gather(
            *(limits.count_submit(both[:: 1 - 2 * (n % 2)], is_counted=True) for n in range(12))
        )
        counted = [one for pair in found for one in pair[:1]]
        assert len(counted) == 12
        [entity, source] = await limits.count_submit(both, is_counted=False)
        assert (entity.used, source.used) == (7, 7)

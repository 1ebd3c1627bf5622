"""What every LimitStore must do."""

from __future__ import annotations

import random

import pytest

from queryrun.runs.limits import LIMITS, Level, LimitStore


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

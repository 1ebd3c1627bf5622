"""Ids of requests and runs."""

from __future__ import annotations

from uuid import UUID

from queryrun.http.ids import new_id


def test_ids_are_random_uuids_and_none_comes_twice() -> None:
    ids = [new_id() for _ in range(2000)]
    assert len(set(ids)) == 2000
    for one in ids:
        assert (str(UUID(one)), UUID(one).version) == (one, 4)

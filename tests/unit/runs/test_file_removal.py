"""A store of files that hangs or fails delays no outcome: the removal goes on record."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from queryrun.errors import FailureCode, RunFailed, Unavailable
from queryrun.runs.file_removal import FileRemoval
from queryrun.runs.leader import AlwaysLeader

pytestmark = pytest.mark.anyio


class Records:
    """The record of removals in the database."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.is_away = False

    async def record_removals(self, keys: Sequence[str]) -> None:
        if self.is_away:
            raise Unavailable("away")
        self.keys = [key for key in self.keys if key not in keys] + list(keys)

    async def recorded_removals(self, *, limit: int) -> list[str]:
        return self.keys[:limit]

    async def forget_removals(self, keys: Sequence[str]) -> None:
        self.keys = [key for key in self.keys if key not in keys]


class Files:
    """A store of files that hangs until it may go on, and fails for some keys."""

    def __init__(self, failing: frozenset[str] = frozenset(), *, hangs: bool = False) -> None:
        self.failing = failing
        self.removed: list[str] = []
        self.may_go_on = threading.Event()
        if not hangs:
            self.may_go_on.set()

    def discard(self, key: str) -> None:
        self.may_go_on.wait(30)
        if key in self.failing:
            raise RunFailed.of(FailureCode.STORAGE_FAILED, "The store refused (AccessDenied)")
        self.removed.append(key)


def removal(records: Records, files: Files) -> FileRemoval:
    store: Any = records
    results: Any = files
    return FileRemoval(store, results, AlwaysLeader())


async def test_a_file_is_removed_at_once_while_its_store_responds() -> None:
    records, files = Records(), Files()
    await removal(records, files).discard("a.csv", timeout_s=30)
    assert (files.removed, records.keys) == (["a.csv"], [])


async def test_a_hanging_store_delays_no_outcome_and_the_file_is_on_record() -> None:
    records, files = Records(), Files(hangs=True)
    one = removal(records, files)
    await one.discard("a.csv", timeout_s=0)
    assert (files.removed, records.keys) == ([], ["a.csv"])
    files.may_go_on.set()
    assert await one.round() == 1
    assert records.keys == []
    assert "a.csv" in files.removed


async def test_a_file_that_cannot_be_removed_stays_on_record_behind_the_others() -> None:
    records, files = Records(), Files(failing=frozenset({"a.csv"}))
    one = removal(records, files)
    await one.discard("a.csv", timeout_s=30)
    await records.record_removals(["b.csv"])
    assert await one.round() == 1
    assert (files.removed, records.keys) == (["b.csv"], ["a.csv"])


async def test_more_removals_than_may_wait_go_on_record() -> None:
    records, files = Records(), Files(hangs=True)
    one = removal(records, files)
    keys = [f"{n}.csv" for n in range(200)]
    for key in keys:
        await one.discard(key, timeout_s=0)
    files.may_go_on.set()
    assert records.keys == keys
    await one.close()


async def test_without_the_database_the_file_is_left_to_the_sweeper() -> None:
    records, files = Records(), Files(failing=frozenset({"a.csv"}))
    records.is_away = True
    await removal(records, files).discard("a.csv", timeout_s=30)
    assert records.keys == []

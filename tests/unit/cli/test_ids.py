"""A run is named by its id, the beginning of one, or @last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from queryrun_cli.errors import CommandError
from queryrun_cli.ids import run_id_of
from queryrun_client import Client, RunQuery

IDS = [
    "aaaa1111-0000-0000-0000-000000000000",
    "aaaa2222-0000-0000-0000-000000000000",
    "bbbb0000-0000-0000-0000-000000000000",
]


@dataclass
class Listed:
    """A run of a listing."""

    id: str


class Newest:
    """A client with these runs, newest first."""

    def __init__(self, ids: list[str]) -> None:
        self._ids = ids

    def runs(self, query: RunQuery) -> list[Listed]:
        return [Listed(one) for one in self._ids[: query.limit]]


def found(text: str, ids: list[str] = IDS) -> str:
    return run_id_of(cast("Client", Newest(ids)), text)


@pytest.mark.parametrize(
    ("text", "run_id"),
    [("@last", IDS[0]), ("bbbb", IDS[2]), ("aaaa2", IDS[1]), (IDS[2], IDS[2]), ("cccc", "cccc")],
)
def test_one_run_is_meant(text: str, run_id: str) -> None:
    assert found(text) == run_id


def test_a_beginning_of_several_is_refused() -> None:
    with pytest.raises(CommandError, match="begins the ids of 2 runs"):
        found("aaaa")


def test_a_short_text_is_never_guessed_at() -> None:
    assert found("b") == "b"


def test_without_runs_there_is_no_last_one() -> None:
    with pytest.raises(CommandError, match="no run yet"):
        found("@last", [])

"""A server that cannot start costs its tests one wait, not one each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import server_start
from tests.server_start import started

attempts: list[str] = []


@pytest.fixture(autouse=True)
def no_failures_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory of this test's own."""
    attempts.clear()
    monkeypatch.setattr(server_start, "_failures", {})


@contextmanager
def broken() -> Iterator[str]:
    """A server that cannot start."""
    attempts.append("started")
    if attempts:
        raise TimeoutError("no port")
    yield ""


@contextmanager
def healthy() -> Iterator[str]:
    """A server that starts."""
    attempts.append("started")
    yield "http://127.0.0.1:1"


def test_a_server_that_could_not_start_is_not_started_again(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError), started("trino", broken()):
        pass
    with pytest.raises(pytest.fail.Exception, match="no port"), started("trino", broken()):
        pass
    assert attempts == ["started"]


def test_other_processes_learn_of_the_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = tmp_path / "failed"
    with pytest.raises(TimeoutError), started("trino", broken(), failure):
        pass
    monkeypatch.setattr(server_start, "_failures", {})
    with (
        pytest.raises(pytest.fail.Exception, match="no port"),
        started("trino", broken(), failure),
    ):
        pass
    assert attempts == ["started"]


def test_a_server_that_starts_is_started_each_time_and_others_are_not_concerned() -> None:
    with pytest.raises(TimeoutError), started("spark", broken()):
        pass
    for _ in range(2):
        with started("trino", healthy()) as url:
            assert url == "http://127.0.0.1:1"
    assert len(attempts) == 3


def test_a_failure_of_a_test_is_no_failure_of_the_start() -> None:
    with pytest.raises(ValueError, match="the test's"), started("trino", healthy()):
        raise ValueError("the test's")
    with started("trino", healthy()) as url:
        assert url

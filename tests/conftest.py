"""What every test shares: one event loop library, and time that only a test moves."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings

# Timings live in benchmarks/: a loaded machine must not fail a property. CI tries the same
# examples every time.
settings.register_profile(
    "queryrun",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
# For `make check` and `make test-fast`, which name it with `--hypothesis-profile`.
settings.register_profile("quick", settings.get_profile("queryrun"), max_examples=25)
settings.load_profile("queryrun")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts its background jobs with SIGINT ignored, and every child inherits that: a
    # command under test would not receive the Ctrl-C that its test sends.
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Clock:
    """A clock that tests move by hand. Calling it gives the time as aware UTC."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    """Time that stands still until a test moves it."""
    return Clock()


@pytest.fixture
def anyio_backend() -> str:
    """The server runs on asyncio; so do the tests."""
    return "asyncio"


MAX_NAMED = 200
"""Characters of a parameter that a test is called by."""


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Long texts are called by their length: a test's name is in the environment of every process
    it starts, and a kernel takes no variable of more than 128 KiB. So are archives and the like,
    which have a NUL: the time in them is that of each worker, and workers compare tests by name.
    """
    if not isinstance(val, str | bytes):
        return None
    is_binary = isinstance(val, bytes) and b"\0" in val
    return f"{argname} of {len(val)}" if is_binary or len(val) > MAX_NAMED else None


ENGINE_SERVERS = ("trino_server", "spark_server")


@pytest.hookimpl(tryfirst=True)  # before `-m` selects and xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on servers that take a while to start are marked `jvm`, get the time for it, and one
    worker does all of a server's: two cores are enough for one statement on it at a time."""
    for item in items:
        for engine in set(ENGINE_SERVERS) & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.jvm)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(300))
            if item.get_closest_marker("xdist_group") is None:
                item.add_marker(pytest.mark.xdist_group(engine))

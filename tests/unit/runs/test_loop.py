"""Background loops survive errors, and end when they are closed."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from queryrun.errors import Unavailable
from queryrun.runs.loop import BackgroundLoops, survive

pytestmark = pytest.mark.anyio


async def raises(error: BaseException) -> None:
    """One round that fails."""
    raise error


@pytest.mark.parametrize(
    ("error", "level", "event"),
    [
        (Unavailable("away"), "warning", "store_unavailable_retrying"),
        (ValueError("unexpected"), "error", "claim_error"),
    ],
)
async def test_an_error_in_one_iteration_is_logged_and_does_not_end_the_loop(
    error: Exception, level: str, event: str
) -> None:
    with capture_logs() as logs:
        await survive(lambda: raises(error), operation="claim", error_event="claim_error")
    assert [(entry["log_level"], entry["event"]) for entry in logs] == [(level, event)]


async def test_a_cancellation_is_not_caught() -> None:
    with pytest.raises(asyncio.CancelledError):
        await survive(
            lambda: raises(asyncio.CancelledError()), operation="claim", error_event="claim_error"
        )


async def test_close_ends_every_loop_and_may_be_repeated() -> None:
    closed: list[str] = []

    async def loop(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            closed.append(name)

    loops = BackgroundLoops()
    loops.start("one", loop("one"))
    loops.start("two", loop("two"))
    await asyncio.sleep(0)
    await loops.close()
    await loops.close()
    assert sorted(closed) == ["one", "two"]

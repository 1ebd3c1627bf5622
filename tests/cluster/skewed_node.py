"""`queryrun serve` with a clock that is wrong by `QUERYRUN_TEST_SKEW_S` seconds.

The whole process reads the wrong time, as after a wrong `date -s`; the monotonic clock is right.
"""

from __future__ import annotations

import datetime as datetimes
import os
import time
from typing import Any

SKEW_S = float(os.environ.pop("NODE_SKEW_S"))


def skew_clock(skew_s: float) -> None:
    """Shift `time.time`, `time.time_ns` and `datetime.now`, before anything imports them."""
    right_s, right_ns, right = time.time, time.time_ns, datetimes.datetime

    class SkewedDatetime(right):  # type: ignore[misc,valid-type]
        """`datetime` on the wrong clock."""

        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return right.now(tz) + datetimes.timedelta(seconds=skew_s)

    time.time = lambda: right_s() + skew_s
    time.time_ns = lambda: right_ns() + round(skew_s * 1e9)
    datetimes.datetime = SkewedDatetime  # type: ignore[misc]


if __name__ == "__main__":
    skew_clock(SKEW_S)
    from queryrun_cli.main import main

    main()

"""`queryrun` whose event loop hangs when it drains, and never comes back."""

from __future__ import annotations

import threading

from queryrun.runs.dispatch import Dispatcher
from queryrun_cli.main import main


async def _hang(_dispatcher: Dispatcher, _timeout_s: float) -> None:
    threading.Event().wait()


if __name__ == "__main__":
    setattr(Dispatcher, "drain", _hang)  # noqa: B010 - the type is another one on purpose
    main()

"""A server whose workers were taken over: `python -m tests.attack.hostile_server serve …`."""

from __future__ import annotations

from typing import cast

from queryrun.wiring.child_roles import CHILD_ROLES
from queryrun.worker import pool
from queryrun_cli.entry import main

if __name__ == "__main__":
    roles = cast("dict[str, str]", CHILD_ROLES)
    roles[pool.ROLE] = "tests.attack.hostile_worker:main"
    main()

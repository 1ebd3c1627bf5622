"""`queryrun` whose child processes have the same preloaded library as it has itself."""

from __future__ import annotations

import os

from queryrun.processes import fork_client
from queryrun_cli.main import main
from tests.faults.campaign.shim import VARIABLES

if __name__ == "__main__":
    passed = (*fork_client._PASSED_ENVIRONMENT, *VARIABLES)
    setattr(fork_client, "_PASSED_ENVIRONMENT", passed)  # noqa: B010 - a constant, on purpose
    os.setsid()  # a job that stands still is sent SIGHUP when its shell's group loses its leader
    main()

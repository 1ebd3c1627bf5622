"""What each kind of child process runs: the table that the fork server gets from a node."""

from __future__ import annotations

from queryrun.processes.fork_client import Roles
from queryrun.services.catalog import client as catalog
from queryrun.services.copies import client as copies
from queryrun.services.estimate import client as estimate
from queryrun.services.guard import client as guard
from queryrun.services.preview import client as preview
from queryrun.services.remote_stop import client as remote_stop
from queryrun.worker import pool

CHILD_ROLES: Roles = {
    pool.ROLE: "queryrun.worker.entry:main",
    pool.RELAY_ROLE: "queryrun.worker.relay:main",
    guard.ROLE: "queryrun.services.guard.process:main",
    catalog.ROLE: "queryrun.services.catalog.entry:main",
    estimate.ROLE: "queryrun.services.estimate.process:main",
    copies.ROLE: "queryrun.services.copies.process:main",
    preview.ROLE: "queryrun.services.preview.process:main",
    remote_stop.ROLE: "queryrun.services.remote_stop.entry:main",
}
"""By role; tests replace single entries."""

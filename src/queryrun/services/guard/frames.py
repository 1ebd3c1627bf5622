"""The protocol between a node and a guard process."""

from __future__ import annotations

from queryrun.processes.frames import Frame
from queryrun.sql.guard import Verdict


class CheckRequest(Frame, frozen=True, tag="check"):
    """Node to guard: may this statement run?"""

    statement: str
    dialect: str = "duckdb"


class CheckResponse(Frame, frozen=True, tag="verdict"):
    """Guard to node."""

    verdict: Verdict

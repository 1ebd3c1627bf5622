"""The protocol between a node and a guard process."""

from __future__ import annotations

from queryrun.processes.frames import Frame
from queryrun.sql.guard.validation import TableColumns, Validation
from queryrun.sql.guard.verdict import Verdict
from queryrun.sql.parameters import Parameter


class CheckRequest(Frame, frozen=True, tag="check"):
    """Node to guard: may this statement run?"""

    statement: str
    dialect: str = "duckdb"
    parameters: tuple[Parameter, ...] = ()


class ValidateRequest(Frame, frozen=True, tag="validate"):
    """Node to guard: does this statement in Trino's SQL compile? Without tables: does it parse?"""

    statement: str
    tables: tuple[TableColumns, ...] | None = None
    parameters: tuple[Parameter, ...] = ()


class ValidateResponse(Frame, frozen=True, tag="validation"):
    """Guard to node."""

    validation: Validation


class CheckResponse(Frame, frozen=True, tag="verdict"):
    """Guard to node."""

    verdict: Verdict

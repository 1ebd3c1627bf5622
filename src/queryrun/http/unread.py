"""What a client without the scope `read` sees of a run that it submits or cancels: the run as it
was accepted, and its state. No file, no number of rows, and no error: it may quote a value."""

from __future__ import annotations

from dataclasses import replace

from queryrun.auth.model import Principal, Scope
from queryrun.runs.model import Run

HIDDEN_FIELDS = frozenset({"progress", "attempts", "usage", "file", "number_of_rows", "error"})


def permitted(principal: Principal, run: Run) -> Run:
    """The run with what this client may see of it."""
    if principal.may(Scope.READ):
        return run
    return replace(run, file=None, failure=None, processing_ms=None)


def permitted_fields(principal: Principal, fields: frozenset[str] | None) -> frozenset[str] | None:
    """The fields of those named that this client may see; None is the contract's."""
    if fields is None or principal.may(Scope.READ):
        return fields
    return frozenset(name for name in fields if name.partition(".")[0] not in HIDDEN_FIELDS)

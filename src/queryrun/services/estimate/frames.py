"""The protocol between a node and an estimate process."""

from __future__ import annotations

from queryrun.engines.base import RowFilter
from queryrun.engines.estimates import StatementEstimate
from queryrun.engines.source_spec import SourceSpec
from queryrun.processes.frames import Frame
from queryrun.sql.parameters import Parameter


class EstimateRequest(Frame, frozen=True, tag="estimate"):
    """Node to process: plan this statement. A process is sent one `source` alone."""

    source: SourceSpec
    work_dir: str
    time_zone: str
    sql: str
    row_filter: RowFilter
    parameters: tuple[Parameter, ...] = ()


class EstimateResponse(Frame, frozen=True, tag="estimated"):
    """Process to node: the estimate, or why the statement fails; `code` is a `FailureCode`."""

    estimate: StatementEstimate | None = None
    code: str = ""
    message: str = ""
    line: int | None = None
    column: int | None = None

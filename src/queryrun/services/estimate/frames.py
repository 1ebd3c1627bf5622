"""The protocol between a node and an estimate process."""

from __future__ import annotations

from queryrun.engines.base import RowFilter
from queryrun.engines.estimates import StatementEstimate
from queryrun.engines.source_spec import SourceSpec
from queryrun.processes.frames import Frame
from queryrun.sql.parameters import Parameter
from queryrun.tables.text.requests import CopiesMade, CopiesRequest


class EstimateRequest(Frame, frozen=True, tag="estimate"):
    """Node to process: plan this statement. A process is sent one `source` alone."""

    source: SourceSpec
    work_dir: str
    time_zone: str
    sql: str
    row_filter: RowFilter
    parameters: tuple[Parameter, ...] = ()


class Copied(Frame, frozen=True, tag="copied"):
    """Node to process: the response to a request for copies."""

    made: CopiesMade


ToEstimate = EstimateRequest | Copied


class EstimateResponse(Frame, frozen=True, tag="estimated"):
    """Process to node: the estimate, or why the statement fails; `code` is a `FailureCode`.

    With `copies` neither: text files are to be converted before it goes on, and the process, which
    sees statements, may not write where copies are kept.
    """

    estimate: StatementEstimate | None = None
    copies: CopiesRequest | None = None
    code: str = ""
    message: str = ""
    line: int | None = None
    column: int | None = None

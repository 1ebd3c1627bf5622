"""The limits and options of one source, as `runs/` applies them."""

from __future__ import annotations

from dataclasses import dataclass, field

from queryrun.runs.model import DEFAULT_MAX_RETRIES
from queryrun.runs.store import QueueLimits


@dataclass(frozen=True, slots=True)
class SourcePolicy:
    """Limits that a source sets on runs (contract F7). 0 means no limit, unless noted otherwise."""

    running_per_tenant: int = 5
    """Its entities share it (`RunStore.claim`)."""
    running_per_entity: int = 0
    running_per_client: int = 0
    queue: QueueLimits = field(default_factory=lambda: QueueLimits(per_entity=10))
    max_output_rows: int = 500_000
    max_output_bytes: int = 0
    time_limit_s: float = 3600.0
    max_retries: int = DEFAULT_MAX_RETRIES
    """Attempts after the first one (contract F8); here 0 means none."""
    dialect: str = "duckdb"
    """The SQL that the guard parses: `trino`, `spark`, or `native` for DuckDB's own."""
    is_embedded: bool = True
    """Whether the engine runs in our own workers: then our compiler is the judge of a statement."""
    org_column: str = ""
    """The column that holds a row's org; empty when the source has no orgs."""
    marks_deleted: bool = False
    """Whether a boolean column `deleted` marks rows that are hidden (contract F3)."""

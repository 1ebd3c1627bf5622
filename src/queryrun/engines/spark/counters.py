"""What Spark counts of a statement: files and rows of each scan, with the end of its rows.

Its progress names the bytes of stages too, but what of them has been counted when a short statement
ends is chance, so it bills nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict

from queryrun.engines.base import EngineUsage, TableRead
from queryrun.engines.spark.proto import ExecutePlanResponse

_SCAN = re.compile(r"^(?:Batch)?Scan (?:\S+ )?(\S+)$")
_ROWS, _FILES, _SPILLED = "numOutputRows", "filesSize", "spillSize"


class Counters:
    """Of one statement: scans are named after their format and their table."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = defaultdict(int)
        self._bytes: dict[str, int | None] = {}
        self._spilled_bytes = 0
        self._is_complete = False

    def note(self, response: ExecutePlanResponse) -> None:
        """Read the metrics, which come once, after the last row."""
        if not response.HasField("metrics"):
            return
        self._is_complete = True
        for one in response.metrics.metrics:
            values = {name: value.value for name, value in one.execution_metrics.items()}
            self._spilled_bytes += values.get(_SPILLED, 0)
            scan = _SCAN.match(one.name)
            if scan is not None:
                self._add(scan[1].rsplit(".", 1)[-1].strip("`").lower(), values)

    def usage(self) -> EngineUsage:
        """Bytes are those of whole files. Nothing is known before the metrics have come."""
        if not self._is_complete:
            return EngineUsage()
        sizes = [one for one in self._bytes.values() if one is not None]
        return EngineUsage(
            read_bytes=sum(sizes) if len(sizes) == len(self._bytes) else None,
            read_rows=sum(self._rows.values()),
            spilled_bytes=self._spilled_bytes,
            tables=tuple(
                TableRead(name, self._bytes[name], self._rows[name]) for name in sorted(self._rows)
            ),
        )

    def _add(self, table: str, values: dict[str, int]) -> None:
        """A scan that does not say how large its files were leaves its table's bytes unknown."""
        self._rows[table] += values.get(_ROWS, 0)
        before, size_bytes = self._bytes.get(table, 0), values.get(_FILES)
        is_known = before is not None and size_bytes is not None
        self._bytes[table] = (before or 0) + (size_bytes or 0) if is_known else None

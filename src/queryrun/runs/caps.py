"""What an attempt may use: the limits of its run, each with what was left when it began.

The node looks at what the worker reports a few times a second, and stops the attempt by the one way
there is. Rows and the size of the result the worker counts itself, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from queryrun.errors import Failure, FailureCode
from queryrun.runs.limits import Limited, LimitState, visible_to
from queryrun.runs.model import AttemptProgress
from queryrun.runs.usage import AttemptUsage

FIGURES = {
    "cpu_s": "cpu",
    "cpu_s_per_day": "cpu",
    "cpu_s_per_month": "cpu",
    "read_bytes": "read",
    "read_bytes_per_day": "read",
    "read_bytes_per_month": "read",
    "spill_bytes": "spill",
    "spill_bytes_per_day": "spill",
    "spill_bytes_per_month": "spill",
    "result_bytes": "result",
    "written_bytes_per_day": "result",
    "written_bytes_per_month": "result",
    "stored_bytes": "result",
    "rows": "rows",
    "rows_per_day": "rows",
    "rows_per_month": "rows",
    "time_s": "time",
    "time_s_per_day": "time",
    "time_s_per_month": "time",
}
"""What an attempt uses that counts for a limit."""
_OF_THE_RESULT = frozenset({"result", "rows", "time"})
"""What a client of orgs sees anyhow."""


@dataclass(frozen=True, slots=True)
class Cap:
    """So much of a figure, by a limit. CPU in ms, time in s."""

    figure: str
    value: int
    state: LimitState
    tells_use: bool = True
    """Not to a client of orgs, of what reading the rows of others has cost."""

    def failure(self, used: int) -> Failure:
        """How a run ends that has used more. Says how much it was when it was noticed."""
        message = f"The run was stopped by a {self.state.sentence()}"
        unit = " ms of CPU" if self.figure == "cpu" else ""
        use = f". It had used {used}{unit}" if self.tells_use else ""
        return Failure(FailureCode.QUOTA_EXCEEDED, f"{message}{use}")


@dataclass(frozen=True, slots=True)
class Caps:
    """The tightest cap of each figure."""

    by_figure: dict[str, Cap]

    @classmethod
    def of(cls, request: Limited, states: Sequence[LimitState]) -> Caps:
        """From the limits of a run. Their texts are for its client."""
        found: dict[str, Cap] = {}
        for state in states:
            figure = FIGURES.get(state.limit.name)
            if figure is None:
                continue
            left = state.limit.value if state.left is None else state.left
            tells_use = not request.org_ids or figure in _OF_THE_RESULT
            value = left * 1000 if figure == "cpu" else left
            cap = Cap(figure, value, visible_to(request, state), tells_use)
            if figure not in found or cap.value < found[figure].value:
                found[figure] = cap
        return cls(found)

    def value(self, figure: str) -> int | None:
        """So much; None: no limit."""
        cap = self.by_figure.get(figure)
        return None if cap is None else cap.value

    def passed_by(self, progress: AttemptProgress) -> Failure | None:
        """The failure of an attempt that has used more than a cap, by its progress."""
        return self._passed(progress.cpu_ms, progress.read_bytes, progress.spilled_bytes)

    def passed_at_end(self, usage: AttemptUsage) -> Failure | None:
        """The same, by what the attempt says at its end."""
        return self._passed(usage.cpu_ms, usage.read_bytes or 0, usage.spilled_bytes or 0)

    def failure(self, figure: str, used: int) -> Failure | None:
        """The failure of an attempt that passed this cap; None when it has none."""
        cap = self.by_figure.get(figure)
        return None if cap is None else cap.failure(used)

    def _passed(self, cpu_ms: int, read_bytes: int, spilled_bytes: int) -> Failure | None:
        for figure, used in (("cpu", cpu_ms), ("read", read_bytes), ("spill", spilled_bytes)):
            cap = self.by_figure.get(figure)
            if cap is not None and used > cap.value:
                return cap.failure(used)
        return None


NO_CAPS = Caps({})

"""pandas, which child processes do not find even where it is installed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _NoPandas(MetaPathFinder):
    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - the import system passes it
        target: ModuleType | None = None,  # noqa: ARG002 - the same
    ) -> ModuleSpec | None:
        """Raises for pandas, unless Spark's client looks for it; finds nothing itself."""
        if fullname == "pandas" and "pyspark" not in sys.modules:
            raise ModuleNotFoundError("child processes use no pandas", name=fullname)
        return None


def hide_pandas() -> None:
    """Let this process and those that it forks work as where pandas is not installed.

    pyarrow looks for it at the first value that it converts, and loads it: half of what a worker
    spends on its first text table. Nothing of ours uses it. Spark's client demands it, and gets it.
    """
    sys.meta_path.insert(0, _NoPandas())

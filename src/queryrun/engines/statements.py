"""A run's statement as an engine's session gets it: opened, with the values of its parameters."""

from __future__ import annotations

from collections.abc import Sequence

from queryrun.engines.source_spec import SourceSpec
from queryrun.sql.parameters import Parameter
from queryrun.sql.trino.immediate import Opened, opened
from queryrun.sql.trino.markers import values_of


def opened_for(source: SourceSpec, sql: str, parameters: Sequence[Parameter]) -> Opened:
    """The statement inside EXECUTE IMMEDIATE, or the statement itself, and its values.

    In an engine's own dialect nothing is opened: the guard has refused parameters there. Raises
    `RunFailed` with the position in `sql`.
    """
    if source.kind.guard(source.options.get("dialect", "native")) != "trino":
        return Opened(sql)
    return opened(sql, values_of(parameters))

"""Which functions Spark has a form for. The modules `functions_*` fill the tables."""

from __future__ import annotations

from collections.abc import Callable

from queryrun.sql.spark.functions_plain import PLAIN
from queryrun.sql.trino.compile_calls import SPECIAL as SHARED
from queryrun.sql.trino.compile_calls import Functions, Handler

SPECIAL: dict[str, Handler] = {}
AGGREGATES: dict[str, Handler] = {}
WINDOWS: dict[str, Handler] = {}
SPARK = Functions(PLAIN, SPECIAL, AGGREGATES, WINDOWS)


def special(*names: str) -> Callable[[Handler], Handler]:
    """Register a scalar function whose form depends on more than its arguments' types."""
    return _register(SPECIAL, names)


def aggregate(*names: str) -> Callable[[Handler], Handler]:
    """Register an aggregate function; all of them are window functions too."""
    return _register(AGGREGATES, names)


def window(*names: str) -> Callable[[Handler], Handler]:
    """Register a function that needs OVER."""
    return _register(WINDOWS, names)


def share(*names: str) -> None:
    """Take over functions that are made of others, whatever the engine."""
    SPECIAL.update({name: SHARED[name] for name in names})


def _register(table: dict[str, Handler], names: tuple[str, ...]) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        table.update(dict.fromkeys(names, handler))
        return handler

    return register

"""What one engine has a form for, and how it is looked up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from queryrun.sql.compile.signatures import Signature
from queryrun.sql.compile.typed import Typed
from queryrun.sql.trino.records import ast

Handler = Callable[[Any, ast.Call], Typed]
"""Given the compiler of the engine and the call."""


@dataclass(frozen=True, slots=True)
class Functions:
    """The functions that one engine has a form for. All aggregates are window functions too."""

    plain: Mapping[str, Sequence[Signature]]
    special: Mapping[str, Handler]
    aggregates: Mapping[str, Handler]
    windows: Mapping[str, Handler]

    def names(self) -> set[str]:
        """Every function that can be called."""
        return {*self.plain, *self.special, *self.aggregates, *self.windows}

"""The list of commands in `--help`: each with its whole sentence, wrapped and never cut."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

_WHOLE = 1000
"""Characters of a sentence, which no sentence has."""


class Commands(TyperGroup):
    """A group of commands; every `typer.Typer` of ours is one."""

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Write the section; typer's own ends a sentence in `...` at the edge of the terminal."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [
            (name, one.get_short_help_str(_WHOLE)) for name, one in found if one and not one.hidden
        ]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

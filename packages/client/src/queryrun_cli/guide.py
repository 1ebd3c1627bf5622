"""`queryrun help COMMAND …`: what `--help` prints, for those who ask in this way."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from queryrun_cli.errors import CommandError


def print_help(context: typer.Context, words: Sequence[str]) -> None:
    """Print the help of the program, or of the command that the words name."""
    parent = context.parent
    if parent is None:
        raise CommandError("no program to explain")
    command, path = parent.command, [parent.command_path]
    for word in words:
        group = getattr(command, "commands", {})
        if word not in group:
            known = ", ".join(sorted(group)) or "none"
            raise CommandError(
                f"there is no command {word!r} in {' '.join(path)} (there are: {known})"
            )
        command = group[word]
        path.append(word)
    with type(parent)(command, info_name=" ".join(path)) as printed:
        typer.echo(command.get_help(printed))

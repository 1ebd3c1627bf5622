"""The error of a command that cannot be carried out as given."""

from __future__ import annotations

REFUSED = 1
"""The exit status of what is refused. Here, because a server's command needs it, and must not wait
for the import of the whole client."""


class CommandError(Exception):
    """A profile, file or option is missing or wrong: one line on stderr and exit status 1."""

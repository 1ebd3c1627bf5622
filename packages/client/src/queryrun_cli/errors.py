"""The error of a command that cannot be carried out as given."""

from __future__ import annotations


class CommandError(Exception):
    """A profile, file or option is missing or wrong: one line on stderr and exit status 1."""

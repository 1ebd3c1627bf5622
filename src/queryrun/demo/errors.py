"""The one error of the sample data; kept apart so that every module here may raise it."""

from __future__ import annotations

from queryrun.errors import QueryrunError


class SampleDataError(QueryrunError):
    """The sample data cannot be written as requested; the message names the remedy."""

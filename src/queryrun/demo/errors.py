"""The error of the sample data, in a separate module so that every module here can import it."""

from __future__ import annotations

from queryrun.errors import QueryrunError


class SampleDataError(QueryrunError):
    """The sample data cannot be written as requested; the message names the remedy."""

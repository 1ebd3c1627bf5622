"""What sessions at remote engines share: the trace that their engine is told about."""

from __future__ import annotations


class Traced:
    """A session that tells its engine the trace of its work. See `TracedSession`."""

    traceparent = ""
    """The span (W3C Trace Context) of the next statement; empty: none."""

    def set_traceparent(self, traceparent: str) -> None:
        """The span of the next statement. How an engine is told is its session's matter."""
        self.traceparent = traceparent

"""W3C Trace Context: which trace a request belongs to (`traceparent`), and the ids of our spans.

The spans of a run have ids that follow from the run's id. So every node can attach to them what it
does, also one that takes over a run from a node that is gone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256

HEADER = "traceparent"
MAX_CHARS = 128
"""Of a `traceparent` that is read. Version 00 has 55; later versions may have more."""

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A span of a trace, as its children are told of it."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits."""
    is_sampled: bool = True
    """Whether the caller records the trace. What it does not record, we do not record either."""

    @property
    def traceparent(self) -> str:
        """As the header has it."""
        return f"00-{self.trace_id}-{self.span_id}-0{int(self.is_sampled)}"

    def of_span(self, span_id: str) -> TraceContext:
        """Another span of the same trace."""
        return TraceContext(self.trace_id, span_id, self.is_sampled)


def parse_traceparent(text: str | None) -> TraceContext | None:
    """What the header says; None when it is missing or invalid, which W3C wants ignored."""
    if text is None or len(text) > MAX_CHARS:
        return None
    found = _FORM.fullmatch(text.strip())
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or trace_id == _NO_TRACE:
        return None
    if span_id == _NO_SPAN:
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


def span_id_of(*names: object) -> str:
    """The id of a span that has these names: the same on every node."""
    return sha256("/".join(map(str, names)).encode()).hexdigest()[:16]


def is_in_sample(trace_id: str, ratio: float) -> bool:
    """Whether a trace that begins here is recorded. Every service that samples by the id alike
    decides alike: its last 14 digits are random by W3C's rule."""
    return int(trace_id[-14:], 16) < ratio * 2**56

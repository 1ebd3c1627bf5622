"""What is recorded of a trace: one span for each thing that took time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

Value = str | int | float | bool
Attributes = tuple[tuple[str, Value], ...]


class SpanKind(IntEnum):
    """As OTLP numbers them."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3


@dataclass(frozen=True, slots=True)
class Span:
    """One span. Its attributes never hold a statement, a secret or a value of a result."""

    name: str
    kind: SpanKind
    trace_id: str
    span_id: str
    parent_id: str
    """Empty: none."""
    start_ns: int
    end_ns: int
    attributes: Attributes = ()
    error: str = ""
    """What went wrong, as a code; empty: nothing."""


class SpanSink(Protocol):
    """Where spans go."""

    def add(self, span: Span) -> None:
        """Take the span. Returns at once; the span is dropped, and counted, when there is no room
        for it."""
        ...


class SpanSender(Protocol):
    """Sends spans to a collector. Called by one thread."""

    def send(self, spans: list[Span]) -> None:
        """Send them; returns when the collector has taken them.

        Raises `SpansRefusedError` when trying again cannot help, and any other error when it may.
        """
        ...

    def close(self) -> None:
        """Release the connection. Idempotent."""
        ...


class SpansRefusedError(Exception):
    """The collector has refused these spans for good."""

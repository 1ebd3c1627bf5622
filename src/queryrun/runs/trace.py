"""The trace of a run: from its request through queue, attempt, worker, engine and file, and every
step of a stop.

Each span is recorded when it has ended, by the node that knows it. What a node that died was doing
is told by the one that settles the attempt. Statements are never told: only what kind they are, and
their fingerprint, the same as in the audit log.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

from queryrun.runs.model import Attempt, EngineStop, Run, Stage, StopReason, StopStep
from queryrun.runs.state import RunState
from queryrun.tracing.context import (
    TraceContext,
    is_in_sample,
    parse_traceparent,
    span_id_of,
)
from queryrun.tracing.span import Attributes, Span, SpanKind, SpanSink

_SCANNED_CHARS = 4096
"""In which the first word of a statement is looked for."""
_FIRST_WORD = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/|\()*+([A-Za-z]+)", re.S)
_OPERATIONS = frozenset({"SELECT", "VALUES", "TABLE", "EXPLAIN", "SHOW", "DESCRIBE"})
_SAME_AS_SELECT = "WITH"
_REMEMBERED = 1024
"""Runs that have ended last: a change may be published twice."""
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class Tracer:
    """Records spans in `sink`. `engines`: source -> what runs its statements."""

    sink: SpanSink
    engines: Mapping[str, str]
    sample: float = 1.0
    """Which share of the traces that begin here is recorded."""
    _terminal: deque[str] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def request_span(self, incoming: TraceContext | None, request_id: str) -> TraceContext:
        """The span of a request: in its caller's trace, or the first one of a new trace."""
        digits = request_id.replace("-", "")
        if incoming is not None:
            return incoming.of_span(digits[16:])
        return TraceContext(digits, digits[16:], is_in_sample(digits, self.sample))

    def run_changed(self, run: Run) -> None:
        """Record the run when it has ended, and its queue when it has ended there."""
        if not run.state.is_terminal or (context := recorded_context(run)) is None:
            return
        if run.id in self._terminal:
            return
        self._terminal.append(run.id)
        end_ns = _ns(run.updated_time)
        own = context.of_span(span_id_of(run.id))
        if run.started_time is None:
            span_id = span_id_of(run.id, "queue", 1)
            self._add("queue", own, span_id, _ns(run.ready_time), end_ns)
        self.sink.add(
            Span(
                "run",
                SpanKind.INTERNAL,
                context.trace_id,
                own.span_id,
                context.span_id,
                _ns(run.created_time),
                end_ns,
                (
                    *self.of_run(run),
                    ("queryrun.run.state", run.state.public.value),
                    ("queryrun.run.attempts", run.attempt),
                ),
                "" if run.failure is None else run.failure.code.value,
            )
        )

    def attempt_lost(self, attempt: Attempt, run: Run) -> None:
        """Record an attempt whose node is gone. When it began is when the run was claimed."""
        if (context := recorded_context(run)) is None:
            return
        parent = context.of_span(span_id_of(run.id))
        span_id = span_id_of(run.id, attempt.ref.number)
        began = attempt.run.started_time or attempt.run.updated_time
        attributes: Attributes = (
            *self.of_run(run),
            ("queryrun.attempt.number", attempt.ref.number),
            ("queryrun.attempt.outcome", "lost"),
            ("queryrun.attempt.node", attempt.node),
        )
        end_ns = _ns(run.updated_time)
        self._add("attempt", parent, span_id, _ns(began), end_ns, attributes, error="node_lost")

    def of_run(self, run: Run) -> Attributes:
        """What every span of a run says of it."""
        request = run.request
        operation = operation_of(request.sql)
        return (
            ("queryrun.run.id", run.id),
            ("queryrun.source", request.source),
            ("queryrun.tenant.id", request.tenant_id),
            ("queryrun.entity.id", request.entity_id),
            ("queryrun.client.id", request.client_id),
            ("queryrun.query.fingerprint", sha256(request.sql.encode()).hexdigest()),
            ("db.system.name", self.engines.get(request.source, "other_sql")),
            ("db.operation.name", operation),
            ("db.query.summary", operation),
        )

    def _add(
        self,
        name: str,
        parent: TraceContext,
        span_id: str,
        start_ns: int,
        end_ns: int,
        attributes: Attributes = (),
        kind: SpanKind = SpanKind.INTERNAL,
        error: str = "",
    ) -> None:
        end_ns = max(start_ns, end_ns)  # the clock may have been set back between the two
        self.sink.add(
            Span(
                name, kind, parent.trace_id, span_id, parent.span_id,
                start_ns, end_ns, attributes, error,
            )
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class StopTrace:
    """A stop: why and in which stage it was requested, how it was confirmed, and when each step
    was taken; times are on the monotonic clock."""

    reason: StopReason
    stage: Stage
    at_s: float
    engine_stop: EngineStop
    moments: tuple[tuple[StopStep, float], ...]


class AttemptTrace:
    """What one attempt of this node did when. Does nothing for runs that are not recorded."""

    def __init__(self, tracer: Tracer | None, attempt: Attempt) -> None:
        run = attempt.run
        request = None if tracer is None else recorded_context(run)
        self._tracer = tracer
        self._attempt = attempt
        self._is_recording = request is not None
        self._marks: dict[str, int] = {"claimed": time.time_ns()}
        self._stop: StopTrace | None = None
        self._run_span = request and request.of_span(span_id_of(run.id))
        self._span = request and request.of_span(span_id_of(run.id, attempt.ref.number))
        self._engine = request and request.of_span(span_id_of(run.id, attempt.ref.number, "engine"))

    @property
    def traceparent(self) -> str:
        """What the engine is told: our span, or what the run's submitter said."""
        if self._engine is not None:
            return self._engine.traceparent
        return self._attempt.run.request.traceparent or ""

    def mark(self, moment: str) -> None:
        """Note that now is this moment: `engine` (it gets the statement), `committing`, `written`
        (the engine and the upload are done), `committed`. The first time counts."""
        if self._is_recording:
            self._marks.setdefault(moment, time.time_ns())

    def stopped(self, stop: StopTrace) -> None:
        """Note how the attempt was stopped."""
        self._stop = stop

    def finished(self, run: Run | None) -> None:
        """Record the attempt, and what happened in it."""
        tracer, span, parent = self._tracer, self._span, self._run_span
        if tracer is None or span is None or parent is None:
            return
        end_ns, marks, own = time.time_ns(), self._marks, self._attempt.run
        number = self._attempt.ref.number
        of_run = tracer.of_run(own)
        outcome = "lost" if run is None else _outcome_of(run)
        attributes: Attributes = (
            *of_run,
            ("queryrun.attempt.number", number),
            ("queryrun.attempt.outcome", outcome),
            ("queryrun.attempt.node", self._attempt.node),
        )
        queue_id = span_id_of(own.id, "queue", number)
        add = tracer._add
        add("queue", parent, queue_id, _ns(own.ready_time), marks["claimed"])
        code = "" if run is None or run.failure is None else run.failure.code.value
        add("attempt", parent, span.span_id, marks["claimed"], end_ns, attributes, error=code)
        engine_ns = marks.get("engine", end_ns)
        add("worker", span, span_id_of(own.id, number, "worker"), marks["claimed"], engine_ns)
        if self._engine is not None and "engine" in marks:
            written_ns = marks.get("written", end_ns)
            done_ns = marks.get("committing", written_ns)
            summary = str(dict(of_run)["db.query.summary"])
            add(
                summary, span, self._engine.span_id, engine_ns, done_ns, of_run,
                SpanKind.CLIENT, code,
            )  # fmt: skip
            if "committing" in marks:
                upload_id = span_id_of(own.id, number, "upload")
                add("upload", span, upload_id, done_ns, marks.get("committed", written_ns))
        if self._stop is not None:
            self._add_stop(tracer, span, self._stop)

    def _add_stop(self, tracer: Tracer, parent: TraceContext, stop: StopTrace) -> None:
        """The stop, and each of its steps from the end of the one before."""
        run_id, number = self._attempt.ref.run_id, self._attempt.ref.number
        shift_ns = time.time_ns() - time.monotonic_ns()
        began_ns = round(stop.at_s * 1e9) + shift_ns
        moments = [(step, round(at_s * 1e9) + shift_ns) for step, at_s in stop.moments]
        own = parent.of_span(span_id_of(run_id, number, "stop"))
        attributes: Attributes = (
            ("queryrun.stop.reason", stop.reason.value),
            ("queryrun.stop.stage", stop.stage.value),
            ("queryrun.stop.engine_stop", stop.engine_stop.value),
        )
        end_ns = moments[-1][1] if moments else began_ns
        tracer._add("stop", parent, own.span_id, began_ns, end_ns, attributes)
        for step, at_ns in moments:
            step_id = span_id_of(run_id, number, "stop", step.value)
            tracer._add(f"stop {step.value}", own, step_id, min(began_ns, at_ns), at_ns)
            began_ns = max(began_ns, at_ns)


def recorded_context(run: Run) -> TraceContext | None:
    """The span that submitted the run; None when its trace is not recorded."""
    context = parse_traceparent(run.request.traceparent)
    return context if context is not None and context.is_sampled else None


def operation_of(sql: str) -> str:
    """The kind of the statement, from its first word: `SELECT`, `EXPLAIN`, …, or `OTHER`."""
    found = _FIRST_WORD.match(sql[:_SCANNED_CHARS])
    word = "" if found is None else found[1].upper()
    if word == _SAME_AS_SELECT:
        return "SELECT"
    return word if word in _OPERATIONS else "OTHER"


def _outcome_of(run: Run) -> str:
    return "requeued" if run.state is RunState.ACCEPTED else run.state.value


def _ns(time_utc: datetime) -> int:
    """Nanoseconds since 1970, exactly."""
    return (time_utc - _EPOCH) // timedelta(microseconds=1) * 1000

"""`traceparent` is read as W3C says, and spans of a run have the same ids on every node."""

from __future__ import annotations

import pytest

from queryrun.runs.trace import operation_of
from queryrun.tracing.context import TraceContext, is_in_sample, parse_traceparent, span_id_of

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("header", "is_sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", True),
    ],
)
def test_a_valid_header_is_read(header: str, is_sampled: bool) -> None:
    assert parse_traceparent(header) == TraceContext(TRACE, SPAN, is_sampled)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0g",
        f"00-{TRACE}-{SPAN}",
        f"cc-{TRACE}-{SPAN}-01-" + "x" * 200,
    ],
)
def test_an_invalid_header_is_ignored(header: str | None) -> None:
    assert parse_traceparent(header) is None


def test_what_is_written_can_be_read() -> None:
    context = TraceContext(TRACE, SPAN, is_sampled=False)
    assert parse_traceparent(context.traceparent) == context


def test_a_spans_id_follows_from_its_names() -> None:
    assert span_id_of("run", 1) == span_id_of("run", 1) != span_id_of("run", 2)
    assert len(span_id_of("run")) == 16


def test_the_sample_is_a_share_of_the_ids() -> None:
    ids = [f"{n:032x}" for n in range(0, 2**56, 2**46)]
    assert all(is_in_sample(one, 1.0) for one in ids)
    assert not any(is_in_sample(one, 0.0) for one in ids)
    assert sum(is_in_sample(one, 0.25) for one in ids) == len(ids) // 4


@pytest.mark.parametrize(
    ("sql", "operation"),
    [
        ("SELECT 1", "SELECT"),
        ("  -- why\n/* and */ (select 1)", "SELECT"),
        ("WITH a AS (SELECT 1) TABLE a", "SELECT"),
        ("values 1", "VALUES"),
        ("EXPLAIN SELECT 1", "EXPLAIN"),
        ("DROP TABLE t", "OTHER"),
        ("", "OTHER"),
        ("secret", "OTHER"),
        ("(" * 5000 + "SELECT 1", "OTHER"),
    ],
)
def test_a_statement_is_told_by_its_kind_alone(sql: str, operation: str) -> None:
    assert operation_of(sql) == operation

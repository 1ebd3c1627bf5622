"""The list's cursor: it comes back as it went, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryrun.http.v2.cursor import BadCursorError, read_cursor, write_cursor
from queryrun.runs.state import RunState
from queryrun.runs.store import Position, RunQuery

SECRET = b"secret"
numbers = st.integers(-(2**63), 2**63 - 1)
positions = st.tuples(numbers, numbers)
names = st.text(max_size=5)
queries = st.builds(
    RunQuery,
    tenant_id=names,
    client_id=st.none() | names,
    states=st.frozensets(st.sampled_from(RunState)),
    sources=st.frozensets(names, max_size=3),
    created_from=st.none() | st.datetimes(timezones=st.just(UTC)),
    tags=st.lists(st.tuples(names, names), max_size=2).map(tuple),
    oldest_first=st.booleans(),
)


@given(queries, positions, st.integers(1, 99), st.none() | positions)
def test_a_cursor_returns_to_its_position_for_any_page_size(
    query: RunQuery, position: Position, limit: int, after: Position | None
) -> None:
    cursor = write_cursor(query, position, SECRET)
    assert read_cursor(replace(query, limit=limit, after=after), cursor, SECRET) == position


@given(queries, positions)
def test_it_is_safe_in_a_url(query: RunQuery, position: Position) -> None:
    cursor = write_cursor(query, position, SECRET)
    assert cursor.isascii()
    assert cursor.replace("-", "").replace("_", "").isalnum()


@given(queries, queries, positions)
def test_it_is_refused_for_another_list(one: RunQuery, other: RunQuery, position: Position) -> None:
    if one == other:
        return
    with pytest.raises(BadCursorError):
        read_cursor(other, write_cursor(one, position, SECRET), SECRET)


@given(queries, st.text())
def test_anything_else_is_refused(query: RunQuery, text: str) -> None:
    with pytest.raises(BadCursorError):
        read_cursor(query, text, SECRET)


@given(queries, positions, st.data())
def test_a_changed_cursor_is_refused(
    query: RunQuery, position: Position, data: st.DataObject
) -> None:
    cursor = write_cursor(query, position, SECRET)
    at = data.draw(st.integers(0, len(cursor) - 2))  # the last character has unused bits
    letter = data.draw(st.sampled_from("ABCabc019-_").filter(lambda new: new != cursor[at]))
    with pytest.raises(BadCursorError):
        read_cursor(query, cursor[:at] + letter + cursor[at + 1 :], SECRET)


def test_another_secret_refuses_it() -> None:
    query = RunQuery("t", created_from=datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(BadCursorError):
        read_cursor(query, write_cursor(query, (5, 6), SECRET), b"other")

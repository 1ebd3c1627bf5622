"""`fields[]`: properties that hold for any spelling of the same choice (contract C1)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from queryrun.errors import Problem
from queryrun.http.v2.fields import (
    DEFAULT_FIELDS,
    EXTENSION_FIELDS,
    KNOWN_FIELDS,
    PARAMETERS,
    parse_fields,
)

known = st.sampled_from(sorted(KNOWN_FIELDS))
unknown = st.text(st.characters(exclude_characters=",", exclude_categories=["Cs"])).filter(
    lambda text: text.strip() not in KNOWN_FIELDS
)
blank = st.sampled_from(["", " ", "  "])
parameter = st.sampled_from(PARAMETERS)


@st.composite
def formatted(draw: st.DrawFn, names: list[str]) -> list[tuple[str, str]]:
    """The names, padded, joined, repeated and spread over both parameters."""
    words = [draw(blank) + name + draw(blank) for name in names]
    words += draw(st.lists(blank | unknown, max_size=3))
    words = draw(st.permutations(words))
    pairs, rest = [], list(words)
    while rest:
        size = draw(st.integers(1, len(rest)))
        pairs.append((draw(parameter), ",".join(rest[:size])))
        rest = rest[size:]
    return pairs


@given(st.data(), st.lists(known, min_size=1))
def test_every_spelling_of_the_same_fields_is_equal(data: st.DataObject, names: list[str]) -> None:
    problems: list[Problem] = []
    assert parse_fields(data.draw(formatted(names)), problems) == frozenset(names)
    assert problems == []


@given(st.lists(st.tuples(parameter, st.sampled_from(["", ",", " , ", "  "]))))
def test_an_empty_list_is_no_projection(pairs: list[tuple[str, str]]) -> None:
    assert parse_fields(pairs, []) is None


@given(unknown.filter(lambda text: text.strip() != ""))
def test_unknown_names_are_ignored_or_in_strict_mode_refused(name: str) -> None:
    assert parse_fields([("fields[]", name)], []) == frozenset()
    problems: list[Problem] = []
    parse_fields([("fields[]", name)], problems, strict=True)
    assert [problem.parameter for problem in problems] == ["fields[]"]


def test_other_parameters_name_no_fields() -> None:
    assert parse_fields([("fields", "id"), ("run.fields[]", "id")], []) is None


def test_no_extension_is_a_field_of_the_contract() -> None:
    assert not set(EXTENSION_FIELDS) & set(DEFAULT_FIELDS)


def test_without_fields_the_body_is_the_contracts_and_the_error() -> None:
    """Generated clients refuse unknown keys (contract A5, H10)."""
    assert (
        *("created_by_id", "id", "sql", "remaining_attempts", "updated_time", "file"),
        *("number_of_rows", "processing_duration", "state", "column_separator", "error"),
    ) == DEFAULT_FIELDS

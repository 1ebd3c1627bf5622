"""`fields[]`: properties that hold for any spelling of the same choice (contract C1)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from queryrun.errors import Problem
from queryrun.http.v2.fields import (
    DEFAULT_FIELDS,
    EXTENSION_FIELDS,
    KNOWN_FIELDS,
    PAIRED_FIELDS,
    PARAMETERS,
    PART_FIELDS,
    parse_fields,
)
from queryrun.runs.fields import RunField

known = st.sampled_from(sorted(KNOWN_FIELDS))
contract = st.sampled_from(DEFAULT_FIELDS)
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
    expected = parse_fields([("fields[]", ",".join(names))], [])
    assert parse_fields(data.draw(formatted(names)), problems) == expected
    assert problems == []


@given(st.data(), st.lists(contract, min_size=1))
def test_fields_of_the_contract_are_those_that_were_named(
    data: st.DataObject, names: list[str]
) -> None:
    assert parse_fields(data.draw(formatted(names)), []) == frozenset(names)


@given(names=st.lists(contract | st.sampled_from(PAIRED_FIELDS), min_size=1), always=st.booleans())
def test_a_paired_field_needs_an_extension_beside_it(names: list[str], *, always: bool) -> None:
    """A hosted document has `created_time` in an example: it does not say that the caller knows
    our extensions (contract C1, H10)."""
    named = [("fields[]", ",".join(names))]
    expected = frozenset(names) if always else frozenset(names) - set(PAIRED_FIELDS)
    assert parse_fields(named, [], always=always) == expected
    with_extension = parse_fields([*named, ("query_run.fields[]", "tags")], [])
    assert with_extension == frozenset((*names, "tags"))


@given(st.sampled_from(PART_FIELDS))
def test_a_part_names_its_whole(part: RunField) -> None:
    whole = part.name.partition(".")[0]
    assert parse_fields([("fields[]", part.name)], []) == frozenset({part.name, whole})


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
    assert not {*EXTENSION_FIELDS, *PAIRED_FIELDS} & set(DEFAULT_FIELDS)
    assert {*EXTENSION_FIELDS, *PAIRED_FIELDS, *DEFAULT_FIELDS} == KNOWN_FIELDS


def test_without_fields_the_body_is_the_contracts() -> None:
    """Generated clients refuse unknown keys (contract A5, H10)."""
    assert (
        *("created_by_id", "id", "sql", "remaining_attempts", "updated_time", "file"),
        *("number_of_rows", "processing_duration", "state", "column_separator"),
    ) == DEFAULT_FIELDS

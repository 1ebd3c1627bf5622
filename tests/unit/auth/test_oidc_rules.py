"""Rules: what the claims of a login give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryrun.auth.model import Scope
from queryrun.auth.oidc_rules import ClaimRule, Grant, grant_of, values_of
from queryrun.errors import Forbidden

READ = frozenset({Scope.READ})


def rule(when: dict[str, str], *entities: str, orgs: tuple[str, ...] = ()) -> ClaimRule:
    """A rule of one tenant that allows to read."""
    return ClaimRule(when, "t", entities or ("main",), READ, orgs)


@pytest.mark.parametrize(
    ("claims", "name", "values"),
    [
        ({"a": "x"}, "a", ("x",)),
        ({"a": ["x", "y"]}, "a", ("x", "y")),
        ({"a": 7}, "a", ("7",)),
        ({"a": True}, "a", ("true",)),
        ({"a": None}, "a", ()),
        ({"a": "  "}, "a", ()),
        ({"a": {"b": ["x"]}}, "a.b", ("x",)),
        ({"https://x.example/a": "y"}, "https://x.example/a", ("y",)),
        ({"a": {"b": "x"}}, "a", ()),
        ({}, "a.b.c", ()),
        ({"a": "text"}, "a.b", ()),
        ({"a": {"x.y": {"roles": ["r"]}}}, "a.x.y.roles", ("r",)),
        ({"https://x.example/a": {"b.c": "d"}}, "https://x.example/a.b.c", ("d",)),
        ({"a.b": {"c": 1}, "a": {"b": {"c": 2}}}, "a.b.c", ("1",)),
        ({"a.b": "text", "a": {"b": {"c": 2}}}, "a.b.c", ("2",)),
        ({"a": [{"b": 1}]}, "a.b", ()),
    ],
)
def test_claims_are_read_as_texts(
    claims: dict[str, object], name: str, values: tuple[str, ...]
) -> None:
    assert values_of(claims, name) == values


def test_all_conditions_must_hold() -> None:
    one = rule({"groups": "a", "level": "*"})
    assert grant_of({"groups": ["a", "b"], "level": 1}, [one]) is not None
    assert grant_of({"groups": ["a", "b"]}, [one]) is None
    assert grant_of({"groups": "ab", "level": 1}, [one]) is None


def test_the_first_rule_that_fits_counts_alone() -> None:
    found = grant_of({"sub": "x"}, [rule({"sub": "*"}, "one"), rule({"sub": "x"}, "two")])
    assert found == Grant("t", ("one",), READ, ())


def test_claims_in_braces_are_put_in_each_value_by_itself() -> None:
    one = rule({"sub": "*"}, "e-{name}", "all", orgs=("{org}",))
    found = grant_of({"sub": "x", "name": ["a", "b"], "org": ["1", "1"]}, [one])
    assert found == Grant("t", ("e-a", "e-b", "all"), READ, ("1",))


@given(st.one_of(st.none(), st.just(""), st.just([]), st.just({}), st.just([None])))
def test_a_rule_of_orgs_never_gives_a_login_all_rows(org: object) -> None:
    one = rule({"sub": "*"}, orgs=("{org}",))
    assert grant_of({"sub": "x", "org": org}, [one]) is None


def test_what_a_claim_says_names_no_other_claim() -> None:
    one = rule({"sub": "*"}, "{name}-{org}", "{org}-{name}")
    found = grant_of({"sub": "x", "name": "{org}", "org": "{name}"}, [one])
    assert found == Grant("t", ("{org}-{name}", "{name}-{org}"), READ, ())


def test_a_condition_sees_every_value_of_a_long_claim() -> None:
    groups = [f"g{number}" for number in range(1000)]
    found = grant_of({"groups": groups}, [rule({"groups": "g999"}, "last"), rule({}, "any")])
    assert found == Grant("t", ("last",), READ, ())


@pytest.mark.parametrize("orgs", [("{org}",), ("{a}{b}",), ("{a}{a}{b}",)])
def test_a_login_of_more_values_than_a_rule_can_use_is_refused_and_loses_none_silently(
    orgs: tuple[str, ...],
) -> None:
    claims = {"org": list(range(201)), "a": list(range(20)), "b": list(range(20))}
    with pytest.raises(Forbidden, match="200 values"):
        grant_of(claims, [rule({}, orgs=orgs)])


def test_a_tenant_of_two_values_is_none() -> None:
    one = ClaimRule({"sub": "*"}, "{tenant}", ("main",), READ)
    assert grant_of({"sub": "x", "tenant": ["a", "b"]}, [one]) is None
    assert grant_of({"sub": "x", "tenant": ["a"]}, [one]) == Grant("a", ("main",), READ, ())

"""In which entity a client acts (contract C9)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from queryrun.auth.clients import DEFAULT_SCOPES, check_orgs, principal_of
from queryrun.auth.model import ADMINISTRATION, OF_ALL_ROWS, Client, Entity, Principal, Scope
from queryrun.errors import Forbidden, InvalidRequest

ONE = Entity("11111111-1111-4111-8111-11111111111a", "t", "one")
TWO = Entity("22222222-2222-4222-8222-222222222222", "t", "two")
HEADER = "zuora-entity-ids"


def client(*entities: Entity) -> Client:
    """A client of these entities."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Client("c", "t", "name", entities, frozenset({Scope.READ}), now, org_ids=("emea",))


def test_a_client_of_one_entity_need_not_name_it() -> None:
    expected = Principal("t", "c", ONE.id, frozenset({Scope.READ}), ("emea",))
    assert principal_of(client(ONE), None, HEADER) == expected


def test_a_client_of_several_must() -> None:
    with pytest.raises(InvalidRequest) as caught:
        principal_of(client(ONE, TWO), None, HEADER)
    assert caught.value.problems[0].parameter == HEADER


@pytest.mark.parametrize("text", [TWO.id, TWO.id.replace("-", "")])
def test_the_named_entity_is_used(text: str) -> None:
    assert principal_of(client(ONE, TWO), text, HEADER).entity_id == TWO.id


def test_case_does_not_matter() -> None:
    assert principal_of(client(ONE), ONE.id.upper(), HEADER).entity_id == ONE.id


def test_another_entity_is_forbidden() -> None:
    with pytest.raises(Forbidden):
        principal_of(client(ONE), TWO.id, HEADER)


@pytest.mark.parametrize(
    "text", ["x", f"{ONE.id},{TWO.id}", "{" + ONE.id[:34] + "}", "1-" * 16 + "1111", ONE.id + " "]
)
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        principal_of(client(ONE), text, HEADER)


def test_admin_includes_all_scopes_about_runs_and_none_of_administration() -> None:
    reader = principal_of(client(ONE), None, HEADER)
    assert reader.may(Scope.READ)
    assert not reader.may(Scope.CANCEL)
    admin = Principal("t", "c", ONE.id, frozenset({Scope.ADMIN}))
    denied = {scope for scope in Scope if not admin.may(scope)}
    assert denied == {Scope.TENANT_ADMIN} | ADMINISTRATION
    of_tenant = Principal("t", "c", ONE.id, frozenset({Scope.TENANT_ADMIN}))
    assert {scope for scope in Scope if not of_tenant.may(scope)} == ADMINISTRATION


@pytest.mark.parametrize("scope", sorted(OF_ALL_ROWS))
def test_a_client_of_orgs_has_no_scope_that_leads_to_results_of_all_rows(scope: Scope) -> None:
    restricted = replace(client(ONE), scopes=DEFAULT_SCOPES | {scope})
    with pytest.raises(InvalidRequest, match=scope):
        check_orgs(restricted)
    assert principal_of(restricted, None, HEADER).scopes == DEFAULT_SCOPES
    check_orgs(replace(restricted, org_ids=()))
    check_orgs(replace(restricted, scopes=DEFAULT_SCOPES))


def test_a_login_of_orgs_with_admin_alone_keeps_what_admin_includes_for_its_own_runs() -> None:
    login = replace(client(ONE), scopes=frozenset({Scope.ADMIN}))
    assert principal_of(login, None, HEADER).scopes == DEFAULT_SCOPES

"""`queryrun admin`: what an operator does to other clients' runs, through the API."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from queryrun_cli.errors import CommandError
from queryrun_cli.group import Commands

if TYPE_CHECKING:
    from queryrun_client.profiles import Server

admin_app = typer.Typer(
    cls=Commands,
    help="Commands for an admin client. `cancel` needs the scope `admin`, the others `admin:read` "
    "or `admin:write`.",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(admin_app, name="admin")


@admin_app.command("cancel")
def admin_cancel(
    run_ids: Annotated[list[str], typer.Argument(help="Ids of runs of any client.")],
    home: Annotated[
        Path | None, typer.Option(help="A home on this machine; uses its first client.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", "-P", help="Server and client; see `login`.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="URL of the home's server. Default: from its configuration.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Cancel runs of other clients. The run records the reason `admin` and the client's id.

    Returns when each run is canceled and its worker has exited. Exit status: 0 when all are
    canceled, 7 when one had finished before, 1 or 5 when a request failed.
    """
    from queryrun_cli import exits
    from queryrun_cli.cancel import cancel_each
    from queryrun_cli.remote import connect
    from queryrun_client.profiles import find_server

    server = find_server(profile) if home is None else _server_of(home, url)
    with exits.translated(), connect(server) as client:
        cancel_each(client, run_ids, as_json=as_json)


Profile = Annotated[
    str | None, typer.Option("--profile", "-P", help="Server and client; see `login`.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON objects, one a line.")]
Tenant = Annotated[
    str | None, typer.Option(help="Another tenant than the client's own; needs admin:all.")
]
OfEntity = Annotated[str | None, typer.Option("--entity", help="Id of an entity.")]
Subject = Annotated[str, typer.Argument(help="The `sub` of its tokens.")]


@admin_app.command("tenants")
def admin_tenants(profile: Profile = None, as_json: Json = False) -> None:
    """List tenants. Needs the scope admin:read."""
    from queryrun_cli.administration import show_list

    show_list("/admin/v1/tenants", [], ("id", "name"), profile, as_json=as_json)


@admin_app.command("create-tenant")
def admin_create_tenant(name: str, profile: Profile = None) -> None:
    """Create a tenant, unless it exists. Needs admin:write and admin:all."""
    from queryrun_cli.administration import change

    typer.echo(change("/admin/v1/tenants", {"name": name}, profile)["id"])


@admin_app.command("entities")
def admin_entities(tenant: Tenant = None, profile: Profile = None, as_json: Json = False) -> None:
    """List the entities of a tenant."""
    from queryrun_cli.administration import given, show_list

    params, columns = given(tenant_id=tenant), ("id", "tenant_id", "name")
    show_list("/admin/v1/entities", params, columns, profile, as_json=as_json)


@admin_app.command("create-entity")
def admin_create_entity(name: str, tenant: Tenant = None, profile: Profile = None) -> None:
    """Create an entity, unless it exists, and print its id. Needs admin:write."""
    from queryrun_cli.administration import change

    body = {"name": name, "tenant_id": tenant}
    typer.echo(change("/admin/v1/entities", body, profile)["id"])


@admin_app.command("clients")
def admin_clients(
    tenant: Tenant = None, entity: OfEntity = None, profile: Profile = None, as_json: Json = False
) -> None:
    """List the clients of a tenant; never their secrets."""
    from queryrun_cli.administration import given, show_list

    params = given(tenant_id=tenant, entity_id=entity)
    columns = ("id", "name", "entities", "scopes", "created_time", "expires_time", "revoked_time")
    show_list("/admin/v1/clients", params, columns, profile, as_json=as_json)


@admin_app.command("create-client")
def admin_create_client(
    name: str,
    entity: Annotated[list[str], typer.Option(help="Entity, by name or id; repeat for several.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="Scope; repeat for several. Default: read, submit and cancel."),
    ] = None,
    org: Annotated[list[str] | None, typer.Option(help="Org of the client; repeat.")] = None,
    expires: Annotated[
        str | None, typer.Option(help="When it ends, such as 2027-01-31T00:00:00Z.")
    ] = None,
    tenant: Tenant = None,
    profile: Profile = None,
) -> None:
    """Create a client and print it as JSON, with its secret: it is shown only here."""
    import json

    from queryrun_cli.administration import create_client

    body = {"name": name, "entities": entity, "org_ids": org or [], "tenant_id": tenant}
    made = create_client({**body, "scopes": scope or None, "expires_time": expires}, profile)
    typer.echo(json.dumps(made))
    if "secret" not in made:
        raise CommandError(f"the response with the secret was lost: rotate the client {made['id']}")


@admin_app.command("change-client")
def admin_change_client(
    client_id: str,
    scope: Annotated[
        list[str] | None, typer.Option(help="Its scopes from now on; repeat for several.")
    ] = None,
    org: Annotated[
        list[str] | None, typer.Option(help="Its orgs from now on; repeat for several.")
    ] = None,
    no_orgs: Annotated[bool, typer.Option("--no-orgs", help="It sees every row again.")] = False,
    expires: Annotated[
        str | None, typer.Option(help="When it ends, such as 2027-01-31T00:00:00Z; or `never`.")
    ] = None,
    profile: Profile = None,
) -> None:
    """Change a client's scopes, orgs or expiry, and print it as JSON. What is not named stays."""
    import json

    from queryrun_cli.administration import change

    body: dict[str, object] = {}
    if scope:
        body["scopes"] = scope
    if org and no_orgs:
        raise CommandError("--org and --no-orgs exclude each other: give one of them")
    if org or no_orgs:
        body["org_ids"] = org or []
    if expires is not None:
        body["expires_time"] = None if expires == "never" else expires
    typer.echo(json.dumps(change(f"/admin/v1/clients/{client_id}/change", body, profile)))


@admin_app.command("rotate-client")
def admin_rotate_client(
    client_id: str,
    grace_hours: Annotated[float, typer.Option(help="How long the old secret stays valid.")] = 24,
    profile: Profile = None,
) -> None:
    """Give a client a new secret, and print it as JSON: it is shown only here."""
    import json

    from queryrun_cli.administration import change

    path, body = f"/admin/v1/clients/{client_id}/rotate", {"grace_s": grace_hours * 3600}
    typer.echo(json.dumps(change(path, body, profile)))


@admin_app.command("limits")
def admin_limits(tenant: Tenant = None, profile: Profile = None, as_json: Json = False) -> None:
    """List the limits that were set for a tenant, its entities and its clients."""
    from queryrun_cli.administration import given, show_list

    params, columns = given(tenant_id=tenant), ("level", "subject", "name", "value", "unit")
    show_list("/admin/v1/limits", params, columns, profile, as_json=as_json)


@admin_app.command("set-limit")
def admin_set_limit(
    level: Annotated[str, typer.Argument(help="tenant, entity, client or source.")],
    subject: Annotated[str, typer.Argument(help="A tenant, an id, or a source's name.")],
    name: Annotated[str, typer.Argument(help="The limit, such as cpu_s_per_day.")],
    value: Annotated[int | None, typer.Argument(help="Without one the limit is removed.")] = None,
    profile: Profile = None,
) -> None:
    """Set or remove a limit. It holds on every node within a second."""
    import json

    from queryrun_cli.administration import change

    body = {"level": level, "subject": subject, "name": name, "value": value}
    typer.echo(json.dumps(change("/admin/v1/limits", body, profile)))


@admin_app.command("revoke-client")
def admin_revoke_client(client_id: str, profile: Profile = None) -> None:
    """Revoke a client, its secrets and tokens at once; its runs are canceled."""
    from queryrun_cli.administration import change

    revoked = change(f"/admin/v1/clients/{client_id}/revoke", {}, profile)
    typer.echo(f"revoked {revoked['id']}")


@admin_app.command("logins")
def admin_logins(tenant: Tenant = None, profile: Profile = None, as_json: Json = False) -> None:
    """List the logins at the identity provider that were revoked in a tenant."""
    from queryrun_cli.administration import given, show_list

    columns = ("subject", "client_id", "revoked_time", "allowed_time")
    show_list("/admin/v1/logins", given(tenant_id=tenant), columns, profile, as_json=as_json)


@admin_app.command("revoke-login")
def admin_revoke_login(subject: Subject, tenant: Tenant = None, profile: Profile = None) -> None:
    """Take no token of a login at the identity provider any more; its runs are canceled."""
    from queryrun_cli.administration import change

    body = {"subject": subject, "tenant_id": tenant}
    revoked = change("/admin/v1/logins/revoke", body, profile)
    typer.echo(f"revoked {revoked['subject']} ({revoked['client_id']})")


@admin_app.command("allow-login")
def admin_allow_login(subject: Subject, tenant: Tenant = None, profile: Profile = None) -> None:
    """Take tokens of a revoked login again that are issued from now on."""
    from queryrun_cli.administration import change

    body = {"subject": subject, "tenant_id": tenant}
    allowed = change("/admin/v1/logins/allow", body, profile)
    typer.echo(f"allowed {allowed['subject']} ({allowed['client_id']})")


@admin_app.command("sources")
def admin_sources(profile: Profile = None, as_json: Json = False) -> None:
    """List the sources, whether they are available, and their limits."""
    from queryrun_cli.administration import show_list

    columns = ("name", "available", "unavailable_reason", "limits")
    show_list("/admin/v1/sources", [], columns, profile, as_json=as_json)


@admin_app.command("nodes")
def admin_nodes(profile: Profile = None, as_json: Json = False) -> None:
    """List the live nodes, the one that answers first."""
    from queryrun_cli.administration import show_list

    columns = ("name", "is_self", "is_worker", "sources", "slots", "version")
    show_list("/admin/v1/nodes", [], columns, profile, as_json=as_json)


@admin_app.command("audit")
def admin_audit(
    event: Annotated[
        str | None, typer.Option(help="Of this event, such as client_created.")
    ] = None,
    subject: Annotated[str | None, typer.Option(help="About what has this id.")] = None,
    client: Annotated[str | None, typer.Option(help="Of what this client did, by id.")] = None,
    tenant: Tenant = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """List entries of the audit log, newest first. `queryrun audit export` has all of it."""
    from queryrun_cli.administration import given, show_list

    params = given(event=event, subject=subject, client_id=client, tenant_id=tenant)
    columns = ("position", "time", "event", "client_id", "subject", "remote_address")
    show_list("/admin/v1/audit", params, columns, profile, as_json=as_json)


@admin_app.command("runs")
def admin_runs(
    tenant: Tenant = None, entity: OfEntity = None, profile: Profile = None, as_json: Json = False
) -> None:
    """List what runs and waits in a tenant."""
    from queryrun_cli.administration import given, show_list

    params = given(tenant_id=tenant, entity_id=entity)
    columns = ("id", "state", "source", "entity_id", "client_id", "created_time")
    show_list("/admin/v1/runs", params, columns, profile, as_json=as_json)


@admin_app.command("stop")
def admin_stop(run_ids: list[str], profile: Profile = None) -> None:
    """Stop runs of any client of the tenant, with the reason admin. Needs admin:write."""
    from queryrun_cli.administration import change

    for run_id in run_ids:
        stopped = change(f"/admin/v1/runs/{run_id}/stop", {}, profile)
        typer.echo(f"{stopped['id']} {stopped['state']}")


def _server_of(home: Path, url: str | None) -> Server:
    """The home's server and its first client, which `init` gave the scope `admin`."""
    from queryrun_cli.plugins import home_server
    from queryrun_client.profiles import Profile, Server

    found = home_server(home)
    try:
        client_id = found.client_id_file.read_text(encoding="ascii").strip()
        secret = found.client_secret_file.read_text(encoding="ascii").strip()
    except FileNotFoundError as missing:
        raise CommandError(
            f"{missing.filename} does not exist: use a profile whose client has the scope admin"
        ) from None
    profile = Profile(url=url or found.url, client_id=client_id, client_secret=secret)
    return Server(f"home {home}", profile)

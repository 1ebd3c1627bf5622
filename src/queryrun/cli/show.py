"""The output of commands: text for people, one JSON object for programs."""

from __future__ import annotations

import json
from shlex import quote
from typing import TYPE_CHECKING, Any

import typer

from queryrun.auth.model import Client, IssuedSecret
from queryrun.cli.home import FIRST_SECRET_NAME

if TYPE_CHECKING:
    from queryrun.cli.home import MadeHome
    from queryrun.cli.tenants import TenantEntities
    from queryrun.demo import SampleData


def show_init(made: MadeHome, *, as_json: bool) -> None:
    """Print a new home, its first client, where its secret is kept, and the next commands."""
    data = _issued(made.issued) | {
        "entity_id": made.entity.id,
        "entity": made.entity.name,
        "home": str(made.home.resolve()),
        "data_dir": str(made.data_dir),
        "tables": made.tables,
    }
    if as_json:
        return _print(data)
    typer.echo(f"home           {data['home']}")
    typer.echo(f"data           {data['data_dir']} ({made.tables} sample tables)")
    typer.echo(f"entity         {made.entity.name} ({made.entity.id})")
    typer.echo(f"client_id      {made.issued.client.id}")
    secret_file = made.home / FIRST_SECRET_NAME
    typer.echo(f"client_secret  {made.issued.secret}   (kept in {secret_file})")
    home = quote(str(made.home))
    typer.echo(f"next           queryrun serve --home {home}")
    return typer.echo(f"               queryrun login --home {home}   (in another terminal)")


def show_client(issued: IssuedSecret, *, as_json: bool) -> None:
    """Print a new or rotated client with its secret, which is printed only here."""
    if as_json:
        return _print(_issued(issued))
    return _show_secret(issued)


def show_clients(clients: list[Client], *, as_json: bool) -> None:
    """Print clients without their secrets."""
    rows = [_client(client) for client in clients]
    if as_json:
        return _print({"clients": rows})
    for row in rows:
        suffix = "  revoked" if row["revoked"] else ""
        entities = ",".join(entity["name"] for entity in row["entities"])
        typer.echo(f"{row['client_id']}  {row['name']:<16} {entities:<24} {row['scopes']}{suffix}")
    return None


def show_tenants(tenants: list[TenantEntities], *, as_json: bool) -> None:
    """Print tenants with their entities."""
    if as_json:
        return _print({"tenants": [_tenant(one) for one in tenants]})
    for one in tenants:
        typer.echo(f"{one.tenant.name:<24} {', '.join(entity.name for entity in one.entities)}")
    return None


def _tenant(one: TenantEntities) -> dict[str, object]:
    entities = [{"id": entity.id, "name": entity.name} for entity in one.entities]
    return {"id": one.tenant.id, "name": one.tenant.name, "entities": entities}


def say_what_is_missing() -> None:
    """Before sample tables are written, say on standard error which ones cannot be."""
    from queryrun.demo import missing_tables

    if note := missing_tables():
        typer.echo(f"note: {note}", err=True)


def show_sample_data(sample: SampleData, *, as_json: bool) -> None:
    """Print the written tables and their sizes."""
    if as_json:
        tables = [
            {"table": t.name, "rows": t.rows, "size_bytes": t.size_bytes} for t in sample.tables
        ]
        return _print({"directory": str(sample.directory), "tables": tables})
    for table in sample.tables:
        typer.echo(f"{table.name:<20} {table.rows:>10,} rows {table.size_bytes:>12,} bytes")
    return typer.echo(f"{'total':<20} {sample.rows:>10,} rows {sample.size_bytes:>12,} bytes")


def _print(data: dict[str, Any]) -> None:
    typer.echo(json.dumps(data))


def _issued(issued: IssuedSecret) -> dict[str, Any]:
    return {"client_secret": issued.secret} | _client(issued.client)


def _client(client: Client) -> dict[str, Any]:
    """Lists the output's fields, so that no secret of the record can leak into it."""
    return {
        "client_id": client.id,
        "name": client.name,
        "entities": [{"id": entity.id, "name": entity.name} for entity in client.entities],
        "scopes": " ".join(sorted(client.scopes)),
        "revoked": client.revoked_time is not None,
    }


def _show_secret(issued: IssuedSecret) -> None:
    typer.echo(f"client_id      {issued.client.id}")
    typer.echo(f"client_secret  {issued.secret}   (printed once)")

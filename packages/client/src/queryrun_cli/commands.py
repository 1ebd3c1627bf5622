"""The commands that use a server as its client: declared here, done in the other modules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from queryrun_cli import completing
from queryrun_cli.group import Commands

EXITS = """\
Exit status: 0 done (the run is complete), 1 refused or wrong, 2 usage, 3 the run failed,
4 the run was canceled, 5 the server cannot be reached, 6 still running, 7 too late to cancel,
130 interrupted (the run was canceled)."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
ProfileName = Annotated[
    str | None,
    typer.Option(
        "--profile",
        "-P",
        help="Server to use; see `login`. Default: QUERYRUN_PROFILE.",
        autocompletion=completing.profiles,
    ),
]
Source = Annotated[
    str | None,
    typer.Option(
        "--source", help="Name of a source of the server.", autocompletion=completing.sources
    ),
]
RunId = Annotated[
    str,
    typer.Argument(
        help="Its id, the beginning of it, or @last.", autocompletion=completing.run_ids
    ),
]
StateName = Annotated[
    str | None,
    typer.Option(
        "--state",
        help="accepted, in_progress, complete, failed or canceled.",
        autocompletion=completing.states,
    ),
]
Since = Annotated[
    str | None, typer.Option("--since", help="Runs created since 30m, 2h, 7d ago, or a date.")
]
KeyFile = Annotated[
    Path | None,
    typer.Option("--private-key", help="PEM file or age identity to decrypt a result."),
]

Expanded = Annotated[
    bool | None,
    typer.Option(
        "--expanded/--no-expanded",
        "-x",
        help="One line per value. Default: for few rows that do not fit.",
    ),
]
Pager = Annotated[bool, typer.Option("--pager", help="Read a wide or long table in less -S.")]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", help="name=value; repeat for several: runs with all.")
]

Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        "-p",
        metavar="NAME[:TYPE]=VALUE",
        help="The value of :NAME in the statement, bound and never put into its text; "
        "repeat for several. Without a type 12 is a bigint, 12.30 a decimal, true a boolean, "
        "null NULL, and all else a text.",
    ),
]

KnownProfile = Annotated[
    str, typer.Argument(help="Name of a profile.", autocompletion=completing.profiles)
]

profiles_app = typer.Typer(
    cls=Commands, help="Profiles: the servers you are logged in to.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for command in USER_COMMANDS:
        app.command(epilog=EXITS)(command)
    app.add_typer(profiles_app, name="profiles")


def run(
    sql: Annotated[str | None, typer.Argument(help="The statement; - reads it from stdin.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Read statements from a file; - is stdin.")
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            help="table, or a format: csv, json, parquet … Default: table in a terminal.",
            autocompletion=completing.result_formats,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File for the rows, or -; its suffix is the format."),
    ] = None,
    source: Source = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds after which the server stops the run.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="name=value, stored with the run.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what it would read, and run nothing.")
    ] = False,
    notify_url: Annotated[
        str | None, typer.Option(help="Where the server sends the run's events: https://…")
    ] = None,
    cancel_on_disconnect: Annotated[
        float | None,
        typer.Option(help="Seconds after which the server cancels a run that nobody waits for."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="The run goes on whoever leaves.")] = False,
    param: Parameters = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="--no-wait prints the run's id and exits.")
    ] = True,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no messages.")] = False,
    expanded: Expanded = None,
    types: Annotated[bool, typer.Option("--types", help="Print the columns' types.")] = False,
    pager: Pager = False,
    encryption_key: Annotated[
        str | None,
        typer.Option(help="A file with a public key (PEM), or a recipient of age: age1…"),
    ] = None,
    private_key: KeyFile = None,
    profile: ProfileName = None,
    as_json: Json = False,
) -> None:
    """Run a statement and print its rows: a table in a terminal, CSV in a pipe.

    Statements that are separated by semicolons run one after the other, until one fails. Without
    a statement they are read from what is piped in: queryrun run < q.sql

    Ctrl-C cancels the run, waits until the server reports that its work has stopped, and exits
    with status 130. With --json the run itself is printed instead of its rows.
    """
    from queryrun_cli.run import EndOptions, RunOptions, origin_of, read_sql, run_script
    from queryrun_cli.table import TableOptions

    options = RunOptions(
        read_sql(sql, file),
        format=format,
        output=output,
        source=source,
        timeout_s=timeout,
        tags=tuple(tag or ()),
        parameters=tuple(param or ()),
        wait=wait,
        quiet=quiet,
        as_json=as_json,
        table=TableOptions(expanded, types, pager),
        encryption_key=encryption_key,
        private_key=private_key,
        ending=EndOptions(notify_url, cancel_on_disconnect, keep),
        dry=dry_run,
    )
    run_script(options, profile, origin_of(sql, file))


def shell(
    source: Source = None,
    format: Annotated[
        str | None,
        typer.Option(
            help="How results are shown. Default: table in a terminal, else csv.",
            autocompletion=completing.result_formats,
        ),
    ] = None,
    expanded: Expanded = None,
    pager: Pager = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no messages.")] = False,
    param: Parameters = None,
    profile: ProfileName = None,
) -> None:
    """Type statements and see their rows: history, completion, several lines until ;

    \\? lists the commands. Ctrl-C cancels the running statement, waits until its work has stopped,
    and keeps the shell. Statements that are piped in run in turn, until one fails.
    """
    from queryrun_cli.shell.loop import ShellOptions, run_shell

    run_shell(ShellOptions(source, format, expanded, pager, quiet, tuple(param or ())), profile)


def tables(source: Source = None, profile: ProfileName = None, as_json: Json = False) -> None:
    """List the tables that statements can read, with their sizes. No run. --json: one per line."""
    from queryrun_cli.tables import show_tables

    show_tables(source, profile, as_json=as_json)


def describe(
    table: Annotated[str, typer.Argument(autocompletion=completing.tables)],
    source: Source = None,
    profile: ProfileName = None,
    as_json: Json = False,
) -> None:
    """Print a table's columns, types and size. No run."""
    from queryrun_cli.tables import show_table

    show_table(table, source, profile, as_json=as_json)


def ls(
    state: StateName = None,
    source: Source = None,
    since: Since = None,
    tag: Tags = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="Maximum number of runs.")
    ] = 20,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Update the list until Ctrl-C.")
    ] = False,
    profile: ProfileName = None,
    as_json: Json = False,
) -> None:
    """List runs, newest first."""
    from queryrun_cli.ls import Filters, list_runs

    filters = Filters(state, source, since, limit, tuple(tag or ()))
    list_runs(filters, profile, watch=watch, as_json=as_json)


def show(run_id: RunId, profile: ProfileName = None, as_json: Json = False) -> None:
    """Print all properties of a run."""
    from queryrun_cli.ls import show_run

    show_run(run_id, profile, as_json=as_json)


def cancel(
    run_ids: Annotated[
        list[str] | None,
        typer.Argument(
            help="Ids of runs, beginnings of ids, or @last.", autocompletion=completing.run_ids
        ),
    ] = None,
    all_runs: Annotated[
        bool, typer.Option("--all", help="All runs that are queued or running.")
    ] = False,
    state: StateName = None,
    source: Source = None,
    since: Since = None,
    tag: Tags = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask for confirmation of --all.")
    ] = False,
    profile: ProfileName = None,
    as_json: Json = False,
) -> None:
    """Cancel runs, and return when their work has stopped.

    Already canceled is success; a run that had finished before is status 7 and stays as it is.
    """
    from queryrun_cli.cancel import cancel_runs
    from queryrun_cli.ls import Filters

    filters = Filters(state, source, since, tags=tuple(tag or ())) if all_runs else None
    cancel_runs(run_ids or [], filters, profile, yes=yes, as_json=as_json)


def get(
    run_id: RunId,
    output: Annotated[
        str, typer.Option("--output", "-o", help="A file, a directory, or - for stdout.")
    ] = ".",
    private_key: KeyFile = None,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Continue an interrupted download.")
    ] = True,
    profile: ProfileName = None,
    as_json: Json = False,
) -> None:
    """Download a run's result file and verify it; waits until the run has finished."""
    from queryrun_cli.get import get_file, show_file

    path = get_file(run_id, output, profile, private_key=private_key, resume=resume)
    show_file(path, as_json=as_json)


def decrypt(
    file: Annotated[Path, typer.Argument(help="The encrypted file.")],
    key: Annotated[
        Path, typer.Option("--key", "-k", help="PEM file or age identity of the private key.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Default: the name without .enc.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Decrypt a result file, without a server. Password of the key: QUERYRUN_KEY_PASSWORD."""
    from queryrun_cli.get import decrypt_to, show_file

    show_file(decrypt_to(file, key, output), as_json=as_json)


def login(
    url: Annotated[
        str | None, typer.Argument(help="URL of the server, such as https://host:8080")
    ] = None,
    name: Annotated[str, typer.Option("--name", help="Name of the profile.")] = "default",
    client_id: Annotated[str | None, typer.Option("--client-id")] = None,
    secret_file: Annotated[
        Path | None, typer.Option("--secret-file", help="File that holds the client's secret.")
    ] = None,
    home: Annotated[
        Path | None, typer.Option("--home", help="A home on this machine; uses its first client.")
    ] = None,
    api_version: Annotated[
        str, typer.Option("--api-version", help="v2, or v1 (/query/jobs).")
    ] = "v2",
    entity_id: Annotated[
        str | None, typer.Option("--entity-id", help="For a client with several entities.")
    ] = None,
    private_key: KeyFile = None,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Check the credentials first.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Save a server's URL and your credentials as a profile, and make it the current one.

    The secret comes from --secret-file, QUERYRUN_CLIENT_SECRET, QUERYRUN_CLIENT_SECRET_FILE or a
    prompt, never from the command line, which every process can read.
    """
    from queryrun_cli.login import LoginOptions
    from queryrun_cli.login import login as save_profile

    options = LoginOptions(
        name, url, client_id, secret_file, home, api_version, entity_id, private_key, check
    )
    save_profile(options, as_json=as_json)


def config(profile: ProfileName = None, as_json: Json = False) -> None:
    """Print the server that commands use now, and where it comes from."""
    from queryrun_cli.login import show_config

    show_config(profile, as_json=as_json)


@profiles_app.command("ls")
def profiles_ls(as_json: Json = False) -> None:
    """List the profiles; never their secrets."""
    from queryrun_cli.login import show_profiles

    show_profiles(as_json=as_json)


@profiles_app.command("use")
def profiles_use(name: KnownProfile) -> None:
    """Make a profile the current one."""
    from queryrun_cli.profiles import use_profile

    use_profile(name)
    typer.echo(f"using {name}")


@profiles_app.command("rm")
def profiles_rm(name: KnownProfile) -> None:
    """Remove a profile and its secret."""
    from queryrun_cli.profiles import remove_profile

    remove_profile(name)
    typer.echo(f"removed {name}")


def usage(
    by: Annotated[
        list[str] | None,
        typer.Option(help="day, entity, client, source or tag:NAME; repeat for several."),
    ] = None,
    first_day: Annotated[
        str | None, typer.Option("--from", help="First day (UTC). Default: the month's first.")
    ] = None,
    last_day: Annotated[
        str | None, typer.Option("--to", help="Last day (UTC), included. Default: today.")
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV with every figure.")] = False,
    profile: ProfileName = None,
    as_json: Json = False,
) -> None:
    """Report what runs have used: your own, or with the scope admin those of the entity."""
    from queryrun_cli.administration import given, print_csv, show_list

    names = by or []
    params = [("group_by[]", name) for name in names]
    params += given(first_day=first_day, last_day=last_day)
    if csv:
        print_csv(params, profile)
        return
    keys = {"entity": "entity_id", "client": "client_id"}
    columns = [keys.get(name, name.partition(":")[0]) for name in names]
    figures = ("runs", "attempts", "cpu_ms", "read_bytes", "written_bytes", "downloaded_bytes")
    show_list("/v2/usage", params, [*columns, *figures], profile, as_json=as_json)


def completion(
    context: typer.Context,
    shell: Annotated[
        str, typer.Argument(help="bash, zsh or fish.", autocompletion=completing.shells)
    ],
) -> None:
    """Print the script with which bash, zsh or fish completes commands, ids, tables and states.

    For the shell it is typed in: eval "$(queryrun completion zsh)". See --install-completion, too.
    """
    from queryrun_cli.completion_script import print_script

    print_script(context, shell)


def help(
    context: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(help="A command.")] = None,
) -> None:
    """Print what a command does and its options; without one, the list of commands."""
    from queryrun_cli.guide import print_help

    print_help(context, words or [])


USER_COMMANDS = (
    run,
    shell,
    tables,
    describe,
    ls,
    show,
    cancel,
    get,
    decrypt,
    login,
    config,
    usage,
    completion,
    help,
)

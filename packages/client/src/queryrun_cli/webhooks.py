"""`queryrun webhooks`: who is told of what, through the API."""

from __future__ import annotations

from typing import Annotated

import typer

from queryrun_cli.group import Commands

webhooks_app = typer.Typer(
    cls=Commands,
    help="Signed messages to a receiver of yours when your runs change.",
    no_args_is_help=True,
)

Profile = Annotated[
    str | None, typer.Option("--profile", "-P", help="Server and client; see `login`.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON objects, one a line.")]
Events = Annotated[
    list[str] | None,
    typer.Option("--event", help="Event to be told of, such as run.complete; repeat."),
]
DELIVERY_COLUMNS = ("id", "event", "query_run_id", "state", "attempt_count", "next_attempt_time")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(webhooks_app, name="webhooks")


@webhooks_app.command("ls")
def webhooks_ls(profile: Profile = None, as_json: Json = False) -> None:
    """List webhooks; never their secrets."""
    from queryrun_cli.administration import show_list

    columns = ("id", "kind", "url", "events", "paused")
    show_list("/v2/webhooks", [], columns, profile, as_json=as_json)


@webhooks_app.command("create")
def webhooks_create(
    url: Annotated[str, typer.Argument(help="Where to: https://…; left out for --kind run.")] = "",
    event: Events = None,
    kind: Annotated[str, typer.Option(help="webhook, run or callout.")] = "webhook",
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    of_entity: Annotated[
        bool, typer.Option("--of-entity", help="Every run of the entity; needs the scope admin.")
    ] = False,
    profile: Profile = None,
) -> None:
    """Create a webhook and print it as JSON, with its secret: it is shown only here."""
    import json
    from uuid import uuid4

    from queryrun_cli.administration import change
    from queryrun_cli.errors import CommandError

    body = {
        "id": str(uuid4()),
        "url": url,
        "kind": kind,
        "events": event or None,
        "description": description,
        "of_entity": of_entity,
    }
    made = change("/v2/webhooks", body, profile)
    typer.echo(json.dumps(made))
    if "secret" not in made:
        raise CommandError(f"the response with the secret was lost: rotate {made['id']}")


@webhooks_app.command("rotate")
def webhooks_rotate(
    webhook_id: str,
    grace_hours: Annotated[
        float, typer.Option(help="How long messages carry both signatures.")
    ] = 24,
    profile: Profile = None,
) -> None:
    """Give a webhook a new secret, and print it as JSON: it is shown only here."""
    import json

    from queryrun_cli.administration import change

    path = f"/v2/webhooks/{webhook_id}/rotate"
    typer.echo(json.dumps(change(path, {"grace_s": grace_hours * 3600}, profile)))


@webhooks_app.command("pause")
def webhooks_pause(webhook_id: str, profile: Profile = None) -> None:
    """Pause a webhook: its deliveries wait."""
    _set_paused(webhook_id, profile, is_paused=True)


@webhooks_app.command("resume")
def webhooks_resume(webhook_id: str, profile: Profile = None) -> None:
    """Deliver again, what has waited first."""
    _set_paused(webhook_id, profile, is_paused=False)


@webhooks_app.command("rm")
def webhooks_rm(webhook_id: str, profile: Profile = None) -> None:
    """Delete a webhook. What waits is given up."""
    from queryrun_cli.administration import send

    send("DELETE", f"/v2/webhooks/{webhook_id}", None, profile)
    typer.echo(f"deleted {webhook_id}")


@webhooks_app.command("deliveries")
def webhooks_deliveries(
    webhook: Annotated[str | None, typer.Option(help="Of this webhook.")] = None,
    run: Annotated[str | None, typer.Option(help="About this run.")] = None,
    state: Annotated[str | None, typer.Option(help="pending, delivered or dead.")] = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """List deliveries, newest first."""
    from queryrun_cli.administration import given, show_list

    params = given(webhook_id=webhook, run_id=run, state=state)
    show_list("/v2/webhook_deliveries", params, DELIVERY_COLUMNS, profile, as_json=as_json)


@webhooks_app.command("delivery")
def webhooks_delivery(delivery_id: str, profile: Profile = None) -> None:
    """Print a delivery as JSON, with its attempts and what the receiver answered."""
    from queryrun_cli.administration import send

    typer.echo(send("GET", f"/v2/webhook_deliveries/{delivery_id}", None, profile))


@webhooks_app.command("replay")
def webhooks_replay(
    delivery_ids: Annotated[list[str] | None, typer.Argument(help="Ids of deliveries.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Instead: dead ones whose events are not older, ISO 8601.")
    ] = None,
    before: Annotated[str | None, typer.Option(help="And older than this.")] = None,
    webhook: Annotated[str | None, typer.Option(help="Of this webhook alone.")] = None,
    state: Annotated[str, typer.Option(help="dead or delivered.")] = "dead",
    profile: Profile = None,
) -> None:
    """Deliver again, by ids or by time. The messages keep their ids; prints how many."""
    from queryrun_cli.administration import change

    body = {
        "ids": delivery_ids or None,
        "from_time": since,
        "before_time": before,
        "webhook_id": webhook,
        "state": state,
    }
    typer.echo(change("/v2/webhook_deliveries/replay", body, profile)["replayed"])


def _set_paused(webhook_id: str, profile: str | None, *, is_paused: bool) -> None:
    from queryrun_cli.administration import send

    send("PUT", f"/v2/webhooks/{webhook_id}", {"paused": is_paused}, profile)
    typer.echo(f"{'paused' if is_paused else 'resumed'} {webhook_id}")

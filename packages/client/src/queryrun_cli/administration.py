"""What `queryrun admin` and `queryrun usage` send, and how they print it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import typer

from queryrun_cli.exits import translated
from queryrun_cli.remote import connect
from queryrun_cli.texts import aligned
from queryrun_client import Client, UnexpectedResponse
from queryrun_client.effects import Request, Response
from queryrun_client.profiles import find_server

JSON = {"accept": "application/json", "content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Api:
    """One server, beyond runs."""

    client: Client
    url: str

    def send(self, method: str, path: str, body: object = None) -> Response:
        """One request. It may be sent twice when the network fails: every one of these may."""
        sent = None if body is None else json.dumps(body).encode()
        request = Request(method, f"{self.url}{path}", JSON, sent)
        return self.client.perform(self.client.core.call(request))

    def object(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """The same, and the response's JSON object."""
        response = self.send(method, path, body)
        try:
            found = json.loads(response.body)
        except ValueError as error:
            raise UnexpectedResponse("the response is not JSON") from error
        if not isinstance(found, dict):
            raise UnexpectedResponse("the response is not an object")
        return found

    def pages(self, path: str, params: Sequence[tuple[str, str]]) -> Iterator[dict[str, Any]]:
        """Everything on all pages of a list."""
        cursor: list[tuple[str, str]] = []
        while True:
            page = self.object("GET", f"{path}?{urlencode([*params, *cursor])}")
            yield from page["data"]
            if not page.get("next_page"):
                return
            cursor = [("cursor", str(page["next_page"]))]


def given(**params: str | None) -> list[tuple[str, str]]:
    """The parameters that have a value."""
    return [(name, value) for name, value in params.items() if value]


def show_list(
    path: str,
    params: Sequence[tuple[str, str]],
    columns: Sequence[str],
    profile: str | None,
    *,
    as_json: bool,
) -> None:
    """Print everything on all pages: aligned columns, or a JSON object per line."""
    server = find_server(profile)
    with translated(), connect(server) as client:
        found = list(Api(client, _base(server.profile.url)).pages(path, params))
    if as_json:
        for one in found:
            typer.echo(json.dumps(one))
        return
    for line in aligned(
        [[*columns], *([_cell(one.get(name)) for name in columns] for one in found)]
    ):
        typer.echo(line)


def change(path: str, body: object, profile: str | None) -> dict[str, Any]:
    """POST, and return the response's object."""
    server = find_server(profile)
    with translated(), connect(server) as client:
        return Api(client, _base(server.profile.url)).object("POST", path, body)


def send(method: str, path: str, body: object, profile: str | None) -> str:
    """One request; the response's body as text."""
    server = find_server(profile)
    with translated(), connect(server) as client:
        api = Api(client, _base(server.profile.url))
        return api.send(method, path, body).body.decode()


def create_client(body: Mapping[str, object], profile: str | None) -> dict[str, Any]:
    """Create a client under an id of our own, so that a request that is sent twice makes one."""
    return change("/admin/v1/clients", {**body, "id": str(uuid4())}, profile)


def print_csv(params: Sequence[tuple[str, str]], profile: str | None) -> None:
    """Print a report of usage as CSV, all pages under one line of names."""
    server = find_server(profile)
    path = f"/v2/usage?{urlencode([*params, ('format', 'csv')])}"
    is_first = True
    with translated(), connect(server) as client:
        while path:
            response = Api(client, _base(server.profile.url)).send("GET", path)
            head, _, rows = response.body.decode().partition("\n")
            typer.echo(f"{head}\n{rows}" if is_first else rows, nl=False)
            path = response.headers.get("link", "").partition(">")[0].removeprefix("<")
            is_first = False


def _base(url: str) -> str:
    return url.rstrip("/").removesuffix("/v2")


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={_cell(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ",".join(
            str(one.get("name")) if isinstance(one, dict) else str(one) for one in value
        )
    return "" if value is None else str(value)

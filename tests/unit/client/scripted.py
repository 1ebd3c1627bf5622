"""Performs a flow against a script: responses in order, and a clock that sleeping advances."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from queryrun_client.core import Core, Credentials
from queryrun_client.effects import (
    Block,
    Effect,
    Fetch,
    Flow,
    NeedToken,
    NoResponseError,
    Request,
    Response,
    Send,
    Sleep,
)
from queryrun_client.model import Options

T = TypeVar("T")
Reply = Response | NoResponseError | tuple[Response, list[bytes]]
"""A response, no response, or a file's head and chunks (no response after them if incomplete)."""


def response(status: int, content: object = None, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, named, b"" if content is None else json.dumps(content).encode())


def silence() -> NoResponseError:
    return NoResponseError("ReadError")


TOKEN = response(200, {"access_token": "t1", "expires_in": 3599})


@dataclass
class Script:
    """The world of one client."""

    replies: list[Reply]
    requests: list[Request] = field(default_factory=list)
    sleeps: list[float] = field(default_factory=list)
    time_s: float = 1000.0

    def __post_init__(self) -> None:
        self.core = self.client()

    def client(self, api_version: str = "v2", options: Options | None = None) -> Core:
        who = Credentials("id", "secret")
        return Core("http://x", who, api_version, options or Options(), lambda: self.time_s)

    def run(self, flow: Flow[T]) -> T:
        try:
            effect = next(flow)
            while True:
                try:
                    reply = self._do(effect)
                except NoResponseError as error:
                    effect = flow.throw(error)
                else:
                    effect = flow.send(reply)
        except StopIteration as end:
            result: T = end.value
            return result

    def _do(self, effect: Effect) -> Any:
        if isinstance(effect, Sleep):
            self.sleeps.append(effect.seconds)
            self.time_s += effect.seconds
            return None
        if isinstance(effect, NeedToken):
            return self.run(self.core.token(effect.refused))
        if isinstance(effect, Block):
            return effect.call()
        self.requests.append(effect.request)
        found = self.replies.pop(0)
        if isinstance(found, NoResponseError):
            raise found
        if isinstance(effect, Send):
            assert isinstance(found, Response)
            return found
        return self._fetch(effect, found)

    def _fetch(self, effect: Fetch, found: Response | tuple[Response, list[bytes]]) -> Response:
        head, chunks = found if isinstance(found, tuple) else (found, [])
        try:
            if effect.sink.open(head):
                for chunk in chunks:
                    if not chunk:
                        raise silence()
                    effect.sink.write(chunk)
        finally:
            effect.sink.close()
        return head

    def sent(self, path_end: str) -> list[Request]:
        """The requests whose path ends so."""
        return [one for one in self.requests if one.url.partition("?")[0].endswith(path_end)]


def run_body(state: str = "accepted", **more: object) -> dict[str, object]:
    return {"id": "r1", "state": state, "sql": "SELECT 1", **more}


def script(*replies: Reply) -> Script:
    return Script(list(replies))


def keys(requests: Iterable[Request]) -> set[str]:
    return {request.headers["idempotency-key"] for request in requests}

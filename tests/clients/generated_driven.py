"""A client that openapi-generator made, driven call by call (`generated_clients.py`)."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.clients import generated_clients
from tests.clients.driven import Driven, driver_process

POLL_S = 0.02
POLLS_FOR_S = 60.0


class GeneratedClient(Driven):
    """Calls operations of the contract's document by their ids. What the client throws is an error
    here; `ApiException` is the service's refusal, anything else is the client's own."""

    language: str

    def connect(self, url: str, token: str) -> None:
        """Call this server from now on."""
        assert self.send_request("connect", url=url, token=token) == {}

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """What came of it: `status`, `headers` and `result`, or `error`."""
        return self.send_request("call", operation=operation, arguments=arguments)

    def done(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """The result of a call that must succeed."""
        found = self.call(operation, **arguments)
        assert "error" not in found, found
        result: dict[str, Any] = found["result"]
        return result

    def refused(self, status: int, operation: str, **arguments: Any) -> dict[str, Any]:
        """The body of a refusal, as the client's strict model of errors has read it."""
        found = self.call(operation, **arguments)
        error: dict[str, Any] = found.get("error", {})
        assert (error.get("kind"), error.get("status")) == ("ApiException", status), found
        body: dict[str, Any] = error["body"]
        return {name: value for name, value in body.items() if value is not None}

    def polled(self, operation: str, until: str, **arguments: Any) -> dict[str, Any]:
        """What the call returned once its state was this one; it polls, as such clients do."""
        deadline = time.monotonic() + POLLS_FOR_S
        while time.monotonic() < deadline:
            found = self.call(operation, **arguments)
            assert "error" not in found, found
            if state_of(found["result"]) == until:
                return found
            assert state_of(found["result"]) in ("accepted", "in_progress"), found
            time.sleep(POLL_S)
        raise AssertionError(f"it did not become {until}: {json.dumps(found)}")

    def downloaded(self, url: str) -> bytes:
        """The bytes behind a link, fetched in the client's language."""
        return base64.b64decode(self.send_request("download", url=url)["base64"])


def state_of(result: dict[str, Any]) -> str:
    """The state of a run, or of a job in the shape of v1."""
    return str(result["data"]["queryStatus"] if "data" in result else result["state"])


@contextmanager
def generated_client(language: str) -> Iterator[GeneratedClient]:
    """A client for the block. Where it cannot be made the test is skipped, or in CI fails. Without
    a JDK there is no Java client, in CI neither."""
    if missing := generated_clients.what_is_missing(language):
        is_expected = missing == generated_clients.NO_JDK or os.environ.get("WITHOUT_GENERATOR")
        if os.environ.get("CI") and not is_expected:
            raise AssertionError(missing)
        pytest.skip(f"no generated client for {language}: {missing}")
    with driver_process(generated_clients.command(language)) as process:
        client = GeneratedClient(process)
        client.language = language
        yield client

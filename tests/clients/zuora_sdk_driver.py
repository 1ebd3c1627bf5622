"""Carries out calls of the official Python SDK, `zuora-sdk`, unmodified: one JSON line in, one out.

Runs in the environment of `make existing-clients`, where nothing of ours is installed. It knows
no rule of the contract; what it hands back is what the SDK handed to it.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from typing import Any

from zuora_sdk.api.data_queries_api import DataQueriesApi
from zuora_sdk.exceptions import ApiException
from zuora_sdk.zuora_client import ZuoraClient


class Driver:
    """One SDK client at a time."""

    def __init__(self) -> None:
        self.client: Any = None

    def connect(self, url: str, client_id: str, secret: str) -> dict[str, Any]:
        """`initialize()`, which prints its errors and continues without a token."""
        self.client = ZuoraClient(client_id, secret, None)
        self.client.set_base_url(url)
        self.client.set_retry_config(1, 1)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            self.client.initialize()
        return {**self._token(), "printed": printed.getvalue()}

    def refresh(self) -> dict[str, Any]:
        """What the SDK's timer does every ten minutes, old bearer and all."""
        before = self.client.token["access_token"]
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            self.client.refresh_token()
        changed = before != self.client.token["access_token"]
        return {**self._token(), "printed": printed.getvalue(), "changed": changed}

    def _token(self) -> dict[str, Any]:
        return {
            "has_token": self.client.token["access_token"] is not None,
            "interval_s": self.client.get_refresh_interval(),
        }

    def call(self, name: str, raw: bool = False, **arguments: Any) -> dict[str, Any]:
        """One method of `DataQueriesApi`; `raw` bypasses the SDK's own validation."""
        api = self.client.data_queries_api()
        try:
            if raw:
                response = getattr(DataQueriesApi, name).raw_function(api, **arguments)
            else:
                response = getattr(api, name)(**arguments)
        except ApiException as error:
            return {"error": _api_error(error)}
        except ValueError as error:  # pydantic's: the SDK refused by itself
            return {"error": {"kind": type(error).__name__, "text": str(error)}}
        return {"result": None if response is None else json.loads(response.to_json())}


def _api_error(error: ApiException) -> dict[str, Any]:
    return {
        "kind": type(error).__name__,
        "status": error.status,
        "body": error.body,
        "message": getattr(error.data, "message", None),
        "rate_limit_remaining": error.rate_limit_remaining,
        "concurrency_limit_limit": error.concurrency_limit_limit,
        "request_id": error.zuora_request_id,
    }


def main() -> None:
    """Handle requests until the end of the input."""
    driver, lines = Driver(), sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        request = json.loads(line)
        response = getattr(driver, request.pop("do"))(**request)
        print(json.dumps(response), file=lines, flush=True)


if __name__ == "__main__":
    main()

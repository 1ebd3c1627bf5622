"""Carries out calls of an older generated client, `zuora-swagger-client`, unmodified: one JSON line
in, one out. Like `zuora_sdk_driver.py`, in the same environment."""

from __future__ import annotations

import json
import sys
from typing import Any

import swagger_client
from swagger_client.rest import ApiException


class Driver:
    """One client at a time."""

    def __init__(self) -> None:
        self.api: Any = None
        self.bearer = ""

    def connect(self, url: str, client_id: str, secret: str) -> dict[str, Any]:
        """A token by the client's own OAuth call, and its API of data queries."""
        configuration = swagger_client.Configuration()
        configuration.host = url
        http = swagger_client.ApiClient(configuration)
        oauth = swagger_client.OAuthApi(http)
        token = oauth.create_token(client_id, secret, "client_credentials")
        self.bearer = f"Bearer {token.access_token}"
        self.api = swagger_client.DataQueriesApi(http)
        return {"has_token": bool(token.access_token), "expires_in": token.expires_in}

    def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Call a method; each takes the bearer token as its first argument."""
        try:
            response = getattr(self.api, name)(self.bearer, **arguments)
        except ApiException as error:
            return {"error": {"status": error.status, "body": error.body}}
        except ValueError as error:
            return {"error": {"text": str(error)}}
        plain = self.api.api_client.sanitize_for_serialization(response)
        return {"result": plain, "body": json.loads(self.api.api_client.last_response.data)}


def main() -> None:
    """Handle requests until the end of the input."""
    driver = Driver()
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(getattr(driver, request.pop("do"))(**request)), flush=True)


if __name__ == "__main__":
    main()

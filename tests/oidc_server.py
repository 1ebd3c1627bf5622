"""An OpenID Connect issuer on a loopback port: authlib's authorization server behind real HTTP.

It has discovery, JWKS and a token endpoint, and makes the JWT access tokens of RFC 9068. Its key
can be rotated, and its documents broken.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, grants
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from flask import Flask, Response, jsonify, request
from joserfc.jwk import KeySet, RSAKey
from werkzeug.serving import make_server

AUDIENCE = "queryrun"
SECRET = "a secret of a login, only in tests"
DISCOVERY = "/.well-known/openid-configuration"


class _Login(ClientMixin):
    """Any client id is a login; all have one secret."""

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id

    def get_client_id(self) -> str:
        return self.client_id

    def get_allowed_scope(self, scope: str) -> str:
        return scope or ""

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return True

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "client_credentials"


class _Grant(grants.ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]  # noqa: RUF012


class _Tokens(JWTBearerTokenGenerator):
    def __init__(self, server: OidcServer) -> None:
        super().__init__(issuer=server.issuer, alg="RS256")
        self._server = server

    def get_jwks(self) -> KeySet:
        """The key that signs: the newest."""
        return KeySet([self._server.keys[-1]])

    def get_audiences(self, client: Any, user: Any, scope: str) -> list[str]:
        return [self._server.audience]

    def get_extra_claims(self, client: Any, grant_type: str, user: Any, scope: str) -> Any:
        return self._server.claims.get(client.get_client_id(), {})


def new_key(name: str) -> RSAKey:
    """A signing key of this name."""
    return RSAKey.generate_key(2048, {"kid": name, "use": "sig"}, private=True)


@dataclass
class OidcServer:
    """A running issuer. `claims` are those of each login."""

    issuer: str = ""
    audience: str = AUDIENCE
    keys: list[RSAKey] = field(default_factory=lambda: [new_key("first")])
    claims: dict[str, dict[str, Any]] = field(default_factory=dict)
    documents: dict[str, Response] = field(default_factory=dict)
    """Sent instead of the real ones, by path."""
    requests: Counter[str] = field(default_factory=Counter)

    def rotate(self, *, keep: bool = True) -> None:
        """Sign with a new key from now on; without `keep` the older ones are withdrawn."""
        made = new_key(f"key {len(self.keys) + 1}")
        self.keys = [*self.keys, made] if keep else [made]

    def token(self, login: str, **claims: Any) -> str:
        """A token as the login gets it from the token endpoint."""
        self.claims[login] = claims
        response = httpx2.post(
            f"{self.issuer}/token",
            data={"grant_type": "client_credentials"},
            auth=(login, SECRET),
        )
        assert response.status_code == 200, response.text
        return str(response.json()["access_token"])

    def add_routes(self, app: Flask) -> None:
        """The issuer's routes."""
        server = AuthorizationServer(app, query_client=_Login, save_token=lambda *_: None)
        server.register_grant(_Grant)
        server.register_token_generator("default", _Tokens(self))

        @app.before_request
        def replaced() -> Response | None:
            self.requests[request.path] += 1
            return self.documents.get(request.path)

        @app.get(DISCOVERY)
        def discovery() -> Response:
            return jsonify(
                issuer=self.issuer,
                jwks_uri=f"{self.issuer}/jwks",
                token_endpoint=f"{self.issuer}/token",
            )

        @app.get("/jwks")
        def jwks() -> Response:
            return jsonify(KeySet(list(self.keys)).as_dict(private=False))

        @app.post("/token")
        def token() -> Any:
            return server.create_token_response()


@contextmanager
def oidc_server() -> Iterator[OidcServer]:
    """Serve until the block ends."""
    issuer = OidcServer()
    app = Flask("issuer")
    http = make_server("127.0.0.1", 0, app, threaded=True)
    issuer.issuer = f"http://127.0.0.1:{http.server_port}"
    issuer.add_routes(app)
    thread = threading.Thread(target=http.serve_forever, name="oidc", daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        http.shutdown()
        thread.join()
        http.server_close()

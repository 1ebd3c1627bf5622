"""A person's session in the OpenAPI document."""

from __future__ import annotations

from queryrun.http.shapes import Schema, closed_object, text

SIGN_IN = closed_object(
    {
        "client_id": text("The client's id."),
        "client_secret": text("Its secret."),
    },
    "Who signs in.",
    ("client_id", "client_secret"),
)
SESSION = closed_object(
    {
        "client_id": text("The client's id."),
        "client_name": text("Its name."),
        "scopes": {"type": "array", "items": {"type": "string"}},
        "entities": {
            "type": "array",
            "items": closed_object(
                {"id": text("Its id."), "name": text("Its name.")}, "An entity.", ("id", "name")
            ),
        },
        "idle_timeout_seconds": {
            "type": "number",
            "description": "The session ends when it is not extended for so long.",
        },
    },
    "A person's session.",
    ("client_id", "client_name", "scopes", "entities", "idle_timeout_seconds"),
)

SESSION_SCHEMAS: dict[str, Schema] = {"SignIn": SIGN_IN, "Session": SESSION}

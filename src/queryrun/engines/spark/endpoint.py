"""The address and credentials of a Spark Connect server, and the ids of sessions on it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from queryrun.errors import FailureCode, RunFailed

DEFAULT_PORT = 15002
"""Spark Connect's own."""
DEFAULT_CATALOG, DEFAULT_SCHEMA = "spark_catalog", "default"
"""What Spark starts with; a statement's tables are looked for there unless the source says else."""
_NAMESPACE = uuid.UUID("6f1f0d0e-33a3-5d0a-9b5e-6f9a0f6a3a11")


@dataclass(frozen=True, slots=True)
class SparkEndpoint:
    """One source's server for one entity. `token` goes with every call, over TLS only."""

    address: str
    is_secure: bool
    user: str
    catalog: str
    schema: str
    ui_url: str = ""
    token: str | None = field(default=None, repr=False)


def endpoint_from_options(options: Mapping[str, str], secret: str | None) -> SparkEndpoint:
    """Read an engine's options (`url`, `user`, `catalog`, `schema`, `auth`, `ui_url`).

    `url` is `sc://host:port`, or `sc://host:port/;use_ssl=true` as Spark writes it. `auth` is
    `none` or `token`; with a token the connection is encrypted, whatever the URL says.
    Raises `RunFailed` for options that cannot work.
    """
    url = urlsplit(options.get("url", ""))
    needs_token = options.get("auth", "none") == "token"
    if url.scheme != "sc" or not url.hostname or (needs_token and not secret):
        raise RunFailed.of(FailureCode.INTERNAL_ERROR, "The source is not set up correctly")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return SparkEndpoint(
        address=f"{host}:{url.port or DEFAULT_PORT}",
        is_secure=needs_token or "use_ssl=true" in url.path.lower(),
        user=options.get("user", "") or "queryrun",
        catalog=options.get("catalog", "") or DEFAULT_CATALOG,
        schema=options.get("schema", "") or DEFAULT_SCHEMA,
        ui_url=options.get("ui_url", "").rstrip("/"),
        token=secret if needs_token else None,
    )


def session_id_of(name: str) -> str:
    """The session that work of this name runs in: whoever knows the name can find it."""
    return str(uuid.uuid5(_NAMESPACE, name))

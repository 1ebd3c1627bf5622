"""The places that a worker may reach, by the names that it asks its relay for."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec

from queryrun.engines.source_spec import SourceSpec
from queryrun.worker.frames import ResultsSpec

ENGINE, RESULTS = "engine", "results"
"""Names of every relay; a source may have more (`EngineKind.connections`)."""
_PORTS = {"http": 80, "https": 443, "sc": 15002}
_AWS = "https://s3.{region}.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a TCP port."""

    host: str
    port: int


def addresses_of(source: SourceSpec, results: ResultsSpec) -> dict[str, Address]:
    """Those of a worker's relay. Empty: all that it needs is local."""
    urls = {}
    if source.kind.relay:
        urls = {name: source.options.get(key, "") for name, key in source.kind.connections.items()}
    if results.kind == "s3":
        urls[RESULTS] = _store_url(results.options)
    return {name: _address(url) for name, url in urls.items() if url}


def without_secret(source: SourceSpec) -> SourceSpec:
    """The source as a worker gets it that has a relay: the relay alone knows who it is."""
    if not source.kind.relay:
        return source
    options = {**source.options, "auth": "none"}
    return msgspec.structs.replace(source, options=options, secret=None)


def _store_url(options: dict[str, str]) -> str:
    """As `S3Bucket` has it."""
    url = options.get("endpoint") or _AWS.format(region=options.get("region", ""))
    if options.get("addressing") != "virtual":
        return url
    scheme, _, host = url.partition("://")
    return f"{scheme}://{options['bucket']}.{host}"


def _address(url: str) -> Address:
    split = urlsplit(url)
    return Address(split.hostname or "", split.port or _PORTS.get(split.scheme, 0))

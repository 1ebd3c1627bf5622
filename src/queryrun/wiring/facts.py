"""Settings -> what a node says of itself to the other nodes on its database."""

from __future__ import annotations

import hashlib
import socket

import msgspec

from queryrun import __version__
from queryrun.runs.cluster import NodeFacts
from queryrun.settings import Settings, SourceSettings

_PER_NODE = frozenset({"secret_file", "secret_env", "threads", "memory", "spill", "copies"})
"""Settings of a source in which nodes may differ: paths of secrets, and what machines have."""


def node_facts(settings: Settings, node: str, link_key: bytes) -> NodeFacts:
    """Digests of what all nodes must have alike."""
    results = settings.results
    location = [results.store, results.bucket, results.prefix, results.endpoint]
    if results.store == "local" and not results.shared:
        location += [socket.gethostname(), str(settings.path(results.directory))]
    return NodeFacts(
        node=node,
        is_worker="worker" in settings.roles,
        sources={name: _digest(_shared(one)) for name, one in settings.sources.items()},
        link_key=_digest(["link", link_key.hex()]),
        results=_digest(location),
        slots=settings.workers.slots + settings.workers.usable_fair_slots,
        version=__version__,
    )


def _shared(source: SourceSettings) -> dict[str, object]:
    values: dict[str, object] = msgspec.to_builtins(source)
    return {name: value for name, value in values.items() if name not in _PER_NODE}


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:16]

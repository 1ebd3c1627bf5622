"""A session of a remote engine as a worker has it: without the secret, on a relay's connections."""

from __future__ import annotations

from collections.abc import Mapping

from queryrun.engines.base import EngineLimits, EngineSession, GiveSocket
from queryrun.engines.source_spec import Secret, SourceSpec
from queryrun.worker.frames import ResultsSpec
from queryrun.worker.relay import Relay
from queryrun.worker.relay_targets import addresses_of, without_secret


def relayed_session(
    engine: str, options: Mapping[str, str], limits: EngineLimits, secret: str | None = None
) -> EngineSession:
    """The relay runs in threads of this process."""
    source = SourceSpec(engine, dict(options), Secret(secret) if secret else None)
    given = without_secret(source)
    assert given.secret is None
    return source.kind.open_session(given.options, limits, give=relay_of(source))


def relay_of(source: SourceSpec) -> GiveSocket:
    """Gives connections as the relay of a worker does."""
    return Relay(source, addresses_of(source, ResultsSpec("local", {}))).give

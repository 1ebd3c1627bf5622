"""`[tracing]` as a running exporter. The extra is imported here, and only when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry

from queryrun import __version__
from queryrun.errors import ConfigurationError
from queryrun.extras import require_extra
from queryrun.runs.trace import Tracer
from queryrun.settings import Settings
from queryrun.tracing.export import SpanExporter, SpanMetrics
from queryrun.tracing.span import SpanSender


@dataclass(frozen=True, slots=True)
class NodeTracing:
    """Both None where traces are not recorded."""

    tracer: Tracer | None = None
    exporter: SpanExporter | None = None


def make_tracing(settings: Settings, node: str, registry: CollectorRegistry) -> NodeTracing:
    """An exporter that is not started yet. `ConfigurationError` for what cannot work."""
    tracing = settings.tracing
    metrics = SpanMetrics.on(registry)
    if not tracing.endpoint:
        return NodeTracing()
    exporter = SpanExporter(_sender(settings, node), metrics, tracing.max_spans)
    engines = {name: source.kind.name for name, source in settings.sources.items()}
    return NodeTracing(Tracer(exporter, engines, tracing.sample), exporter)


def _sender(settings: Settings, node: str) -> SpanSender:
    tracing = settings.tracing
    parts = urlsplit(tracing.endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            f"tracing.endpoint is {tracing.endpoint!r}: it must be http://host:port or "
            "https://host:port"
        )
    require_extra("otel", "tracing.endpoint is set")
    from queryrun.tracing.otlp import Collector, make_sender

    collector = Collector(
        tracing.endpoint,
        tracing.timeout_s,
        _headers(settings.path(tracing.headers_file)) if tracing.headers_file else {},
        str(settings.path(tracing.ca_file)) if tracing.ca_file else "",
        {
            "service.name": tracing.service_name,
            "service.version": __version__,
            "service.instance.id": node,
        },
    )
    try:
        return make_sender(tracing.protocol, collector)
    except OSError as error:
        raise ConfigurationError(f"tracing.ca_file cannot be read: {error}") from error


def _headers(path: Path) -> dict[str, str]:
    """`Name: value` on each line."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"tracing.headers_file cannot be read: {error}") from error
    headers = {}
    for number, line in enumerate(lines, start=1):
        name, colon, value = line.partition(":")
        if colon and name.strip():
            headers[name.strip()] = value.strip()
        elif line.strip():
            raise ConfigurationError(f"tracing.headers_file, line {number}: expected 'Name: value'")
    return headers

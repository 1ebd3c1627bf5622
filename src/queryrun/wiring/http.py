"""Settings -> the limits and switches of the HTTP layer."""

from __future__ import annotations

from queryrun.http.context import HttpSettings
from queryrun.http.rate_limits import API_PRESETS, Rates
from queryrun.runs.model import DeletedRows
from queryrun.settings import Settings


def http_settings(settings: Settings) -> HttpSettings:
    """What the HTTP layer keeps of the settings."""
    server = settings.server
    return HttpSettings(
        max_body_bytes=server.max_body_bytes,
        request_timeout_s=server.request_timeout_s,
        link_lifetime_s=settings.results.link_ttl_s,
        api_rates=API_PRESETS[settings.rates.preset],
        auth_address_rates=Rates.of(settings.rates.auth_per_address_per_minute),
        max_streams_per_client=server.max_streams_per_client,
        serve_api="api" in settings.roles,
        list_runs=server.list_runs,
        strict_fields=server.strict_fields,
        read_deleted=DeletedRows(server.v2_read_deleted),
    )

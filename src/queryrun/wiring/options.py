"""Settings -> the options of single components. Pure functions, apart from the clock."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from queryrun.http.context import HttpSettings
from queryrun.http.rate_limits import API_PRESETS, Rates
from queryrun.http.server.descriptors import affordable_connections, limit
from queryrun.http.server.limits import ServerLimits
from queryrun.http.v2.body import MAX_TIMEOUT_S
from queryrun.processes.sandbox import SandboxMode
from queryrun.runs.dispatch import DispatchOptions
from queryrun.runs.model import DeletedRows
from queryrun.runs.quotas import Quota
from queryrun.runs.reap import ReapOptions
from queryrun.runs.retention import RetentionOptions
from queryrun.runs.retry import RetryPolicy
from queryrun.runs.source_policy import SourcePolicy
from queryrun.runs.store import QueueLimits
from queryrun.runs.sweep import SweepOptions
from queryrun.settings import SPILL_NAME, Settings, SourceSettings
from queryrun.settings.checks import size_bytes
from queryrun.worker.pool import PoolOptions

FENCE = 0.8
"""The part of a lease after which its holder stops working on its own. The rest allows for clocks
that differ, and for the time in which a killed worker releases its memory."""

_DAY_S = 24 * 3600


def utc_now() -> datetime:
    """The clock of a node."""
    return datetime.now(UTC)


def pool_options(settings: Settings, sandbox: SandboxMode) -> PoolOptions:
    """One worker per slot, in addition to the warm ones."""
    workers = settings.workers
    return PoolOptions(
        spill_root=settings.path(SPILL_NAME),
        results=local_results(settings),
        sandbox=sandbox,
        warm=workers.warm,
        max_workers=workers.slots + workers.usable_fair_slots + workers.warm,
    )


def local_results(settings: Settings) -> Path | None:
    """The directory of results; None when they are stored elsewhere."""
    return settings.path(settings.results.directory) if settings.results.store == "local" else None


def dispatch_options(settings: Settings) -> DispatchOptions:
    """A node that shares no database has no fence: no other node can take over its leases."""
    return DispatchOptions(
        slots=settings.workers.slots,
        fair_slots=settings.workers.usable_fair_slots,
        lease_s=settings.leases.lease_s,
        heartbeat_s=settings.leases.heartbeat_s,
        poll_s=settings.leases.poll_s,
        fence_s=settings.leases.lease_s * FENCE if settings.is_shared else None,
    )


def reap_options(settings: Settings) -> ReapOptions:
    """Whoever settles an attempt holds it as long as whoever runs one."""
    return ReapOptions(settings.leases.reap_interval_s, settings.leases.lease_s)


def retention_options(settings: Settings) -> RetentionOptions:
    """Runs are kept as long as their result files."""
    return RetentionOptions(
        retention_s=settings.results.retention_days * _DAY_S,
        max_share=settings.results.retention_max_share,
    )


def sweep_options(settings: Settings) -> SweepOptions:
    """A request may set a time limit above that of every source."""
    longest_s = max(source.time_limit_s for source in settings.sources.values())
    return SweepOptions(
        max_attempt_s=max(longest_s, MAX_TIMEOUT_S),
        retention_s=settings.results.retention_days * _DAY_S,
    )


def retry_policy(settings: Settings) -> RetryPolicy:
    """The back-off between attempts."""
    retries = settings.retries
    return RetryPolicy(retries.first_s, retries.factor, retries.max_s)


def result_quotas(settings: Settings) -> tuple[Quota, Quota]:
    """What an entity, and what a client may keep and write."""
    limits = settings.limits
    return (
        Quota(
            size_bytes(limits.statements_per_entity, "limits.statements_per_entity"),
            size_bytes(limits.results_per_entity, "limits.results_per_entity"),
            size_bytes(limits.written_per_entity, "limits.written_per_entity"),
        ),
        Quota(
            size_bytes(limits.statements_per_client, "limits.statements_per_client"),
            size_bytes(limits.results_per_client, "limits.results_per_client"),
            size_bytes(limits.written_per_client, "limits.written_per_client"),
        ),
    )


def source_policies(settings: Settings) -> dict[str, SourcePolicy]:
    """The limits of every source, by its name."""
    return {name: _source_policy(source) for name, source in settings.sources.items()}


def _source_policy(source: SourceSettings) -> SourcePolicy:
    """The runs layer must not import the settings, so their values are copied here."""
    return SourcePolicy(
        running_per_tenant=source.running_per_tenant,
        running_per_entity=source.running_per_entity,
        running_per_client=source.running_per_client,
        queue=QueueLimits(source.queued_per_tenant, source.queued_per_client),
        max_output_rows=source.max_output_rows,
        max_output_bytes=size_bytes(source.max_output_size, "max_output_size"),
        time_limit_s=source.time_limit_s,
        max_retries=source.max_retries,
        is_embedded=not source.kind.is_remote,
        org_column=source.org_column,
        marks_deleted=source.marks_deleted,
        dialect=source.kind.guard(source.dialect),
    )


def http_settings(settings: Settings) -> HttpSettings:
    """What the HTTP layer needs of the settings."""
    server = settings.server
    return HttpSettings(
        max_body_bytes=server.max_body_bytes,
        request_timeout_s=server.request_timeout_s,
        link_lifetime_s=settings.results.link_ttl_s,
        api_rates=API_PRESETS[settings.rates.preset],
        auth_address_rates=Rates.of(settings.rates.auth_per_address_per_minute),
        max_streams_per_client=server.max_streams_per_client,
        serve_docs=server.serve_docs,
        serve_console=server.serve_console,
        session_idle_s=server.session_idle_s,
        serve_api="api" in settings.roles,
        list_runs=server.list_runs,
        strict_fields=server.strict_fields,
        always_extensions=server.extensions == "always",
        read_deleted=DeletedRows(server.v2_read_deleted),
    )


def server_limits(settings: Settings) -> ServerLimits:
    """What the HTTP server needs of the settings, within what the process may open."""
    server = settings.server
    affordable = affordable_connections(limit())
    return ServerLimits(
        header_timeout_s=server.header_timeout_s,
        idle_timeout_s=server.idle_timeout_s,
        max_connections=min(server.max_connections, affordable),
        max_connections_per_address=server.max_connections_per_address,
    )

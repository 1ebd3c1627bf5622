"""Settings -> a running node. `build_node` connects every component; read it from top to bottom."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import structlog
from prometheus_client import CollectorRegistry
from starlette.routing import Router

from queryrun.db.database import Database
from queryrun.errors import ConfigurationError, Unavailable
from queryrun.http.app import build_app
from queryrun.http.context import AppContext, HttpThreads, WebhookContext
from queryrun.http.health import CLOCK, CLUSTER, RETENTION
from queryrun.http.metrics import HttpMetrics
from queryrun.http.server.connections import Connections
from queryrun.http.server.proxies import TrustedProxies
from queryrun.http.server.server import HttpServer
from queryrun.http.server.turns import KnownCallers
from queryrun.http.server.watch import ConnectionWatch
from queryrun.http.v2.requests import finish_requests
from queryrun.processes.kill import kill_process
from queryrun.runs.clock import ClockWatch
from queryrun.runs.cluster import ClusterWatch
from queryrun.runs.context import AttemptContext, RequestContext
from queryrun.runs.dispatch import Dispatcher
from queryrun.runs.file_removal import FileRemoval
from queryrun.runs.health import NodeHealth
from queryrun.runs.leader import AlwaysLeader, LeaderLease
from queryrun.runs.limiter import Limiter
from queryrun.runs.listen import DisconnectWatch
from queryrun.runs.maintenance import Maintenance, MaintenanceTask
from queryrun.runs.metrics import RunMetrics
from queryrun.runs.model import EngineStop
from queryrun.runs.notify import ChangeNotifier
from queryrun.runs.outages import StoreOutages
from queryrun.runs.quotas import Quotas
from queryrun.runs.reap import Reaper
from queryrun.runs.remote import RemoteWork
from queryrun.runs.retention import Retention
from queryrun.runs.revoke import RevocationWatch
from queryrun.runs.seal_audit import AuditSealer
from queryrun.runs.shortages import WaitReasons
from queryrun.runs.sources import SourceHealth
from queryrun.runs.state import RunState
from queryrun.runs.sweep import Sweeper
from queryrun.services.catalog.client import CatalogClient
from queryrun.services.copies.client import CopiesClient
from queryrun.services.estimate.client import EstimateClient, EstimateOptions
from queryrun.services.guard.client import GuardClient
from queryrun.services.preview.client import PreviewClient
from queryrun.services.remote_stop.client import RemoteStopClient
from queryrun.settings import SPILL_NAME, Settings
from queryrun.settings.checks import limit_values
from queryrun.settings.file import refuse_pipe
from queryrun.webhooks.limit_notices import LimitNotices
from queryrun.wiring.audit import node_started
from queryrun.wiring.database import make_limiter
from queryrun.wiring.entities import make_data_dir
from queryrun.wiring.facts import node_facts
from queryrun.wiring.gauges import register_gauges
from queryrun.wiring.oidc import external_logins
from queryrun.wiring.options import (
    dispatch_options,
    http_settings,
    reap_options,
    result_quotas,
    retention_options,
    retry_policy,
    server_limits,
    source_policies,
    sweep_options,
)
from queryrun.wiring.parts import directory_probes, node_parts
from queryrun.wiring.readiness import readiness
from queryrun.wiring.resources import NodeResources, open_resources
from queryrun.wiring.sandbox import LOOPBACK, NodeSandbox, node_sandbox, register_sandbox
from queryrun.wiring.secrets import metrics_token
from queryrun.wiring.sources import SourceResolver
from queryrun.wiring.tracing import NodeTracing, make_tracing
from queryrun.wiring.webhooks import Webhooks, make_webhooks

log = structlog.get_logger()

_WARM_UP_STATEMENT = "SELECT 1"
"""Checked at start, so that the first request does not wait for a guard process."""

MIN_LINK_KEY_CHARS = 32
"""128 bits as hexadecimal digits; `queryrun init` writes twice as many."""
MIN_LINK_KEY_VARIETY = 8
"""Different characters: a row of zeros is no secret. Random keys practically always have them."""
_GOOD_LINK_KEY = "put 64 random hexadecimal digits there (`head -c 32 /dev/urandom | xxd -p -c 64`)"

AUDIT_BATCH = 10_000
"""Entries of the audit log that one round removes."""
DELIVERY_BATCH = 1000
"""Deliveries to webhooks that one round removes."""
MIN_SUMS_RETENTION = timedelta(days=40)
"""How long the sums of the ledger are kept at least: limits of a month count them, whatever the
ledger's own retention is."""
REQUEST_RETENTION = timedelta(hours=24)
"""How long the outcome of an `async: true` request can be read."""


@dataclass(frozen=True, slots=True)
class Node:
    """One server process. `start` before serving; `drain`, then `close`, after."""

    settings: Settings
    registry: CollectorRegistry
    sandbox: NodeSandbox
    app: Router
    runs: RequestContext
    resources: NodeResources
    guard: GuardClient
    remote_stop: RemoteStopClient
    tables: CatalogClient
    copies: CopiesClient
    estimates: EstimateClient
    previews: PreviewClient
    threads: HttpThreads
    sources: SourceHealth
    health: NodeHealth
    dispatcher: Dispatcher
    reaper: Reaper
    files: FileRemoval
    sweeper: Sweeper
    retention: Retention
    tasks: Maintenance
    clock_watch: ClockWatch
    revocations: RevocationWatch
    audit: AuditSealer
    webhooks: Webhooks
    disconnects: DisconnectWatch
    tracing: NodeTracing
    connections: Connections
    callers: KnownCallers

    @property
    def database(self) -> Database:
        """The node's database."""
        return self.resources.database

    def http_server(self) -> HttpServer:
        """The server of the node's app. Call in the event loop that serves."""
        proxies = TrustedProxies(self.settings.server.trusted_proxies)
        limits = server_limits(self.settings)
        return HttpServer(self.app, limits, proxies, self.connections, self.callers)

    async def start(self) -> None:
        """Start the components in the order in which they depend on each other.

        Call on the main thread: the kernel kills the workers when the thread that started them
        exits.
        """
        if self.tracing.exporter is not None:
            self.tracing.exporter.start()
        await self.resources.pool.start()
        self.health.on_recovery(self.dispatcher.resync)
        self.health.start()
        if self.resources.credentials is not None:
            self.resources.credentials.start()
        self.sources.on_recovery(self.dispatcher.resync)
        self.sources.start()
        self.database.notifier.start(self._on_remote_change)
        self.runs.notifier.add_listener(
            lambda run: self.database.notifier.publish(run.id, run.state)
        )
        self.revocations.start()
        self.audit.start(node_started(self.settings, self.sandbox))
        self.runs.notifier.add_listener(lambda _run: self.webhooks.deliverer.wake())
        self.webhooks.deliverer.start()
        self.disconnects.start()
        self.clock_watch.start()
        if "api" in self.settings.roles:
            await self.guard.check(_WARM_UP_STATEMENT)
        if "worker" in self.settings.roles:
            await self._start_working()

    async def _start_working(self) -> None:
        """A node that owns its database settles the attempts of its previous process before it
        claims. In a shared database their leases expire, and a reaper of any node settles them."""
        if not self.settings.is_shared:
            settled = await self.reaper.recover()
            if settled:
                log.warning("attempts_recovered", attempts=settled)
        self.dispatcher.start()
        self.reaper.start()
        self.tasks.start()

    def _on_remote_change(self, changes: Sequence[tuple[str, RunState]] | None) -> None:
        """Other nodes have changed these runs. None: any run may have changed."""
        if changes is None:
            self.runs.notifier.notify_all(changed=True)
            self.dispatcher.resync()
            return
        self.webhooks.deliverer.wake()
        for run_id, state in changes:
            self.runs.notifier.on_remote_change(run_id)
            self.dispatcher.on_remote_change(run_id, state)

    def leave(self) -> None:
        """`/readyz` says that this node stops, which serves as before and claims nothing more."""
        self.dispatcher.leave()

    async def drain(self, timeout_s: float) -> None:
        """Accept and claim nothing more. Give running attempts `timeout_s`, then requeue them."""
        await self.dispatcher.drain(timeout_s)

    async def close(self) -> None:
        """Close every component, last started first. Nothing of this node runs afterwards."""
        await self.health.close()
        await self.revocations.close()
        await self.audit.close()
        await self.clock_watch.close()
        await self.tasks.close()
        await self.reaper.close()
        await self.disconnects.close()
        await self.webhooks.close()
        with suppress(Unavailable):
            await self.database.nodes.leave()
        await self.sweeper.close()
        await self.files.close()
        await self.database.notifier.close()
        await self.sources.close()
        await self.remote_stop.close()
        await self.guard.close()
        await self.tables.close()
        await self.estimates.close()
        await self.copies.close()
        await self.previews.close()
        self.threads.close()
        if self.resources.credentials is not None:
            await self.resources.credentials.close()
        await self.resources.pool.close()
        if self.tracing.exporter is not None:
            await asyncio.to_thread(self.tracing.exporter.close)
        self.database.close()
        self.resources.lock.close()


def build_node(
    settings: Settings,
    public_url: str,
    resources: NodeResources | None = None,
    sandbox: NodeSandbox | None = None,
) -> Node:
    """Connect the components of a node, on `resources` or on new ones. Starts nothing.

    `sandbox`: see `node_sandbox`; None for a node that listens nowhere.
    Raises `ConfigurationError` when another node serves the same home.
    """
    sandbox = sandbox or node_sandbox(settings, LOOPBACK)
    resources = resources or open_resources(settings, sandbox=sandbox.mode)
    database, fork_client = resources.database, resources.pool.fork_client
    now = database.clock.now

    # Child services: each has its own process behind it.
    resolver = SourceResolver(settings, database.auth)
    guard = GuardClient(fork_client)
    remote_stop = RemoteStopClient(fork_client)
    tables = CatalogClient(fork_client, resolver.spec)
    spill = settings.path(SPILL_NAME)
    copies = CopiesClient(fork_client, spill)
    resources.pool.write_copies = copies.write
    estimates = EstimateClient(
        *(fork_client, resolver.spec, EstimateOptions(spill, settings.time_zone)),
        write_copies=copies.write,
    )
    previews = PreviewClient(fork_client)

    # The attempt side: claims runs and settles them.
    notifier = ChangeNotifier()
    policies = source_policies(settings)
    sources = SourceHealth(settings.sources, settings.remote_sources, remote_stop, resolver.spec)
    quotas = Quotas(resources.runs, *result_quotas(settings))
    limiter = Limiter(database.limits, database.usage, resources.runs, now, limit_values(settings))
    metrics = RunMetrics()
    directories = directory_probes(settings)
    parts = node_parts(settings, resources, sandbox, directories)
    health = NodeHealth(parts, metrics.registry)
    register_gauges(
        metrics.registry,
        settings.workers.slots + settings.workers.usable_fair_slots,
        lambda: resources.pool.size,
        {name: partial(getattr, one, "free_bytes") for name, one in directories.items()},
    )
    link_key = _link_key(settings.path(settings.results.link_key_file))
    node = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
    cluster = ClusterWatch(database.nodes, node_facts(settings, node, link_key))
    tracing = make_tracing(settings, node, metrics.registry)
    if tracing.tracer is not None:
        notifier.add_listener(tracing.tracer.run_changed)
    attempts = AttemptContext(
        node=node,
        store=resources.runs,
        workers=resources.workers,
        results=resources.results,
        files=FileRemoval(resources.runs, resources.results, _file_leader(settings, database)),
        notifier=notifier,
        policy=policies.__getitem__,
        worker_config=resolver.worker_config,
        remote=RemoteWork(settings.remote_sources, remote_stop, resolver.spec),
        sources=sources,
        retry=retry_policy(settings),
        metrics=metrics,
        health=health,
        wait_reasons=WaitReasons(),
        quotas=quotas,
        now=now,
        limiter=limiter,
        tracer=tracing.tracer,
        outages=StoreOutages(resources.lock),
    )
    register_sandbox(sandbox, attempts.metrics.registry)
    dispatcher = Dispatcher(attempts, dispatch_options(settings), sources.available)
    reaper = Reaper(
        attempts, reap_options(settings), _kill_by_handle, database.leader, dispatcher.holds
    )

    # Maintenance: nothing waits for them.
    clock_watch = ClockWatch(database.clock, settings.leases.max_clock_skew_s, attempts.metrics)
    sweeper = Sweeper(
        sweep_options(settings), resources.results, _file_leader(settings, database), now
    )
    retention = Retention(
        resources.runs,
        retention_options(settings),
        database.leader,
        attempts.metrics,
        lambda: clock_watch.is_trusted,
    )

    # The request side: submits, reads and cancels runs.
    served_url = settings.server.public_url or public_url
    requests = RequestContext(
        store=resources.runs,
        guard=guard,
        notifier=notifier,
        sources=policies,
        default_source=settings.default_source,
        now=now,
        usage=database.usage,
        audit=database.audit,
        audit_statements=settings.audit.statements,
        quotas=quotas,
        limiter=limiter,
        announce_limit=LimitNotices(database.webhooks, served_url, now).announce,
        estimate=estimates.estimate,
        accepting=lambda: dispatcher.accepting,
        progress=dispatcher.progress,
        unavailable_reason=sources.unavailable_reason,
        has_worker=cluster.has_worker,
        blocked_by=health.blocking,
        wait_reason=attempts.wait_reasons.of,
        statements=settings.statement_kinds,
    )

    # HTTP.
    connections = Connections(server_limits(settings))
    callers = KnownCallers()
    watch = ConnectionWatch(connections)
    watch.register(attempts.metrics.registry)
    threads = HttpThreads()
    webhooks = make_webhooks(settings, database, link_key, served_url, metrics.registry)
    context = AppContext(
        runs=requests,
        auth=database.auth,
        idempotency=database.idempotency,
        requests=database.requests,
        statements=database.statements,
        results=resources.results,
        tables=tables,
        estimates=estimates,
        limits=database.limits,
        external_logins=external_logins(settings, database.auth),
        previews=previews,
        webhooks=WebhookContext(database.webhooks, webhooks.wall, webhooks.sealer),
        threads=threads,
        link_secret=link_key,
        public_url=served_url,
        now=now,
        callers=callers,
        make_limiter=make_limiter(database),
        tracer=tracing.tracer,
        ready=readiness(
            health,
            dispatcher,
            sources,
            settings.remote_sources,
            watch.checks,
            {
                CLOCK: clock_watch.problem,
                RETENTION: retention.problem,
                CLUSTER: cluster.problem,
            },
        ),
        nodes=cluster.nodes,
        sandbox=str(sandbox),
        prepare_entity=partial(make_data_dir, settings),
        metrics_token=metrics_token(settings),
        settings=http_settings(settings),
        metrics=HttpMetrics(attempts.metrics.registry),
    )
    tasks = Maintenance(
        [
            *_shared_tasks(settings, database, reaper, retention, attempts.files, sweeper),
            MaintenanceTask("callouts", partial(finish_requests, context)),
        ],
        settings.leases.reap_interval_s,
        lambda: clock_watch.is_trusted,
    )
    return Node(
        settings=settings,
        registry=metrics.registry,
        sandbox=sandbox,
        app=build_app(context),
        runs=requests,
        resources=resources,
        guard=guard,
        remote_stop=remote_stop,
        tables=tables,
        copies=copies,
        estimates=estimates,
        previews=previews,
        threads=threads,
        sources=sources,
        health=health,
        dispatcher=dispatcher,
        reaper=reaper,
        files=attempts.files,
        sweeper=sweeper,
        retention=retention,
        tasks=tasks,
        clock_watch=clock_watch,
        revocations=_revocation_watch(database, notifier),
        tracing=tracing,
        audit=AuditSealer(database.audit),
        webhooks=webhooks,
        disconnects=DisconnectWatch(resources.runs, database.audit, notifier.publish),
        connections=connections,
        callers=callers,
    )


def _revocation_watch(database: Database, notifier: ChangeNotifier) -> RevocationWatch:
    return RevocationWatch(database.auth, database.runs, notifier.publish, database.clock.now)


def _file_leader(settings: Settings, database: Database) -> LeaderLease:
    """All nodes share a bucket, so one removes files for all. A local directory is a node's own."""
    return AlwaysLeader() if settings.results.store == "local" else database.leader


async def _kill_by_handle(handle: str) -> EngineStop:
    await kill_process(handle)
    return EngineStop.KILLED


def _shared_tasks(
    settings: Settings,
    database: Database,
    reaper: Reaper,
    retention: Retention,
    files: FileRemoval,
    sweeper: Sweeper,
) -> list[MaintenanceTask]:
    """What a node does every `reap_interval_s`, each in its own loop."""
    now = database.clock.now
    kept_usage = timedelta(days=settings.usage.retention_days)
    return [
        MaintenanceTask("orphans", reaper.stop_orphans),
        MaintenanceTask("retention", retention.round),
        MaintenanceTask("files", files.round),
        MaintenanceTask("sweep", sweeper.start_if_due),
        MaintenanceTask("tokens", lambda: database.auth.remove_expired_tokens(now())),
        MaintenanceTask("keys", database.idempotency.remove_expired_keys),
        MaintenanceTask("internal rows", database.clean_up),
        MaintenanceTask(
            "requests",
            lambda: database.requests.remove_expired_requests(
                created_before=now() - REQUEST_RETENTION
            ),
        ),
        MaintenanceTask(
            "usage",
            lambda: database.usage.remove_expired_usage(finished_before=now() - kept_usage),
        ),
        MaintenanceTask(
            "usage sums",
            lambda: database.usage.remove_expired_sums(
                finished_before=now() - max(kept_usage, MIN_SUMS_RETENTION)
            ),
        ),
        MaintenanceTask(
            "webhooks",
            lambda: database.webhooks.remove_expired_deliveries(
                before=now() - timedelta(days=settings.webhooks.retention_days),
                limit=DELIVERY_BATCH,
            ),
        ),
        MaintenanceTask(
            "audit",
            lambda: database.audit.remove_expired_entries(
                before=now() - timedelta(days=settings.audit.retention_days), limit=AUDIT_BATCH
            ),
        ),
    ]


def _link_key(path: Path) -> bytes:
    """The key that links are signed with. A new key invalidates every earlier link.

    Whoever guesses it can make links to every file, so a short one is none.
    """
    refuse_pipe(path)
    try:
        key = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise ConfigurationError(f"{path} is missing; `queryrun init` makes a home") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: {_GOOD_LINK_KEY}") from None
    if len(key) < MIN_LINK_KEY_CHARS or len(set(key)) < MIN_LINK_KEY_VARIETY:
        raise ConfigurationError(f"{path} holds no usable key for links: {_GOOD_LINK_KEY}")
    return key.encode("ascii")

"""The dependencies and limits of the HTTP layer. Built once, in `wiring`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from queryrun.auth.store import AuthStore
from queryrun.http.body_limiter import BodyLimiter
from queryrun.http.concurrency import RequestConcurrency, StreamLimit
from queryrun.http.login_failures import LoginFailures
from queryrun.http.metrics import HttpMetrics
from queryrun.http.rate_limits import (
    API_PRESETS,
    AUTH_PER_ADDRESS,
    AUTH_PER_TENANT,
    MakeLimiter,
    RateLimiters,
    Rates,
    in_memory,
)
from queryrun.http.revocation import StreamToken, StreamTokens
from queryrun.http.server.turns import KnownCallers
from queryrun.results.bounded_threads import BoundedThreads
from queryrun.results.preview import PreviewRequest
from queryrun.results.preview_rows import Preview
from queryrun.results.store import ResultStore
from queryrun.runs.cluster import NodeFacts
from queryrun.runs.context import RequestContext
from queryrun.runs.estimate import NoEstimates, StatementEstimates
from queryrun.runs.follow import FollowOptions
from queryrun.runs.idempotency import IdempotencyStore
from queryrun.runs.limits import LimitStore
from queryrun.runs.model import DeletedRows
from queryrun.runs.requests import AsyncRequestStore
from queryrun.runs.statements import StatementStore
from queryrun.runs.tables import TableCatalog
from queryrun.runs.trace import Tracer
from queryrun.services.base import RecentResults
from queryrun.services.turns import TurnSlots
from queryrun.webhooks.secrets import Sealer
from queryrun.webhooks.store import WebhookStore
from queryrun.webhooks.target import Wall

if TYPE_CHECKING:  # an installation without an issuer loads nothing that checks signatures
    from queryrun.auth.oidc import ExternalLogins

DOWNLOAD_THREADS = 16
MAX_KNOWN_RUNS = 10_000
MAX_TEXT_PREVIEWS = 2
"""At once; entities take turns. Each reads 16 MiB at most: a fifth of a second of CPU."""

ReadyChecks = Callable[[], Awaitable[dict[str, str]]]
"""Name of a component -> `ok`, or what is wrong with it."""

FOLLOW_OPTIONS = FollowOptions(keep_alive_s=15.0, max_duration_s=900.0)
"""A heartbeat keeps proxies from closing a quiet stream. The lifetime limits how long a stream
outlives a revoked token; clients reconnect on their own."""


MAX_STRANGER_LOOKUPS = 8
"""Tokens of unknown callers that are looked up at once."""


class BinaryPreviews(Protocol):
    """The part of `services.preview.client.PreviewClient` that is used here."""

    async def preview(
        self,
        read: Callable[[int, int], Iterable[bytes]],
        size_bytes: int,
        request: PreviewRequest,
        entity_id: str = "",
    ) -> Preview:
        """The requested rows; entities take turns.

        Raises `NoPreviewError`, `Unavailable`, and what `read` raises.
        """
        ...


@dataclass(frozen=True, slots=True)
class WebhookContext:
    """What making webhooks needs."""

    store: WebhookStore
    wall: Wall
    sealer: Sealer


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Limits and switches of the HTTP layer. Defaults of settings are in `Settings`."""

    max_body_bytes: int
    """Size of a request body, as sent and as inflated."""
    request_timeout_s: float
    """Until the response begins (contract A1). A wait that the caller requested is added."""
    link_lifetime_s: int
    """How long a download link is valid (contract F9)."""
    api_rates: Rates = API_PRESETS["production"]
    auth_tenant_rates: Rates = AUTH_PER_TENANT
    auth_address_rates: Rates = AUTH_PER_ADDRESS
    max_streams_per_client: int
    """Event streams that one client may hold open on this node; each costs about 30 kB."""
    follow_options: FollowOptions = FOLLOW_OPTIONS
    serve_docs: bool = True
    """False: no description of the API is served."""
    serve_console: bool = True
    """Whether the console is served (`/console`)."""
    session_idle_s: float = 1800.0
    """How long a console session lasts without a sign of its person."""
    serve_api: bool = True
    """False on a node that only runs statements: it serves probes and metrics, nothing else."""
    list_runs: bool
    """Whether `GET /v2/query_runs` exists; a 405 otherwise (contract H13)."""
    strict_fields: bool
    """Refuse unknown `fields[]` names instead of ignoring them (contract C1)."""
    always_extensions: bool
    """Whether runs on v2 have our extensions without being asked for them (contract H10)."""
    read_deleted: DeletedRows
    """What v2's `read_deleted: true` reads (contract H3)."""


@dataclass(frozen=True, slots=True)
class KnownFile:
    """Whose a result file is, and what was committed. `size_bytes` None: nobody knows."""

    entity_id: str
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class HttpThreads:
    """Threads for blocking work, by kind: downloads wait for downloads alone."""

    bodies: BodyLimiter = field(default_factory=BodyLimiter)
    """Inflate and decode large request bodies. Each holds `max_body_bytes`, twice at most."""
    downloads: BoundedThreads = field(
        default_factory=lambda: BoundedThreads(
            "download", threads=DOWNLOAD_THREADS, max_waiting=2000
        )
    )
    """Read result files for downloads. A call reads one chunk."""
    download_turns: TurnSlots = field(
        default_factory=lambda: TurnSlots(DOWNLOAD_THREADS, max_waiting_per_key=2000)
    )
    """Whose chunk is read next: entities in turn, whoever has more downloads."""
    known_files: RecentResults[str, KnownFile] = field(
        default_factory=lambda: RecentResults(MAX_KNOWN_RUNS)
    )
    """What is known of files by their keys; a link itself does not say it."""
    previews: BoundedThreads = field(
        default_factory=lambda: BoundedThreads("rows", threads=MAX_TEXT_PREVIEWS, max_waiting=0)
    )
    """Read the first rows of text formats, for those who hold one of `preview_turns`."""
    preview_turns: TurnSlots = field(
        default_factory=lambda: TurnSlots(MAX_TEXT_PREVIEWS, max_waiting_per_key=20)
    )

    def close(self) -> None:
        """Start no more work. Idempotent."""
        self.bodies.close()
        for threads in (self.downloads, self.previews):
            threads.close()


@dataclass(frozen=True, slots=True)
class AppContext:
    """Everything that handlers need. Frozen: a handler keeps no state between requests."""

    runs: RequestContext
    auth: AuthStore
    idempotency: IdempotencyStore
    requests: AsyncRequestStore
    statements: StatementStore
    results: ResultStore
    tables: TableCatalog
    previews: BinaryPreviews
    webhooks: WebhookContext
    link_secret: bytes = field(repr=False)
    public_url: str
    """Scheme, host and port of links, without a trailing slash."""
    now: Callable[[], datetime]
    ready: ReadyChecks
    settings: HttpSettings
    prepare_entity: Callable[[str], None] = lambda _name: None
    """Make what a new entity of this name needs on this node's disk."""
    limits: LimitStore = field(kw_only=True)
    """Limits that are set over HTTP."""
    external_logins: ExternalLogins | None = None
    """Takes the tokens of another issuer; None: there is none."""
    estimates: StatementEstimates = field(default_factory=NoEstimates)
    """Plans the statements of dry runs."""
    metrics_token: str = field(default="", repr=False)
    """What `/metrics` asks for; empty: nothing."""
    nodes: Callable[[], Sequence[NodeFacts]] = lambda: ()
    """The live nodes on the database, this one first."""
    sandbox: str = ""
    """What confines the processes that run statements, in words (`/readyz`)."""
    metrics: HttpMetrics = field(default_factory=HttpMetrics)
    threads: HttpThreads = field(default_factory=HttpThreads)
    monotonic_s: Callable[[], float] = monotonic
    """A monotonic clock for rates."""
    callers: KnownCallers = field(default_factory=KnownCallers)
    """Who was authorized lately; the server lets them not wait for strangers."""
    make_limiter: MakeLimiter | None = None
    tracer: Tracer | None = None
    """Records traces; None: nobody does."""
    """How rates are counted. None: by this node alone, in memory."""
    limiters: RateLimiters = field(init=False)
    """Derived from the settings."""
    concurrency: RequestConcurrency = field(init=False, default_factory=RequestConcurrency)
    streams: StreamLimit = field(init=False)
    stream_tokens: StreamTokens = field(init=False)
    login_failures: LoginFailures = field(init=False)
    stranger_lookups: asyncio.Semaphore = field(
        init=False, default_factory=lambda: asyncio.Semaphore(MAX_STRANGER_LOOKUPS)
    )

    def __post_init__(self) -> None:
        settings = self.settings
        make = self.make_limiter or in_memory(self.monotonic_s)
        limiters = RateLimiters(
            make("api", settings.api_rates),
            make("auth_tenant", settings.auth_tenant_rates),
            make("auth_address", settings.auth_address_rates),
        )
        object.__setattr__(self, "limiters", limiters)
        failures = LoginFailures(settings.auth_address_rates, self.monotonic_s, self.runs.audit)
        object.__setattr__(self, "login_failures", failures)
        object.__setattr__(self, "streams", StreamLimit(settings.max_streams_per_client))
        object.__setattr__(self, "stream_tokens", StreamTokens(self._is_valid))

    async def _is_valid(self, token: StreamToken) -> bool:
        """Whether the token may still be used, and to see the same."""
        if self.external_logins is not None:
            is_valid = await self.external_logins.is_valid(token.digest, self.now())
            if is_valid is not None:
                return is_valid
        client = await self.auth.client_of_token(token.digest, self.now())
        if client is None or not client.is_live(self.now()):
            return False
        return (client.scopes, client.org_ids) == (token.scopes, token.org_ids)

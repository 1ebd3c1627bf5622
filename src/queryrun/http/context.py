"""What the HTTP layer works with: live parts and the limits it keeps. Built once, in `wiring`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic

from queryrun.auth.store import AuthStore
from queryrun.http.limiters import InFlight, Limiters, MakeLimiter, Streams, in_memory
from queryrun.http.limits import API_PRESETS, AUTH_PER_ADDRESS, AUTH_PER_TENANT, Rates
from queryrun.http.metrics import HttpMetrics
from queryrun.results.store import ResultStore
from queryrun.runs.context import RequestContext
from queryrun.runs.follow import Pace
from queryrun.runs.idempotency import IdempotencyStore
from queryrun.runs.requests import AsyncRequestStore
from queryrun.runs.tables import TableCatalog

ReadyChecks = Callable[[], Awaitable[dict[str, str]]]
"""Name of a part -> `ok`, or what is wrong with it."""


STREAM_PACE = Pace(quiet_s=15.0, life_s=900.0)
"""A heartbeat keeps proxies from closing a quiet stream; a quarter of an hour bounds how long a
revoked token still hears. Clients come back by themselves."""


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Limits and switches of the HTTP face. Figures without a source are ours."""

    body_bytes: int = 4 * 1024**2
    """A request body, as sent and as inflated. A 1,000,000-character statement of 4-byte
    characters in JSON fits."""
    request_timeout_s: float = 60.0
    """Until the answer begins (contract A1); a wait that was asked for comes on top."""
    link_life_s: int = 4 * 3600
    """How long a download link is valid (contract F9)."""
    api_rates: Rates = API_PRESETS["production"]
    auth_tenant_rates: Rates = AUTH_PER_TENANT
    auth_address_rates: Rates = AUTH_PER_ADDRESS
    streams_per_client: int = 20
    """Event streams that one client may hold open on this node; each costs about 30 kB."""
    stream_pace: Pace = STREAM_PACE
    api: bool = True
    """False on a node that only runs statements: it answers probes and metrics, nothing else."""
    list_runs: bool = True
    """The list is an addition of ours; without it `GET /v2/query_runs` is a 405 (contract H13)."""
    strict_fields: bool = False
    """Refuse unknown `fields[]` names instead of ignoring them (contract C1)."""
    read_deleted_means_only: bool = False
    """Give v2's `read_deleted` v1's meaning (contract H3)."""


@dataclass(frozen=True, slots=True)
class AppContext:
    """Everything that handlers need. Frozen: a handler keeps no state between requests."""

    runs: RequestContext
    auth: AuthStore
    idempotency: IdempotencyStore
    requests: AsyncRequestStore
    results: ResultStore
    tables: TableCatalog
    link_secret: bytes = field(repr=False)
    public_url: str
    """Scheme, host and port of links, without a trailing slash."""
    now: Callable[[], datetime]
    ready: ReadyChecks
    settings: HttpSettings = field(default_factory=HttpSettings)
    metrics: HttpMetrics = field(default_factory=HttpMetrics)
    ticks_s: Callable[[], float] = monotonic
    """Seconds that never go back; what rates are measured with."""
    make_limiter: MakeLimiter | None = None
    """How rates are counted; None: by this node alone, in memory."""
    limiters: Limiters = field(init=False)
    """Made from the settings."""
    in_flight: InFlight = field(init=False, default_factory=InFlight)
    streams: Streams = field(init=False)

    def __post_init__(self) -> None:
        rates = self.settings
        make = self.make_limiter or in_memory(self.ticks_s)
        limiters = Limiters(
            make("api", rates.api_rates),
            make("auth_tenant", rates.auth_tenant_rates),
            make("auth_address", rates.auth_address_rates),
        )
        object.__setattr__(self, "limiters", limiters)
        object.__setattr__(self, "streams", Streams(rates.streams_per_client))

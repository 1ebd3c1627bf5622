"""One frozen `Settings`, read from queryrun.toml and the environment.

Precedence: `QUERYRUN_<SECTION>__<NAME>` in the environment, then `queryrun.toml` in the home
directory, then the defaults below. An unknown name in either is an error, so that
a misspelled setting is never ignored. Secrets that settings name are read later, when they are
needed (`wiring/secrets.py`).

The file is read in `settings/file.py`, and what types cannot express is checked in
`settings/checks.py`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec

from queryrun.engines.registry import DEFAULT_ENGINE, ENGINES, EngineKind
from queryrun.sql.guard.verdict import BEYOND_THE_CONTRACT

CONFIG_NAME = "queryrun.toml"
DATABASE_NAME = "queryrun.db"
LINK_KEY_NAME = "link.key"
LOCK_NAME = "node.lock"
SPILL_NAME = "spill"
COPIES_NAME = "copies"
"""The files of a home directory. Data and results may be in other directories."""

DEFAULT_SOURCE = "live"
"""The source of a configuration that has none."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of queryrun.toml. Unknown names are errors."""


class ServerSettings(Section, frozen=True):
    """Where the service listens, what this node does, and how it stops."""

    roles: str = "api,worker"
    """`api`: serves requests. `worker`: runs statements. One of them, or both separated by a
    comma."""

    host: str = "127.0.0.1"
    """The address to listen on. `0.0.0.0` is every IPv4 address of the machine, `::` every address
    of both kinds."""
    port: int = 8080
    """The port to listen on. 0 takes a free one and prints it."""
    public_url: str = ""
    """What download links start with, when that is not `http://host:port`: behind a proxy."""
    metrics_token_file: str = ""
    """A file with a token that `/metrics` asks for, as `Authorization: Bearer …`. Empty: it asks
    for none. It names sources and counts runs: keep it from strangers one way or the other."""
    serve_docs: bool = True
    """Whether `/docs` and `/openapi.json` are served."""
    serve_console: bool = True
    """Whether the web page for people is served at `/console` (docs/how-to/console.md)."""
    session_idle_s: float = 1800.0
    """How long a person's session in the console lasts without a sign of them, in seconds. It ends
    after twelve hours at any rate."""
    trusted_proxies: str = ""
    """Addresses and networks of your own proxies, separated by commas: `10.0.0.5, 10.1.0.0/16`.
    From these alone `X-Forwarded-For` is believed, its right-most address that is none of them."""
    header_timeout_s: float = 10.0
    """How long the line and headers of a request may take, from the connection or their first
    byte."""
    idle_timeout_s: float = 75.0
    """How long a connection may wait for its next request. Longer than your proxy keeps its
    connections."""
    max_connections: int = 4096
    """Connections that are open at the same time. Fewer when the process may open few files:
    256 descriptors stay in reserve, and a connection counts twice, as it may download."""
    max_connections_per_address: int = 512
    """Connections of one address (IPv6: of one /64 network). Trusted proxies have no such limit.
    At both limits the connection that has been idle longest gives way to a new one."""
    sandbox: Literal["auto", "required", "best_effort"] = "auto"
    """Whether the kernel must offer every wall around the processes that run statements
    (SECURITY.md). `required`: without one the service does not start. `best_effort`: it starts,
    with a warning. `auto`: required when it listens beyond loopback."""
    drain_delay_s: float = 0.0
    """How long a node goes on to serve after SIGTERM while `/readyz` is 503 already, so that a
    balancer takes it out before it refuses anything: a few times the balancer's interval. It
    claims no more runs meanwhile. A second signal ends the wait."""
    drain_timeout_s: float = 10.0
    """How long running statements may go on after SIGTERM. Then they are stopped and queued
    again, without losing an attempt."""
    request_timeout_s: float = 60.0
    """A request that has no response after this time gets 504. A wait that the client asked for
    is added."""
    max_body_bytes: int = 8 * 1024 * 1024
    """The largest request body, also when inflated. The default fits a statement of 1,000,000
    characters."""
    max_streams_per_client: int = 20
    """Event streams (`/events`) that one client may hold open on a node; each costs about 30 kB."""
    list_runs: bool = True
    """Whether `GET /v2/query_runs` lists runs. The hosted service has no such list; without it the
    path answers 405."""
    strict_fields: bool = False
    """Refuse unknown names in `fields[]` with 400, which finds typing errors. The hosted service
    ignores them."""
    extensions: Literal["requested", "always"] = "requested"
    """When a run on v2 has fields that the hosted service does not have, `error` among them.
    `requested`: when `fields[]` names them. `always`: in every response; strictly generated
    clients refuse those."""
    v2_read_deleted: Literal["include", "only"] = "include"
    """What `read_deleted: true` reads on v2: deleted rows in addition to the others, or `only`
    deleted rows, as `readDeleted` does on v1."""


class DatabaseSettings(Section, frozen=True):
    """Where runs, clients and tokens are kept. Several nodes share one PostgreSQL."""

    url: str = ""
    """`postgresql://user:password@host/name`. Empty: SQLite, a file in the home directory."""
    url_file: str = ""
    """A file that holds the URL, instead of `url`, so that the password is not in the
    configuration."""
    connections: int = 13
    """Connections to PostgreSQL that this node opens at most, 6 or more; they are opened when
    needed and closed after a minute without use. When the server has no more, requests wait."""
    migrate: Literal["auto", "at_start", "manual"] = "auto"
    """When tables are made and changed. `at_start`: when a node starts. `manual`: by `queryrun
    migrate` alone. `auto`: at start for SQLite and for an empty PostgreSQL; a PostgreSQL in use is
    left to `queryrun migrate`."""


class SourceSettings(Section, frozen=True):
    """A named place to run SQL: an engine, its data, its limits. A limit of 0 is no limit."""

    engine: str = DEFAULT_ENGINE
    """What runs the statements: {engines}."""
    dialect: Literal["trino", "native"] = "trino"
    """`trino`: statements are Trino's SQL (docs/reference/sql.md); `native`: the engine's own."""
    data: str = "data/{entity}"
    """A directory (or a `.duckdb` file) per entity, for the embedded engine. `{entity}` is the
    entity's name."""
    entities: dict[str, str] = {}
    """Entities with data at another path: name and path."""
    url: str = ""
    """The address of a remote engine: `http://trino:8080`, `sc://spark:15002`."""
    catalog: str = ""
    """The catalog of the remote engine in which statements run. `{entity}` is the entity's name.
    For the embedded engine: what statements may call it in front of a table's name (`owl`)."""
    schema: str = ""
    """The schema in which statements run. `{entity}` is the entity's name. Empty for the embedded
    engine: `data`."""
    user: str = "queryrun"
    """The user as which statements run on a remote engine. `{entity}` is the entity's name."""
    auth: Literal["none", "password", "token"] = "none"
    """How the node authenticates to the remote engine."""
    secret_file: str = ""
    """A file with the password or token. It is read anew for every attempt."""
    secret_env: str = ""
    """The environment variable with the password or token, when `secret_file` is empty."""
    ui_url: str = ""
    """Spark's web UI. It is where the node sees that a statement's jobs have ended."""
    spool_url: str = ""
    """Trino: `https://host[:port]` of the object store that it spools results to, when workers
    fetch them there. Nothing that Trino answers leads a worker to any other address."""
    name_scope: Literal["schema", "catalog", "all"] = "schema"
    """Trino: which tables a statement may name: those of its schema, of its catalog, or all."""
    running_per_tenant: int = 5
    """Runs of one tenant that run at the same time on this source, over all nodes. Its entities
    share it: one alone may use all of it, and the next one still gets its share at once, beyond
    the limit for as long as the first one uses more than its own."""
    running_per_entity: int = 0
    """Runs of one entity that run at the same time on this source."""
    running_per_client: int = 0
    """Runs of one client, in one entity, that run at the same time on this source."""
    queued_per_tenant: int = 10
    """Runs that wait; one more is refused with 429. Each entity of a tenant may have as many, so
    that nobody is refused for what another entity has submitted."""
    queued_per_client: int = 0
    """Runs of one client, in one entity, that wait."""
    max_output_rows: int = 500_000
    """Rows of a result. A run with more fails; a result is never cut."""
    max_output_size: str = "0"
    """Size of a result file. A run with more fails. `0` is no limit."""
    memory: str = "2GB"
    """Memory that one statement may use in the embedded engine, before it spills to disk."""
    threads: int = 2
    """Threads of one statement in the embedded engine."""
    spill: str = "20GB"
    """Disk space that one statement may use for intermediate results."""
    copies: str = "20GB"
    """Disk space per entity for copies of text files (docs/reference/data.md)."""
    time_limit_s: float = 3600.0
    """Time that one attempt may take. A run can ask for less, not for more."""
    max_retries: int = 3
    """Attempts after the first one, for failures that may pass: 0 to 20."""
    marks_deleted: bool = False
    """Whether a boolean column `deleted` marks rows, in every table of the source that has one:
    marked rows are hidden unless a run reads them. It is a convention of the hosted system."""
    org_column: str = ""
    """In tables that have this column, clients with orgs see only the rows of their orgs."""

    @property
    def kind(self) -> EngineKind:
        """What the engine can do."""
        return ENGINES[self.engine]


class WorkerSettings(Section, frozen=True):
    """The worker processes of this node."""

    slots: int = 5
    """Statements that run at the same time on this node, whatever their source."""
    fair_slots: int = 2
    """Slots beyond these for entities that have nothing running: none waits until the long runs of
    another have finished. With `slots = 0` there are none."""
    warm: int = 2
    """Idle workers that are kept started, so that a statement need not wait for one."""

    @property
    def usable_fair_slots(self) -> int:
        """A node without slots runs nothing, not even for an entity that has nothing running."""
        return self.fair_slots if self.slots else 0


class ResultSettings(Section, frozen=True):
    """Where result files are stored, for how long, and how links to them work."""

    store: Literal["local", "s3"] = "local"
    """`local`: a directory of this machine. `s3`: a bucket, which several nodes need."""
    directory: str = "results"
    """Where result files are, with `store = "local"`."""
    shared: bool = False
    """With `store = "local"` and several nodes: `directory` is a file system that all of them
    mount. Without it, nodes say in `/readyz` that they cannot read each other's files."""
    bucket: str = ""
    """The bucket for result files, with `store = "s3"`."""
    prefix: str = ""
    """What every key in the bucket begins with, such as `queryrun/results/`. Nothing else may
    use it: a sweep removes files that no run names."""
    endpoint: str = ""
    """`https://host[:port]` of an S3 store that is not AWS's own."""
    region: str = "us-east-1"
    """The region that requests are signed for."""
    addressing: Literal["path", "virtual"] = "path"
    """Where the bucket's name is in a URL: `endpoint/bucket/key` or `bucket.endpoint/key`."""
    credentials: Literal["static", "chain"] = "static"
    """`static`: the keys in `credentials_file`, or in the environment. `chain`: the role of the
    node, by the AWS credential chain (needs `queryrun[aws]`)."""
    credentials_file: str = ""
    """A file in the form of `~/.aws/credentials`, its `[default]` section, read anew for every
    attempt. Empty: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` in the
    environment."""
    outage_timeout_s: float = 3600.0
    """How long a worker keeps a result that it cannot upload, and goes on trying: the bucket is
    away, missing, or refuses the secret. Then the run is queued again, without losing a retry."""
    links: Literal["presigned", "proxied"] = "presigned"
    """`presigned`: links lead to the bucket. `proxied`: this service reads the bucket for clients
    that cannot."""
    link_endpoint: str = ""
    """What presigned links start with, when clients reach the store by another name than nodes."""
    part_size: str = "16MiB"
    """Size of a part of an upload. A worker holds three parts in memory; a file has 10,000 at
    most."""
    link_key_file: str = LINK_KEY_NAME
    """A file with the key that signs download links. Nodes that share a database share it."""
    link_ttl_s: int = 4 * 3600
    """How long a download link is valid. Every read of a run gives a new one."""
    retention_days: float = 30.0
    """How long runs and their files are kept after their end; then both are removed."""
    retention_max_share: float = 0.5
    """When more than this share of all finished runs (and more than ten) would be removed at once,
    nothing is, and `/readyz`, the log and a gauge say so: a wrong clock looks like that. `1`
    removes whatever has expired."""


class LeaseSettings(Section, frozen=True):
    """How nodes hold attempts, and how soon another node takes over."""

    lease_s: float = 15.0
    """How long a node may act for an attempt after its last heartbeat. A dead node's runs go on
    after this time. At least three heartbeats; the same on all nodes."""
    heartbeat_s: float = 3.0
    """How often a node extends its leases, writes the progress of its attempts, and learns of
    stops at the latest."""
    poll_s: float = 1.0
    """How often a node checks for waiting runs without a notification."""
    reap_interval_s: float = 5.0
    """How often a node checks for expired leases, and does its maintenance: retention, removal of
    files, of tokens and keys, and of remote work that no attempt owns."""
    max_clock_skew_s: float = 2.0
    """How far the clock of a node may be from that of the PostgreSQL. A node that is further off
    says so in `/readyz`, the log and a gauge, and does no maintenance. Runs, tokens and retention
    go by the database's clock in any case."""


class RetrySettings(Section, frozen=True):
    """The pause before another attempt (`sources.NAME.max_retries` says how many there are)."""

    first_s: float = 1.0
    """The pause after the first attempt."""
    factor: float = 4.0
    """Each further pause is this many times as long."""
    max_s: float = 60.0
    """The longest pause."""


class RateSettings(Section, frozen=True):
    """Request rates per tenant. The presets are those of the hosted service's tenant types."""

    preset: Literal["off", "production", "developer_sandbox", "api_sandbox"] = "production"
    """`off`: no limit. The others: requests per minute, hour and day of a hosted tenant type:
    50,000, 2,250,000 and 27,000,000 for `production`; 12,500, 25,000 and 50,000 for
    `developer_sandbox`; 2,500, 5,000 and 10,000 for `api_sandbox`."""
    auth_per_address_per_minute: int = 100
    """Token requests of a client from one address; failed logins are counted apart, and right
    credentials are never refused for them. 0 is no limit."""


class LimitSettings(Section, frozen=True):
    """What an entity, and a client in one entity, may keep and write. `0` is no limit."""

    results_per_entity: str = "100GB"
    """Result files that an entity keeps. A run whose result does not fit fails with
    `quota_exceeded`."""
    results_per_client: str = "0"
    """Result files that a client keeps."""
    written_per_entity: str = "0"
    """Result files that an entity writes per day (UTC), those of failed attempts included."""
    written_per_client: str = "0"
    """Result files that a client writes per day."""
    statements_per_entity: str = "2GB"
    """Statements that an entity keeps in the database. One more is refused with 429."""
    statements_per_client: str = "0"
    """Statements that a client keeps."""
    tenant: dict[str, dict[str, int | float | str]] = {}
    """Limits by tenant, `"*"` being each: `[limits.tenant."*"]`, then `cpu_s_per_day = 3600`. The
    names are those of docs/reference/limits.md; sizes may be texts. What is set over HTTP beside
    them counts where it is less."""
    entity: dict[str, dict[str, int | float | str]] = {}
    """Limits by id of an entity, `"*"` being each."""
    client: dict[str, dict[str, int | float | str]] = {}
    """Limits by id of a client, `"*"` being each."""
    source: dict[str, dict[str, int | float | str]] = {}
    """Limits of what each tenant does on a source, by its name, `"*"` being each."""
    spill_per_entity: str = "100GB"
    """Disk space for intermediate results of an entity on a node: each of its statements gets an
    equal part, by the number of slots, and at most `sources.NAME.spill`."""


class OidcRule(Section, frozen=True):
    """What a login gets. The first rule whose conditions all hold counts, and no other. In the
    texts of `tenant`, `entities` and `orgs` a claim may stand in braces: `"{department}"`."""

    when: dict[str, str] = {}
    """Conditions: a claim, and the value that it is or, being a list, contains. `"*"`: whatever it
    says. `realm.roles` is `roles` in the object `realm`."""
    tenant: str = ""
    """The tenant. Empty: the setting `tenant`."""
    entities: list[str] = []
    """Names or ids of entities of the tenant; all of them must exist."""
    scopes: list[str] = []
    """What it may do: `read`, `submit`, `cancel` and the others of clients. At least one."""
    orgs: list[str] = []
    """The orgs whose rows it sees. Empty: of all. A login without the claim that one of these names
    gets nothing by this rule."""


class OidcSettings(Section, frozen=True):
    """External logins: tokens of an OpenID Connect issuer (docs/how-to/external-logins.md)."""

    issuer: str = ""
    """The issuer, exactly as its tokens name it: `https://login.example.com`. Empty: there are no
    external logins."""
    audience: str = ""
    """What tokens must be for (`aud`)."""
    algorithms: str = "RS256,ES256"
    """How tokens may be signed, separated by commas: of RS256, RS384, RS512, PS256, PS384, PS512,
    ES256, ES384, ES512 and EdDSA."""
    clock_skew_s: float = 30.0
    """How far the issuer's clock may be off, 0 to 300."""
    ca_file: str = ""
    """A file with the certificates (PEM) that sign the issuer's. Empty: those of the system."""
    refused_subjects: list[str] = []
    """Subjects (`sub`) whose tokens are not taken, whatever the issuer says of them."""
    rules: list[OidcRule] = []
    """See `[[oidc.rules]]`."""

    @property
    def allowed_algorithms(self) -> frozenset[str]:
        """The algorithms, each by itself."""
        return frozenset(one.strip() for one in self.algorithms.split(",") if one.strip())


class UsageSettings(Section, frozen=True):
    """The ledger of what runs have used (`GET /v2/usage`)."""

    retention_days: float = 400.0
    """How long its records are kept, from the day on which their attempt ended. They outlive their
    runs."""


class AuditSettings(Section, frozen=True):
    """The record of who did what (`queryrun audit`)."""

    retention_days: float = 400.0
    """How long entries are kept."""
    statements: bool = False
    """Record the text of submitted statements too, and not only their fingerprint."""


class WebhookSettings(Section, frozen=True):
    """Messages to receivers outside (docs/reference/webhooks.md)."""

    allowed_networks: str = ""
    """Addresses and networks that webhooks may lead to although they are not public, separated by
    commas: `10.1.0.0/16, 192.168.7.5`."""
    allow_http: bool = False
    """Whether webhooks may lead to `http://`. Callouts may not."""
    ca_file: str = ""
    """A file with certificates (PEM) of authorities that receivers' certificates may come from,
    beside those that the system trusts."""
    retry_days: float = 3.0
    """How long a delivery is tried, from its event. Then it is dead, and can be replayed."""
    retention_days: float = 30.0
    """How long deliveries are kept, from their event, delivered or not."""
    max_attempts: int = 100
    """Attempts that this node has in progress at the same time."""
    per_receiver: int = 8
    """The same, to one receiver."""


class TracingSettings(Section, frozen=True):
    """Traces of requests and runs for OpenTelemetry (docs/how-to/tracing.md). Needs
    `queryrun[otel]`."""

    endpoint: str = ""
    """Where a collector listens: `http://collector:4318`, or `http://collector:4317` for gRPC.
    Empty: nothing is recorded; a `traceparent` is still kept with the run and passed on."""
    protocol: Literal["http/protobuf", "grpc"] = "http/protobuf"
    """How spans are sent, in OTLP."""
    service_name: str = "queryrun"
    """What the service is called in the traces (`service.name`)."""
    sample: float = 1.0
    """The share of the traces that begin here which is recorded, from 0 to 1. A request with a
    `traceparent` is recorded when its caller records it."""
    max_spans: int = 8192
    """Spans that wait to be sent. More are dropped, and counted (`queryrun_spans_total`)."""
    timeout_s: float = 5.0
    """How long the collector may take to respond."""
    headers_file: str = ""
    """A file with headers for the collector, `Name: value` on each line: a token, perhaps."""
    ca_file: str = ""
    """The certificates of the authorities that the collector is believed by, for `https://`. Empty:
    the system's, or with gRPC those that it brings."""


class LogSettings(Section, frozen=True):
    """The log, on standard error. Lines that nobody reads are dropped, and counted."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe events that are written."""
    format: Literal["json", "text"] = "json"
    """`json`: one object per line, for machines. `text`: for people."""


class Settings(Section, frozen=True):
    """Everything that can be set. Relative paths start in the home directory."""

    preset: Literal["none", "hosted"] = "none"
    """`hosted`: for a stand-in of the hosted system. Every source has `marks_deleted = true`,
    unless it says otherwise."""
    home: Path = Path()
    """The home directory. Given on the command line, not in the file."""
    tenant: str = "default"
    """The tenant of the entities and clients that `queryrun` commands create."""
    time_zone: str = "UTC"
    """The zone in which timestamps with time zone are written to result files."""
    default_source: str = DEFAULT_SOURCE
    """The source of runs that name none."""
    statements: str = ""
    """Kinds of statement in Trino's SQL that are accepted in addition to SELECT, SHOW TABLES,
    SHOW COLUMNS, DESCRIBE and SHOW FUNCTIONS: any of `values`, `explain`, `schemas`, `catalogs`,
    `create`, `stats`, `session` (SHOW CREATE, SHOW STATS, SHOW SESSION), separated by commas, or
    `all`."""
    server: ServerSettings = ServerSettings()
    """See `[server]`."""
    database: DatabaseSettings = DatabaseSettings()
    """See `[database]`."""
    workers: WorkerSettings = WorkerSettings()
    """See `[workers]`."""
    results: ResultSettings = ResultSettings()
    """See `[results]`."""
    leases: LeaseSettings = LeaseSettings()
    """See `[leases]`."""
    retries: RetrySettings = RetrySettings()
    """See `[retries]`."""
    rates: RateSettings = RateSettings()
    """See `[rates]`."""
    limits: LimitSettings = LimitSettings()
    """See `[limits]`."""
    oidc: OidcSettings = OidcSettings()
    """See `[oidc]`."""
    usage: UsageSettings = UsageSettings()
    """See `[usage]`."""
    audit: AuditSettings = AuditSettings()
    """See `[audit]`."""
    webhooks: WebhookSettings = WebhookSettings()
    """See `[webhooks]`."""
    tracing: TracingSettings = TracingSettings()
    """See `[tracing]`."""
    log: LogSettings = LogSettings()
    """See `[log]`."""
    sources: dict[str, SourceSettings] = msgspec.field(
        default_factory=lambda: {DEFAULT_SOURCE: SourceSettings()}
    )
    """See `[sources.NAME]`. Without any there is `live`, on the embedded engine."""

    @property
    def roles(self) -> frozenset[str]:
        """What this node does: `api`, `worker` or both."""
        return frozenset(role.strip() for role in self.server.roles.split(","))

    @property
    def statement_kinds(self) -> frozenset[str]:
        """The kinds of statement that are accepted in addition to the contract's."""
        named = {kind.strip() for kind in self.statements.split(",") if kind.strip()}
        return frozenset(BEYOND_THE_CONTRACT if named == {"all"} else named)

    @property
    def is_shared(self) -> bool:
        """Whether other nodes may work on the same database."""
        return bool(self.database.url or self.database.url_file)

    @property
    def remote_sources(self) -> list[str]:
        """The sources with a remote engine."""
        return [name for name, source in self.sources.items() if source.kind.is_remote]

    def path(self, relative: str) -> Path:
        """A path from the settings, relative to the home directory unless it is absolute.

        Links that lead in a circle stay in it: whoever opens the path is told.
        """
        return Path(os.path.realpath(self.home / relative))

    def data_path(self, source: str, entity: str) -> Path:
        """The path of an entity's data of a source. Entity names are checked at creation."""
        settings = self.sources[source]
        return self.path(settings.entities.get(entity) or settings.data.format(entity=entity))

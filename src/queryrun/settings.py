"""One frozen Settings; the only reader of the environment and of queryrun.toml.

Precedence: `QUERYRUN_<SECTION>__<NAME>` in the environment, then `queryrun.toml` in the home
directory, then the defaults below. An unknown name in either place refuses to start, so that
a typing error never passes for a setting.
"""

from __future__ import annotations

import configparser
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from queryrun.engines.registry import DEFAULT_ENGINE, ENGINES, EngineKind
from queryrun.errors import ConfigurationError
from queryrun.results.sigv4 import MAX_LINK_LIFETIME_S, Credentials
from queryrun.sql.guard import BEYOND_THE_CONTRACT

CONFIG_NAME = "queryrun.toml"
DATABASE_NAME = "queryrun.db"
LINK_KEY_NAME = "link.key"
LOCK_NAME = "node.lock"
SPILL_NAME = "spill"
"""The files of a home directory, besides data and results, which can lie elsewhere."""

CLIENT_VARIABLES = (
    "QUERYRUN_HOME",
    "QUERYRUN_PROFILE",
    "QUERYRUN_URL",
    "QUERYRUN_FACE",
    "QUERYRUN_ENTITY_ID",
    "QUERYRUN_CLIENT_ID",
    "QUERYRUN_CLIENT_SECRET",
    "QUERYRUN_CLIENT_SECRET_FILE",
    "QUERYRUN_TOKEN",
    "QUERYRUN_KEY_PASSWORD",
)
"""Read by the command line (docs/how-to/command-line.md); no settings, and no typing errors."""

_PREFIX = "QUERYRUN_"
_SIZES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZES |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of queryrun.toml. Unknown names are errors."""


class ServerSettings(Section, frozen=True):
    """Where the service listens, what this node does, and how it ends."""

    roles: str = "api,worker"
    """`api`: answers requests; `worker`: runs statements. Either or both, separated by commas."""

    host: str = "127.0.0.1"
    port: int = 8080
    public_url: str = ""
    """What links start with, when it is not http://host:port (behind a proxy)."""
    drain_timeout_s: float = 10.0
    """How long running statements may go on after SIGTERM before they are stopped and queued."""
    request_timeout_s: float = 60.0
    """A request that takes longer gets 504."""
    body_limit_bytes: int = 8 * 1024 * 1024
    """A request body, inflated: a statement of 1,000,000 characters, escaped, and room."""


class DatabaseSettings(Section, frozen=True):
    """Where runs, clients and tokens are kept. Several nodes share one PostgreSQL."""

    url: str = ""
    """`postgresql://user:password@host/name`. Empty: SQLite, a file in the home directory."""
    url_file: str = ""
    """A file that holds the URL instead, for whoever keeps passwords in files."""


class SourceSettings(Section, frozen=True):
    """A named place to run SQL: an engine, its data, its limits. A limit of 0 is no limit."""

    engine: str = DEFAULT_ENGINE
    """What runs the statements: {engines}."""
    dialect: Literal["trino", "native"] = "trino"
    """`trino`: statements are Trino's SQL (docs/reference/sql.md); `native`: the engine's own."""
    data: str = "data/{entity}"
    """A directory (or a `.duckdb` file) per entity; `{entity}` is the entity's name."""
    entities: dict[str, str] = {}
    """Entities whose data lies elsewhere: name -> path."""
    url: str = ""
    """Of an engine elsewhere: `http://trino:8080`, `sc://spark:15002`. As are the following, in
    which `{entity}` stands for the entity's name."""
    catalog: str = ""
    schema: str = ""
    user: str = "queryrun"
    auth: Literal["none", "password", "token"] = "none"
    secret_file: str = ""
    """A file with the password or token, read anew for every attempt; or, when empty: """
    secret_env: str = ""
    """the environment variable that holds it."""
    ui_url: str = ""
    """Spark's web UI: without it nobody could see that a statement's jobs have ended."""
    name_scope: Literal["schema", "catalog", "all"] = "schema"
    """Trino: which tables a statement may name: those of its schema, of its catalog, or all."""
    max_running_per_tenant: int = 5
    max_queued_per_tenant: int = 10
    max_output_rows: int = 500_000
    max_output_size: str = "0"
    memory: str = "2GB"
    threads: int = 2
    spill: str = "20GB"
    time_limit_s: float = 3600.0
    org_column: str = ""
    """In tables that have this column, clients with orgs see only the rows of their orgs."""

    @property
    def kind(self) -> EngineKind:
        """What the engine can do."""
        return ENGINES[self.engine]


class WorkerSettings(Section, frozen=True):
    """How many statements run at once on this node, and how many workers wait for them."""

    slots: int = 5
    warm: int = 2


class ResultSettings(Section, frozen=True):
    """Where result files go, how long they stay, how long a link to one opens."""

    store: Literal["local", "s3"] = "local"
    directory: str = "results"
    """Of the local store."""
    bucket: str = ""
    """Of the S3 store, as are the following."""
    prefix: str = ""
    """What every key begins with, such as `queryrun/results/`; nothing else may lie below it."""
    endpoint: str = ""
    """`https://host[:port]` of a store that is not AWS's own."""
    region: str = "us-east-1"
    addressing: Literal["path", "virtual"] = "path"
    """Where the bucket's name stands in a URL: `endpoint/bucket/key` or `bucket.endpoint/key`."""
    credentials: str = ""
    """A file in the form of `~/.aws/credentials`, its `[default]` section, read anew for every
    attempt. Empty: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` in the
    environment."""
    links: Literal["presigned", "proxied"] = "presigned"
    """`presigned`: links lead to the bucket. `proxied`: this service reads the bucket for clients
    that cannot."""
    link_endpoint: str = ""
    """What presigned links start with, where clients know the store by another name."""
    part_size: str = "16MiB"
    """Of an upload: a worker holds three parts in memory, and a file has 10,000 at most."""
    link_key_file: str = LINK_KEY_NAME
    """A file with the key that links are signed with. Nodes that share a database share it."""
    link_ttl_s: int = 4 * 3600
    """How long a download link is valid. Every read of a run gives a new one."""
    retention_days: float = 30.0
    """How long runs and their files are kept after their end; then both are removed."""


class LeaseSettings(Section, frozen=True):
    """How nodes hold attempts; a lease must outlive several heartbeats."""

    lease_s: float = 15.0
    heartbeat_s: float = 3.0
    poll_s: float = 1.0
    reap_interval_s: float = 5.0


class RetrySettings(Section, frozen=True):
    """The pause before another attempt. A run has three retries, for failures that may pass."""

    first_s: float = 1.0
    factor: float = 4.0
    max_s: float = 60.0


class RateSettings(Section, frozen=True):
    """Request rates per tenant. The presets are those of the hosted service's tenant types."""

    preset: Literal["off", "production", "developer_sandbox", "api_sandbox"] = "production"
    auth_per_address_per_minute: int = 100
    """Token requests per client address. 0 is no limit."""


class LogSettings(Section, frozen=True):
    """What the log says: JSON lines to stdout, or text for people."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "text"] = "json"


class Settings(Section, frozen=True):
    """Everything that can be set. `home` is where the relative paths below start."""

    home: Path = Path()
    tenant: str = "default"
    time_zone: str = "UTC"
    """The zone in which timestamps with time zone are written to result files."""
    default_source: str = "live"
    statements: str = ""
    """Kinds of statement in Trino's SQL that are accepted in addition to SELECT, SHOW TABLES,
    SHOW COLUMNS, DESCRIBE and SHOW FUNCTIONS: any of `values`, `explain`, `schemas`, `catalogs`,
    separated by commas, or `all`."""
    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    workers: WorkerSettings = WorkerSettings()
    results: ResultSettings = ResultSettings()
    leases: LeaseSettings = LeaseSettings()
    retries: RetrySettings = RetrySettings()
    rates: RateSettings = RateSettings()
    log: LogSettings = LogSettings()
    sources: dict[str, SourceSettings] = msgspec.field(
        default_factory=lambda: {"live": SourceSettings()}
    )

    @property
    def roles(self) -> frozenset[str]:
        """What this node does: `api`, `worker` or both."""
        return frozenset(role.strip() for role in self.server.roles.split(","))

    @property
    def statement_kinds(self) -> frozenset[str]:
        """Which kinds of statement are taken beyond the contract's."""
        named = {kind.strip() for kind in self.statements.split(",") if kind.strip()}
        return frozenset(BEYOND_THE_CONTRACT if named == {"all"} else named)

    @property
    def is_shared(self) -> bool:
        """Whether other nodes may work on the same database."""
        return bool(self.database.url or self.database.url_file)

    @property
    def remote_sources(self) -> list[str]:
        """The sources whose engines are elsewhere."""
        return [name for name, source in self.sources.items() if source.kind.is_remote]

    def path(self, relative: str) -> Path:
        """A path of the settings, taken from the home directory unless it is absolute."""
        return (self.home / relative).resolve()

    def data_path(self, source: str, entity: str) -> Path:
        """Where an entity's data of a source lies. Entity names are checked when created."""
        settings = self.sources[source]
        return self.path(settings.entities.get(entity) or settings.data.format(entity=entity))


def load(home: Path, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of a home directory. `ConfigurationError` names the setting that is wrong.

    A home without queryrun.toml has the defaults. `environ` is `os.environ` unless given.
    """
    tree = _file(home / CONFIG_NAME)
    _overlay(tree, os.environ if environ is None else environ)
    tree["home"] = str(home.resolve())
    try:
        settings = msgspec.convert(tree, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{CONFIG_NAME}: {error}") from error
    _check(settings)
    return settings


def size_bytes(text: str, name: str) -> int:
    """`2GB`, `512MiB`, `1000` as bytes; `ConfigurationError` naming the setting otherwise."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    unit = _SIZES.get(match.group(2).upper()) if match else None
    if match is None or unit is None:
        raise ConfigurationError(f"{name}: {text!r} is not a size such as 2GB or 512MiB")
    return int(float(match.group(1)) * unit)


def database_url(settings: Settings) -> str:
    """Where the shared database is. `ConfigurationError` when the file that says so is not there.

    Holds a password: for connecting alone, never for a message.
    """
    if not settings.database.url_file:
        return settings.database.url
    return _secret_in(settings, settings.database.url_file, "database.url_file")


def source_secret(
    settings: Settings, source: str, environ: Mapping[str, str] | None = None
) -> str | None:
    """The password or token of a source as it is now; None when it has none."""
    rules = settings.sources[source]
    if rules.auth == "none":
        return None
    if rules.secret_file:
        return _secret_in(settings, rules.secret_file, f"sources.{source}.secret_file")
    found = os.environ if environ is None else environ
    try:
        return found[rules.secret_env]
    except KeyError:
        name = f"sources.{source}.secret_env"
        raise ConfigurationError(f"{name}: {rules.secret_env!r} is not set") from None


def _secret_in(settings: Settings, path: str, name: str) -> str:
    try:
        return settings.path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(f"{name}: {path} could not be read") from None


def s3_credentials(settings: Settings, environ: Mapping[str, str] | None = None) -> Credentials:
    """The credentials of the S3 store, as they are now. `ConfigurationError` when there are none.

    No message of this names a key.
    """
    if settings.results.credentials:
        return _credentials_of(_default_section(settings.path(settings.results.credentials)))
    found = os.environ if environ is None else environ
    return _credentials_of({name.lower(): value for name, value in found.items()})


def _default_section(path: Path) -> Mapping[str, str]:
    parser = configparser.RawConfigParser(default_section="")
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
        return parser["default"]
    except (OSError, UnicodeDecodeError, configparser.Error, KeyError):
        raise ConfigurationError(f"results.credentials: {path} has no [default] section") from None


def _credentials_of(names: Mapping[str, str]) -> Credentials:
    try:
        return Credentials(
            names["aws_access_key_id"],
            names["aws_secret_access_key"],
            names.get("aws_session_token") or None,
        )
    except KeyError as error:
        raise ConfigurationError(f"results.credentials: {error.args[0]} is missing") from None


def _file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path.name}: {error}") from error


def _overlay(tree: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Lay `QUERYRUN_SERVER__PORT=9000` over `[server] port`."""
    for name, value in environ.items():
        if not name.startswith(_PREFIX) or name in CLIENT_VARIABLES:
            continue
        *sections, leaf = name.removeprefix(_PREFIX).lower().split("__")
        table = tree
        for section in sections:
            table = table.setdefault(section, {})
        table[leaf] = value


def _path(kind: type, value: object) -> object:
    if kind is Path:
        return Path(str(value))
    raise NotImplementedError(kind)


def _check(settings: Settings) -> None:
    """What types cannot say."""
    if settings.default_source not in settings.sources:
        raise ConfigurationError(f"default_source: no source is named {settings.default_source!r}")
    if not settings.statement_kinds <= set(BEYOND_THE_CONTRACT):
        kinds = ", ".join(BEYOND_THE_CONTRACT)
        raise ConfigurationError(f"statements: name any of {kinds}, separated by commas, or all")
    if not settings.roles or not settings.roles <= {"api", "worker"}:
        raise ConfigurationError("server.roles: name api, worker, or both, separated by commas")
    if settings.roles != {"api", "worker"} and not settings.is_shared:
        raise ConfigurationError("server.roles: a node that shares no database does both")
    if settings.leases.lease_s < 3 * settings.leases.heartbeat_s:
        raise ConfigurationError("leases.lease_s must be at least three heartbeats")
    _check_results(settings.results)
    for name, source in settings.sources.items():
        size_bytes(source.memory, f"sources.{name}.memory")
        size_bytes(source.spill, f"sources.{name}.spill")
        size_bytes(source.max_output_size, f"sources.{name}.max_output_size")
        _check_engine(name, source)


def _check_engine(name: str, source: SourceSettings) -> None:
    """What the registry says of the engine: an operator hears of it at start, not at a run."""
    if source.engine not in ENGINES:
        raise ConfigurationError(f"sources.{name}.engine: name one of {', '.join(ENGINES)}")
    if source.dialect not in source.kind.dialects:
        dialects = " or ".join(source.kind.dialects)
        raise ConfigurationError(f"sources.{name}.dialect: {source.engine} takes {dialects}")
    for setting, beginnings in source.kind.required_urls.items():
        if not str(getattr(source, setting)).startswith(beginnings):
            begin = " or ".join(beginnings)
            raise ConfigurationError(f"sources.{name}.{setting} must begin with {begin}")
    has_secret = bool(source.secret_file or source.secret_env)
    if source.kind.is_remote and source.auth != "none" and not has_secret:
        raise ConfigurationError(
            f"sources.{name}: auth = {source.auth!r} needs secret_file or secret_env"
        )


def _check_results(results: ResultSettings) -> None:
    if not 5 * 2**20 <= size_bytes(results.part_size, "results.part_size") <= 256 * 2**20:
        raise ConfigurationError("results.part_size must be 5MiB to 256MiB")
    if results.store != "s3":
        return
    if not results.bucket:
        raise ConfigurationError("results.bucket must be named when results.store is s3")
    for name, url in (("endpoint", results.endpoint), ("link_endpoint", results.link_endpoint)):
        if url and not re.fullmatch(r"https?://[^/?#]+", url):
            raise ConfigurationError(f"results.{name} must be http(s)://host[:port] and no more")
    if results.links == "presigned" and results.link_ttl_s > MAX_LINK_LIFETIME_S:
        raise ConfigurationError("results.link_ttl_s: presigned links live 7 days at most")

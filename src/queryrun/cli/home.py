"""Create a home: configuration, store, entity, data, first client."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from queryrun.audit.model import AuditEvent
from queryrun.auth.clients import ClientOptions, create_client
from queryrun.auth.model import ADMINISTRATION, Entity, IssuedSecret, Scope
from queryrun.cli.audit_entries import record
from queryrun.cli.private import DIRECTORY_MODE, keep_private
from queryrun.db.database import Database
from queryrun.errors import ConfigurationError
from queryrun.settings import CONFIG_NAME, LINK_KEY_NAME, Settings
from queryrun.settings.file import load
from queryrun.wiring.database import open_database
from queryrun_cli.plugins import HomeServer

FIRST_CLIENT_NAME = "first-client.id"
FIRST_SECRET_NAME = "first-client.secret"  # noqa: S105 a file name
_ENTITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")

_CONFIG = """\
# queryrun: every setting that is not here has its default. Reference:
# docs/reference/settings.md. The environment wins: QUERYRUN_SERVER__PORT=9000.

[server]
host = "127.0.0.1"
port = 8080

[workers]
slots = 5              # statements running at once on this node
warm = 2               # worker processes kept ready

[sources.live]         # a named place to run SQL
engine = "duckdb"
dialect = "trino"      # Trino's SQL, on any engine; "native": the engine's own
data = "data/{entity}" # a directory of Parquet, CSV and JSON files, or a .duckdb file
running_per_tenant = 5
queued_per_tenant = 10
max_output_rows = 500000
memory = "2GB"
time_limit_s = 3600
"""
_SAMPLES_CONFIG = """\
marks_deleted = true   # the sample tables mark deleted rows, as the hosted system's do
"""
_DATABASE = """
[database]             # shared with other nodes: docs/how-to/cluster.md
url_file = {url_file}
"""


@dataclass(frozen=True, slots=True)
class MadeHome:
    """A new home and its first client, whose secret is stored nowhere else in plain text."""

    home: Path
    entity: Entity
    issued: IssuedSecret
    data_dir: Path
    tables: int


def init_home(
    home: Path, *, entity: str, factor: float | None, database_url_file: Path | None = None
) -> MadeHome:
    """Create `home`; raises `ConfigurationError` if it exists.

    `factor` sizes the sample data; None writes none. With `database_url_file` runs and clients
    are stored in the PostgreSQL whose URL that file holds. The configuration is written last, so
    that an interrupted `init` can be repeated.
    """
    if (home / CONFIG_NAME).exists():
        raise ConfigurationError(
            f"{home} is already a home; `queryrun clients create --home {home}` adds a client"
        )
    check_entity_name(entity)
    before = _make_home(home)
    try:
        return _fill_home(home, entity, factor, database_url_file)
    except BaseException:
        _undo(home, before)
        raise


def _make_home(home: Path) -> set[Path] | None:
    """Make the directory; returns what was in it before, None when it did not exist."""
    before = set(home.iterdir()) if home.is_dir() else None
    home.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    return before


def _undo(home: Path, before: set[Path] | None) -> None:
    """Remove what a failed `init` has made: a half-made home would only confuse the next one."""
    if before is None:
        shutil.rmtree(home, ignore_errors=True)
        return
    for path in set(home.iterdir()) - before:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _fill_home(
    home: Path, entity: str, factor: float | None, database_url_file: Path | None
) -> MadeHome:
    keep_private(home)
    settings, config = load(home, {}), _CONFIG
    if factor is not None:
        config += _SAMPLES_CONFIG
    if database_url_file is not None:
        url_file = str(database_url_file.resolve())
        settings = load(home, {"QUERYRUN_DATABASE__URL_FILE": url_file})
        config += _DATABASE.format(url_file=json.dumps(url_file))  # a TOML string too
    _write_private(home / LINK_KEY_NAME, secrets.token_hex(32))
    issued = asyncio.run(_first_client(settings, entity))
    _write_private(home / FIRST_CLIENT_NAME, issued.client.id)
    _write_private(home / FIRST_SECRET_NAME, issued.secret)
    data_dir = settings.data_path(settings.default_source, entity)
    data_dir.mkdir(parents=True, exist_ok=True)
    tables = _write_samples(data_dir, factor)
    (home / CONFIG_NAME).write_text(config, encoding="utf-8")
    return MadeHome(home, issued.client.entities[0], issued, data_dir, tables)


def home_server(home: Path) -> HomeServer:
    """The URL from the home's configuration, and its first client.

    `ConfigurationError` when the directory is not a home. The first client's files may be missing.
    """
    if not (home / CONFIG_NAME).exists():
        raise ConfigurationError(f"{home} is not a home; `queryrun init --home {home}` makes one")
    server = load(home).server
    url = server.public_url or f"http://{server.host}:{server.port}"
    return HomeServer(url, home / FIRST_CLIENT_NAME, home / FIRST_SECRET_NAME)


def check_entity_name(name: str) -> None:
    """Entity names become directory names: letters, digits, `_` and `-`, at most 63."""
    if not _ENTITY.fullmatch(name):
        raise ConfigurationError(
            f"entity {name!r}: use 1 to 63 letters, digits, '_' or '-', beginning with a letter "
            "or digit"
        )


def check_tenant_name(name: str) -> None:
    """A tenant's name is its id, in tokens and logs: as an entity's name."""
    if not _ENTITY.fullmatch(name):
        raise ConfigurationError(
            f"tenant {name!r}: use 1 to 63 letters, digits, '_' or '-', beginning with a letter "
            "or digit"
        )


async def ensure_entity(
    database: Database, settings: Settings, name: str, tenant: str = ""
) -> Entity:
    """The tenant's entity of that name, created when missing. The tenant is the settings' unless
    it is named, and then it must exist.

    `ConfigurationError` when another tenant has an entity of that name, or this one has it in
    another case: both would have the same data.
    """
    check_entity_name(name)
    tenant = tenant or settings.tenant
    if tenant == settings.tenant:
        await database.auth.add_tenant(tenant, tenant)
    elif tenant not in {one.id for one in await database.auth.tenants()}:
        raise ConfigurationError(f"tenant {tenant!r}: `queryrun tenants create {tenant}` makes it")
    added = Entity(str(uuid4()), tenant, name)
    entity = await database.auth.add_entity(added)
    if (entity.tenant_id, entity.name) != (tenant, name):
        whose = "belongs to another tenant" if entity.tenant_id != tenant else "exists already"
        raise ConfigurationError(
            f"entity {entity.name!r} {whose}, and entities are directories: choose another name"
        )
    if entity.id == added.id:
        await record(database, AuditEvent.ENTITY_CREATED, tenant, entity.id, name=name)
    return entity


async def _first_client(settings: Settings, entity_name: str) -> IssuedSecret:
    """It is the admin of its entity, and of no other."""
    database = open_database(settings, lambda: datetime.now(UTC))
    try:
        entity = await ensure_entity(database, settings, entity_name)
        options = ClientOptions(
            "first", (entity,), frozenset(Scope) - {Scope.TENANT_ADMIN} - ADMINISTRATION
        )
        issued = await create_client(database.auth, options, lambda: datetime.now(UTC))
        scopes = sorted(options.scopes)
        detail = {"name": options.name, "entities": [entity.name], "scopes": scopes}
        client = issued.client
        await record(database, AuditEvent.CLIENT_CREATED, client.tenant_id, client.id, **detail)
        return issued
    finally:
        database.close()


def _write_samples(data_dir: Path, factor: float | None) -> int:
    if factor is None:
        return 0
    from queryrun.demo import write_sample_data

    return len(write_sample_data(data_dir, factor=factor).tables)


def _write_private(path: Path, text: str) -> None:
    """Write a file for its owner only, without a line end, because curl's `@file` sends it too."""
    path.touch(mode=0o600, exist_ok=True)
    path.chmod(0o600)
    path.write_text(text, encoding="ascii")

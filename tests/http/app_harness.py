"""A whole HTTP service in one process: the real app and SQLite stores, a guard that knows a few
words, results in memory, and a dispatcher that tests move by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2

from queryrun.auth.clients import DEFAULT_SCOPES, ClientOptions, create_client
from queryrun.auth.model import Entity, Scope
from queryrun.auth.tokens import issue_token
from queryrun.db.sqlite.database import SqliteDatabase, open_sqlite
from queryrun.db.sqlite.migrate import migrate_at
from queryrun.errors import Failure, FailureCode, RunFailed, Unavailable
from queryrun.http.app import build_app
from queryrun.http.context import AppContext, HttpSettings, WebhookContext
from queryrun.http.rate_limits import Rates
from queryrun.processes.fork_client import ForkClient
from queryrun.results.preview import PreviewRequest
from queryrun.results.preview_rows import NoPreviewError, Preview
from queryrun.results.s3_permit import UploadPermit
from queryrun.results.store import ResultWriter, StoredFile
from queryrun.runs.cluster import NodeFacts
from queryrun.runs.context import RequestContext
from queryrun.runs.limiter import Limiter
from queryrun.runs.model import AttemptRef, EngineStop, ResultFile, Run, Stage
from queryrun.runs.notify import ChangeNotifier
from queryrun.runs.source_policy import SourcePolicy
from queryrun.runs.store import (
    ClaimLimits,
    Completed,
    Failed,
    Freed,
    QueueLimits,
    Requeued,
)
from queryrun.runs.usage import AttemptUsage
from queryrun.services.catalog.frames import TableShape
from queryrun.services.preview.client import PreviewClient
from queryrun.settings import Settings
from queryrun.sql.guard.validate import validate_trino
from queryrun.sql.guard.validation import TableColumns, Validation
from queryrun.sql.guard.verdict import Refusal, Verdict
from queryrun.sql.parameters import Parameter
from queryrun.webhooks.secrets import Sealer
from queryrun.webhooks.target import Wall, parse_networks
from queryrun.wiring.child_roles import CHILD_ROLES
from queryrun.wiring.options import http_settings
from tests.conftest import Clock

TENANT = "tenant-1"
ACME = Entity("11111111-1111-4111-8111-111111111111", TENANT, "acme")
GLOBEX = Entity("22222222-2222-4222-8222-222222222222", TENANT, "globex")
FOREIGN = Entity("33333333-3333-4333-8333-333333333333", "tenant-2", "initech")
LINK_SECRET = b"a secret for links, only in tests"
WALL = Wall(parse_networks("127.0.0.0/8"), allow_http=True)
PUBLIC_URL = "http://queries.test"
NODE = "node-1"
NO_RATES = Rates()
DEFAULT_SETTINGS = http_settings(Settings())
"""What an installation has that sets nothing."""
OPEN_SETTINGS = replace(DEFAULT_SETTINGS, api_rates=NO_RATES, auth_address_rates=NO_RATES)
"""Without rate limits; tests of rates set their own."""

SELECT = {"sql": "SELECT 1 AS one", "content_type": "csv"}


class FakeGuard:
    """Refuses what starts with a writing word, and anything with a semicolon inside. Tests may
    break it, or make it hang until `go_on` is set."""

    def __init__(self) -> None:
        self.broken = False
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def check(
        self,
        statement: str,
        dialect: str,
        entity_id: str = "",
        parameters: Sequence[Parameter] = (),
    ) -> Verdict:
        """The verdict of a guard that knows three words."""
        await self.go_on.wait()
        if self.broken:
            raise RuntimeError(f"cannot check {statement}")
        if statement.split()[0].upper() in ("DELETE", "INSERT", "DROP"):
            return Verdict(statement, Refusal.NOT_READ_ONLY, "only SELECT is allowed", 1, 1)
        if ";" in statement.rstrip().rstrip(";"):
            return Verdict(statement, Refusal.SEVERAL_STATEMENTS, "one statement only")
        return Verdict(statement)

    async def validate(
        self,
        statement: str,
        tables: tuple[TableColumns, ...] | None,
        entity_id: str = "",
        parameters: Sequence[Parameter] = (),
    ) -> Validation:
        """As the guard's process would."""
        return validate_trino(statement, tables, parameters)


class MemoryResults:
    """A ResultStore over a dictionary. `away`: it is unreachable."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.away = False

    def _check_available(self) -> None:
        if self.away:
            raise RunFailed.of(FailureCode.STORAGE_FAILED, "the store is not available")

    def open(self, key: str) -> ResultWriter:
        """Tests put files in directly."""
        raise NotImplementedError(key)

    def stat(self, key: str) -> StoredFile | None:
        """The file, or None."""
        self._check_available()
        data = self.files.get(key)
        return None if data is None else StoredFile(key, len(data), sha256(data).hexdigest()[:16])

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        """In chunks of seven bytes, so that streams have several."""
        self._check_available()
        if key not in self.files:
            raise FileNotFoundError(key)
        data = self.files[key][start:end]
        return (data[at : at + 7] for at in range(0, len(data), 7))

    def take_over(
        self, outbox: Path | None, key: str, size_bytes: int, *, is_stopped: bool = False
    ) -> bool:
        return True

    def upload_permit(self, key: str) -> UploadPermit | None:
        return None

    def discard(self, key: str) -> None:
        """Forget the file."""
        self.files.pop(key, None)

    def sweep(self, unfinished_before: datetime, committed_before: datetime) -> list[str]:
        """Nothing here knows its age."""
        return []

    def link(self, key: str, life_s: int) -> str | None:
        """Downloads go through the service."""
        return None


class KnownTables:
    """A `TableCatalog` with the tables that a test adds. `away`: its sources are not available."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], tuple[TableShape, ...]] = {}
        self.away = False

    async def tables(self, source: str, entity_id: str) -> tuple[TableShape, ...]:
        """The tables that a test added."""
        if self.away:
            raise Unavailable("the source is not available")
        return self.known.get((source, entity_id), ())

    async def table(self, source: str, entity_id: str, name: str) -> TableShape | None:
        """One of them."""
        known = await self.tables(source, entity_id)
        return next((table for table in known if table.name == name.lower()), None)


class NoPreviews:
    """Binary previews of files that are all damaged."""

    async def preview(
        self, read: object, size_bytes: int, request: PreviewRequest, entity_id: str = ""
    ) -> Preview:
        """There is none."""
        raise NoPreviewError("no preview")


class NoticedChanges(ChangeNotifier):
    """A notifier that reports when a wait for a run begins."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_for = asyncio.Event()

    @asynccontextmanager
    async def watch(self, run_id: str) -> AsyncIterator[asyncio.Event]:
        """As usual, and recorded."""
        async with super().watch(run_id) as event:
            self.waited_for.set()
            yield event


@dataclass
class Knobs:
    """What tests change while the service runs."""

    accepting: bool = True
    checks: dict[str, str] = field(default_factory=lambda: {"store": "ok"})


@dataclass
class AppHarness:
    """The running service, and what tests do to it past its API."""

    app: AppContext
    database: SqliteDatabase
    clock: Clock
    results: MemoryResults
    tables: KnownTables
    knobs: Knobs
    guard: FakeGuard
    changes: NoticedChanges
    http: httpx2.AsyncClient
    token: str = ""
    client_id: str = ""
    secret: str = ""

    async def new_client(
        self,
        *entities: Entity,
        scopes: frozenset[Scope] = DEFAULT_SCOPES,
        org_ids: tuple[str, ...] = (),
    ) -> tuple[str, str]:
        """Id and secret of a new client."""
        options = ClientOptions("test", entities or (ACME,), scopes, org_ids)
        issued = await create_client(self.database.auth, options, self.clock)
        return issued.client.id, issued.secret

    async def new_token(
        self,
        *entities: Entity,
        scopes: frozenset[Scope] = DEFAULT_SCOPES,
        org_ids: tuple[str, ...] = (),
    ) -> str:
        """A token of a new client."""
        client_id, secret = await self.new_client(*entities, scopes=scopes, org_ids=org_ids)
        return (await issue_token(self.database.auth, client_id, secret, self.clock)).token

    async def call(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> httpx2.Response:
        """One request with the harness's own token, another, or ('') none."""
        used = self.token if token is None else token
        sent = {"authorization": f"Bearer {used}"} if used else {}
        return await self.http.request(method, path, headers={**sent, **(headers or {})}, **options)

    async def create(self, **body: Any) -> dict[str, Any]:
        """A new run, as the service returns it; of `SELECT` by default."""
        response = await self.call("POST", "/v2/query_runs", json={**SELECT, **body})
        assert response.status_code == 201, response.text
        return dict(response.json())

    # --- the dispatcher ---------------------------------------------------------------------

    async def claim(self, run_id: str) -> AttemptRef:
        """Claim everything that waits; the attempt of this run."""
        limits = ClaimLimits(["live", "warehouse"], 1000, {})
        attempts = await self.app.runs.store.claim(NODE, lease_s=60, limits=limits)
        (ref,) = [one.ref for one in attempts if one.ref.run_id == run_id]
        return ref

    async def complete(
        self,
        run_id: str,
        data: bytes = b"one\n1\n",
        suffix: str = ".csv",
        usage: AttemptUsage | None = None,
        duration_s: float = 0.0,
    ) -> Run:
        """Claim the run and, so much later, complete it with a file."""
        ref = await self.claim(run_id)
        self.clock.move(duration_s)
        key = f"{run_id}_1833251171549653{suffix}"
        self.results.files[key] = data
        file = ResultFile(key, len(data), sha256(data).hexdigest(), data.count(b"\n") - 1)
        return self._published(
            await self.app.runs.store.complete(ref, Completed(file, 6519, usage))
        )

    async def fail(self, run_id: str, failure: Failure) -> Run:
        """Claim the run and fail it."""
        ref = await self.claim(run_id)
        return self._published(await self.app.runs.store.fail(ref, Failed(failure)))

    async def requeue(self, ref: AttemptRef, failure: Failure) -> Run:
        """Send the attempt's run back to the queue."""
        detail = Requeued(failure)
        return self._published(await self.app.runs.store.requeue(ref, detail))

    async def free(self, ref: AttemptRef) -> Run:
        """Prove the engine of a cancelled attempt free."""
        detail = Freed(EngineStop.KILLED, Stage.EXECUTING)
        return self._published(await self.app.runs.store.freed(ref, detail))

    def free_on_cancel(self, ref: AttemptRef) -> None:
        """From now on, free the attempt as soon as its run is being cancelled."""

        def listener(run: Run) -> None:
            if run.id == ref.run_id and run.state.value == "canceling":
                self._tasks.append(asyncio.ensure_future(self.free(ref)))

        self.app.runs.notifier.add_listener(listener)

    _tasks: list[Any] = field(default_factory=list)

    def _published(self, run: Run) -> Run:
        self.app.runs.notifier.publish(run)
        return run


@asynccontextmanager
async def open_app_harness(
    directory: Path,
    clock: Clock,
    settings: HttpSettings = OPEN_SETTINGS,
    *,
    queued_per_tenant: int = 0,
) -> AsyncIterator[AppHarness]:
    """A service over a fresh database in `directory`, with one client of one entity."""
    path = directory / "queryrun.db"
    if not path.exists():
        path.write_bytes(empty_database())
    database = open_sqlite(path, clock)
    knobs, guard, changes, results = Knobs(), FakeGuard(), NoticedChanges(), MemoryResults()
    tables = KnownTables()
    app = app_over(database, clock, results, settings, queued_per_tenant)
    runs = replace(app.runs, guard=guard, notifier=changes, accepting=lambda: knobs.accepting)
    fork_client = ForkClient(CHILD_ROLES)
    previews = PreviewClient(fork_client)
    app = replace(app, runs=runs, tables=tables, previews=previews, ready=_ready(knobs))
    transport = httpx2.ASGITransport(app=build_app(app), client=("192.0.2.1", 1234))
    async with httpx2.AsyncClient(transport=transport, base_url=PUBLIC_URL) as http:
        harness = AppHarness(app, database, clock, results, tables, knobs, guard, changes, http)
        for tenant in ("tenant-1", "tenant-2"):
            await database.auth.add_tenant(tenant, tenant)
        for entity in (ACME, GLOBEX, FOREIGN):
            await database.auth.add_entity(entity)
        harness.client_id, harness.secret = await harness.new_client(ACME)
        issued = await issue_token(database.auth, harness.client_id, harness.secret, clock)
        harness.token = issued.token
        yield harness
    await previews.close()
    await fork_client.close()
    database.close()


@cache
def empty_database() -> bytes:
    """A database that has been migrated: once for a process, which takes longer than most tests."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "queryrun.db"
        migrate_at(path)
        return path.read_bytes()


def app_over(
    database: SqliteDatabase,
    clock: Clock,
    results: MemoryResults,
    settings: HttpSettings = OPEN_SETTINGS,
    queued_per_tenant: int = 0,
) -> AppContext:
    """The context of the HTTP layer, over this database."""
    rules = SourcePolicy(running_per_tenant=0, queue=QueueLimits(queued_per_tenant))
    return AppContext(
        runs=RequestContext(
            store=database.runs,
            guard=FakeGuard(),
            notifier=ChangeNotifier(),
            sources={"live": rules, "warehouse": rules},
            default_source="live",
            now=clock,
            usage=database.usage,
            audit=database.audit,
            limiter=Limiter(database.limits, database.usage, database.runs, clock, cache_s=0.0),
        ),
        auth=database.auth,
        idempotency=database.idempotency,
        requests=database.requests,
        statements=database.statements,
        limits=database.limits,
        results=results,
        tables=KnownTables(),
        previews=NoPreviews(),
        webhooks=WebhookContext(database.webhooks, WALL, Sealer(LINK_SECRET)),
        link_secret=LINK_SECRET,
        public_url=PUBLIC_URL,
        now=clock,
        ready=_ready(Knobs()),
        nodes=lambda: NODES,
        settings=settings,
        monotonic_s=lambda: clock().timestamp(),
    )


NODES = tuple(
    NodeFacts(f"node-{name}", name == "b", {"live": "1"}, slots=5, version="1") for name in "ba"
)
"""The nodes that the harness tells of."""


def _ready(knobs: Knobs) -> Callable[[], Any]:
    async def ready() -> dict[str, str]:
        return knobs.checks

    return ready

"""Requests generated from the OpenAPI document: all of schemathesis' checks pass.

What a schema cannot say (a key must be an RSA key, a source must exist, a cursor must be ours) is
made true in `meant`, so that valid requests are accepted and invalid ones stay invalid.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from hashlib import sha256
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import pytest
import schemathesis
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, settings
from schemathesis.generation.meta import TestPhase
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from queryrun.audit.model import AuditEntry
from queryrun.auth import model as auth
from queryrun.auth.clients import ClientOptions, create_client
from queryrun.auth.tokens import issue_token
from queryrun.db.sqlite.database import open_sqlite
from queryrun.db.sqlite.runs import SqliteRunStore
from queryrun.http.app import build_app
from queryrun.http.properties import MAX_KEY_CHARS
from queryrun.http.routes import full_document
from queryrun.results.sign import sign
from queryrun.runs.follow import FollowOptions
from queryrun.runs.model import AttemptRef, EngineStop, IdempotentWrite, ResultFile, Run, RunRequest
from queryrun.runs.state import RunState
from queryrun.runs.store import (
    NO_QUEUE_LIMITS,
    Accepted,
    CancelRequested,
    ClaimLimits,
    Completed,
    Freed,
    QueueLimits,
)
from queryrun.sql.guard.validation import TableColumns, Validation
from queryrun.sql.guard.verdict import Verdict
from queryrun.sql.parameters import MAX_PARAMETERS, MAX_VALUE_CHARS, NAME, Parameter
from queryrun.webhooks.target import MAX_URL_CHARS
from tests.conftest import Clock
from tests.http.app_harness import (
    ACME,
    FOREIGN,
    LINK_SECRET,
    OPEN_SETTINGS,
    MemoryResults,
    app_over,
)

FAR = 4_000_000_000
PUBLIC_KEY = (
    rsa.generate_private_key(public_exponent=65537, key_size=2048)
    .public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


class WillingGuard:
    """Accepts everything: what statements are refused is not what is tested here."""

    async def check(
        self,
        statement: str,
        dialect: str,
        entity_id: str = "",
        parameters: Sequence[Parameter] = (),
    ) -> Verdict:
        """Always yes."""
        return Verdict(statement)

    async def validate(
        self,
        statement: str,
        tables: tuple[TableColumns, ...] | None,
        entity_id: str = "",
        parameters: Sequence[Parameter] = (),
    ) -> Validation:
        """Always fine."""
        return Validation()


class EagerRuns(SqliteRunStore):
    """Runs that advance by themselves: some wait, some run, half complete immediately."""

    results: MemoryResults
    fates: Iterator[str]

    async def accept(
        self,
        request: RunRequest,
        *,
        run_id: str,
        queue_limits: QueueLimits = NO_QUEUE_LIMITS,
        idempotent: IdempotentWrite | None = None,
        audit: AuditEntry | None = None,
    ) -> Accepted:
        """Accept, then perhaps run."""
        accepted = await super().accept(
            request, run_id=run_id, queue_limits=queue_limits, idempotent=idempotent, audit=audit
        )
        if accepted.replay is None and (fate := next(self.fates)) != "waiting":
            await self._run(run_id, complete=fate == "complete")
        return accepted

    async def _run(self, run_id: str, *, complete: bool) -> None:
        limits = ClaimLimits(["live", "warehouse"], 10_000, {})
        for attempt in await self.claim("node", lease_s=60, limits=limits):
            if attempt.ref.run_id == run_id and complete:
                key = f"{run_id}_1833251171549653.csv"
                self.results.files[key] = b"one\n1\n"
                digest = sha256(self.results.files[key]).hexdigest()
                await self.complete(attempt.ref, Completed(ResultFile(key, 6, digest, 1), 7))

    async def cancel(
        self, run_id: str, detail: CancelRequested, *, idempotent: IdempotentWrite | None = None
    ) -> Run:
        """Cancel, and let the engine go."""
        run = await super().cancel(run_id, detail, idempotent=idempotent)
        if run.state is not RunState.CANCELING:
            return run
        return await self.freed(AttemptRef(run_id, run.attempt), Freed(EngineStop.KILLED))


class LateService:
    """The app under test: while tests are collected it only knows its document."""

    def __init__(self) -> None:
        document = Response(full_document(), media_type="application/json")
        self.app: ASGIApp = Router(default=document)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Whatever it is by now."""
        await self.app(scope, receive, send)


TOO_LATE = [
    {
        "include-name": operation,
        "checks": {
            "positive_data_acceptance": {
                "expected-statuses": ["2xx", "400", "401", "403", "404", "409", "429", "5xx"]
            }
        },
    }
    for operation in (
        "POST /v2/query_runs/{query_run_id}/cancel",
        "DELETE /query/jobs/{job_id}",
        "GET /v2/query_runs/{query_run_id}/rows",
        "POST /v2/webhooks",
        "PUT /v2/webhooks/{webhook_id}",
        "POST /v2/webhook_deliveries/replay",
        "POST /admin/v1/clients",
        "POST /admin/v1/clients/{client_id}/change",
        "POST /admin/v1/limits",
    )
]
"""A cancel of a terminal run is a 400 (contract B4), however valid the request; so are rows
further in than a preview reaches, which these files, being no Parquet, all are; and a webhook that
leads inside or is one too many, and a replay of neither ids nor a time; an end of a client in
another age than ours, a client of orgs that administers, and a limit that its level has not."""

DELETE_IS_CANCEL = {"use_after_free": {"enabled": False}}
"""v1's DELETE cancels a job, which can be read for as long as before (contract A9)."""

SERVICE = LateService()
CONFIG = schemathesis.Config.from_dict({"operations": TOO_LATE, "checks": DELETE_IS_CANCEL})
schema = schemathesis.openapi.from_asgi("/openapi.json", SERVICE, config=CONFIG)
VALID = schemathesis.Config.from_dict(
    {"operations": TOO_LATE, "checks": DELETE_IS_CANCEL, "generation": {"mode": "positive"}}
)
"""Sequences follow links; single requests are tested above. (Query parameters
that the document does not know are ignored, which a made-up sequence may take for a fault.)"""
sequences = schemathesis.openapi.from_asgi("/openapi.json", SERVICE, config=VALID)


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service comes up; a token for it."""
    with come_up(tmp_path_factory.mktemp("described")) as token:
        yield token


@contextmanager
def come_up(directory: Path) -> Iterator[str]:
    """A new service, on a database in that directory; a token for it."""
    clock = Clock()
    database = open_sqlite(directory / "queryrun.db", clock)
    runs = EagerRuns(database.writer, database.reader, clock)
    runs.results = MemoryResults()
    runs.fates = cycle(("complete", "running", "complete", "waiting"))
    options = FollowOptions(keep_alive_s=0.01, max_duration_s=0.02)
    brief = replace(OPEN_SETTINGS, follow_options=options)
    app = app_over(replace(database, runs=runs), clock, runs.results, brief)
    SERVICE.app = build_app(replace(app, runs=replace(app.runs, guard=WillingGuard())))
    yield asyncio.run(_token(database, clock))
    database.close()


async def _token(database: Any, clock: Clock) -> str:
    await database.auth.add_tenant(ACME.tenant_id, "tenant")
    await database.auth.add_entity(ACME)
    await database.auth.add_tenant(FOREIGN.tenant_id, "another")
    await database.auth.add_entity(FOREIGN)
    scopes = frozenset({auth.Scope.ADMIN, auth.Scope.ADMIN_WRITE, auth.Scope.ADMIN_ALL})
    options = ClientOptions("test", (ACME,), scopes)
    issued = await create_client(database.auth, options, clock)
    return (await issue_token(database.auth, issued.client.id, issued.secret, clock)).token


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Make true what the schema could not say."""
    meant(case)


def meant(case: Any) -> None:
    """Replace valid values that cannot be known from the schema by ones that the service knows."""
    headers = case.headers or {}
    for name, value in {
        "zuora-entity-ids": ACME.id,
        "zuora-entity-id": ACME.id,
        "prefer": "wait=0",
    }.items():
        if _valid(headers.get(name)):
            headers[name] = value
    if _valid(headers.get("idempotency-key")):
        headers["idempotency-key"] = str(uuid4())
    query = case.query or {}
    if isinstance(query.get("filter[]"), list) and case.meta and _positive(case):
        query["filter[]"] = ["state.NE:failed"]
    if "source" in query and _positive(case):
        query["source"] = "live"
    if _positive(case):
        for name in ("cursor", "first_day", "last_day", "group_by[]"):
            query.pop(name, None)
    _mean_body(case.body)
    if case.operation.label == "GET /files/{key}":
        _sign(case)


def _positive(case: Any) -> bool:
    return bool(case.meta is None or case.meta.generation.mode.is_positive)


def _valid(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 255


def _mean_body(body: Any) -> None:
    if not isinstance(body, dict):
        return
    for name in ("encryption_key", "encryptionKey"):
        key = body.get(name)
        if isinstance(key, str) and 0 < len(key) <= MAX_KEY_CHARS:
            body[name] = PUBLIC_KEY
    notify_url = body.get("notify_url")
    if isinstance(notify_url, str) and len(notify_url) <= MAX_URL_CHARS:
        del body["notify_url"]
    if isinstance(body.get("source"), str):
        body["source"] = "live"
    if _is_texts(body.get("entities")):
        body["entities"] = [ACME.name]
    if isinstance(body.get("subject"), str):
        body["subject"] = FOREIGN.id  # of nobody who asks for more
    if _has_valid_parameters(body.get("parameters")):
        body["parameters"] = [{"name": "day", "type": "date", "value": "2024-01-31"}]
    if isinstance(body.get("notify_url"), str) and len(body["notify_url"]) <= MAX_URL_CHARS:
        del body["notify_url"]  # its client needs a webhook of the kind `run`


def _is_texts(content: object) -> bool:
    return (
        isinstance(content, list)
        and bool(content)
        and all(isinstance(one, str) and one for one in content)
    )


def _has_valid_parameters(content: object) -> bool:
    """By the schema, which cannot say what a text of a type looks like."""
    return (
        isinstance(content, list)
        and len(content) <= MAX_PARAMETERS
        and all(isinstance(one, dict) and _is_valid_parameter(one) for one in content)
    )


def _is_valid_parameter(one: dict[str, object]) -> bool:
    is_text = one.keys() <= {"name", "type", "value"} and all(
        isinstance(value, str) for value in one.values()
    )
    return (
        is_text
        and re.search(f"^{NAME.pattern}$", str(one.get("name", "x"))) is not None
        and one.get("type") != ""
        and len(str(one.get("value", ""))) <= MAX_VALUE_CHARS
    )


def _sign(case: Any) -> None:
    key = unquote(str((case.path_parameters or {}).get("key", "")))
    case.query = {"expires": str(FAR), "signature": sign(key, FAR, LINK_SECRET)}


FEW = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)


@schema.parametrize()
@FEW
def test_every_request_matches_the_document(case: Any, token: str) -> None:
    call_and_validate(case, token)


def call_and_validate(case: Any, token: str) -> None:
    """The token is the request's own. So one that was made up by chance without it, and with other
    faults, is judged by those; one that has no other fault is known to get a token here."""
    authorized = {"Authorization": f"Bearer {token}"}
    if case.meta and case.meta.phase.name is TestPhase.FUZZING:
        case.headers = {**(case.headers or {}), **authorized}
    case.call_and_validate(headers=authorized)


def test_every_sequence_along_the_links_matches_the_document(tmp_path: Path) -> None:
    """Create, then read, cancel, download. `test_openapi.py` walks the same links for certain.

    Each sequence has its own service: what an earlier one left behind would change the
    responses, and with them the links, of a sequence that is tried again.
    """

    class Sequences(sequences.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            self.service = ExitStack()
            directory = tmp_path / uuid4().hex
            directory.mkdir()
            self.token = self.service.enter_context(come_up(directory))

        def teardown(self) -> None:
            self.service.close()

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"headers": {"Authorization": f"Bearer {self.token}"}}

    Sequences.run(
        settings=settings(
            max_examples=20,
            stateful_step_count=6,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        )
    )

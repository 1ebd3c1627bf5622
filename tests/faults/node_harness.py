"""A node in this process, on parts that a test may wrap, for tests of stops."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from uuid import uuid4

import httpx2 as httpx

from queryrun.auth.model import Principal, Scope
from queryrun.cancel_suite.processes import ServerProcesses
from queryrun.cli.home import MadeHome
from queryrun.processes.fork_client import Roles
from queryrun.results.formats import ContentEncoding, ContentType
from queryrun.runs.cancel import cancel
from queryrun.runs.model import (
    Output,
    Run,
    RunRequest,
    Stage,
)
from queryrun.runs.read import await_end, read_one
from queryrun.runs.submit import submit
from queryrun.settings import DATABASE_NAME
from queryrun.settings.file import load
from queryrun.wiring.child_roles import CHILD_ROLES
from queryrun.wiring.node import Node, build_node
from queryrun.wiring.resources import NodeResources, open_resources
from tests.e2e.conftest import QUICK

HELD_WORKERS = {**CHILD_ROLES, "worker": "tests.faults.held_worker:main"}
RUNAWAY = "SELECT count(*) AS n FROM range(10000000000) a(i) JOIN range(1000) b(i) ON a.i > b.i"
"""Reacts to interrupts; finishes on no machine."""
ENDLESS_ROWS = "SELECT i, 'row ' || i AS t FROM range(2000000000) t(i)"
TIMEOUT_S = 15.0
"""How long a test waits for something that must happen; far more than it needs."""
URL = "http://node.test"


@dataclass
class NodeHarness:
    """A started node, and its first client as the caller."""

    node: Node
    made: MadeHome

    @property
    def caller(self) -> Principal:
        """The home's first client."""
        client = self.made.issued.client
        return Principal(client.tenant_id, client.id, self.made.entity.id, client.scopes)

    @property
    def admin(self) -> Principal:
        """Another principal, who may see and cancel everything."""
        entity = self.made.entity
        return Principal(entity.tenant_id, str(uuid4()), entity.id, frozenset({Scope.ADMIN}))

    async def submit(
        self,
        sql: str,
        output: Output | None = None,
        timeout_s: float | None = None,
        source: str = "live",
    ) -> str:
        """Accept a run; its id."""
        who = self.caller
        request = RunRequest(
            who.tenant_id,
            who.entity_id,
            who.client_id,
            source,
            sql,
            output or Output(ContentType.CSV),
            timeout_s=timeout_s,
        )
        return (await submit(self.node.runs, request)).run.id

    async def cancel(self, run_id: str, who: Principal | None = None, wait_s: float = 10.0) -> Run:
        """Cancel as the caller, or as another principal."""
        return await cancel(self.node.runs, who or self.caller, run_id, wait_s=wait_s)

    async def wait_finished(self, run_id: str) -> Run:
        """Wait until the run is in a terminal state, and return it."""
        run = await read_one(self.node.runs, self.caller, run_id)
        return await await_end(self.node.runs, run, TIMEOUT_S)

    async def read(self, run_id: str) -> Run:
        """The run as last written."""
        run = await self.node.database.runs.get(run_id)
        assert run is not None
        return run

    async def wait_stage(self, run_id: str, stage: Stage) -> None:
        """Wait until the run's attempt reports this stage."""
        await until(lambda: self._stage(run_id) is stage, f"{run_id} in {stage}")

    def _stage(self, run_id: str) -> Stage | None:
        progress = self.node.dispatcher.progress(run_id)
        return None if progress is None else progress.stage

    async def wait_computing(self, run_id: str) -> int:
        """Wait until a worker carries the run's name; its pid."""
        await until(lambda: bool(self.workers_of(run_id)), f"a worker on {run_id}")
        return self.workers_of(run_id)[0]

    def workers_of(self, run_id: str) -> list[int]:
        """Processes that carry the run's name."""
        return ServerProcesses(os.getpid()).of_run(run_id)

    def processes(self) -> list[int]:
        """Every process below this one."""
        return ServerProcesses(os.getpid()).below()

    def result_files(self) -> list[str]:
        """The files in the result store, committed or not."""
        return sorted(
            path.name for path in (self.made.home / "results").rglob("*") if path.is_file()
        )

    def attempts(self, run_id: str) -> list[sqlite3.Row]:
        """The rows of the run's attempts, read from the database itself."""
        with closing(sqlite3.connect(self.made.home / DATABASE_NAME)) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(
                "SELECT * FROM attempts WHERE run_seq = (SELECT seq FROM runs WHERE id = ?)"
                " ORDER BY number",
                (run_id,),
            ).fetchall()

    @asynccontextmanager
    async def http(self) -> AsyncIterator[httpx.AsyncClient]:
        """The node's HTTP API, with a token of the caller's."""
        transport = httpx.ASGITransport(app=self.node.app)
        async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
            issued = self.made.issued
            form = {
                "grant_type": "client_credentials",
                "client_id": issued.client.id,
                "client_secret": issued.secret,
            }
            token = (await client.post("/oauth/token", data=form)).json()["access_token"]
            client.headers["authorization"] = f"Bearer {token}"
            yield client


async def until(holds: Callable[[], bool], what: str) -> None:
    """Poll until it holds: the process table and progress offer no event to wait for."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            while not holds():  # noqa: ASYNC110 - see above
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"timed out waiting for {what}") from None


@asynccontextmanager
async def open_node(
    made: MadeHome,
    *,
    wrap: Callable[[NodeResources], NodeResources] = lambda resources: resources,
    roles: Roles = CHILD_ROLES,
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[NodeHarness]:
    """A started node on a home, its parts wrapped; nothing of it runs afterwards."""
    settings = load(made.home, QUICK | dict(environ or {}))
    node = build_node(settings, URL, wrap(open_resources(settings, roles)))
    await node.start()
    try:
        yield NodeHarness(node, made)
    finally:
        await node.drain(0)
        await node.close()


def encoded(encoding: ContentEncoding, key: str | None = None) -> Output:
    """A CSV file, compressed and encrypted as given."""
    return Output(ContentType.CSV, encoding, None, key)

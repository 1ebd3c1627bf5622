"""A run held in exactly one stage is cancelled there: gone, no file, the stage on the record."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from queryrun.cli.home import MadeHome
from queryrun.results.formats import ContentEncoding
from queryrun.runs.model import (
    EngineStop,
    Run,
    Stage,
)
from queryrun.runs.state import RunState
from tests.faults.held_parts import Gate, holding
from tests.faults.held_worker import OPENING_MARK
from tests.faults.node import (
    ENDLESS_ROWS,
    HELD_WORKERS,
    RUNAWAY,
    Scene,
    encoded,
    open_node,
    until,
)

pytestmark = pytest.mark.anyio
ALL_ROWS = {"QUERYRUN_SOURCES__LIVE__MAX_OUTPUT_ROWS": "0"}


def assert_canceled(scene: Scene, run: Run, stage: Stage, stop: EngineStop) -> None:
    """It is canceled, on the record as asked, and nothing of it is left."""
    assert run.state is RunState.CANCELED
    assert run.cancellation is not None
    assert (run.cancellation.stage, run.cancellation.engine_stop) == (stage, stop)
    assert run.cancellation.canceled_time is not None
    assert run.file is None
    assert scene.workers_of(run.id) == []
    assert scene.result_files() == []


async def test_queued(made: MadeHome) -> None:
    async with open_node(made, environ={"QUERYRUN_WORKERS__SLOTS": "0"}) as scene:
        run = await scene.cancel(await scene.submit(RUNAWAY))
        assert_canceled(scene, run, Stage.QUEUED, EngineStop.NEVER_STARTED)
        assert scene.attempts(run.id) == []


async def test_claimed_and_the_node_does_not_know_it_yet(made: MadeHome) -> None:
    gate = Gate()
    wrap = holding("runs", "claim", gate, after=True)
    async with open_node(made, wrap=wrap) as scene:
        run_id = await scene.submit(RUNAWAY)
        await gate.reached.wait()
        asked = await scene.cancel(run_id, wait_s=0)
        assert asked.state is RunState.CANCELING
        gate.open.set()
        run = await scene.ended(run_id)
        assert_canceled(scene, run, Stage.CLAIMED, EngineStop.NEVER_STARTED)


async def test_claimed_and_waiting_for_a_worker(made: MadeHome) -> None:
    gate = Gate()
    async with open_node(made, wrap=holding("workers", "take", gate)) as scene:
        run_id = await scene.submit(RUNAWAY)
        await gate.reached.wait()
        run = await scene.cancel(run_id)
        assert_canceled(scene, run, Stage.CLAIMED, EngineStop.NEVER_STARTED)


async def test_the_handle_is_being_saved(made: MadeHome) -> None:
    """The cancel is written before the handle is: the statement must not start."""
    gate = Gate()
    async with open_node(made, wrap=holding("runs", "save_handle", gate)) as scene:
        run_id = await scene.submit(RUNAWAY)
        await gate.reached.wait()
        await scene.cancel(run_id, wait_s=0)
        gate.open.set()
        run = await scene.ended(run_id)
        assert_canceled(scene, run, Stage.CLAIMED, EngineStop.NEVER_STARTED)
        assert [row["handle"] for row in scene.attempts(run_id)] == [None]


async def test_the_worker_is_not_ready(made: MadeHome) -> None:
    (made.data_dir / OPENING_MARK).touch()
    async with open_node(made, roles=HELD_WORKERS) as scene:
        run_id = await scene.submit(RUNAWAY)
        await scene.reaches(run_id, Stage.STARTING)
        run = await scene.cancel(run_id)
        assert_canceled(scene, run, Stage.STARTING, EngineStop.NEVER_STARTED)


async def test_planning(made: MadeHome) -> None:
    async with open_node(made, roles=HELD_WORKERS) as scene:
        run_id = await scene.submit("SELECT 1 AS a /* hold planning */")
        await scene.reaches(run_id, Stage.PLANNING)
        run = await scene.cancel(run_id)
        assert_canceled(scene, run, Stage.PLANNING, EngineStop.KILLED)


async def test_executing(made: MadeHome) -> None:
    async with open_node(made) as scene:
        run_id = await scene.submit(RUNAWAY)
        await scene.reaches(run_id, Stage.EXECUTING)
        run = await scene.cancel(run_id)
        stop = run.cancellation.engine_stop if run.cancellation else None
        assert stop in {EngineStop.INTERRUPTED, EngineStop.KILLED}
        assert_canceled(scene, run, Stage.EXECUTING, stop)


def public_key() -> str:
    """A fresh key, as callers send it."""
    public = rsa.generate_private_key(65537, 2048).public_key()
    return base64.b64encode(
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).decode()


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize(
    "encoding", [ContentEncoding.NONE, ContentEncoding.GZIP, ContentEncoding.ZIP]
)
async def test_writing_compressing_encrypting(
    made: MadeHome, encoding: ContentEncoding, encrypted: bool
) -> None:
    """Bytes are packed, encrypted and stored in one pass, so all of it is the stage `writing`."""
    async with open_node(made, roles=HELD_WORKERS, environ=ALL_ROWS) as scene:
        output = encoded(encoding, public_key() if encrypted else None)
        run_id = await scene.submit(f"{ENDLESS_ROWS} /* hold writing */", output)
        await scene.reaches(run_id, Stage.WRITING)
        await until(lambda: bool(scene.result_files()), "an unfinished file")
        run = await scene.cancel(run_id)
        assert_canceled(scene, run, Stage.WRITING, EngineStop.KILLED)


@pytest.mark.parametrize("place", ["uploading", "committed"])
async def test_the_file_is_being_committed(made: MadeHome, place: str) -> None:
    """`committed`: the whole file is there already, and has to go again."""
    async with open_node(made, roles=HELD_WORKERS) as scene:
        run_id = await scene.submit(f"SELECT 1 AS a /* hold {place} */")
        await scene.reaches(run_id, Stage.COMMITTING)
        if place == "committed":
            await until(lambda: any(n.startswith(run_id) for n in scene.result_files()), "a file")
        run = await scene.cancel(run_id)
        assert_canceled(scene, run, Stage.COMMITTING, EngineStop.KILLED)


async def test_between_the_commit_of_the_file_and_that_of_the_state(made: MadeHome) -> None:
    """The worker is done and whole; the cancel comes before `complete` is written."""
    gate = Gate()
    async with open_node(made, wrap=holding("runs", "complete", gate)) as scene:
        run_id = await scene.submit("SELECT 1 AS a")
        await gate.reached.wait()
        assert len(scene.result_files()) == 1
        asked = await scene.cancel(run_id, wait_s=0)
        assert asked.state is RunState.CANCELING
        gate.open.set()
        run = await scene.ended(run_id)
        stop = run.cancellation.engine_stop if run.cancellation else None
        assert stop in {EngineStop.INTERRUPTED, EngineStop.KILLED}
        assert_canceled(scene, run, Stage.COMMITTING, stop)


async def test_a_cancel_that_comes_after_complete_was_written_is_refused(made: MadeHome) -> None:
    """The mirror image: `complete` is written, only its answer is late. The file stays."""
    from queryrun.errors import NotCancellable

    gate = Gate()
    async with open_node(made, wrap=holding("runs", "complete", gate, after=True)) as scene:
        run_id = await scene.submit("SELECT 1 AS a")
        await gate.reached.wait()
        with pytest.raises(NotCancellable) as refused:
            await scene.cancel(run_id)
        assert refused.value.state == "complete"
        gate.open.set()
        assert (await scene.ended(run_id)).state is RunState.COMPLETE
        assert len(scene.result_files()) == 1

"""A run is canceled in exactly one stage: stopped, no file, the stage recorded."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from queryrun.cli.home import MadeHome
from queryrun.results.formats import ContentEncoding
from queryrun.runs.model import (
    Cancellation,
    EngineStop,
    Output,
    Run,
    Stage,
)
from queryrun.runs.state import RunState
from tests.faults.held_parts import Gate, holding
from tests.faults.held_worker import OPENING_MARK
from tests.faults.node_harness import (
    ENDLESS_ROWS,
    HELD_WORKERS,
    RUNAWAY,
    NodeHarness,
    encoded,
    open_node,
    until,
)

pytestmark = pytest.mark.anyio
ALL_ROWS = {"QUERYRUN_SOURCES__LIVE__MAX_OUTPUT_ROWS": "0"}


STEPS = {
    EngineStop.NEVER_STARTED: [],
    EngineStop.INTERRUPTED: ["interrupt_sent", "reaped", "file_removed"],
    EngineStop.KILLED: ["interrupt_sent", "kill_sent", "reaped", "file_removed"],
}


def steps_of(record: Cancellation) -> list[str]:
    """The steps on the record, without a kill of a worker that had just obeyed: an interrupted
    statement ends before its process does."""
    steps = [step for step, _ in record.steps or ()]
    if record.engine_stop is EngineStop.INTERRUPTED and "kill_sent" in steps:
        steps.remove("kill_sent")
    return steps


def assert_canceled(harness: NodeHarness, run: Run, stage: Stage, stop: EngineStop) -> None:
    """It is canceled and recorded as requested, and leaves nothing behind."""
    assert run.state is RunState.CANCELED
    assert run.cancellation is not None
    assert (run.cancellation.stage, run.cancellation.engine_stop) == (stage, stop)
    assert run.cancellation.canceled_time is not None
    assert steps_of(run.cancellation) == STEPS[stop]
    assert run.file is None
    assert harness.workers_of(run.id) == []
    assert harness.result_files() == []


async def test_queued(made: MadeHome) -> None:
    async with open_node(made, environ={"QUERYRUN_WORKERS__SLOTS": "0"}) as harness:
        run = await harness.cancel(await harness.submit(RUNAWAY))
        assert_canceled(harness, run, Stage.QUEUED, EngineStop.NEVER_STARTED)
        assert harness.attempts(run.id) == []


async def test_claimed_and_the_node_does_not_know_it_yet(made: MadeHome) -> None:
    gate = Gate()
    wrap = holding("runs", "claim", gate, after=True)
    async with open_node(made, wrap=wrap) as harness:
        run_id = await harness.submit(RUNAWAY)
        await gate.reached.wait()
        cancelling = await harness.cancel(run_id, wait_s=0)
        assert cancelling.state is RunState.CANCELING
        gate.open.set()
        run = await harness.wait_finished(run_id)
        assert_canceled(harness, run, Stage.CLAIMED, EngineStop.NEVER_STARTED)


async def test_claimed_and_waiting_for_a_worker(made: MadeHome) -> None:
    gate = Gate()
    async with open_node(made, wrap=holding("workers", "take", gate)) as harness:
        run_id = await harness.submit(RUNAWAY)
        await gate.reached.wait()
        run = await harness.cancel(run_id)
        assert_canceled(harness, run, Stage.CLAIMED, EngineStop.NEVER_STARTED)


async def test_the_handle_is_being_saved(made: MadeHome) -> None:
    """The cancel is written before the handle is: the statement must not start."""
    gate = Gate()
    async with open_node(made, wrap=holding("runs", "save_handle", gate)) as harness:
        run_id = await harness.submit(RUNAWAY)
        await gate.reached.wait()
        await harness.cancel(run_id, wait_s=0)
        gate.open.set()
        run = await harness.wait_finished(run_id)
        assert_canceled(harness, run, Stage.CLAIMED, EngineStop.NEVER_STARTED)
        assert [row["handle"] for row in harness.attempts(run_id)] == [None]


async def test_the_worker_is_not_ready(made: MadeHome) -> None:
    (made.data_dir / OPENING_MARK).touch()
    async with open_node(made, roles=HELD_WORKERS) as harness:
        run_id = await harness.submit(RUNAWAY)
        await harness.wait_stage(run_id, Stage.STARTING)
        run = await harness.cancel(run_id)
        assert_canceled(harness, run, Stage.STARTING, EngineStop.NEVER_STARTED)


async def test_planning(made: MadeHome) -> None:
    async with open_node(made, roles=HELD_WORKERS) as harness:
        run_id = await harness.submit("SELECT 1 AS a /* hold planning */")
        await harness.wait_stage(run_id, Stage.PLANNING)
        run = await harness.cancel(run_id)
        assert_canceled(harness, run, Stage.PLANNING, EngineStop.KILLED)


async def test_executing(made: MadeHome) -> None:
    async with open_node(made) as harness:
        run_id = await harness.submit(RUNAWAY)
        await harness.wait_stage(run_id, Stage.EXECUTING)
        run = await harness.cancel(run_id)
        stop = run.cancellation.engine_stop if run.cancellation else None
        assert stop in {EngineStop.INTERRUPTED, EngineStop.KILLED}
        assert_canceled(harness, run, Stage.EXECUTING, stop)


def public_key() -> str:
    """A new key, as callers send it."""
    public = rsa.generate_private_key(65537, 2048).public_key()
    return base64.b64encode(
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).decode()


async def test_writing_compressing_encrypting(made: MadeHome) -> None:
    """Compressing, encrypting and storing are one pass, so all of it is the stage `writing`."""
    async with open_node(made, roles=HELD_WORKERS, environ=ALL_ROWS) as harness:
        for encoding in (ContentEncoding.NONE, ContentEncoding.GZIP, ContentEncoding.ZIP):
            for key in (None, public_key()):
                await cancel_while_writing(harness, encoded(encoding, key))


async def cancel_while_writing(harness: NodeHarness, output: Output) -> None:
    """A run with this output, once a part of its file is there; then nothing is left of it."""
    run_id = await harness.submit(f"{ENDLESS_ROWS} /* hold writing */", output)
    await harness.wait_stage(run_id, Stage.WRITING)
    await until(lambda: bool(harness.result_files()), "an unfinished file")
    run = await harness.cancel(run_id)
    assert_canceled(harness, run, Stage.WRITING, EngineStop.KILLED)


@pytest.mark.parametrize("moment", ["uploading", "committed"])
async def test_the_file_is_being_committed(made: MadeHome, moment: str) -> None:
    """`committed`: the whole file exists already, and must be removed."""
    async with open_node(made, roles=HELD_WORKERS) as harness:
        run_id = await harness.submit(f"SELECT 1 AS a /* hold {moment} */")
        await harness.wait_stage(run_id, Stage.COMMITTING)
        if moment == "committed":
            await until(lambda: any(n.startswith(run_id) for n in harness.result_files()), "a file")
        run = await harness.cancel(run_id)
        assert_canceled(harness, run, Stage.COMMITTING, EngineStop.KILLED)


async def test_between_the_commit_of_the_file_and_that_of_the_state(made: MadeHome) -> None:
    """The worker has finished; the cancel comes before `complete` is written."""
    gate = Gate()
    async with open_node(made, wrap=holding("runs", "complete", gate)) as harness:
        run_id = await harness.submit("SELECT 1 AS a")
        await gate.reached.wait()
        assert len(harness.result_files()) == 1
        cancelling = await harness.cancel(run_id, wait_s=0)
        assert cancelling.state is RunState.CANCELING
        gate.open.set()
        run = await harness.wait_finished(run_id)
        stop = run.cancellation.engine_stop if run.cancellation else None
        assert stop in {EngineStop.INTERRUPTED, EngineStop.KILLED}
        assert_canceled(harness, run, Stage.COMMITTING, stop)


async def test_a_cancel_that_comes_after_complete_was_written_is_refused(made: MadeHome) -> None:
    """The reverse: `complete` is written, only the reply is late. The file stays."""
    from queryrun.errors import NotCancellable

    gate = Gate()
    async with open_node(made, wrap=holding("runs", "complete", gate, after=True)) as harness:
        run_id = await harness.submit("SELECT 1 AS a")
        await gate.reached.wait()
        with pytest.raises(NotCancellable) as refused:
            await harness.cancel(run_id)
        assert refused.value.state == "complete"
        gate.open.set()
        assert (await harness.wait_finished(run_id)).state is RunState.COMPLETE
        assert len(harness.result_files()) == 1

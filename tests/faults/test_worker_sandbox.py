"""What a configured worker cannot do although its code tries: the kernel's sandbox."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from queryrun.causes import Cause
from queryrun.engines.source_spec import SourceSpec
from queryrun.processes.landlock import landlock_abi
from queryrun.worker.frames import Done, Failed, ResultsSpec, WorkerConfig
from queryrun.worker.main import FILE_SIZE_MARGIN_BYTES
from queryrun.worker.worker import Worker
from tests.integration.worker.pool_harness import bind_to, open_pool, run

pytestmark = pytest.mark.anyio

needs_landlock = pytest.mark.skipif(landlock_abi() == 0, reason="this kernel has no Landlock")
needs_network_rules = pytest.mark.skipif(
    landlock_abi() < 4, reason="this kernel's Landlock knows no network"
)
needs_scopes = pytest.mark.skipif(
    landlock_abi() < 6, reason="this kernel's Landlock knows no scopes"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The data of two entities and a result of another run."""
    for entity in ("e1", "e2"):
        bind_to(tmp_path, entity)
        (tmp_path / f"data-{entity}" / "file").write_text("data")
    (tmp_path / "results" / "others").write_text("a result")
    return tmp_path


@pytest.fixture
async def worker(root: Path) -> AsyncIterator[Worker]:
    """A worker of entity e1."""
    async with open_pool(root / "spill") as pool:
        yield await pool.take(bind_to(root, "e1"))


async def test_it_reads_its_own_entitys_data(worker: Worker, root: Path) -> None:
    assert isinstance(await run(worker, f"read {root}/data-e1/file"), Done)


async def test_it_writes_to_its_spill_directory_and_its_outbox(worker: Worker) -> None:
    assert isinstance(await run(worker, "spill file"), Done)
    assert isinstance(await run(worker, f"write {worker.outbox}/new"), Done)


@needs_landlock
@pytest.mark.parametrize("path", ["data-e2/file", "results/others", "spill/lock"])
async def test_it_cannot_read(worker: Worker, root: Path, path: str) -> None:
    assert await _is_refused(worker, f"read {root}/{path}")


@needs_landlock
@pytest.mark.parametrize("way", ["link", "rename"])
async def test_it_cannot_move_the_result_of_another_run_into_its_outbox(
    worker: Worker, root: Path, way: str
) -> None:
    assert await _is_refused(worker, f"{way} {root}/results/others {worker.outbox}/mine")


async def test_it_can_link_its_own_file_into_its_outbox(worker: Worker) -> None:
    """So the engine writes a plain result file by itself (`results/local.py`)."""
    spill = await _spill_of(worker)
    assert isinstance(await run(worker, f"write {spill}/mine"), Done)
    assert isinstance(await run(worker, f"link {spill}/mine {worker.outbox}/mine"), Done)


async def _spill_of(worker: Worker) -> Path:
    """The worker's own spill directory: the scripted engine reports that of a run."""
    outcome = await run(worker, "rows 1")
    assert isinstance(outcome, Done)
    return Path(outcome.columns[0][1]).parent


@needs_landlock
@pytest.mark.parametrize(
    "path", ["data-e1/file", "data-e1/new", "data-e2/new", "new", "results/others", "results/new"]
)
async def test_it_cannot_write(worker: Worker, root: Path, path: str) -> None:
    assert await _is_refused(worker, f"write {root}/{path}")


@needs_landlock
async def test_it_cannot_read_the_systems_files(worker: Worker) -> None:
    assert await _is_refused(worker, "read /etc/passwd")


@needs_landlock
async def test_it_cannot_read_another_process(worker: Worker) -> None:
    assert await _is_refused(worker, "read /proc/1/environ")


@needs_network_rules
async def test_it_cannot_connect_when_everything_it_needs_is_local(worker: Worker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert await _is_refused(worker, f"connect {server.getsockname()[1]}")


TRINO = {"url": "http://127.0.0.1:{port}", "auth": "none"}


@pytest.mark.parametrize(
    ("source", "results"),
    [
        (SourceSpec("duckdb", {}), ResultsSpec("s3", {"endpoint": "http://127.0.0.1:{port}"})),
        (SourceSpec("trino", TRINO), ResultsSpec("local", {})),
        (SourceSpec("spark", {"url": "sc://127.0.0.1:{port}"}), ResultsSpec("local", {})),
    ],
    ids=["store", "trino", "spark"],
)
@needs_network_rules
async def test_it_opens_no_connection_of_its_own_to_anywhere_else(
    root: Path, source: SourceSpec, results: ResultsSpec
) -> None:
    """Not even to the address of its store or of its engine: a relay connects it there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        async with open_pool(root / "spill") as pool:
            worker = await pool.take(_away(root, source, results, port))
            assert await _is_refused(worker, f"connect {port}")


def _away(root: Path, source: SourceSpec, results: ResultsSpec, port: int) -> WorkerConfig:
    """A worker that needs something elsewhere."""

    def filled(options: dict[str, str]) -> dict[str, str]:
        return {name: text.format(port=port) for name, text in options.items()}

    local = {"directory": str(root / "results")} if results.kind == "local" else {}
    config = bind_to(root, "e1")
    return msgspec.structs.replace(
        config,
        source=msgspec.structs.replace(source, options=filled(source.options)),
        results=msgspec.structs.replace(results, options=filled(results.options) | local),
    )


@needs_scopes
async def test_it_cannot_signal_another_process(worker: Worker, root: Path) -> None:
    assert await _is_refused(worker, "signal 1")


async def test_the_kernel_refuses_memory_far_beyond_the_limit(worker: Worker) -> None:
    """The engine's own limit comes first; this is for what the engine does not count."""
    outcome = await run(worker, f"eat {4 * 1024**3}")
    assert isinstance(outcome, Failed)
    assert outcome.code == "memory_limit_exceeded"
    assert isinstance(await run(worker, "rows 1"), Done)


async def test_files_are_limited_while_a_statement_has_a_size_limit(worker: Worker) -> None:
    limited = await run(worker, "limits", size_limit_bytes=2 * 1024**3)
    unlimited = await run(worker, "limits")
    assert isinstance(limited, Done)
    assert isinstance(unlimited, Done)
    assert limited.rows == 2 * 1024**3 + FILE_SIZE_MARGIN_BYTES
    assert unlimited.rows == 0


async def _is_refused(worker: Worker, text: str) -> bool:
    """The scripted engine raises what the kernel says. That is no permission or, for a link or a
    move between directories, an error that no statement is known to cause."""
    outcome = await run(worker, text)
    if not isinstance(outcome, Failed):
        return False
    is_known = outcome.message == Cause.NOT_PERMITTED.sentence
    return outcome.code == ("storage_failed" if is_known else "internal_error")

"""What a worker runs: the pipeline on a real engine and a real result store."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

from isal import igzip, isal_zlib  # noqa: F401 - in the fork server, so that no worker has to

from queryrun.engines.base import (
    CopyingSession,
    EngineLimits,
    EngineProgress,
    EngineSession,
    EngineUsage,
    RowFilter,
    TracedSession,
    work_name,
)
from queryrun.engines.registry import preload
from queryrun.engines.statements import opened_for
from queryrun.errors import RunFailed
from queryrun.processes.given_sockets import GiveSocket
from queryrun.results.formats import ContentEncoding, ContentType
from queryrun.results.local import LocalResultStore
from queryrun.results.request import WriteRequest
from queryrun.results.store import ResultStore
from queryrun.results.write import write_result
from queryrun.sql.compile.types import signature
from queryrun.sql.duckdb.types import from_duckdb
from queryrun.sql.parameters import Parameter
from queryrun.sql.trino.immediate import Opened
from queryrun.worker.frames import Done, Execute, ResultsSpec, WorkerConfig
from queryrun.worker.main import run_worker
from queryrun.worker.relay_targets import RESULTS
from queryrun.worker.runtime import NodeServices, Report


def main(control: socket.socket) -> NoReturn:
    """The entry point: run statements on real engines."""
    run_worker(control, open_session)


def open_session(config: WorkerConfig, node: NodeServices) -> SourceSession:
    """Open the bound source and its result store. Raises `RunFailed` when it cannot be opened."""
    engine = _engine(config, node.give)
    if isinstance(engine, CopyingSession):
        engine.set_copies(node.copies)
    opened = partial(opened_for, config.source)
    return SourceSession(engine, _results(config.results, node), config.time_zone, opened)


class SourceSession:
    """One engine session and the store that its result goes to (`runtime.WorkerSession`)."""

    def __init__(
        self,
        engine: EngineSession,
        results: ResultStore,
        time_zone: str,
        opened: Callable[[str, Sequence[Parameter]], Opened],
    ) -> None:
        self._engine = engine
        self._results = results
        self._time_zone = time_zone
        self._opened = opened

    def run(self, execute: Execute, report: Report) -> Done:
        """Run the statement through the whole pipeline and commit its file."""
        if isinstance(self._engine, TracedSession):
            self._engine.set_traceparent(execute.traceparent)
        opened = self._opened(execute.sql, execute.parameters)
        try:
            written = write_result(self._engine, self._job(execute, opened), self._results, report)
        except RunFailed as failed:
            raise opened.moved(failed) from failed
        columns = tuple((one.name, result_type(one.type)) for one in written.columns)
        return Done(written.rows, written.size_bytes, written.sha256, columns)

    def interrupt(self) -> None:
        """Interrupt the engine. A single call may have no effect."""
        self._engine.interrupt()

    def progress(self) -> EngineProgress:
        """The engine's progress."""
        return self._engine.progress()

    def usage(self) -> EngineUsage:
        """What the engine counted of the last statement."""
        return self._engine.usage()

    def renew(self) -> bool:
        """Reset for the next statement of the same entity. False: open a new session instead."""
        return self._engine.renew()

    def close(self) -> None:
        """Release the engine's memory and files."""
        self._engine.close()

    def _job(self, execute: Execute, opened: Opened) -> WriteRequest:
        """The writer does not know the protocol, so the frame is converted here."""
        return WriteRequest(
            sql=opened.text,
            file_key=execute.file_key,
            content_type=ContentType(execute.content_type),
            content_encoding=ContentEncoding(execute.content_encoding),
            column_separator=execute.column_separator,
            encryption_key=execute.encryption_key,
            row_limit=execute.row_limit,
            size_limit_bytes=execute.size_limit_bytes,
            time_zone=self._time_zone,
            row_filter=RowFilter(
                execute.deleted_rows,
                execute.org_column,
                execute.org_ids,
                execute.marks_deleted,
            ),
            name=work_name(execute.run_id, execute.attempt),
            values=opened.values,
        )


def _engine(config: WorkerConfig, give: GiveSocket) -> EngineSession:
    limits = EngineLimits(config.memory_bytes, config.threads, config.spill_dir, config.spill_bytes)
    source = config.source
    return source.kind.open_session(
        source.options, limits, config.time_zone, source.secret_text, give
    )


def _results(spec: ResultsSpec, node: NodeServices) -> ResultStore:
    if spec.kind == "local":
        return LocalResultStore(Path(spec.options["directory"]), is_outbox=True)
    return _s3_results(spec.options, node)


def _s3_results(options: dict[str, str], node: NodeServices) -> ResultStore:
    """Imported here: it costs 25 ms, and most workers write to a directory."""
    from queryrun.results.s3 import S3ResultStore
    from queryrun.results.s3bucket import S3Bucket
    from queryrun.results.s3http import RequestPolicy
    from queryrun.results.s3location import S3Location

    others = {"part_bytes", "outage_timeout_s"}
    location = S3Location(**{name: text for name, text in options.items() if name not in others})
    policy = RequestPolicy(outage_timeout_s=float(options.get("outage_timeout_s", 0)))
    bucket = S3Bucket(location, None, policy, sign=node.sign, connect=lambda: node.give(RESULTS))
    return S3ResultStore(bucket, part_bytes=int(options["part_bytes"]))


preload()  # once in the fork server, instead of in each worker that it forks


def result_type(engines_type: str) -> str:
    """The type of a result's column as Trino names it; the engine's own word where Trino has none.

    A value that Trino could have with more digits (`timestamp(9)`) has the type that carries it.
    """
    found = from_duckdb(engines_type)
    return engines_type.lower() if found is None else signature(found[0])

"""What a worker really runs: the only place beside `wiring` that names engines and stores."""

from __future__ import annotations

from pathlib import Path

from queryrun.engines.base import (
    Catalog,
    EngineLimits,
    EngineSession,
    RemoteEngine,
    RowFilter,
    work_name,
)
from queryrun.engines.duckdb.catalog import open_catalog as open_duckdb_catalog
from queryrun.engines.duckdb.session import open_session as open_duckdb
from queryrun.results.formats import ContentEncoding, ContentType
from queryrun.results.local import LocalResultStore
from queryrun.results.request import WriteRequest
from queryrun.results.sigv4 import Credentials
from queryrun.results.store import ResultStore
from queryrun.results.write import write_result
from queryrun.worker.frames import Bind, Done, Execute, ResultsSpec, SourceSpec
from queryrun.worker.runtime import Report


def open_session(bind: Bind) -> SourceSession:
    """Open the bound source and its result store. Raises `RunFailed` when it cannot be opened."""
    return SourceSession(_engine(bind), _results(bind.results), bind.time_zone)


def open_remote(engine: str) -> RemoteEngine:
    """How to speak to an engine elsewhere without a session (`stopping.OpenRemote`).

    Imported here: only nodes with such sources need their libraries.
    """
    if engine == "trino":
        from queryrun.engines.trino.remote import TrinoRemote

        return TrinoRemote()
    if engine == "spark":
        from queryrun.engines.spark.remote import SparkRemote

        return SparkRemote()
    raise ValueError(engine)


def open_catalog(source: SourceSpec) -> Catalog:
    """The tables of a source (`cataloging.OpenCatalog`)."""
    secret = source.secret.text if source.secret else None
    if source.engine == "trino":
        from queryrun.engines.trino.catalog import open_catalog as open_trino_catalog

        return open_trino_catalog(source.options, secret)
    if source.engine == "spark":
        from queryrun.engines.spark.catalog import open_catalog as open_spark_catalog

        return open_spark_catalog(source.options, secret)
    return open_duckdb_catalog(source.options)


class SourceSession:
    """One engine session and the store that its result goes to (`runtime.WorkerSession`)."""

    def __init__(self, engine: EngineSession, results: ResultStore, time_zone: str) -> None:
        self._engine = engine
        self._results = results
        self._time_zone = time_zone

    @property
    def handle(self) -> str | None:
        """None: an embedded engine is this very process."""
        return None

    def run(self, execute: Execute, report: Report) -> Done:
        """Run the statement through the whole pipeline and commit its file."""
        written = write_result(self._engine, self._job(execute), self._results, report)
        return Done(written.rows, written.size_bytes, written.sha256)

    def interrupt(self) -> None:
        """Ask the engine to stop."""
        self._engine.interrupt()

    def percent(self) -> float | None:
        """How far the engine is."""
        return self._engine.progress().percent

    def renew(self) -> bool:
        """Make ready for the next statement of the same entity."""
        return self._engine.renew()

    def close(self) -> None:
        """Give the engine's memory and files back."""
        self._engine.close()

    def _job(self, execute: Execute) -> WriteRequest:
        return WriteRequest(
            sql=execute.statement,
            file_key=execute.file_key,
            content_type=ContentType(execute.content_type),
            content_encoding=ContentEncoding(execute.content_encoding),
            column_separator=execute.column_separator,
            encryption_key=execute.encryption_key,
            row_limit=execute.row_limit,
            size_limit_bytes=execute.size_limit_bytes,
            time_zone=self._time_zone,
            row_filter=RowFilter(execute.deleted_rows, execute.org_column, execute.org_ids),
            name=work_name(execute.run_id, execute.attempt),
        )


def _engine(bind: Bind) -> EngineSession:
    limits = EngineLimits(bind.memory_bytes, bind.threads, bind.spill_dir, bind.spill_bytes)
    if bind.source.engine == "trino":
        return _trino(bind, limits)
    if bind.source.engine == "spark":
        return _spark(bind, limits)
    return open_duckdb(bind.source.options, limits, bind.time_zone)


def _trino(bind: Bind, limits: EngineLimits) -> EngineSession:
    """Imported here: it costs half a second, and only a source on Trino needs it."""
    from queryrun.engines.trino.session import open_session

    secret = bind.source.secret.text if bind.source.secret else None
    return open_session(bind.source.options, secret, limits, bind.time_zone)


def _spark(bind: Bind, limits: EngineLimits) -> EngineSession:
    """Imported here: it costs half a second, and only a source on Spark needs it."""
    from queryrun.engines.spark.session import open_session

    secret = bind.source.secret.text if bind.source.secret else None
    return open_session(bind.source.options, secret, limits, bind.time_zone)


def _results(spec: ResultsSpec) -> ResultStore:
    if spec.kind == "local" or spec.credentials is None:
        return LocalResultStore(Path(spec.options["directory"]))
    return _s3_results(spec.options, spec.credentials)


def _s3_results(options: dict[str, str], credentials: Credentials) -> ResultStore:
    """Imported here: it costs 25 ms, and most workers write to a directory."""
    from queryrun.results.s3 import S3ResultStore
    from queryrun.results.s3bucket import S3Bucket
    from queryrun.results.s3location import S3Location

    place = S3Location(**{name: text for name, text in options.items() if name != "part_bytes"})
    bucket = S3Bucket(place, lambda: credentials)
    return S3ResultStore(bucket, part_bytes=int(options["part_bytes"]))

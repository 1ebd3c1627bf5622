"""Settings -> where result files go, and who removes those that nobody names."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import structlog

from queryrun.errors import ConfigurationError, RunFailed
from queryrun.http.v2.body import MAX_TIMEOUT_S
from queryrun.results.local import LocalResultStore
from queryrun.results.s3place import S3Place
from queryrun.results.sigv4 import Credentials
from queryrun.results.store import ResultStore
from queryrun.settings import ResultSettings, Settings, s3_credentials, size_bytes
from queryrun.worker.frames import ResultsSpec

log = structlog.get_logger()

SWEEP_EVERY = timedelta(hours=1)
SWEEP_MARGIN = timedelta(days=1)
"""Files are swept so much later than they could have become nobody's: clocks differ."""


def result_store(settings: Settings) -> ResultStore:
    if settings.results.store == "s3":
        return _s3_results(settings)
    directory = settings.path(settings.results.directory)
    directory.mkdir(parents=True, exist_ok=True)
    return LocalResultStore(directory)


def _s3_results(settings: Settings) -> ResultStore:
    """Imported here: a node with a directory has no use for it. Fails when there are no keys."""
    from queryrun.results.s3 import S3ResultStore
    from queryrun.results.s3bucket import S3Bucket

    bucket = S3Bucket(_s3_place(settings.results), _credentials(settings))
    return S3ResultStore(
        bucket,
        part_bytes=size_bytes(settings.results.part_size, "results.part_size"),
        presigned=settings.results.links == "presigned",
    )


def _credentials(settings: Settings) -> Callable[[], Credentials]:
    """The S3 store's credentials of each moment; the last good ones while none can be read."""
    good = s3_credentials(settings)

    def current() -> Credentials:
        nonlocal good
        try:
            good = s3_credentials(settings)
        except ConfigurationError as error:
            log.warning("s3_credentials_not_read", error=str(error))
        return good

    return current


def _s3_place(results: ResultSettings) -> S3Place:
    return S3Place(
        bucket=results.bucket,
        prefix=results.prefix,
        endpoint=results.endpoint,
        region=results.region,
        addressing=results.addressing,
        link_endpoint=results.link_endpoint,
    )


def results_specs(settings: Settings) -> Callable[[], ResultsSpec]:
    """Where a worker writes, and for S3 as whom: with the credentials of that moment."""
    results = settings.results
    if results.store == "local":
        local = ResultsSpec("local", {"directory": str(settings.path(results.directory))})
        return lambda: local
    options = asdict(_s3_place(results))
    options["part_bytes"] = str(size_bytes(results.part_size, "results.part_size"))
    credentials = _credentials(settings)
    return lambda: ResultsSpec("s3", options, credentials())


def sweeper(settings: Settings, results: ResultStore) -> Callable[[], Awaitable[None]]:
    """Once an hour, remove what no run names: files older than any that a run can have."""
    longest_s = max(source.time_limit_s for source in settings.sources.values())
    longest_s = max(longest_s, MAX_TIMEOUT_S)
    attempt = timedelta(seconds=longest_s) + SWEEP_MARGIN
    kept = timedelta(days=settings.results.retention_days) + SWEEP_MARGIN
    due = _now()

    async def sweep() -> None:
        nonlocal due
        if (now := _now()) < due:
            return
        due = now + SWEEP_EVERY
        try:
            swept = await asyncio.to_thread(results.sweep, now - attempt, now - kept)
        except (RunFailed, OSError) as error:
            log.warning("results_not_swept", error=type(error).__name__)
            return
        if swept:
            log.info("results_swept", files=len(swept))

    return sweep


def _now() -> datetime:
    return datetime.now(UTC)

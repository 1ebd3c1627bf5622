"""Settings -> where result files go, and who removes those that nobody names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import structlog

from queryrun.errors import ConfigurationError, RunFailed
from queryrun.http.v2.body import MAX_TIMEOUT_S
from queryrun.results.local import LocalResultStore
from queryrun.results.s3location import S3Location
from queryrun.results.sigv4 import Credentials
from queryrun.results.store import ResultStore
from queryrun.runs.leader import LeaderLease, LeaderTask
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
            log.warning("s3_credentials_unreadable", error=str(error))
        return good

    return current


def _s3_place(results: ResultSettings) -> S3Location:
    return S3Location(
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


class Sweeper:
    """Once an hour, removes what no run names: files older than any that a run can have.

    Of the nodes that share a bucket, one does it for all (`leader`).
    """

    def __init__(self, settings: Settings, results: ResultStore, leader: LeaderLease) -> None:
        longest_s = max(source.time_limit_s for source in settings.sources.values())
        self._attempt = timedelta(seconds=max(longest_s, MAX_TIMEOUT_S)) + SWEEP_MARGIN
        self._kept = timedelta(days=settings.results.retention_days) + SWEEP_MARGIN
        self._results = results
        self._leader = leader
        self._due = _now()
        self._sweep: asyncio.Task[None] | None = None

    async def round(self) -> None:
        """Begin to sweep if it is time, and this node's to do. Returns at once: a large bucket
        takes minutes, and what else the node looks after must go on."""
        is_mine = await self._leader.held(LeaderTask.SWEEP)  # asked each time: that keeps it ours
        is_busy = self._sweep is not None and not self._sweep.done()
        if is_mine and not is_busy and (now := _now()) >= self._due:
            self._due = now + SWEEP_EVERY
            self._sweep = asyncio.create_task(self.sweep(now), name="sweep")

    async def sweep(self, now: datetime) -> None:
        """Sweep, whoever else does. Never raises: the next one comes."""
        attempt, kept = now - self._attempt, now - self._kept
        try:
            swept = await asyncio.to_thread(self._results.sweep, attempt, kept)
        except (RunFailed, OSError) as error:
            log.warning("result_sweep_failed", error=type(error).__name__)
        except Exception as error:  # nobody waits for it who could be told
            log.exception("result_sweep_error", error=type(error).__name__)
        else:
            if swept:
                log.info("result_files_swept", files=len(swept))

    async def close(self) -> None:
        """Wait for no sweep any more; one that is under way ends with its thread."""
        if self._sweep is not None:
            self._sweep.cancel()
            await asyncio.gather(self._sweep, return_exceptions=True)


def _now() -> datetime:
    return datetime.now(UTC)

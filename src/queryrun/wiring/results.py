"""Settings -> the result store, and what workers need to write to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import structlog

from queryrun.errors import ConfigurationError
from queryrun.results.local import LocalResultStore
from queryrun.results.s3location import S3Location
from queryrun.results.sigv4 import Credentials
from queryrun.results.store import ResultStore
from queryrun.settings import ResultSettings, Settings, s3_credentials, size_bytes
from queryrun.worker.frames import ResultsSpec

log = structlog.get_logger()


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

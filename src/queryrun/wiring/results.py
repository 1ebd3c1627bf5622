"""Settings -> the result store, its credentials, and what workers need to write to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from queryrun.causes import words_of
from queryrun.errors import ConfigurationError
from queryrun.results.credentials import RotatingCredentials
from queryrun.results.local import LocalResultStore
from queryrun.results.s3location import S3Location
from queryrun.results.store import ResultStore
from queryrun.settings import ResultSettings, Settings
from queryrun.settings.checks import size_bytes
from queryrun.wiring.secrets import s3_credentials
from queryrun.worker.frames import ResultsSpec


def result_credentials(settings: Settings) -> RotatingCredentials | None:
    """The credentials of the S3 store, fetched once; None for a directory.

    Raises `ConfigurationError` when there are none.
    """
    if settings.results.store == "local":
        return None
    if settings.results.credentials == "static":
        return RotatingCredentials(lambda: s3_credentials(settings), is_remote=False)
    from queryrun.results.aws_chain import chain_credentials

    return RotatingCredentials(chain_credentials(settings.results.region), is_remote=True)


def result_store(
    settings: Settings, credentials: RotatingCredentials | None, now: Callable[[], datetime]
) -> ResultStore:
    """The store of result files. A directory is created when it is missing.

    Links are signed with `now`, the time of all nodes.
    """
    if credentials is not None:
        return _s3_results(settings, credentials, now)
    directory = settings.path(settings.results.directory)
    make_directory(directory, "results.directory")
    return LocalResultStore(directory)


def make_directory(path: Path, setting: str) -> None:
    """Make a directory of the node. `ConfigurationError` names the setting when it cannot be."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{setting}: {path} is not usable: {words_of(error)}") from error


def _s3_results(
    settings: Settings, credentials: RotatingCredentials, now: Callable[[], datetime]
) -> ResultStore:
    """Imported here, because a node with a directory does not need it."""
    from queryrun.results.s3 import S3ResultStore
    from queryrun.results.s3bucket import S3Bucket

    return S3ResultStore(
        S3Bucket(_s3_location(settings.results), credentials, now=now),
        part_bytes=size_bytes(settings.results.part_size, "results.part_size"),
        presigned=settings.results.links == "presigned",
    )


def _s3_location(results: ResultSettings) -> S3Location:
    """The store must not import the settings, so their values are copied here."""
    return S3Location(
        bucket=results.bucket,
        prefix=results.prefix,
        endpoint=results.endpoint,
        region=results.region,
        addressing=results.addressing,
        link_endpoint=results.link_endpoint,
    )


def results_spec(settings: Settings) -> ResultsSpec:
    """Where a worker writes."""
    results = settings.results
    if results.store == "local":
        return ResultsSpec("local", {"directory": str(settings.path(results.directory))})
    options = asdict(_s3_location(results))
    options["outage_timeout_s"] = str(results.outage_timeout_s)
    options["part_bytes"] = str(size_bytes(results.part_size, "results.part_size"))
    return ResultsSpec("s3", options)

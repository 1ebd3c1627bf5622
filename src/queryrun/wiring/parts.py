"""Settings and resources -> the parts of a node whose health is watched, each with its probe."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import structlog

from queryrun.auth.store import AuthStore
from queryrun.causes import Cause
from queryrun.errors import RunFailed, Unavailable
from queryrun.http.health import DATA, SANDBOX
from queryrun.results.bounded_threads import BoundedThreads
from queryrun.runs.health import Part
from queryrun.settings import SPILL_NAME, Settings
from queryrun.wiring.options import local_results
from queryrun.wiring.resources import NodeResources
from queryrun.wiring.sandbox import NodeSandbox

log = structlog.get_logger()

_PROBE_BYTES = 4096
"""Enough to need a block of the disk."""


def directory_probes(settings: Settings) -> dict[str, DirectoryProbe]:
    """Of the directories that this node writes to, by the name of their part."""
    probes = {}
    results = local_results(settings)
    if results is not None:
        probes["results"] = DirectoryProbe(results)
    if "worker" in settings.roles:
        probes["spill"] = DirectoryProbe(settings.path(SPILL_NAME))
    return probes


def node_parts(
    settings: Settings,
    resources: NodeResources,
    sandbox: NodeSandbox,
    directories: Mapping[str, DirectoryProbe],
) -> Sequence[Part]:
    """The parts of this node. A node that runs no statements needs fewer."""
    parts = [Part("store", resources.database.probe)]
    parts += [Part(name, one.probe, is_needed_by_runs=True) for name, one in directories.items()]
    if "results" not in directories and isinstance(resources.results, Checkable):
        parts.append(Part("results", BucketProbe(resources.results).probe, is_needed_by_runs=True))
    if "worker" not in settings.roles:
        return parts
    pool = resources.pool

    async def workers() -> None:
        if (problem := pool.spawn_problem) is not None:
            raise Unavailable(problem[1], problem[0])

    parts += [
        Part("workers", workers, is_needed_by_runs=True),
        Part(SANDBOX, _sandbox_probe(sandbox)),
    ]
    embedded = [name for name in settings.sources if name not in settings.remote_sources]
    data = {name: DataProbe(settings, name, resources.database.auth) for name in embedded}
    return [*parts, *(Part(DATA + name, one.probe) for name, one in data.items())]


def _sandbox_probe(sandbox: NodeSandbox) -> Callable[[], Awaitable[None]]:
    async def probe() -> None:
        if not sandbox.is_complete:
            missing = " and ".join(sandbox.support.missing)
            raise Unavailable(f"statements run without {missing}", Cause.MISSING)

    return probe


MIN_FREE_INODES = 16
"""Files and directories that there has to be room for: a worker makes a few of them, where a probe
makes one."""


class DirectoryProbe:
    """Writes a file into a directory of the node, and makes the directory anew when it is gone."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.free_bytes = 0
        """Free space, as the last probe found it."""
        self._device: int | None = None
        """The file system the directory was on when it was first seen."""

    async def probe(self) -> None:
        """Raises `OSError`, and `Unavailable` when another file system is mounted there."""
        await asyncio.to_thread(self._probe)

    def _probe(self) -> None:
        make_anew(self._directory)
        device = self._directory.stat().st_dev
        if self._device not in (None, device):
            raise Unavailable(
                f"the directory {self._directory.name} is on another file system than at start: "
                "mount that one again, or restart this node",
                Cause.REPLACED,
            )
        self._device = device
        room = os.statvfs(self._directory)
        self.free_bytes = room.f_bavail * room.f_frsize
        if room.f_files and room.f_favail < MIN_FREE_INODES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        path = self._directory / f".probe-{secrets.token_hex(4)}"
        try:
            _write_durably(path)
        finally:
            path.unlink(missing_ok=True)


@runtime_checkable
class Checkable(Protocol):
    """A store of results that can be checked (`results.s3.S3ResultStore`)."""

    def check(self) -> None:
        """Write something and remove it. Raises `RunFailed` with what an operator can do."""
        ...


class BucketProbe:
    """Writes into the bucket. At most one probe waits for a bucket that hangs."""

    def __init__(self, results: Checkable) -> None:
        self._results = results
        self._threads = BoundedThreads("bucket-probe", threads=1, max_waiting=0)

    async def probe(self) -> None:
        """Raises `Unavailable` with the store's error code and what to do about it."""
        try:
            await self._threads.run(self._results.check)
        except RunFailed as error:
            raise Unavailable(error.failure.message, Cause.OTHER) from error


class DataProbe:
    """Looks whether every entity's data of an embedded source is where it should be."""

    def __init__(self, settings: Settings, source: str, auth: AuthStore) -> None:
        self._settings = settings
        self._source = source
        self._auth = auth
        self._seen: set[str] = set()
        """Entities whose data was there before."""
        self._logged: list[str] = []

    async def probe(self) -> None:
        """Raises `Unavailable` that counts the missing ones; the log names them.

        `/readyz` needs no token, and names of entities are not for everybody.
        """
        names = [entity.name for entity in await self._auth.entities()]
        missing = await asyncio.to_thread(self._missing, names)
        if missing != self._logged:
            self._logged = missing
            log.warning("entity_data_missing", source=self._source, entities=missing[:20])
        if missing:
            number = "1 entity is" if len(missing) == 1 else f"{len(missing)} entities are"
            raise Unavailable(
                f"the data of {number} missing or cannot be read; the log names them",
                Cause.MISSING,
            )

    def _missing(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if not self._is_there(name)]

    def _is_there(self, name: str) -> bool:
        """Directories are made with their entity. A database file is the operator's to bring."""
        path = self._settings.data_path(self._source, name)
        if os.access(path, os.R_OK):
            self._seen.add(name)
            return True
        is_database = self._settings.sources[self._source].kind.is_database(path)
        return is_database and name not in self._seen and not path.exists()


def make_anew(directory: Path) -> None:
    """Make a directory of the node that somebody removed. Raises `OSError` when that fails, also
    because what it is in is gone too: a home that was moved is not begun anew at its old path."""
    if directory.is_dir():
        return
    directory.mkdir(mode=0o700, exist_ok=True)
    log.warning("directory_made_anew", directory=directory.name)


def _write_durably(path: Path) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, bytes(_PROBE_BYTES))
        os.fsync(file)
    finally:
        os.close(file)

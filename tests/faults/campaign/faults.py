"""The faults: what each does to a site for a while, and what the service has to say of it."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass

from tests.faults.campaign.shim import Calls, Files
from tests.faults.campaign.site import POSTGRES, SQLITE, PostgresSite, Site, SqliteSite
from tests.s3_proxy import Fault as S3Fault

HOUR_S = 3600.0
Inject = Callable[[Site], AbstractContextManager[object]]


@dataclass(frozen=True)
class Fault:
    """A fault. It holds inside of `inject`, which ends it."""

    name: str
    stores: tuple[str, ...]
    inject: Inject
    part: str = ""
    """The check of `/readyz` that has to name it while it holds."""
    words: tuple[str, ...] = ()
    """One of these has to be in the log then."""
    hold_s: tuple[float, float] = (0.2, 1.5)
    """How long it holds, when no part has to be named first."""
    is_silent: bool = False
    """Whether nobody answers while it holds: then nobody waits long for an answer either."""
    timeout_s: float = 30.0
    """How long a client waits for a response while it holds."""
    charges: bool = False
    """Whether a run may lose a retry by it."""


BOTH = (SQLITE, POSTGRES)


def calls(
    calls: Calls, files: Files, error: int = 0, *, delay_ms: int = 0, torn: bool = False
) -> Inject:
    """System calls of the node and of its children fail."""
    return lambda site: site.shim.failing(calls, files, error, delay_ms=delay_ms, torn=torn)


def clock(seconds: float) -> Inject:
    """The time of day is wrong."""
    return lambda site: site.shim.clock_off(seconds)


# --- files ----------------------------------------------------------------------------------

_WRITES = Calls.WRITE | Calls.SYNC | Calls.CREATE


@contextmanager
def _locked(site: Site) -> Iterator[None]:
    assert isinstance(site, SqliteSite)
    with closing(sqlite3.connect(site.database, isolation_level=None, timeout=20)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def _removed(name: str) -> Inject:
    @contextmanager
    def inject(site: Site) -> Iterator[None]:
        assert isinstance(site, SqliteSite)
        kept = site.root / f"kept-{time.monotonic_ns()}"
        (site.home / name).rename(kept)
        yield
        # The finished files come back, as an operator would restore them.
        shutil.copytree(kept, site.home / name, dirs_exist_ok=True)
        shutil.rmtree(kept)

    return inject


# --- processes ------------------------------------------------------------------------------


@contextmanager
def _killed_node(site: Site) -> Iterator[None]:
    site.kill_node()
    yield


@contextmanager
def _stopped_node(site: Site) -> Iterator[None]:
    with site.stopped([site.server.process.pid]):
        yield


@contextmanager
def _stopped_all(site: Site) -> Iterator[None]:
    with site.stopped([site.server.process.pid, *site.server.workers()]):
        yield


def _children(site: Site) -> list[int]:
    return site.server.workers()


@contextmanager
def _stopped_children(site: Site) -> Iterator[None]:
    with site.stopped(_children(site)):
        yield


def _killed(pick: Callable[[Site], list[int]]) -> Inject:
    @contextmanager
    def inject(site: Site) -> Iterator[None]:
        for pid in pick(site):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        yield

    return inject


def _fork_server(site: Site) -> list[int]:
    return _children(site)[:1]


def _one_child(site: Site) -> list[int]:
    children = _children(site)[1:]
    return [site.dice.choice(children)] if children else []


# --- networks -------------------------------------------------------------------------------


@contextmanager
def _database_silent(site: Site) -> Iterator[None]:
    assert isinstance(site, PostgresSite)
    with site.proxy.silent():
        yield


@contextmanager
def _database_refuses(site: Site) -> Iterator[None]:
    assert isinstance(site, PostgresSite)
    with site.proxy.refusing():
        yield


@contextmanager
def _database_resets(site: Site) -> Iterator[None]:
    assert isinstance(site, PostgresSite)
    site.proxy.reset()
    yield


@contextmanager
def _sessions_terminated(site: Site) -> Iterator[None]:
    assert isinstance(site, PostgresSite)
    site.postgres.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname LIKE 'test%'"
    )
    yield


@contextmanager
def _database_restarts(site: Site) -> Iterator[None]:
    assert isinstance(site, PostgresSite)
    site.postgres.stop(signal.SIGQUIT)
    yield
    site.postgres.start()


@contextmanager
def _database_frozen(site: Site) -> Iterator[None]:
    assert isinstance(site, PostgresSite)
    site.postgres.freeze()
    yield
    site.postgres.thaw()


def _bucket(fault: S3Fault, method: str = "") -> Inject:
    @contextmanager
    def inject(site: Site) -> Iterator[None]:
        assert isinstance(site, PostgresSite)
        proxy = site.bucket_proxy
        proxy.plan = lambda one, _target: fault if one.startswith(method) else S3Fault.NONE
        try:
            yield
        finally:
            proxy.plan = lambda _one, _target: S3Fault.NONE
            proxy.over.set()  # whoever was silent hangs up now
            proxy.over.clear()

    return inject


_FULL = ("disk is full", "No space", "disk_full")
_BROKEN = ("input/output error", "io_error", "Input/output error")
_READ_ONLY = ("read-only", "Read-only", "readonly", "read_only")
_STORE_AWAY = ("store", "Connection", "connection", "timeout")

FAULTS = (
    Fault("store: EIO", (SQLITE,), calls(_WRITES, Files.STORE, errno.EIO), "store", _BROKEN),
    Fault("store: ENOSPC", (SQLITE,), calls(_WRITES, Files.STORE, errno.ENOSPC), "store", _FULL),
    Fault(
        "store: torn writes",
        (SQLITE,),
        calls(Calls.WRITE, Files.STORE, errno.EIO, torn=True),
        "store",
        _BROKEN,
    ),
    Fault(
        "store: fsync fails", (SQLITE,), calls(Calls.SYNC, Files.STORE, errno.EIO), "store", _BROKEN
    ),
    Fault("store: EROFS", (SQLITE,), calls(_WRITES, Files.STORE, errno.EROFS), "store", _READ_ONLY),
    Fault("store: slow fsync", (SQLITE,), calls(Calls.SYNC, Files.STORE, delay_ms=400)),
    Fault("store: locked", (SQLITE,), _locked, "store", ("locked",)),
    Fault("results: EIO", (SQLITE,), calls(_WRITES, Files.RESULTS, errno.EIO), "results", _BROKEN),
    Fault(
        "results: ENOSPC", (SQLITE,), calls(_WRITES, Files.RESULTS, errno.ENOSPC), "results", _FULL
    ),
    Fault(
        "results: EROFS",
        (SQLITE,),
        calls(_WRITES, Files.RESULTS, errno.EROFS),
        "results",
        _READ_ONLY,
    ),
    Fault(
        "results: no inodes",
        (SQLITE,),
        calls(Calls.CREATE | Calls.MAKE_DIRECTORY, Files.RESULTS, errno.ENOSPC),
        "results",
        _FULL,
    ),
    Fault(
        "results: torn writes",
        (SQLITE,),
        calls(Calls.WRITE, Files.RESULTS, errno.EIO, torn=True),
        "results",
        _BROKEN,
    ),
    Fault("results: slow fsync", (SQLITE,), calls(Calls.SYNC, Files.RESULTS, delay_ms=400)),
    Fault("results: removed", (SQLITE,), _removed("results")),
    Fault("spill: removed", (SQLITE,), _removed("spill")),
    Fault("spill: EIO", BOTH, calls(_WRITES, Files.SPILL, errno.EIO), "spill", _BROKEN),
    Fault("spill: ENOSPC", BOTH, calls(_WRITES, Files.SPILL, errno.ENOSPC), "spill", _FULL),
    Fault("everywhere: EMFILE", BOTH, calls(Calls.OPEN, Files.ALL, errno.EMFILE)),
    Fault("fork: EAGAIN", BOTH, calls(Calls.FORK, Files.ALL, errno.EAGAIN), hold_s=(1.0, 3.0)),
    Fault("clock: +1 h", BOTH, clock(HOUR_S)),
    Fault("clock: -1 h", BOTH, clock(-HOUR_S)),
    Fault("node: stopped for less than a lease", BOTH, _stopped_node, is_silent=True),
    Fault(
        "node: stopped for more than a lease",
        BOTH,
        _stopped_node,
        hold_s=(3.5, 4.5),
        is_silent=True,
        charges=True,
    ),
    Fault(
        "node and workers: stopped",
        BOTH,
        _stopped_all,
        hold_s=(1.0, 4.5),
        is_silent=True,
        charges=True,
    ),
    Fault("workers: stopped", BOTH, _stopped_children, timeout_s=3.0),
    Fault("node: killed", BOTH, _killed_node, charges=True),
    Fault("worker: one killed", BOTH, _killed(_one_child), charges=True),
    Fault("workers: all killed", BOTH, _killed(lambda site: _children(site)[1:]), charges=True),
    Fault("fork server: killed", BOTH, _killed(_fork_server), charges=True),
    # From one node alone: to the other one it looks dead.
    Fault("database: silent", (POSTGRES,), _database_silent, "store", _STORE_AWAY, charges=True),
    Fault("database: refuses", (POSTGRES,), _database_refuses, "store", _STORE_AWAY, charges=True),
    Fault("database: connections reset", (POSTGRES,), _database_resets),
    Fault("database: sessions terminated", (POSTGRES,), _sessions_terminated),
    Fault("database: crashes", (POSTGRES,), _database_restarts, "store", _STORE_AWAY),
    Fault("database: frozen", (POSTGRES,), _database_frozen, "store", _STORE_AWAY),
    Fault("bucket: busy", (POSTGRES,), _bucket(S3Fault.BUSY), "results", ("SlowDown", "503")),
    Fault(
        "bucket: full", (POSTGRES,), _bucket(S3Fault.FULL, "P"), "results", ("StorageFull", "507")
    ),
    Fault("bucket: silent", (POSTGRES,), _bucket(S3Fault.SILENT), "results", ("results",)),
    Fault("bucket: hangs up", (POSTGRES,), _bucket(S3Fault.HANG_UP), "results", ("results",)),
    Fault(
        "bucket: loses responses",
        (POSTGRES,),
        _bucket(S3Fault.LOSE_RESPONSE),
        "results",
        ("results",),
    ),
)

"""The Python client of a query-run service; imports nothing else of ours.

    from queryrun_client import Client

    with Client("http://127.0.0.1:8080", client_id, client_secret) as client:
        run = client.submit("SELECT 42 AS answer")
        print(list(run.rows()))

`AsyncClient` is the same with `await`. The protocol is written once, without I/O, in `core.py`
and `download.py`; `sync.py` and `aio.py` only carry it out.
"""

from queryrun_client.aio import AsyncClient, AsyncRun
from queryrun_client.core import Cancellation, CancelOutcome
from queryrun_client.errors import (
    BadRequest,
    ChecksumMismatch,
    ClientError,
    Conflict,
    DecryptFailed,
    DownloadFailed,
    Forbidden,
    MissingPackage,
    NotFound,
    Refused,
    RunCanceled,
    RunFailed,
    ServerTrouble,
    StillRunning,
    TooManyRequests,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
    Unsupported,
)
from queryrun_client.model import (
    FileInfo,
    Options,
    Retry,
    RunError,
    RunInfo,
    RunQuery,
    State,
    SubmitOptions,
)
from queryrun_client.sync import Client, Run

__all__ = [
    "AsyncClient",
    "AsyncRun",
    "BadRequest",
    "CancelOutcome",
    "Cancellation",
    "ChecksumMismatch",
    "Client",
    "ClientError",
    "Conflict",
    "DecryptFailed",
    "DownloadFailed",
    "FileInfo",
    "Forbidden",
    "MissingPackage",
    "NotFound",
    "Options",
    "Refused",
    "Retry",
    "Run",
    "RunCanceled",
    "RunError",
    "RunFailed",
    "RunInfo",
    "RunQuery",
    "ServerTrouble",
    "State",
    "StillRunning",
    "SubmitOptions",
    "TooManyRequests",
    "Unauthorized",
    "UnexpectedAnswer",
    "Unreachable",
    "Unsupported",
]

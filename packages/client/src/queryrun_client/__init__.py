"""The Python client of a query-run service. It imports no other package of ours.

    from queryrun_client import Client

    with Client("http://127.0.0.1:8080", client_id, client_secret) as client:
        run = client.submit("SELECT 42 AS number")
        print(list(run.rows()))

`AsyncClient` has the same methods with `await`. The protocol is written once, without I/O, in
`core.py` and `download.py`; `sync.py` and `aio.py` perform its requests.
"""

from typing import TYPE_CHECKING

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
    NotConfigured,
    NotFound,
    Refused,
    RunCanceled,
    RunFailed,
    ServerError,
    StillRunning,
    TooManyRequests,
    Unauthorized,
    UnexpectedResponse,
    Unreachable,
    Unsupported,
)
from queryrun_client.model import (
    Column,
    DryRun,
    FileInfo,
    Options,
    Retry,
    RunError,
    RunFilters,
    RunInfo,
    RunQuery,
    State,
    SubmitOptions,
    Table,
    TableEstimate,
    TokenStore,
)
from queryrun_client.parameters import Parameter
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
    "Column",
    "Conflict",
    "DecryptFailed",
    "DownloadFailed",
    "DryRun",
    "FileInfo",
    "Forbidden",
    "MissingPackage",
    "NotConfigured",
    "NotFound",
    "Options",
    "Parameter",
    "Refused",
    "Retry",
    "Run",
    "RunCanceled",
    "RunError",
    "RunFailed",
    "RunFilters",
    "RunInfo",
    "RunQuery",
    "ServerError",
    "State",
    "StillRunning",
    "SubmitOptions",
    "Table",
    "TableEstimate",
    "TokenStore",
    "TooManyRequests",
    "Unauthorized",
    "UnexpectedResponse",
    "Unreachable",
    "Unsupported",
    "__version__",
]

if TYPE_CHECKING:
    __version__: str
    """Of the installed distribution: its pyproject.toml alone has it."""
else:  # read when asked for; to a type checker, this function would be every name there is

    def __getattr__(name: str) -> str:
        if name == "__version__":
            from importlib.metadata import version

            return version("queryrun-client")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

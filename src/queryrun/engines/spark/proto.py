"""Spark Connect's messages, from Spark's own client; nothing else of that client is used.

Its sessions would start a statement again by themselves when the server seems not to know it (a
`ReattachExecute` answered by `OPERATION_NOT_FOUND`), keep a pool of threads, and read whole
results into memory. The messages alone leave all of that to us (`client.py`).
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _as_a_program() -> Iterator[None]:
    """Let the main module have a file while Spark's client is imported.

    The client takes a process without one (`python -c`, a test runner's worker) for its own
    doctests, looks for a whole Spark, and ends the process when there is none.
    """
    main = sys.modules["__main__"]
    if hasattr(main, "__file__"):
        yield
        return
    main.__file__ = __file__
    try:
        yield
    finally:
        del main.__file__


with warnings.catch_warnings(), _as_a_program():
    warnings.simplefilter("ignore", FutureWarning)  # about pandas 3, of which nothing is used here
    from pyspark.sql.connect.proto import (
        SQL,
        AnalyzePlanRequest,
        ConfigRequest,
        DataType,
        ExecutePlanRequest,
        ExecutePlanResponse,
        FetchErrorDetailsRequest,
        FetchErrorDetailsResponse,
        GetStatusRequest,
        GetStatusResponse,
        InterruptRequest,
        KeyValue,
        Plan,
        ReattachExecuteRequest,
        ReattachOptions,
        Relation,
        ReleaseExecuteRequest,
        ReleaseSessionRequest,
        UserContext,
    )
    from pyspark.sql.connect.proto.base_pb2_grpc import SparkConnectServiceStub

__all__ = [
    "SQL",
    "AnalyzePlanRequest",
    "ConfigRequest",
    "DataType",
    "ExecutePlanRequest",
    "ExecutePlanResponse",
    "FetchErrorDetailsRequest",
    "FetchErrorDetailsResponse",
    "GetStatusRequest",
    "GetStatusResponse",
    "InterruptRequest",
    "KeyValue",
    "Plan",
    "ReattachExecuteRequest",
    "ReattachOptions",
    "Relation",
    "ReleaseExecuteRequest",
    "ReleaseSessionRequest",
    "SparkConnectServiceStub",
    "UserContext",
]

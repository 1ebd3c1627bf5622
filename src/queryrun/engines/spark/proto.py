"""Spark Connect's messages, from Spark's own client; nothing else of that client is used.

Its sessions would start a statement again by themselves when the server seems not to know it (a
`ReattachExecute` answered by `OPERATION_NOT_FOUND`), keep a pool of threads, and read whole
results into memory. The messages alone leave all of that to us (`client.py`).
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
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

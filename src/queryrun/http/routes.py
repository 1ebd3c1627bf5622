"""The route table: every operation there is. Routing and the OpenAPI document are made from it."""

from __future__ import annotations

from queryrun.auth.model import Scope
from queryrun.http import files, health, oauth
from queryrun.http.operations import Operation
from queryrun.http.parts import HttpSettings
from queryrun.http.v2 import query_runs

TABLE = (
    Operation(
        "GET",
        "/v2/query_runs/{query_run_id}",
        "getQueryRun",
        query_runs.get_query_run,
        Scope.READ,
        "Query Runs",
        "Read a query run",
    ),
    Operation(
        "POST",
        "/v2/query_runs",
        "createQueryRun",
        query_runs.create_query_run,
        Scope.SUBMIT,
        "Query Runs",
        "Create a query run",
    ),
    Operation(
        "POST",
        "/v2/query_runs/{query_run_id}/cancel",
        "cancelQueryRun",
        query_runs.cancel_query_run,
        Scope.CANCEL,
        "Query Runs",
        "Cancel a query run",
    ),
    Operation("GET", "/files/{key}", "downloadFile", files.download, None, "Files", "Download"),
    Operation("POST", "/oauth/token", "createToken", oauth.issue, None, "OAuth", "Create a token"),
    Operation("GET", "/healthz", "alive", health.alive, None, "Health", "Alive"),
    Operation("GET", "/readyz", "ready", health.ready, None, "Health", "Ready"),
    Operation("GET", "/metrics", "metrics", health.metrics, None, "Health", "Metrics"),
)


def operations(settings: HttpSettings) -> tuple[Operation, ...]:
    """The operations that these settings serve."""
    return TABLE

"""`POST /v2/query_runs?dry_run=true`: what the run would do (an addition of ours)."""

from __future__ import annotations

from starlette.responses import Response

from queryrun.engines.estimates import Certainty, StatementEstimate, TableEstimate
from queryrun.errors import Problem
from queryrun.http.context import AppContext
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JsonResponse
from queryrun.http.v2.limits import limit_object
from queryrun.runs.estimate import DryRun, dry_run
from queryrun.runs.model import RunRequest

PARAMETER = "dry_run"


def is_dry_run(request: ApiRequest, problems: list[Problem]) -> bool:
    """Whether the request only asks. Any other word than true and false is a problem: a run that
    nobody wanted may cost much."""
    values = request.query_values(PARAMETER) if request.scope["query_string"] else None
    if not values:
        return False
    text = values[-1].strip().lower()
    if text not in ("true", "false"):
        message = f"'{PARAMETER}' must be true or false"
        problems.append(Problem("invalid_parameter", PARAMETER, message))
    return text == "true"


async def respond_dry(app: AppContext, run_request: RunRequest) -> Response:
    """200 with the estimate, also of a statement that would fail."""
    return JsonResponse(_body(await dry_run(app.runs, app.estimates, run_request)))


def _body(found: DryRun) -> dict[str, object]:
    failure, estimate = found.failure, found.estimate
    error = failure and {
        "code": failure.code.value,
        "message": failure.message,
        "line": failure.line,
        "column": failure.column,
    }
    return {
        "dry_run": True,
        "source": found.source,
        "valid": failure is None,
        "error": error,
        "columns": None
        if estimate is None
        else [{"name": name, "type": kind} for name, kind in estimate.columns],
        **_sums(estimate),
        "refused_by": found.refused_by and limit_object(found.refused_by),
        "tables": None if estimate is None else [_table(one) for one in estimate.tables],
    }


def _sums(estimate: StatementEstimate | None) -> dict[str, object]:
    if estimate is None:
        return {"bytes_read": None, "rows_read": None, "certainty": Certainty.UNKNOWN.value}
    return {
        "bytes_read": estimate.read_bytes,
        "rows_read": estimate.read_rows,
        "certainty": estimate.certainty.value,
    }


def _table(one: TableEstimate) -> dict[str, object]:
    return {
        "name": one.name,
        "columns": one.columns,
        "files": one.files,
        "all_files": one.all_files,
        "partitions": one.partitions,
        "all_partitions": one.all_partitions,
        "bytes_read": one.read_bytes,
        "rows_read": one.read_rows,
        "certainty": one.certainty.value,
    }

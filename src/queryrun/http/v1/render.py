"""A run as v1 renders it: a data query job (contract A6, A10, B2).

The shape is the hosted system's and fixed, so it is written out: a field that is added to a run
does not appear here.
"""

from __future__ import annotations

import msgspec

from queryrun.http.links import Links
from queryrun.http.times import iso
from queryrun.runs.model import Run
from queryrun.runs.state import RunState

INDEX_JOIN = ("useIndexJoin", "true")
"""What `RunRequest.extras` holds for a job that requested it."""

STATUS_SPELLINGS = {RunState.COMPLETE: "completed", RunState.CANCELED: "cancelled"}
"""v1's spellings, where they differ from v2's (contract B2)."""

MAIL_DOMAIN = "clients.invalid"
"""A client is no person and has no address. The address in a job is under a domain that cannot
exist (RFC 2606), so that it belongs to no one."""


def job_body(run: Run, links: Links) -> bytes:
    """The body of every response about one job."""
    return msgspec.json.encode({"data": job_object(run, links)})


def job_object(run: Run, links: Links) -> dict[str, object]:
    """The run as plain data."""
    job: dict[str, object] = {
        "id": run.id,
        "query": run.request.sql,
        "queryStatus": STATUS_SPELLINGS.get(run.state, run.state.public.value),
        "sourceData": "WAREHOUSE" if run.request.source == "warehouse" else "LIVE",
        "useIndexJoin": INDEX_JOIN in run.request.extras,
        "remainingRetries": run.remaining_attempts,
        "retries": run.request.max_retries,
        "createdOn": iso(run.created_time),
        "updatedOn": iso(run.updated_time),
        "createdBy": run.request.client_id,
        "createdByUserEmail": f"{run.request.client_id}@{MAIL_DOMAIN}",
    }
    return job | _outcome(run, links)


def _outcome(run: Run, links: Links) -> dict[str, object]:
    """The file of a completed job, the error of a failed one."""
    if run.file is not None:
        return {
            "dataFile": links.to(run.file.key),
            "outputRows": run.file.rows,
            "processingTime": run.processing_ms or 0,
        }
    if run.failure is not None and run.state is RunState.FAILED:
        return {"errorMessage": run.failure.message}
    return {}

"""A run as v1 shows it: a data query job (contract A6, A10, B2)."""

from __future__ import annotations

import msgspec

from queryrun.http.links import Links
from queryrun.http.times import iso
from queryrun.runs.model import Run
from queryrun.runs.state import RunState

INDEX_JOIN = ("useIndexJoin", "true")
"""What `RunRequest.extras` holds for a job that asked for it."""

WORDS = {RunState.COMPLETE: "completed", RunState.CANCELED: "cancelled"}
"""v1's spellings, where they differ from ours (contract B2)."""

MAIL_DOMAIN = "clients.invalid"
"""A client is no person and has no address. v1 shows one, so it is one that can never be one of
somebody else (RFC 2606)."""


def job_body(run: Run, links: Links) -> bytes:
    """The body of every answer about one job."""
    return msgspec.json.encode({"data": job_object(run, links)})


def job_object(run: Run, links: Links) -> dict[str, object]:
    """The run as plain data."""
    job: dict[str, object] = {
        "id": run.id,
        "query": run.request.sql,
        "queryStatus": WORDS.get(run.state, run.state.public.value),
        "sourceData": "WAREHOUSE" if run.request.source == "warehouse" else "LIVE",
        "useIndexJoin": INDEX_JOIN in run.request.extras,
        "remainingRetries": run.remaining_attempts,
        "retries": run.request.max_retries,
        "createdOn": iso(run.created_time),
        "updatedOn": iso(run.updated_time),
        "createdBy": run.request.client_id,
        "createdByUserEmail": f"{run.request.client_id}@{MAIL_DOMAIN}",
    }
    return job | _ended(run, links)


def _ended(run: Run, links: Links) -> dict[str, object]:
    """What is known at the end alone: the file of a completed job, the error of a failed one."""
    if run.file is not None:
        return {
            "dataFile": links.to(run.file.key),
            "outputRows": run.file.rows,
            "processingTime": run.processing_ms or 0,
        }
    if run.failure is not None and run.state is RunState.FAILED:
        return {"errorMessage": run.failure.message}
    return {}

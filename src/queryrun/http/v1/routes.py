"""v1's part of the route table."""

from __future__ import annotations

from queryrun.auth.model import Scope
from queryrun.http import failure_headers
from queryrun.http import parameters as p
from queryrun.http.operations import Operation, Parameter, RequestBody, ResponseDoc
from queryrun.http.v1 import jobs, schemas

TAG = "Data query jobs (v1)"
PATH = "/query/jobs"
ERROR = "DataQueryError"
READING_ERRORS = (400, 401, 403, 404, 405, 429, 500, 502, 503, 504)
WRITING_ERRORS = (400, 401, 403, 405, 409, 413, 415, 422, 429, 500, 502, 503, 504)

JOB_ID = Parameter(
    "job_id", "path", {"type": "string"}, "The job's id, a UUID of 36 characters.", schemas.ID
)
PADDED_ID = Parameter(
    "job_id",
    "path",
    {"type": "string"},
    "The job's id: a UUID of 36 characters, optionally followed by 28 zeros, for the SDK that "
    "sends no id shorter than 64.",
    schemas.ID,
)
QUERY_STATUS = Parameter(
    "queryStatus",
    "query",
    {
        "type": "string",
        "enum": [*jobs.STATUS_NAMES, "complete", "canceled", "pending"],
    },
    "Only jobs in this status. v2's spellings are accepted too.",
    "in_progress",
)
PAGE_SIZE = Parameter(
    "pageSize",
    "query",
    {
        "type": "integer",
        "minimum": 1,
        "maximum": jobs.MAX_PAGE_SIZE,
        "default": jobs.DEFAULT_PAGE_SIZE,
    },
    "How many jobs are listed at most.",
    20,
)

CREATE_JOB = Operation(
    "POST",
    PATH,
    "createDataQueryJob",
    jobs.create_job,
    Scope.SUBMIT,
    TAG,
    "Submit a data query",
    "The same as creating a query run, in the shape of v1. Both APIs have the job under one id.",
    (p.IDEMPOTENCY_KEY, p.PREFER, p.ORG_IDS, p.CONTENT_ENCODING, *p.EVERYWHERE),
    RequestBody("application/json", "SubmitDataQuery", (("csv", schemas.SUBMIT),)),
    (
        ResponseDoc(
            200,
            "Accepted.",
            "DataQueryJobResponse",
            headers=(
                *("preference-applied", "idempotency-replayed", "warning"),
                *failure_headers.NAMES,
            ),
            examples=(("accepted", {"data": schemas.ACCEPTED}),),
        ),
    ),
    WRITING_ERRORS,
    error_schema=ERROR,
    in_contract=True,
)
LIST_JOBS = Operation(
    "GET",
    PATH,
    "listDataQueryJobs",
    jobs.list_jobs,
    Scope.READ,
    TAG,
    "List data query jobs",
    "The client's own (all of the tenant's for an admin), newest first. One page: v1 has no "
    "cursor; `GET /v2/query_runs` has one.",
    (QUERY_STATUS, PAGE_SIZE, *p.EVERYWHERE),
    responses=(
        ResponseDoc(
            200,
            "The jobs.",
            "DataQueryJobList",
            examples=(("page", {"data": [schemas.COMPLETED, schemas.FAILED]}),),
        ),
    ),
    errors=READING_ERRORS,
    error_schema=ERROR,
    in_contract=True,
)
GET_JOB = Operation(
    "GET",
    PATH + "/{job_id}",
    "getDataQueryJob",
    jobs.get_job,
    Scope.READ,
    TAG,
    "Read a data query job",
    "Another client's job is a 403 here; on v2 it is a 404.",
    (JOB_ID, p.PREFER, *p.EVERYWHERE),
    responses=(
        ResponseDoc(
            200,
            "The job.",
            "DataQueryJobResponse",
            headers=("preference-applied", *failure_headers.NAMES),
            examples=(
                ("completed", {"data": schemas.COMPLETED}),
                ("failed", {"data": schemas.FAILED}),
            ),
        ),
    ),
    errors=READING_ERRORS,
    error_schema=ERROR,
    in_contract=True,
)
CANCEL_JOB = Operation(
    "DELETE",
    PATH + "/{job_id}",
    "cancelDataQueryJob",
    jobs.cancel_job,
    Scope.CANCEL,
    TAG,
    "Cancel a data query job",
    "Waits up to a second for the confirmation that the engine has stopped, like v2's cancel. A "
    'terminal job does not change: 400, "… is not in accepted or in_progress status".',
    (PADDED_ID, p.PREFER, *p.EVERYWHERE),
    responses=(
        ResponseDoc(
            200,
            "Canceled, or being canceled.",
            "DataQueryJobResponse",
            headers=("preference-applied",),
            examples=(("cancelled", {"data": schemas.CANCELLED}),),
        ),
    ),
    errors=READING_ERRORS,
    error_schema=ERROR,
    error_notes=((400, "The request is invalid, or the job is terminal already."),),
    in_contract=True,
)

V1_TABLE = (GET_JOB, CREATE_JOB, CANCEL_JOB, LIST_JOBS)

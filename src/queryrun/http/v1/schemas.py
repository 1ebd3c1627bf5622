"""The document's schemas and examples for v1 (contract A6, A7, A8, A9, D2)."""

from __future__ import annotations

from queryrun.http.shapes import Schema
from queryrun.http.v1.body import job_body_schema

ID = "6a1d1c5e-8f5f-4f0e-9a37-0f3c2f1b7d90"
CREATOR = "1c7d3b4e-1111-4b6a-9a7e-5b8f2f7a0001"
TIME: Schema = {"type": "string", "format": "date-time"}


def _text(description: str, **more: object) -> Schema:
    return {"type": "string", "description": description, **more}


def _whole(description: str) -> Schema:
    return {"type": "integer", "format": "int64", "description": description, "minimum": 0}


JOB: Schema = {
    "type": "object",
    "description": "A query run in the shape of v1.",
    "additionalProperties": False,
    "required": [
        *("id", "query", "queryStatus", "sourceData", "useIndexJoin", "remainingRetries"),
        *("retries", "createdOn", "updatedOn", "createdBy", "createdByUserEmail"),
    ],
    "properties": {
        "id": _text("The same as on `/v2/query_runs`.", format="uuid"),
        "query": _text("The statement, as submitted."),
        "queryStatus": _text(
            "`cancelled` means that nothing of the job is running any more.",
            enum=["submitted", "accepted", "in_progress", "completed", "failed", "cancelled"],
        ),
        "sourceData": _text("Where it runs.", enum=["LIVE", "WAREHOUSE"]),
        "useIndexJoin": {"type": "boolean", "description": "As submitted."},
        "remainingRetries": _whole("Retries left before the job fails."),
        "retries": _whole("Retries of a new job."),
        "createdOn": {**TIME, "description": "When it was accepted."},
        "updatedOn": {**TIME, "description": "When its status last changed."},
        "createdBy": _text("The client that created it.", format="uuid"),
        "createdByUserEmail": _text("An address that no mail reaches: clients are not people."),
        "dataFile": _text("The signed link to the result. Completed jobs only.", format="uri"),
        "outputRows": _whole("Rows of the result. Completed jobs only."),
        "processingTime": _whole("Milliseconds. Completed jobs only."),
        "errorMessage": _text("Why it failed. Failed jobs only."),
    },
}
REFERENCE: Schema = {"$ref": "#/components/schemas/DataQueryJob"}
SCHEMAS: dict[str, Schema] = {
    "SubmitDataQuery": job_body_schema(),
    "DataQueryJob": JOB,
    "DataQueryJobResponse": {
        "type": "object",
        "required": ["data"],
        "additionalProperties": False,
        "properties": {"data": REFERENCE},
    },
    "DataQueryJobList": {
        "type": "object",
        "required": ["data"],
        "additionalProperties": False,
        "properties": {"data": {"type": "array", "items": REFERENCE}},
    },
    "DataQueryError": {
        "type": "object",
        "description": "An error of v1. A 401 has no `code`.",
        "required": ["message"],
        "additionalProperties": False,
        "properties": {
            "code": {"type": "integer", "description": "The HTTP status again."},
            "message": _text("What is wrong."),
        },
    },
}
HEADERS: dict[str, Schema] = {
    "concurrency-limit-type": _text("Always `Default`."),
    "concurrency-limit-limit": _whole("Requests of the tenant that are expected at once."),
    "concurrency-limit-remaining": _whole("How many more of them there could be now."),
}

SUBMIT: Schema = {
    "query": "SELECT id, balance FROM account WHERE balance > 100",
    "outputFormat": "CSV",
    "compression": "NONE",
    "output": {"target": "S3"},
    "sourceData": "LIVE",
}
ACCEPTED: Schema = {
    "id": ID,
    "query": SUBMIT["query"],
    "queryStatus": "accepted",
    "sourceData": "LIVE",
    "useIndexJoin": False,
    "remainingRetries": 3,
    "retries": 3,
    "createdOn": "2026-11-24T00:10:00.512Z",
    "updatedOn": "2026-11-24T00:10:00.512Z",
    "createdBy": CREATOR,
    "createdByUserEmail": f"{CREATOR}@clients.invalid",
}
COMPLETED: Schema = {
    **ACCEPTED,
    "queryStatus": "completed",
    "updatedOn": "2026-11-24T00:10:07.031Z",
    "dataFile": f"https://queries.example.net/files/{ID}_1833251171549653.csv"
    "?expires=1795493407&signature=5c1f",
    "outputRows": 4639,
    "processingTime": 6519,
}
FAILED: Schema = {
    **ACCEPTED,
    "query": "SELECT id FROM acount",
    "queryStatus": "failed",
    "errorMessage": "Table 'owl.data.acount' does not exist",
}
CANCELLED: Schema = {**ACCEPTED, "queryStatus": "cancelled"}

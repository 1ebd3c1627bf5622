"""The entries of saved statements in the route table."""

from __future__ import annotations

from queryrun.auth.model import Scope
from queryrun.http import parameters as p
from queryrun.http.operations import Operation, Parameter, RequestBody, ResponseDoc
from queryrun.http.v2 import statements
from queryrun.runs.statements import LISTED_SQL_CHARS, MAX_LISTED, MAX_PER_CLIENT, MAX_SQL_CHARS

TAG = "Saved statements"
ERRORS = (400, 401, 403, 404, 405, 429, 500, 502, 503, 504)
WRITING_ERRORS = (*ERRORS, 413, 415)
EXAMPLE = {"name": "Open invoices", "folder": "finance", "sql": "SELECT 1", "shared": True}
BODY = RequestBody("application/json", "StatementContent", (("shared", EXAMPLE),))
STATEMENT_ID = Parameter(
    "statement_id", "path", {"type": "string"}, "The statement's id, from its creation."
)
ONE = ResponseDoc(200, "The statement.", "Statement")

STATEMENT_TABLE = (
    Operation(
        "GET",
        "/v2/statements",
        "listStatements",
        statements.list_statements,
        Scope.READ,
        TAG,
        "List saved statements",
        "The client's own statements in the entity and those that are shared there, by folder and "
        f"name: {MAX_LISTED} at most, with the first {LISTED_SQL_CHARS} characters of each. An "
        "addition of this service.",
        p.EVERYWHERE,
        responses=(ResponseDoc(200, "The statements.", "Statements"),),
        errors=ERRORS,
    ),
    Operation(
        "POST",
        "/v2/statements",
        "saveStatement",
        statements.save_statement,
        Scope.SUBMIT,
        TAG,
        "Save a statement",
        f"Keeps up to {MAX_SQL_CHARS:,} characters of SQL under a name; a client may keep "
        f"{MAX_PER_CLIENT}. Parameters are written as `{{{{name}}}}` or `{{{{name:number}}}}`; who "
        "submits the statement fills them in. An addition of this service.",
        p.EVERYWHERE,
        BODY,
        (ResponseDoc(201, "Saved.", "Statement", headers=("location",)),),
        WRITING_ERRORS,
    ),
    Operation(
        "GET",
        "/v2/statements/{statement_id}",
        "getStatement",
        statements.get_statement,
        Scope.READ,
        TAG,
        "Read a saved statement",
        "With its SQL whole. An addition of this service.",
        (STATEMENT_ID, *p.EVERYWHERE),
        responses=(ONE,),
        errors=ERRORS,
    ),
    Operation(
        "PUT",
        "/v2/statements/{statement_id}",
        "changeStatement",
        statements.change_statement,
        Scope.SUBMIT,
        TAG,
        "Change a saved statement",
        "Only who saved it, or an admin, may. An addition of this service.",
        (STATEMENT_ID, *p.EVERYWHERE),
        BODY,
        (ONE,),
        WRITING_ERRORS,
    ),
    Operation(
        "DELETE",
        "/v2/statements/{statement_id}",
        "deleteStatement",
        statements.remove_statement,
        Scope.SUBMIT,
        TAG,
        "Delete a saved statement",
        "Only who saved it, or an admin, may. An addition of this service.",
        (STATEMENT_ID, *p.EVERYWHERE),
        responses=(ResponseDoc(204, "Deleted.", media_types=()),),
        errors=ERRORS,
    ),
)

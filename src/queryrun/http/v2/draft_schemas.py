"""Statements that are written and saved, and what a run may name, in the OpenAPI document."""

from __future__ import annotations

from queryrun.http.shapes import TIME, Schema, closed_object, text, whole_or_null
from queryrun.runs.statements import MAX_FOLDER_CHARS, MAX_NAME_CHARS, MAX_SQL_CHARS

DRAFT = closed_object(
    {
        "sql": text("The statement."),
        "source": {
            "type": ["string", "null"],
            "description": "Where it would run; the default source when absent.",
        },
        "parameters": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/StatementParameter"},
            "description": "The values of `:name` or `?` in the statement.",
        },
    },
    "A statement that is being written.",
    ("sql",),
)
VALIDATION = closed_object(
    {
        "valid": {"type": "boolean", "description": "Whether nothing was found."},
        "errors": {
            "type": "array",
            "items": closed_object(
                {
                    "message": text("What is wrong, and what to do."),
                    "line": whole_or_null("Counts from 1."),
                    "column": whole_or_null("Counts from 1."),
                },
                "What is wrong, and where.",
                ("message", "line", "column"),
            ),
        },
        "columns": {
            "type": ["array", "null"],
            "items": closed_object(
                {"name": text("Its name."), "type": text("Its type.")}, "A column.", ("name",)
            ),
            "description": "What the statement would return, where that is known.",
        },
    },
    "What can be known of a statement without running it.",
    ("valid", "errors", "columns"),
)
_VISIBLE = r"^[^\x00]*[^\x00-\x20][^\x00]*$"
"""More than blanks and control characters, and no NUL."""
_CONTENT: dict[str, object] = {
    "name": text("Its name.", minLength=1, maxLength=MAX_NAME_CHARS, pattern=_VISIBLE),
    "folder": text("Names joined by `/`.", maxLength=MAX_FOLDER_CHARS, pattern=r"^[^\x00]*$"),
    "sql": text("The SQL.", minLength=1, maxLength=MAX_SQL_CHARS, pattern=_VISIBLE),
    "source": {"type": ["string", "null"], "description": "Where it is meant to run."},
    "shared": {"type": "boolean", "description": "Whether everybody of the entity may read it."},
}
STATEMENT_CONTENT = closed_object(_CONTENT, "A statement to save.", ("name", "sql"))
STATEMENT = closed_object(
    {
        "id": text("Its id.", format="uuid"),
        **_CONTENT,
        "created_by_id": text("The client that saved it."),
        "created_time": TIME,
        "updated_time": TIME,
    },
    "A saved statement.",
    ("id", *_CONTENT, "created_by_id", "created_time", "updated_time"),
)
STATEMENTS = closed_object(
    {"data": {"type": "array", "items": {"$ref": "#/components/schemas/Statement"}}},
    "Saved statements.",
    ("data",),
)
OPTIONS = closed_object(
    {
        "sources": {
            "type": "array",
            "items": closed_object(
                {
                    "name": text("Its name."),
                    "is_default": {"type": "boolean"},
                    "dialect": text("Its SQL."),
                    "problem": {
                        "type": ["string", "null"],
                        "description": "Why it cannot be used at the moment.",
                    },
                },
                "A source.",
                ("name", "is_default", "dialect", "problem"),
            ),
        },
        "content_types": {
            "type": "array",
            "items": closed_object(
                {
                    "name": text("As `content_type`."),
                    "needs_separator": {"type": "boolean"},
                    "is_text": {"type": "boolean"},
                },
                "A format.",
                ("name", "needs_separator", "is_text"),
            ),
        },
        "content_encodings": {"type": "array", "items": {"type": "string"}},
    },
    "What a run may name.",
    ("sources", "content_types", "content_encodings"),
)

DRAFT_SCHEMAS: dict[str, Schema] = {
    "Draft": DRAFT,
    "Validation": VALIDATION,
    "Options": OPTIONS,
    "StatementContent": STATEMENT_CONTENT,
    "Statement": STATEMENT,
    "Statements": STATEMENTS,
}

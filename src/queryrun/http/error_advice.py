"""Cause and cure of every error code of runs, for the page of error codes."""

from __future__ import annotations

from queryrun.errors import FailureCode as Code

ADVICE: dict[Code, tuple[str, str]] = {
    Code.SYNTAX_ERROR: ("The statement cannot be parsed.", "Look at `line` and `column`."),
    Code.NAME_NOT_FOUND: (
        "A table, column or function does not exist.",
        "`SHOW TABLES` and `DESCRIBE` list what there is.",
    ),
    Code.AMBIGUOUS_NAME: ("A column exists in several tables.", "Write `table.column`."),
    Code.TYPE_MISMATCH: ("Types do not fit an operator or function.", "Add a `CAST`."),
    Code.NOT_ALLOWED: ("The statement is of a kind that is refused.", "See the page on SQL."),
    Code.NOT_SUPPORTED: ("We do not have this part of the language.", "See the page on SQL."),
    Code.INVALID_VALUE: ("A value cannot be computed or converted.", "Use `TRY_CAST` or `TRY`."),
    Code.STATEMENT_FAILED: ("The engine refused the statement.", "Read the message."),
    Code.ROW_LIMIT_EXCEEDED: (
        "The result has more rows than the source allows.",
        "Narrow the statement, or raise `max_output_rows`.",
    ),
    Code.MEMORY_LIMIT_EXCEEDED: (
        "The statement needs more memory or intermediate space than it may have.",
        "Narrow it, or raise `memory` or `spill` of the source.",
    ),
    Code.TIME_LIMIT_EXCEEDED: (
        "It ran longer than the request or the source allows.",
        "Narrow it, or raise `timeout_seconds` or `time_limit_s`.",
    ),
    Code.SIZE_LIMIT_EXCEEDED: (
        "The result file is larger than the source allows.",
        "Compress it, narrow the statement, or raise `max_output_size`.",
    ),
    Code.QUOTA_EXCEEDED: (
        "The entity or client keeps or writes as much as it may, or a limit stopped the run.",
        "The message names the limit and when it begins anew; `GET /v2/limits` shows all.",
    ),
    Code.WORKER_LOST: (
        "The process of the statement died: the kernel's memory killer, a crash, a kill.",
        "Look for `worker_died` in the log; give the node more memory or fewer slots.",
    ),
    Code.NODE_LOST: ("The node ended while the statement ran.", "Nothing: it is retried."),
    Code.ENGINE_UNAVAILABLE: (
        "The engine did not respond, or the node could not start a process.",
        "Look at `/readyz`; `waiting_for` of a waiting run names what lacks.",
    ),
    Code.DATA_UNREADABLE: (
        "A table's files could not be read.",
        "Look at the log and at the permissions of the data directory.",
    ),
    Code.DATA_INVALID: (
        "A file holds a value that does not fit its column.",
        "`queryrun tables check` names file and line.",
    ),
    Code.DATA_CHANGED: (
        "A file changed while it was read.",
        "Write new files beside old ones, and rename.",
    ),
    Code.STORAGE_FAILED: (
        "The result could not be written.",
        "Look at `results` in `/readyz` and at the log.",
    ),
    Code.STORAGE_FULL: (
        "No space was left for the result or for intermediate results.",
        "Free space. While others fill the disk, runs wait and lose no retry.",
    ),
    Code.INTERNAL_ERROR: (
        "A bug of ours. The message has an id.",
        "Search the log for the id, and report the event.",
    ),
}

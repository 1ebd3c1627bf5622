"""The SQL of the stores: named statements in `sqlite/sql/*.sql` and `postgres/sql/*.sql`.

A file is a sequence of blocks, each of which begins with a line `-- name: …`. Comments that follow
state its effect and which index it uses. `{…}` in a statement is another block of the
same database (by convention one that begins with `-- fragment: …`), or one of the lists of columns
that come from `runs/fields.py`. Only texts of this program are inserted; values are always bound.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib.resources import files

from queryrun.db.rows import ALIASES, created_columns, set_columns
from queryrun.runs.fields import STORED_FIELDS, RunField, Table
from queryrun.runs.state import RunEvent

_BLOCK = re.compile(r"^-- (?:name|fragment): (\w+)\n", re.MULTILINE)
_COMMENTS = re.compile(r"\A(?:--[^\n]*\n)+")
_REFERENCE = re.compile(r"\{(\w+)\}")

Bind = Callable[[RunField], str]
"""From a field to the SQL of its value in one database, such as `:sql` or `%(sql)s::text`."""


def load(database: str, fragments: Mapping[str, str]) -> dict[str, str]:
    """Every statement and fragment of `sqlite` or `postgres` (a folder's name), by its name.

    `fragments` are known to all of them. `KeyError` for a reference to a block that does not come
    before it, `ValueError` for a name that is used twice.
    """
    blocks = dict(fragments)
    folder = files("queryrun.db") / database / "sql"
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".sql"):
            _add(blocks, entry.read_text("utf-8"))
    return blocks


def _add(blocks: dict[str, str], text: str) -> None:
    _, *parts = _BLOCK.split(text)
    for name, block in zip(parts[::2], parts[1::2], strict=True):
        if name in blocks:
            raise ValueError(f"two statements are named {name}")
        sql = _COMMENTS.sub("", block).strip().removesuffix(";")
        blocks[name] = _REFERENCE.sub(lambda reference: blocks[reference[1]], sql)


def column_lists(bind: Bind, bind_new: Bind) -> dict[str, str]:
    """The lists of columns of a run, and what a changed and a new run bind to them."""
    read = (f"{ALIASES[field.table]}.{field.column}" for field in STORED_FIELDS)
    lists = {"run_columns": ", ".join(["r.seq", *read])}
    for table in Table:
        created = created_columns(table)
        lists[f"new_{table}_columns"] = ", ".join(field.column for field in created)
        lists[f"new_{table}_values"] = ", ".join(map(bind_new, created))
    for event in (RunEvent.COMPLETE, RunEvent.FAIL):
        assignments = (f"{field.column} = {bind(field)}" for field in set_columns(event))
        lists[f"set_by_{event}"] = ", ".join(assignments)
    return lists

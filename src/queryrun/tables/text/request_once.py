"""How reading text files has copies made that it may not make itself (`requests.py`)."""

from __future__ import annotations

from queryrun.tables.text.context import TextContext
from queryrun.tables.text.faults import FileFault
from queryrun.tables.text.requests import CopiesRequest, digest_of
from queryrun.tables.text.sources import Source


class RequestOnce:
    """Asks for a table's copies, once.

    Who converts may find other versions of the files than the statement has. Then what the
    statement needs is still missing afterwards, and it converts for itself.
    """

    def __init__(self, table: str, context: TextContext) -> None:
        self._table = table
        self._context = context
        self._was_requested = False

    @property
    def is_possible(self) -> bool:
        """Whether there is somebody to ask, or to have asked."""
        return self._context.request is not None

    def __call__(self) -> bool:
        """Whether somebody was asked just now, so that it pays to look again."""
        if self._was_requested or self._context.request is None:
            return False
        self._was_requested = True
        self._context.request(CopiesRequest.of(self._table, self._context.columns))
        return True


def columns_named(context: TextContext, source: Source) -> frozenset[str] | None:
    """The names that a statement spells, in lower case; None: any may be.

    Where only their digests are known, these are the columns of the file that have one of them.
    """
    digests = context.column_digests
    if digests is None or source.is_json:
        return context.columns
    try:
        with source.open() as (names, _):
            lower = {name.lower() for name in names}
    except FileFault:  # converting all of it says so
        return None
    return frozenset(name for name in lower if digest_of(name) in digests)

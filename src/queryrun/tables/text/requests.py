"""What a process that sees statements asks of the one that writes copies: no text, digests alone.

A name in a statement is what a caller wrote. So the names of a table and of columns go as digests,
and who converts looks for those among the names that it finds in the files itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

from queryrun.errors import FailureCode

DIGEST_BYTES = 16
MAX_COLUMNS = 4096
"""A statement that names more has all columns converted."""


@dataclass(frozen=True, slots=True)
class CopiesRequest:
    """Which table's files are to be converted, and which columns will do (None: all)."""

    table: bytes
    columns: tuple[bytes, ...] | None = None

    @classmethod
    def of(cls, table: str, columns: Iterable[str] | None) -> Self:
        """The request for a table of this key (`table_key`) and columns by lower-case name."""
        digests = None if columns is None else tuple(sorted(map(digest_of, columns)))
        if digests is not None and len(digests) > MAX_COLUMNS:
            digests = None
        return cls(digest_of(table), digests)

    @property
    def is_valid(self) -> bool:
        """Whether it is a request of this program: digests, and no more than there may be."""
        columns = self.columns or ()
        return len(columns) <= MAX_COLUMNS and all(
            len(digest) == DIGEST_BYTES for digest in (self.table, *columns)
        )


@dataclass(frozen=True, slots=True)
class CopiesMade:
    """The copies are there, or `code` (a `FailureCode`) says why there can be none.

    Neither a failure nor a copy: nobody could convert, and who asked may do it for itself.
    """

    code: FailureCode | None = None
    message: str = ""
    cpu_ms: int = 0
    """What converting took."""


RequestCopies = Callable[[CopiesRequest], None]
"""Return once the copies have been made, or cannot be. Raises `RunFailed` when the table's files
cannot be converted."""


def digest_of(name: str) -> bytes:
    """Stands for the key of a table or the name of a column."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:DIGEST_BYTES]

"""What converting text files needs from the session that reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queryrun.tables.text.requests import RequestCopies

if TYPE_CHECKING:
    from queryrun.tables.text.convert import Converter


@dataclass(slots=True)
class TextContext:
    """`copies_dir` is the entity's own; `config` is that of a DuckDB instance for conversions.

    Without a directory nothing is remembered: copies go into the statement's own directory.
    """

    copies_dir: Path | None = None
    writes_copies: bool = True
    """Otherwise those of others are read, and what is missing goes to the statement's own."""
    request: RequestCopies | None = None
    """Where to have copies made that are missing, for who writes none."""
    max_copies_bytes: int = 20 * 1024**3
    config: Mapping[str, Any] = field(default_factory=dict)
    columns: frozenset[str] | None = None
    """The lower-case names that the statement spells: no other column is read. None: any may be."""
    column_digests: frozenset[bytes] | None = None
    """Instead of `columns`, for who may not be told a statement's names (`requests.digest_of`)."""
    converter: Converter | None = None
    """While one converts."""

    def interrupt(self) -> None:
        """Stop a conversion that runs. Callable from another thread; does nothing without one."""
        converter = self.converter
        if converter:
            converter.interrupt()

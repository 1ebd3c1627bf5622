"""Builds the `COPY` statement that writes the rows of a relation to a file (contract F4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from queryrun.results.types import parse_type
from queryrun.results.values import ValueFormatter

if TYPE_CHECKING:
    from queryrun.engines.base import Column
    from queryrun.results.formats import ContentType

_SOURCE = "result_of_run"


@dataclass(frozen=True, slots=True)
class FileLayout:
    """The format of a file. `column_separator` is used only where the format needs one."""

    content_type: ContentType
    column_separator: str | None = None
    time_zone: str = "UTC"

    @property
    def separator(self) -> str:
        """Between two fields of a delimited file; "" in other formats."""
        return self.content_type.spec.separator_for(self.column_separator)


@dataclass(frozen=True, slots=True)
class CopySql:
    """A statement for the encoder's connection. `relation_at`: the relation's first byte."""

    text: str
    relation_at: int


def select_sql(
    relation: str, columns: Sequence[Column], layout: FileLayout, max_rows: int = 0
) -> CopySql:
    """The query whose rows are written, with each value formatted for the file.

    A limit of 0 rows is no limit. When no value has to be converted, the relation is read
    unchanged, at the engine's full speed.
    """
    formatted = [_formatted(column, number, layout) for number, column in enumerate(columns)]
    if not any(formatted):
        before, after = "SELECT * FROM (", ")"
    else:
        before = f"SELECT {_projection(columns, formatted)} FROM ("
        after = f") AS {_SOURCE}({', '.join(_field(n) for n in range(len(columns)))})"
    if max_rows:
        after += f" LIMIT {max_rows}"
    return CopySql(f"{before}\n{relation}\n{after}", len(before.encode()) + 1)


def copy_sql(select: CopySql, layout: FileLayout, path: str) -> CopySql:
    """The statement that writes the rows of `select` to `path`.

    Raises `ValueError` for a format that `COPY` does not write.
    """
    before = "COPY ("
    text = f"{before}{select.text}) TO {_literal(path)} ({_options(layout)}, USE_TMP_FILE false)"
    return CopySql(text, select.relation_at + len(before))


def _formatted(column: Column, number: int, layout: FileLayout) -> str | None:
    value_sql = layout.content_type.spec.value_sql
    if value_sql is None:
        return None
    formatter = ValueFormatter(layout.time_zone)
    return value_sql(formatter, parse_type(column.type), _field(number))


def _projection(columns: Sequence[Column], formatted: Sequence[str | None]) -> str:
    return ", ".join(
        f"{new or _field(number)} AS {_quoted(column.name)}"
        for number, (column, new) in enumerate(zip(columns, formatted, strict=True))
    )


def _options(layout: FileLayout) -> str:
    options = layout.content_type.spec.copy_options
    if options is None:
        raise ValueError(f"COPY does not write {layout.content_type}")
    return options.format(separator=_literal(layout.separator))


def _field(number: int) -> str:
    return f"field_{number}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

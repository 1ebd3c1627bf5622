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
    if not any(formatted) and not names_clash(columns):
        before, after = "SELECT * FROM (", ")"
    else:
        projection = _projection(columns, formatted)
        if names_clash(columns) and layout.content_type.spec.row_sql is not None:
            values = [new or _field(number) for number, new in enumerate(formatted)]
            names = [column.name for column in columns]
            projection = layout.content_type.spec.row_sql(names, values)
        before = f"SELECT {projection} FROM ("
        after = f") AS {_SOURCE}({', '.join(_field(n) for n in range(len(columns)))})"
    if max_rows:
        after += f" LIMIT {max_rows}"
    return CopySql(f"{before}\n{relation}\n{after}", len(before.encode()) + 1)


def names_clash(columns: Sequence[Column]) -> bool:
    """Whether some names differ by case only: `COPY` would give all but the first a number."""
    return len({column.name.lower() for column in columns}) < len(columns)


def header_line(columns: Sequence[Column], separator: str) -> bytes:
    """The header of a delimited file, as `COPY` quotes it."""
    special = {separator, '"', "\n", "\r"}
    fields = [_quoted(c.name) if special & set(c.name) else c.name for c in columns]
    return f"{separator.join(fields)}\n".encode()


def copy_sql(select: CopySql, layout: FileLayout, path: str, *, has_clash: bool = False) -> CopySql:
    """The statement that writes the rows of `select` to `path`. `has_clash`: see `names_clash`.

    Raises `ValueError` for a format that `COPY` does not write.
    """
    before = "COPY ("
    options = _options(layout, has_clash=has_clash)
    text = f"{before}{select.text}) TO {_literal(path)} ({options}, USE_TMP_FILE false)"
    return CopySql(text, select.relation_at + len(before))


def _formatted(column: Column, number: int, layout: FileLayout) -> str | None:
    value_sql = layout.content_type.spec.value_sql
    if value_sql is None:
        return None
    formatter = ValueFormatter(layout.time_zone, column.zone)
    return value_sql(formatter, parse_type(column.type), _field(number))


def _projection(columns: Sequence[Column], formatted: Sequence[str | None]) -> str:
    return ", ".join(
        f"{new or _field(number)} AS {_quoted(column.name)}"
        for number, (column, new) in enumerate(zip(columns, formatted, strict=True))
    )


def _options(layout: FileLayout, *, has_clash: bool) -> str:
    spec = layout.content_type.spec
    options = spec.clash_options if has_clash else spec.copy_options
    if options is None:
        raise ValueError(f"COPY does not write {layout.content_type}")
    return options.format(separator=_literal(layout.separator))


def _field(number: int) -> str:
    return f"field_{number}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

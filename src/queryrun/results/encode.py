"""Columns and a format in, the `COPY` statement out: how a result becomes a file (contract F4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from queryrun.results.types import parse_type
from queryrun.results.values import ValueFormatter

if TYPE_CHECKING:
    from queryrun.engines.base import Column

DELIMITED = frozenset({"csv", "tsv", "dsv"})
APPENDED = frozenset({"parquet"})
"""Formats that the engine writes from beginning to end; of others later pieces may come first."""
_SOURCE = "result_of_run"


@dataclass(frozen=True, slots=True)
class Format:
    """What a file looks like inside. `column_separator` matters for `dsv` only (contract H7)."""

    content_type: str
    column_separator: str | None = None
    time_zone: str = "UTC"

    @property
    def separator(self) -> str:
        """What stands between two fields of a delimited file."""
        if self.content_type == "csv":
            return ","
        if self.content_type == "tsv":
            return "\t"
        return checked_separator(self.column_separator)


@dataclass(frozen=True, slots=True)
class CopySql:
    """A statement for the encoder's connection. `relation_at`: the relation's first byte."""

    text: str
    relation_at: int


def checked_separator(separator: str | None) -> str:
    """The one character that a `dsv` file is separated by; `\\t` stands for a tab (contract H7).

    Raises `ValueError` for none or several characters, for a quote and for a line end.
    """
    character = "\t" if separator == "\\t" else separator
    if character is None or len(character) != 1:
        raise ValueError("column_separator must be one character")
    if character in '"\r\n\0':
        raise ValueError("column_separator must not be a quote or a line end")
    return character


def select_sql(
    relation: str, columns: Sequence[Column], form: Format, most_rows: int = 0
) -> CopySql:
    """The query whose rows are to be written, each value spelled as the format wants it.

    At most `most_rows` of them, unless that is 0.

    When nothing has to be converted the relation is read as it is, at the engine's own speed.
    """
    formatted = [_formatted(column, number, form) for number, column in enumerate(columns)]
    if not any(formatted):
        before, after = "SELECT * FROM (", ")"
    else:
        before = f"SELECT {_projection(columns, formatted)} FROM ("
        after = f") AS {_SOURCE}({', '.join(_location(n) for n in range(len(columns)))})"
    if most_rows:
        after += f" LIMIT {most_rows}"
    return CopySql(f"{before}\n{relation}\n{after}", len(before.encode()) + 1)


def copy_sql(select: CopySql, form: Format, path: str) -> CopySql:
    """The statement that writes the rows of `select` to `path`."""
    before = "COPY ("
    text = f"{before}{select.text}) TO {_literal(path)} ({_options(form)}, USE_TMP_FILE false)"
    return CopySql(text, select.relation_at + len(before))


def _formatted(column: Column, number: int, form: Format) -> str | None:
    kind, value = parse_type(column.type), _location(number)
    if form.content_type == "json":
        return ValueFormatter(form.time_zone).as_json(kind, value)
    if form.content_type in DELIMITED:
        return ValueFormatter(form.time_zone).as_text(kind, value)
    return None


def _projection(columns: Sequence[Column], formatted: Sequence[str | None]) -> str:
    return ", ".join(
        f"{new or _location(number)} AS {_name(column.name)}"
        for number, (column, new) in enumerate(zip(columns, formatted, strict=True))
    )


def _options(form: Format) -> str:
    if form.content_type in DELIMITED:
        separator = _literal(form.separator)
        return f"FORMAT csv, HEADER true, DELIMITER {separator}, QUOTE '\"', ESCAPE '\"'"
    return {"json": "FORMAT json", "parquet": "FORMAT parquet"}[form.content_type]


def _location(number: int) -> str:
    return f"field_{number}"


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

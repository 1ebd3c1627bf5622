"""Definitions of tables: `tables.toml` in an entity's data directory, for what no file says.

A definition holds for one table. What is wrong in it is a problem of that table alone, named with
line and column; a file that is no TOML at all is a problem of every table that it seems to name.
"""

from __future__ import annotations

import codecs
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

FILE_NAME = "tables.toml"
MAX_BYTES = 1024**2
_TYPES = {
    "boolean": "BOOLEAN", "tinyint": "TINYINT", "smallint": "SMALLINT", "integer": "INTEGER",
    "bigint": "BIGINT", "real": "FLOAT", "double": "DOUBLE", "varchar": "VARCHAR", "date": "DATE",
    "timestamp": "TIMESTAMP", "timestamp with time zone": "TIMESTAMPTZ", "json": "JSON",
}  # fmt: skip
"""Trino's names of the types that a text can be read as, and DuckDB's. Also decimal(p, s)."""
_DECIMAL = re.compile(r"decimal\((\d{1,2}),\s*(\d{1,2})\)")
FORMATS = ("csv", "tsv", "json", "parquet")


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """How the texts of a column are read. `kind` is the type as DuckDB names it."""

    kind: str
    format: str = ""
    """As `strptime` has it; empty: ISO."""
    time_zone: str = ""
    """Of times without an offset, where the type has one."""
    decimal_comma: bool = False


@dataclass(frozen=True, slots=True)
class TableDefinition:
    """What `tables.toml` says of a table. Everything is optional; `problem` is what is wrong."""

    files: tuple[str, ...] = ()
    format: str = ""
    delimiter: str = ""
    quote: str | None = None
    escape: str = ""
    header: bool | None = None
    names: tuple[str, ...] = ()
    encoding: str = ""
    comment: str = ""
    nulls: tuple[str, ...] = ()
    columns: Mapping[str, ColumnRule] = field(default_factory=dict)
    """By lower-case name."""
    deleted: str = ""
    problem: str = ""


class _WrongError(Exception):
    """A value that a key cannot have; the message says what it can."""


def read_definitions(directory: Path) -> dict[str, TableDefinition]:
    """The definitions of a data directory by lower-case table name; empty when there are none."""
    path = directory / FILE_NAME
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        text = data.decode()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError):
        return {}
    return parse_definitions(text)


def parse_definitions(text: str) -> dict[str, TableDefinition]:
    """As `read_definitions`, of the file's text."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem = f"'{FILE_NAME}' is not TOML: {error}"
        return {name: TableDefinition(problem=problem) for name in _names_in(text)}
    tables = data.get("tables", {})
    if not isinstance(tables, dict):
        return {}
    return {
        str(name).lower(): _definition(text, str(name), entry) for name, entry in tables.items()
    }


def _names_in(text: str) -> list[str]:
    found = re.findall(r'^\s*\[tables\.(?:"([^"]+)"|([\w-]+))', text, re.M)
    return [(quoted or bare).lower() for quoted, bare in found]


def _definition(text: str, name: str, entry: Any) -> TableDefinition:
    if not isinstance(entry, dict):
        return TableDefinition(problem=f"'{FILE_NAME}': tables.{name} must be a table of keys")
    defaults = {key: entry[key] for key in _COLUMN_DEFAULTS if key in entry}
    values: dict[str, Any] = {}
    for key, value in entry.items():
        try:
            read = _value(key, value, defaults)
        except _WrongError as wrong:
            line, column = position_of(text, name, key)
            where = f"'{FILE_NAME}' line {line} column {column}"
            return TableDefinition(problem=f"{where}: {wrong}")
        if key not in _COLUMN_DEFAULTS:
            values[key] = read
    return TableDefinition(**values)


def _value(key: str, value: Any, defaults: Mapping[str, Any]) -> Any:
    if key == "columns":
        return _columns(value, defaults)
    check = _KEYS.get(key) or _COLUMN_DEFAULTS.get(key)
    if check is None:
        known = ", ".join(sorted((*_KEYS, *_COLUMN_DEFAULTS, "columns")))
        raise _WrongError(f"there is no key '{key}'; there are {known}")
    return check(value)


def position_of(text: str, table: str, key: str) -> tuple[int, int]:
    """Line and column, from 1, of a key of a table's section; of the section if it is not found."""
    bare = re.escape(table)
    section = re.compile(rf'^\s*\[tables\.(?:"{bare}"|{bare})(?:\.[\w"]+)?\]', re.I)
    inside = False
    first = (1, 1)
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("["):
            inside = bool(section.match(line))
            if inside and first == (1, 1):
                first = (number, line.index("[") + 1)
            if inside and re.search(rf"\.{re.escape(key)}\]", line):
                return number, line.index(key) + 1
        elif inside and re.match(rf'\s*"?{re.escape(key)}"?\s*=', line):
            return number, line.index(key) + 1
    return first


# --- values -------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _WrongError("a text is wanted")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _WrongError("true or false is wanted")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _WrongError("a list of texts is wanted")
    return tuple(value)


def _files(value: Any) -> tuple[str, ...]:
    found = _texts(value)
    for pattern in found:
        if pattern.startswith("/") or ".." in Path(pattern).parts or not pattern:
            raise _WrongError("files are named from the data directory on, without '..'")
    return found


def _character(value: Any) -> str:
    found = _text(value)
    if len(found.encode()) != 1:
        raise _WrongError("one ASCII character is wanted")
    return found


def _optional_character(value: Any) -> str:
    return "" if value == "" else _character(value)


def _format(value: Any) -> str:
    if value not in FORMATS:
        raise _WrongError(f"a format is one of {', '.join(FORMATS)}")
    return str(value)


def _encoding(value: Any) -> str:
    try:
        return codecs.lookup(_text(value)).name
    except LookupError:
        raise _WrongError("no encoding has this name; try utf-8, utf-16 or windows-1252") from None


def _zone(value: Any) -> str:
    try:
        ZoneInfo(_text(value))
    except (ValueError, OSError, LookupError):
        raise _WrongError("no time zone has this name; try Europe/Amsterdam") from None
    return str(value)


def _time_format(value: Any) -> str:
    found = _text(value)
    if "%" not in found:
        raise _WrongError("a format is made of %d, %m, %Y, %H, %M, %S")
    return found


def _type(value: Any) -> str:
    found = " ".join(_text(value).lower().split())
    decimal = _DECIMAL.fullmatch(found)
    if decimal and 1 <= int(decimal[1]) <= 38 and int(decimal[2]) <= int(decimal[1]):
        return f"DECIMAL({int(decimal[1])},{int(decimal[2])})"
    if found not in _TYPES:
        raise _WrongError(f"a type is one of {', '.join(_TYPES)} or decimal(p, s)")
    return _TYPES[found]


def _columns(value: Any, defaults: Mapping[str, Any]) -> dict[str, ColumnRule]:
    if not isinstance(value, dict):
        raise _WrongError("a table of names and types is wanted")
    return {str(name).lower(): _column(str(name), rule, defaults) for name, rule in value.items()}


def _column(name: str, rule: Any, defaults: Mapping[str, Any]) -> ColumnRule:
    entry = rule if isinstance(rule, dict) else {"type": rule}
    unknown = entry.keys() - {"type", "format", "time_zone", "decimal_comma"}
    if unknown or "type" not in entry:
        raise _WrongError(f"column '{name}' has type, format, time_zone and decimal_comma alone")
    try:
        kind = _type(entry["type"])
        usual = {"DATE": "date_format", "TIMESTAMP": "timestamp_format"}
        usual["TIMESTAMPTZ"] = "timestamp_format"
        time_format = entry.get("format", defaults.get(usual.get(kind, ""), ""))
        zone = entry.get("time_zone", defaults.get("time_zone", ""))
        comma = entry.get("decimal_comma", defaults.get("decimal_comma", False))
        return ColumnRule(
            kind,
            _time_format(time_format) if time_format else "",
            _zone(zone) if zone else "",
            _flag(comma),
        )
    except _WrongError as wrong:
        raise _WrongError(f"column '{name}': {wrong}") from wrong


_KEYS: Mapping[str, Callable[[Any], Any]] = {
    "files": _files,
    "format": _format,
    "delimiter": _character,
    "quote": _optional_character,
    "escape": _character,
    "header": _flag,
    "names": _texts,
    "encoding": _encoding,
    "comment": _character,
    "nulls": _texts,
    "deleted": _text,
}
_COLUMN_DEFAULTS: Mapping[str, Callable[[Any], Any]] = {
    "decimal_comma": _flag,
    "date_format": _time_format,
    "timestamp_format": _time_format,
    "time_zone": _zone,
}
"""Of columns whose type is defined, unless the column says otherwise."""

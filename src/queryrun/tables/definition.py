"""Definitions of tables: `tables.toml` in an entity's data directory, for what no file says.

A definition holds for one table. What is wrong in it is a problem of that table alone, named with
line and column. A file that is no TOML is a problem of every table that it seems to name, and what
is of no table is a problem of all: nobody can tell which of them it was meant for.
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

from queryrun.tables.shortage import raise_if_short

FILE_NAME = "tables.toml"
MAX_BYTES = 1024**2
_TYPES = {
    "boolean": "BOOLEAN", "tinyint": "TINYINT", "smallint": "SMALLINT", "integer": "INTEGER",
    "bigint": "BIGINT", "real": "FLOAT", "double": "DOUBLE", "varchar": "VARCHAR", "date": "DATE",
    "timestamp": "TIMESTAMP", "timestamp with time zone": "TIMESTAMPTZ", "json": "JSON",
}  # fmt: skip
"""Trino's names of the types that a text can be read as, and DuckDB's. Also decimal(p, s)."""
_SYNONYMS = {
    "int": "integer",
    "timestamp(6)": "timestamp",
    "timestamp(6) with time zone": "timestamp with time zone",
}
_DECIMAL = re.compile(r"decimal\((\d{1,2})(?:,\s*(\d{1,2}))?\)")
FORMATS = ("csv", "tsv", "json", "parquet")
ALL_TABLES = "*"
"""The key of a definition whose problem is every table's: no file makes a table of this name."""
_DIRECTIVES = frozenset("aAbBcdfgHIjmMpSUwWxXyYzZ%") | {
    "-d",
    "-H",
    "-I",
    "-j",
    "-m",
    "-M",
    "-S",
    "-y",
}
"""Of a time's format, behind the `%`."""


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
    partitioning: Mapping[str, str] | None = None
    """The types, as DuckDB names them, of the columns that directories give, by their names; empty
    for a type that follows from the values. None: those of `key=value` directories."""
    keys: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Those that were given and that not every format has (`problem_of_other_formats`), with line
    and column."""
    problem: str = ""


class _WrongError(Exception):
    """A value that a key cannot have; the message says what it can. `column`: of which column."""

    column = ""


def read_definitions(directory: Path) -> dict[str, TableDefinition]:
    """The definitions of a data directory by lower-case table name; empty when there are none.

    One under `ALL_TABLES` has a `problem` that is every table's.
    """
    path = directory / FILE_NAME
    if path.is_dir():
        return {}
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise_if_short(error)
        return _of_all(f"'{FILE_NAME}' cannot be read ({error.strerror})")
    if len(data) > MAX_BYTES:
        return _of_all(f"'{FILE_NAME}' is larger than {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return _of_all(f"'{FILE_NAME}' line {line} is not UTF-8; save it as UTF-8")
    return parse_definitions(text)


def _of_all(problem: str) -> dict[str, TableDefinition]:
    return {ALL_TABLES: TableDefinition(problem=problem)}


def parse_definitions(text: str) -> dict[str, TableDefinition]:
    """As `read_definitions`, of the file's text."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem = f"'{FILE_NAME}' is not TOML: {error}"
        names = _names_in(text)
        return {name: TableDefinition(problem=problem) for name in names} or _of_all(problem)
    found = _misplaced(text, data)
    tables = data.get("tables", {})
    for name, entry in tables.items() if isinstance(tables, dict) else ():
        key = str(name).lower()
        if key in found and not found[key].problem:
            found[key] = TableDefinition(problem=f"'{FILE_NAME}' defines '{key}' twice")
        found.setdefault(key, _definition(text, str(name), entry))
    return found


def _misplaced(text: str, data: Mapping[str, Any]) -> dict[str, TableDefinition]:
    """What stands outside of `tables`: `[table.x]` was most likely meant for the table `x`."""
    found: dict[str, TableDefinition] = {}
    for section, value in data.items():
        if section == "tables" and isinstance(value, dict):
            continue
        line, column = _position_of_section(text, section)
        where = f"'{FILE_NAME}' line {line} column {column}"
        wrong = TableDefinition(problem=f"{where}: there is only [tables.NAME], not '{section}'")
        names = [str(name).lower() for name, entry in _items(value) if isinstance(entry, dict)]
        found.update(dict.fromkeys(names or [ALL_TABLES], wrong))
    return found


def _items(value: Any) -> list[tuple[Any, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def _position_of_section(text: str, section: str) -> tuple[int, int]:
    pattern = re.compile(rf'^\s*\[*\s*"?({re.escape(section)})\b')
    for number, line in enumerate(text.splitlines(), 1):
        if match := pattern.match(line):
            return number, match.start(1) + 1
    return 1, 1


def _names_in(text: str) -> list[str]:
    found = re.findall(r'^\s*\[?\s*tables\.(?:"([^"]+)"|([\w-]+))', text, re.M)
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
            line, column = position_of(text, name, wrong.column or key)
            where = f"'{FILE_NAME}' line {line} column {column}"
            return TableDefinition(problem=f"{where}: {wrong}")
        if key not in _COLUMN_DEFAULTS:
            values[key] = read
    given = [key for key in (*_TEXT_KEYS, *_DELIMITED_KEYS) if key in entry]
    keys = {key: position_of(text, name, key) for key in given}
    return _consistent(TableDefinition(**values, keys=keys))


def _consistent(found: TableDefinition) -> TableDefinition:
    """Characters that stand for two things would be read as either, and an escape that there is no
    quote for would be passed over."""
    marks = [found.delimiter, '"' if found.quote is None else found.quote, found.escape]
    given = [mark for mark in (*marks, found.comment) if mark]
    problem = "delimiter, quote, escape and comment must differ"
    if found.escape and found.quote == "":
        problem = "escape says nothing where quote is empty"
    elif len(set(given)) == len(given):
        return found
    line, column = max(at for key, at in found.keys.items() if key in _MARKS)
    return TableDefinition(problem=f"'{FILE_NAME}' line {line} column {column}: {problem}")


def _value(key: str, value: Any, defaults: Mapping[str, Any]) -> Any:
    if key == "columns":
        return _columns(value, defaults)
    check = _KEYS.get(key) or _COLUMN_DEFAULTS.get(key)
    if check is None:
        known = ", ".join(sorted((*_KEYS, *_COLUMN_DEFAULTS, "columns")))
        raise _WrongError(f"there is no key '{key}'; there are {known}")
    return check(value)


def position_of(text: str, table: str, key: str) -> tuple[int, int]:
    """Line and column, from 1, of a key of a table's section; of the section if it is not found.

    Finds `key` below `[tables.NAME]`, in `tables.NAME.key = …` and in `NAME = { key = … }`.
    """
    bare, escaped = re.escape(table), re.escape(key)
    named = rf'(?:"{bare}"|{bare})'
    below = r'(?:\.(?:"[^"]*"|[\w-]+))*'
    section = re.compile(rf"^\s*\[\s*tables\.{named}{below}\s*\]", re.I)
    dotted = re.compile(rf'^\s*(?:tables\.)?{named}\s*[.=].*?(?<![\w])"?({escaped})"?\s*[.=]', re.I)
    own = re.compile(rf'^\s*(?:columns\.)?"?({escaped})"?\s*[.=]')
    inside = False
    first = (1, 1)
    for number, line in enumerate(text.splitlines(), 1):
        match = dotted.match(line)
        if line.lstrip().startswith("["):
            inside = bool(section.match(line))
            if inside and first == (1, 1):
                first = (number, line.index("[") + 1)
            match = re.search(rf'\."?({escaped})"?\s*\]', line) if inside else None
        elif inside:
            match = own.match(line) or re.match(rf'^.*[{{,]\s*"?({escaped})"?\s*=', line)
        if match:
            return number, match.start(1) + 1
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
    if len(found.encode()) != 1 or (not found.isprintable() and found in "\0\r\n"):
        raise _WrongError("one ASCII character is wanted, and no line end")
    return found


def _optional_character(value: Any) -> str:
    return "" if value == "" else _character(value)


def _format(value: Any) -> str:
    if value not in FORMATS:
        raise _WrongError(f"a format is one of {', '.join(FORMATS)}")
    return str(value)


def _encoding(value: Any) -> str:
    try:
        found = codecs.lookup(_text(value))
        is_of_text = getattr(found, "_is_text_encoding", False)  # not base64, zlib and the like
        found.incrementaldecoder("strict").decode(b"", final=True)
    except (LookupError, ValueError, TypeError, AttributeError):
        is_of_text = False
    if not is_of_text or found.name in _NOT_OF_FILES:
        raise _WrongError("no encoding has this name; try utf-8, utf-16 or windows-1252")
    return found.name


_NOT_OF_FILES = {"unicode-escape", "raw-unicode-escape", "idna", "punycode", "undefined", "mbcs"}


def _zone(value: Any) -> str:
    try:
        ZoneInfo(_text(value))
    except (ValueError, OSError, LookupError) as error:
        raise_if_short(error)
        raise _WrongError("no time zone has this name; try Europe/Amsterdam") from None
    return str(value)


def _time_format(value: Any) -> str:
    found = _text(value)
    used = re.findall(r"%(-?.?)", found)
    if not used or any(directive not in _DIRECTIVES for directive in used):
        raise _WrongError("a format is made of %d, %m, %Y, %H, %M, %S and their like")
    return found


def _type(value: Any) -> str:
    found = " ".join(_text(value).lower().split())
    found = _SYNONYMS.get(found, found)
    decimal = _DECIMAL.fullmatch(found)
    if decimal and 1 <= int(decimal[1]) <= 38 and int(decimal[2] or 0) <= int(decimal[1]):
        return f"DECIMAL({int(decimal[1])},{int(decimal[2] or 0)})"
    if found not in _TYPES:
        raise _WrongError(f"a type is one of {', '.join(_TYPES)} or decimal(p, s)")
    return _TYPES[found]


def _partitioning(value: Any) -> dict[str, str]:
    if not isinstance(value, dict | list):
        raise _WrongError("a list of names, or a table of names and types, is wanted")
    found: dict[str, str] = {}
    for name in _texts(list(value)):
        if not name or name.lower() in map(str.lower, found):
            raise _WrongError("each name is given once, and none is empty")
        found[name] = _partition_type(name, value[name]) if isinstance(value, dict) else ""
    return found


def _partition_type(name: str, value: Any) -> str:
    if value not in ("bigint", "date", "varchar"):
        raise _of_column(name, "the type of a directory's values is bigint, date or varchar")
    return _TYPES[value]


def _columns(value: Any, defaults: Mapping[str, Any]) -> dict[str, ColumnRule]:
    if not isinstance(value, dict):
        raise _WrongError("a table of names and types is wanted")
    found: dict[str, ColumnRule] = {}
    for name, rule in value.items():
        if str(name).lower() in found:
            raise _of_column(str(name), "it is defined twice")
        found[str(name).lower()] = _column(str(name), rule, defaults)
    return found


def _of_column(name: str, problem: object) -> _WrongError:
    wrong = _WrongError(f"column '{name}': {problem}")
    wrong.column = name
    return wrong


def _require_offset(kind: str, time_format: str, *, is_zoned: bool) -> None:
    """No offset is dropped, and no zone is assumed."""
    has_offset = has_offsets(time_format)
    if has_offset and kind != "TIMESTAMPTZ":
        raise _WrongError("a format with %z is one of the type timestamp with time zone")
    if kind == "TIMESTAMPTZ" and time_format and not has_offset and not is_zoned:
        raise _WrongError("its format has no %z, so it needs a time_zone")


def has_offsets(time_format: str) -> bool:
    """Whether times of this format say their offset or zone."""
    return re.search("%[zZ]", time_format) is not None


_OF_TYPES = {
    "format": ("DATE", "TIMESTAMP", "TIMESTAMPTZ"),
    "time_zone": ("TIMESTAMPTZ",),
    "decimal_comma": ("FLOAT", "DOUBLE", "DECIMAL", "TINYINT", "SMALLINT", "INTEGER", "BIGINT"),
}
"""What a column may say for itself, by its type. Of a table's defaults those that fit are taken."""


def _require_meaning(kind: str, entry: Mapping[str, Any]) -> None:
    """What says nothing of a type is refused, and not passed over in silence."""
    for key, types in _OF_TYPES.items():
        if key in entry and kind.partition("(")[0] not in types:
            raise _WrongError(f"{key} says nothing of the type {entry['type']}")


def _column(name: str, rule: Any, defaults: Mapping[str, Any]) -> ColumnRule:
    entry = rule if isinstance(rule, dict) else {"type": rule}
    unknown = entry.keys() - {"type", "format", "time_zone", "decimal_comma"}
    if unknown or "type" not in entry:
        raise _of_column(name, "there are type, format, time_zone and decimal_comma alone")
    try:
        kind = _type(entry["type"])
        _require_meaning(kind, entry)
        usual = {"DATE": "date_format", "TIMESTAMP": "timestamp_format"}
        usual["TIMESTAMPTZ"] = "timestamp_format"
        time_format = entry.get("format", defaults.get(usual.get(kind, ""), ""))
        zone = entry.get("time_zone", defaults.get("time_zone", ""))
        comma = entry.get("decimal_comma", defaults.get("decimal_comma", False))
        _require_offset(kind, str(time_format), is_zoned=bool(zone))
        return ColumnRule(
            kind,
            _time_format(time_format) if time_format else "",
            _zone(zone) if zone else "",
            _flag(comma),
        )
    except _WrongError as wrong:
        raise _of_column(name, wrong) from wrong


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
    "partitioning": _partitioning,
}
_COLUMN_DEFAULTS: Mapping[str, Callable[[Any], Any]] = {
    "decimal_comma": _flag,
    "date_format": _time_format,
    "timestamp_format": _time_format,
    "time_zone": _zone,
}
"""Of columns whose type is defined, unless the column says otherwise."""
_MARKS = frozenset({"delimiter", "quote", "escape", "comment"})
_DELIMITED_KEYS = ("delimiter", "quote", "escape", "header", "names", "comment", "nulls")
_TEXT_KEYS = ("encoding", "columns", *_COLUMN_DEFAULTS)


def problem_of_other_formats(definition: TableDefinition, kind: str, label: str) -> str:
    """What is wrong with keys that say nothing of a table of this format, which would be passed
    over in silence; empty when there are none."""
    own = _TEXT_KEYS if kind == "json" else ()
    others = sorted(definition.keys.keys() - set(own))
    if not others or kind in {"csv", "tsv"}:
        return ""
    line, column = min(definition.keys[key] for key in others)
    where = f"'{FILE_NAME}' line {line} column {column}"
    return f"{where}: it is given {', '.join(others)}, which says nothing of {label} files"

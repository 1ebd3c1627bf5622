"""Whether a text can stand behind a type's name: `DATE '2020-02-30'` is refused before any row."""

from __future__ import annotations

import re
from datetime import date

from queryrun.sql.compile.cast_site import PATTERNS, WHITE_SPACE
from queryrun.sql.compile.types import Type

_BITS = {"tinyint": 8, "smallint": 16, "integer": 32, "bigint": 64}
_MAX_DIGITS = 19
"""Of a bigint."""
_BLANKS = "".join(map(chr, WHITE_SPACE))
_TRUTHS = {"t", "true", "1", "f", "false", "0"}
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_DATE = re.compile(r"[+-]?([0-9]+)-([0-9]{1,2})-([0-9]{1,2})")


def is_literal(written: str, kind: Type) -> bool:
    """Whether a text is a value of this type; of the types that are not looked at, any is."""
    match kind.name:
        case "boolean":
            return written.lower() in _TRUTHS
        case "date":
            return _is_date(written.strip(_BLANKS))
        case "real" | "double":
            return re.fullmatch(PATTERNS["number"], written) is not None
        case "uuid":
            return _UUID.fullmatch(written) is not None
        case name if name in _BITS:
            return _is_whole(written, 2 ** (_BITS[name] - 1))
    return True


def _is_whole(written: str, limit: int) -> bool:
    if not re.fullmatch(PATTERNS["integer"], written, re.ASCII):
        return False
    bare = written.strip()
    digits = bare.lstrip("+-").lstrip("0")
    if len(digits) > _MAX_DIGITS:
        return False
    number = int(digits or 0)
    return number <= limit if bare.startswith("-") else number < limit


def _is_date(written: str) -> bool:
    """Of any year, also of one that no engine has: the calendar comes again after 400 years."""
    match = _DATE.fullmatch(written)
    if match is None:
        return False
    year, month, day = (int(part[-6:]) for part in match.groups())
    try:
        date(year % 400 + 400, month, day)
    except ValueError:
        return False
    return True

"""How a cast behaves where it stands, and the texts that Trino reads."""

from __future__ import annotations

from dataclasses import dataclass

from queryrun.sql.compile import moments

WHITE_SPACE = [
    *range(9, 14),
    *range(28, 33),
    0x1680,
    *range(0x2000, 0x2007),
    *range(0x2008, 0x200B),
    0x2028,
    0x2029,
    0x205F,
    0x3000,
]
"""What Java takes for white space."""
PATTERNS = {
    "integer": r"\s*[+-]?[0-9]+\s*",
    "date": r"\s*[+]?0*[0-9]{1,4}-[0-9]{1,2}-[0-9]{1,2}\s*",
    "timestamp": r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
    r"( [0-9]{1,2}:[0-9]{1,2}(:[0-9]{1,2}(\.[0-9]{1,12})?)?)?",
    "time": moments.PATTERN,
    "number": r"\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?[dDfF]?\s*"
    r"|[+-]?(NaN|Infinity)",
    "decimal": r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?",
}


@dataclass(frozen=True, slots=True)
class CastSite:
    """How a cast behaves: `is_safe` gives NULL for what cannot be cast; `zone` is the session's."""

    is_safe: bool = False
    in_try: bool = False
    zone: str = "UTC"

"""Patterns of dates, regular expressions and JSON paths, from Trino's spelling to Spark's.

Spark's date patterns are those of Java's DateTimeFormatter, Trino's are MySQL's and Joda's.
"""

from __future__ import annotations

import re

from queryrun.sql.compile.pattern_texts import UntranslatableError, json_path

_MYSQL = {
    "a": "EEE", "b": "MMM", "c": "M", "d": "dd", "e": "d", "f": "SSSSSS", "H": "HH", "h": "hh",
    "I": "hh", "i": "mm", "j": "DDD", "k": "H", "l": "h", "M": "MMMM", "m": "MM", "p": "a",
    "r": "hh:mm:ss a", "S": "ss", "s": "ss", "T": "HH:mm:ss", "W": "EEEE", "Y": "yyyy", "y": "yy",
    "%": "'%'",
}  # fmt: skip
_JODA = frozenset(
    [
        "yyyy", "y", "yy", "YYYY", "MM", "M", "MMM", "MMMM", "dd", "d", "HH", "H", "hh", "h",
        "mm", "m", "ss", "s", "SSS", "a", "E", "EEE", "EEEE", "DDD", "D",
    ]
)  # fmt: skip
_OTHERWISE_IN_JAVA = {"YYYY": "yyyy", "y": "yyyy"}
_JODA_PART = re.compile(r"'(?P<quoted>(?:[^']|'')*)'|(?P<letters>([A-Za-z])\3*)|.", re.S)
_UNLIKE = re.compile(r"\\[GZXRkN]|\\p\{Is|&&|\(\?[a-zA-Z]*[xudU]|\\x\{")
"""What Java's regular expressions read otherwise than Joni's, or may."""
_BY_UNICODE = re.compile(r"\\[wWdDsSbBp]|\(\?[a-z]*i")
"""What means ASCII for Java unless told, and never for Joni."""


def mysql_format(pattern: str) -> str:
    """`%Y-%m-%d %H:%i` of date_format and date_parse."""
    return _joined(_mysql_parts(pattern))


def _mysql_parts(pattern: str) -> list[tuple[str, bool]]:
    parts, at = [], 0
    while at < len(pattern):
        if pattern[at] != "%":
            parts.append((pattern[at], False))
        else:
            at += 1
            letter = pattern[at : at + 1]
            if letter not in _MYSQL:
                raise UntranslatableError(f"%{letter} in a date pattern")
            parts.append((_MYSQL[letter], True))
        at += 1
    return parts


def joda_format(pattern: str) -> str:
    """`yyyy-MM-dd'T'HH:mm` of format_datetime and parse_datetime."""
    return _joined(_joda_parts(pattern))


def apart_from_zones(pattern: str) -> list[str]:
    """The pattern cut at its zones (`Z`, `ZZ`, `ZZZ`), which are parts of their own."""
    parts = [""]
    for match in _JODA_PART.finditer(pattern):
        if (match["letters"] or "").startswith("Z"):
            parts += [match.group(), ""]
        else:
            parts[-1] += match.group()
    return parts


def _joda_parts(pattern: str) -> list[tuple[str, bool]]:
    parts = []
    for match in _JODA_PART.finditer(pattern):
        letters, quoted = match["letters"], match["quoted"]
        if letters:
            if letters not in _JODA:
                raise UntranslatableError(f"{letters} in a date pattern")
            parts.append((_OTHERWISE_IN_JAVA.get(letters, letters), True))
        elif quoted is not None:
            parts.append((quoted.replace("''", "'") or "'", False))
        else:
            parts.append((match.group(), False))
    return parts


def _joined(parts: list[tuple[str, bool]]) -> str:
    """Fields and text next to each other; two fields of the same letter would become one."""
    out, text = [], ""
    for part, is_field in [*parts, ("", True)]:
        if not is_field:
            text += part
            continue
        if text:
            out.append("'" + text.replace("'", "''") + "'")
            text = ""
        if out and part and out[-1][-1] == part[0]:
            raise UntranslatableError("Such a date pattern")
        out.append(part)
    return "".join(out)


def lenient(pattern: str) -> str:
    """A pattern to read with: months and days of one digit count too, where nothing follows."""
    return re.sub(r"(?<![A-Za-z])(MM|dd|HH|hh|mm|ss)(?![A-Za-z])", lambda m: m[1][0], pattern)


def regex(pattern: str) -> str:
    """A pattern that Java reads as Joni, which Trino has, reads the one given."""
    if _UNLIKE.search(pattern):
        raise UntranslatableError("Such a regular expression")
    return f"(?U){pattern}" if _BY_UNICODE.search(pattern) else pattern


def groups_of(pattern: str) -> int:
    """How many groups a pattern has, which Python knows where it reads the pattern at all."""
    try:
        return re.compile(re.sub(r"\(\?<([A-Za-z])", r"(?P<\1", pattern)).groups
    except re.error:
        raise UntranslatableError("Such a regular expression") from None


def variant_path(path: str) -> str:
    """A JSON path without wildcards and filters."""
    return re.sub(r'\."([^"]*)"', r'["\1"]', json_path(path))

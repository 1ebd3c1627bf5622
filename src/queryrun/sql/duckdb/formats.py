"""Patterns of dates, regular expressions and JSON paths, from Trino's spelling to DuckDB's."""

from __future__ import annotations

import re
from dataclasses import dataclass

from queryrun.sql.compile.pattern_texts import UntranslatableError

_MYSQL = {
    "a": "%a", "b": "%b", "c": "%-m", "d": "%d", "e": "%-d", "f": "%f", "H": "%H", "h": "%I",
    "I": "%I", "i": "%M", "j": "%j", "k": "%-H", "l": "%-I", "M": "%B", "m": "%m", "p": "%p",
    "r": "%I:%M:%S %p", "S": "%S", "s": "%S", "T": "%H:%M:%S", "W": "%A", "x": "%G", "v": "%V",
    "Y": "%Y", "y": "%y", "%": "%%",
}  # fmt: skip
_JODA = {
    "yyyy": "%Y", "y": "%Y", "yy": "%y", "YYYY": "%Y", "MM": "%m", "M": "%-m", "MMM": "%b",
    "MMMM": "%B", "dd": "%d", "d": "%-d", "HH": "%H", "H": "%-H", "hh": "%I", "h": "%-I",
    "mm": "%M", "m": "%-M", "ss": "%S", "s": "%-S", "SSS": "%g", "a": "%p", "E": "%a",
    "EEE": "%a", "EEEE": "%A", "DDD": "%j", "D": "%-j", "xxxx": "%G", "ww": "%V",
}  # fmt: skip
_NOT_IN_RE2 = re.compile(r"\(\?[=!>]|\(\?<[=!]|[*+?}]\+|\\[1-9kGZXR]|\\p\{Is|&&|\(\?>")
_CLASS_PART = re.compile(r"\\.|\[:\^?\w+:\]|\[\^?\]?|\]|[^\\\[\]]+", re.S)


def mysql_format(pattern: str) -> str:
    """`%Y-%m-%d %H:%i` of date_format and date_parse as strftime writes it."""
    out, at = [], 0
    while at < len(pattern):
        if pattern[at] != "%":
            out.append(pattern[at])
        else:
            at += 1
            letter = pattern[at : at + 1]
            if letter and letter not in "DUuVwX" and letter not in _MYSQL:
                out.append(letter)
                at += 1
                continue
            if letter not in _MYSQL:
                raise UntranslatableError(f"%{letter} in a date pattern")
            out.append(_MYSQL[letter])
        at += 1
    return "".join(out)


_SHAPES = {
    "y": r"\d{2}", "f": r"\d{1,9}", "p": "[AaPp][Mm]", "%": "%", "T": r"\d+:\d+:\d+",
    "r": r"\d+:\d+:\d+ [AaPp][Mm]", "a": r"\pL+", "b": r"\pL+", "M": r"\pL+", "W": r"\pL+",
}  # fmt: skip
"""What a letter of `date_parse` reads that is no plain number."""


def mysql_shape(pattern: str) -> str:
    """A regular expression for the texts that a pattern of `date_parse` can read."""
    found = []
    for letter, other in re.findall(r"%(.)|([^%]+|%$)", pattern, re.S):
        if letter and letter not in _MYSQL:
            other = letter
        shape = "(?i:" + re.escape(other) + ")" if other else _SHAPES.get(letter, r"\d+")
        found.append(shape)
    return "".join(found)


@dataclass(frozen=True, slots=True)
class JodaPart:
    """A run of one letter that `strftime` lacks, or everything between two such runs."""

    letters: str = ""
    strftime: str = ""


_NOT_IN_STRFTIME = re.compile(
    r"(?P<letters>Z+|z+|G+|C+|K+|k+|e+|S+|y{3}|yyyyy+|Y{1,3}|YYYYY+|x{1,3}|w(?!w)|wwww*)"
)


def joda_parts(pattern: str) -> list[JodaPart]:
    """The pattern of `format_datetime`, cut at what `strftime` does not print."""
    found = []
    for run in re.finditer(r"'(?:[^']|'')*'|([A-Za-z])\1*|[^A-Za-z']+", pattern):
        is_apart = _NOT_IN_STRFTIME.fullmatch(run[0]) and run[0] not in _JODA
        if is_apart:
            found.append(JodaPart(letters=run[0]))
        else:
            found.append(JodaPart(strftime=joda_format(run[0])))
    return found


def joda_format(pattern: str) -> str:
    """`yyyy-MM-dd'T'HH:mm` of format_datetime and parse_datetime as strftime writes it."""
    out = []
    for match in re.finditer(
        r"'(?P<quoted>(?:[^']|'')*)'|(?P<letters>([A-Za-z])\3*)|.", pattern, re.S
    ):
        if match["letters"]:
            if match["letters"] not in _JODA:
                raise UntranslatableError(f"{match['letters']} in a date pattern")
            out.append(_JODA[match["letters"]])
        elif match["quoted"] is not None:
            out.append(match["quoted"].replace("''", "'").replace("%", "%%") or "'")
        else:
            out.append(match.group().replace("%", "%%"))
    return "".join(out)


def regex(pattern: str) -> str:
    """A pattern of Java's that RE2 reads the same way. Raises `UntranslatableError`."""
    if _NOT_IN_RE2.search(pattern) or _has_class_in_class(pattern):
        raise UntranslatableError("A regular expression with look-around, references or the like")
    return re.sub(r"\(\?<([A-Za-z]\w*)>", r"(?P<\1>", pattern)


def _has_class_in_class(pattern: str) -> bool:
    """`[a[bc]]`: a union for Trino; RE2 reads a class of `a`, `[`, `b` and `c`, and then `]`."""
    is_inside = False
    for part in _CLASS_PART.findall(pattern):
        if part.startswith("[") and not part.startswith("[:"):
            if is_inside:
                return True
            is_inside = True
        elif part == "]":
            is_inside = False
    return False


def groups_of(pattern: str) -> int:
    """How many groups a pattern has."""
    return len(re.findall(r"(?<!\\)\((?!\?)|\(\?P?<[A-Za-z]", pattern))


def replacement(written: str, groups: int = 9) -> str:
    """`$1` and `\\$` of a Java replacement as RE2 writes them. `groups`: how many there are."""
    out, at = [], 0
    while at < len(written):
        character, follower = written[at], written[at + 1 : at + 2]
        if character == "\\":
            out.append("\\\\" if follower == "\\" else follower)
            at += 1
        elif character == "$":
            if not follower.isdigit():
                raise UntranslatableError("A replacement that names its groups")
            if follower == "0" and written[at + 2 : at + 3].isdigit():
                raise UntranslatableError("A replacement with $0 before a digit")
            if int(follower) > groups or (groups > 9 and written[at + 2 : at + 3].isdigit()):
                raise UntranslatableError(f"A replacement with ${follower}, or so many groups,")
            out.append(f"\\{follower}")
            at += 1
        else:
            out.append(character)
        at += 1
    return "".join(out)

"""Regular expressions that RE2 reads another way or not at all: look-around, empty matches, groups.

Trino's are Joni's with Java's syntax: `\\w`, `\\d`, `\\s` and `\\b` are ASCII, case is Unicode's.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from functools import lru_cache

from queryrun.engines.duckdb.functions.registry import (
    InputError,
    UnsupportedError,
    worker_function,
)

_WORD, _DIGIT, _SPACE = "A-Za-z0-9_", "0-9", r" \t\n\x0b\f\r"
_CLASSES = {"w": _WORD, "d": _DIGIT, "s": _SPACE}
_EDGE = f"(?:(?<=[{_WORD}])(?![{_WORD}])|(?<![{_WORD}])(?=[{_WORD}]))"
_INSIDE = f"(?:(?<=[{_WORD}])(?=[{_WORD}])|(?<![{_WORD}])(?![{_WORD}]))"
_PART = re.compile(
    r"\\(?P<escape>.)|\(\?<(?P<group>[A-Za-z]\w*)>|(?P<open>\[\^?)|(?P<close>\])|(?P<rest>&&|.)",
    re.S,
)
_SAME = frozenset("tnrfvaxuU.^$|()[]{}*+?\\/-,:;\"'!@#%&=~`<> 0123456789AZ")
"""What may follow a backslash in both languages."""


def translated(pattern: str) -> str:
    """A pattern of Java's as Python reads it the same way. `[a[bc]]` is a union: `[abc]`."""
    out: list[str] = []
    depth, is_negated = 0, False
    for match in _PART.finditer(pattern):
        if match["escape"] is not None:
            out.append(_escaped(match["escape"], is_inside=depth > 0))
        elif match["group"]:
            out.append(f"(?P<{match['group']}>")
        elif match["open"] and depth == 0:
            depth, is_negated = 1, match["open"] == "[^"
            out.append(match["open"])
        elif match["open"] == "[" and not is_negated:
            depth += 1
        elif match["close"] and depth:
            depth -= 1
            out.append("" if depth else "]")
        elif match[0] == "&&" or match["open"]:
            raise UnsupportedError("A regular expression with a class in a class")
        else:
            out.append(match[0])
    return "".join(out)


def _escaped(letter: str, *, is_inside: bool) -> str:
    if letter.lower() in "wds":
        members = _CLASSES[letter.lower()]
        if letter.islower():
            return members if is_inside else f"[{members}]"
        if not is_inside:
            return f"[^{members}]"
    if letter in "bB" and not is_inside:
        return _EDGE if letter == "b" else _INSIDE
    if letter == "z" and not is_inside:
        return r"\Z"
    if letter == "Z" and not is_inside:
        return r"(?=\n?\Z)"
    if letter in _SAME and letter not in "ZA":
        return rf"\{letter}"
    if letter == "A" and not is_inside:
        return r"\A"
    raise UnsupportedError(f"A regular expression with \\{letter}")


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    if re.search(r"\[:\w+:\]|\\p|\\P|\(\?[a-z]*-?[a-z]*u", pattern):
        raise UnsupportedError("A regular expression with a named class")
    with warnings.catch_warnings():
        # of sets that a later Python may read otherwise
        warnings.simplefilter("ignore", FutureWarning)
        try:
            return re.compile(translated(pattern))
        except (re.error, OverflowError) as error:
            raise InputError(f"{getattr(error, 'msg', error)}: {pattern}") from None


@worker_function("qr_regexp_like(VARCHAR, VARCHAR) -> BOOLEAN")
def _regexp_like(value: str, pattern: str) -> bool:
    return _compiled(pattern).search(value) is not None


@worker_function("qr_regexp_count(VARCHAR, VARCHAR) -> BIGINT")
def _regexp_count(value: str, pattern: str) -> int:
    return sum(1 for _ in _compiled(pattern).finditer(value))


@worker_function("qr_regexp_position(VARCHAR, VARCHAR, BIGINT, BIGINT) -> INTEGER")
def _regexp_position(value: str, pattern: str, start: int, occurrence: int) -> int:
    if start < 1:
        raise InputError("start position cannot be smaller than 1")
    if occurrence < 1:
        raise InputError("occurrence cannot be smaller than 1")
    if start > len(value):
        return -1
    for number, match in enumerate(_compiled(pattern).finditer(value, start - 1), 1):
        if number == occurrence:
            return match.start() + 1
    return -1


def _checked(pattern: str, group: int) -> re.Pattern[str]:
    compiled = _compiled(pattern)
    if group < 0:
        raise InputError("Group cannot be negative")
    if group > compiled.groups:
        message = f"Pattern has {compiled.groups} groups. Cannot access group {group}"
        raise InputError(message)
    return compiled


@worker_function("qr_regexp_extract(VARCHAR, VARCHAR, BIGINT) -> VARCHAR")
def _regexp_extract(value: str, pattern: str, group: int) -> str | None:
    match = _checked(pattern, group).search(value)
    return match[group] if match else None


@worker_function("qr_regexp_extract_all(VARCHAR, VARCHAR, BIGINT) -> VARCHAR[]")
def _regexp_extract_all(value: str, pattern: str, group: int) -> list[str | None]:
    return [match[group] for match in _checked(pattern, group).finditer(value)]


@worker_function("qr_regexp_split(VARCHAR, VARCHAR) -> VARCHAR[]")
def _regexp_split(value: str, pattern: str) -> list[str]:
    found, at = [], 0
    for match in _compiled(pattern).finditer(value):
        found.append(value[at : match.start()])
        at = match.end()
    return [*found, value[at:]]


@worker_function("qr_regexp_replace(VARCHAR, VARCHAR, VARCHAR) -> VARCHAR")
def _regexp_replace(value: str, pattern: str, replacement: str) -> str:
    compiled = _compiled(pattern)
    parts = list(_replacement(replacement, compiled))

    def replaced(match: re.Match[str]) -> str:
        return "".join(part if isinstance(part, str) else match[part] or "" for part in parts)

    return compiled.sub(replaced, value)


def _replacement(written: str, pattern: re.Pattern[str]) -> Iterator[str | int]:
    """Texts and the numbers of groups: as many digits count as there are groups for."""
    at = 0
    while at < len(written):
        letter, follower = written[at], written[at + 1 : at + 2]
        at += 1
        if letter == "\\" and follower:
            yield follower
            at += 1
        elif letter == "$" and follower == "{":
            name, _, _ = written[at + 1 :].partition("}")
            if name not in pattern.groupindex:
                raise InputError(f"Illegal replacement sequence: unknown group {{ {name} }}")
            yield pattern.groupindex[name]
            at += len(name) + 2
        elif letter == "$" and follower.isdecimal():
            end = at + 1
            while _names_group(written[at : end + 1], end - at + 1, pattern):
                end += 1
            if int(written[at:end]) > pattern.groups:
                number = written[at:end]
                raise InputError(f"Illegal replacement sequence: unknown group {number}")
            yield int(written[at:end])
            at = end
        elif letter in "$\\":
            raise InputError("Illegal replacement sequence")
        else:
            yield letter


def _names_group(digits: str, length: int, pattern: re.Pattern[str]) -> bool:
    is_number = len(digits) == length and digits.isdecimal()
    return is_number and int(digits) <= pattern.groups


@worker_function("qr_regexp_groups(VARCHAR, VARCHAR) -> VARCHAR[][]")
def _regexp_groups(value: str, pattern: str) -> list[list[str | None]]:
    """The groups of each match, for a lambda."""
    return [list(match.groups()) for match in _compiled(pattern).finditer(value)]


@worker_function("qr_regexp_splice(VARCHAR, VARCHAR, VARCHAR[]) -> VARCHAR")
def _regexp_splice(value: str, pattern: str, parts: list[str | None]) -> str | None:
    """The value with each match replaced by what the lambda made of it."""
    found, at = [], 0
    for match, part in zip(_compiled(pattern).finditer(value), parts, strict=True):
        if part is None:
            return None
        found += [value[at : match.start()], part]
        at = match.end()
    return "".join([*found, value[at:]])

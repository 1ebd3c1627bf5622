"""Patterns as Trino writes them: JSON paths, and what a regular expression may match."""

from __future__ import annotations

import re
import warnings
from importlib import import_module
from typing import Any

_parser = import_module("re._parser")
"""Python's own parser of regular expressions, which its stubs do not list."""
_PATH = re.compile(
    r"""\.(?P<field>[A-Za-z_][\w]*)|\[(?P<index>\d+)\]|\[(?P<q>["'])(?P<quoted>[^"'\\]*)(?P=q)\]"""
)


class UntranslatableError(Exception):
    """A pattern that would mean something else to the engine."""


def group_may_be_absent(pattern: str) -> bool:
    """Whether a group may match nothing at all: NULL for Trino, empty for RE2."""
    return bool(re.search(r"\)(\?|\*|\{0)|\|", pattern))


_BROKEN = re.compile(
    "missing|unbalanced|unterminated|nothing to|multiple repeat|min repeat|bad character range"
)


def is_broken(pattern: str) -> bool:
    """Whether it is no regular expression to anyone: an engine that reads it before any row comes
    would fail where Trino reads it for none."""
    try:
        _parsed(pattern)
    except re.error as error:
        return _BROKEN.match(error.msg) is not None
    except OverflowError:
        return False
    return False


def may_match_nothing(pattern: str) -> bool:
    """Whether it may match between two characters, of which Java and RE2 make different things."""
    try:
        return pattern == "" or _parsed(pattern).getwidth()[0] == 0
    except (re.error, OverflowError):
        return True


def _parsed(pattern: str) -> Any:
    """Python's reading of it. Raises `re.error`, and `OverflowError` for numbers too large."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", FutureWarning
        )  # sets that a later Python may read otherwise
        return _parser.parse(pattern)


def json_path(path: str) -> str:
    """A JSON path without wildcards and filters, as engines write it."""
    if not path.startswith("$"):
        path = f"$.{path}" if not path.startswith("[") else f"${path}"
    out, at = ["$"], 1
    while at < len(path):
        match = _PATH.match(path, at)
        if match is None:
            raise UntranslatableError(f"The JSON path {path}")
        if match["index"] is not None:
            out.append(f"[{match['index']}]")
        else:
            out.append(f'."{match["field"] or match["quoted"]}"')
        at = match.end()
    return "".join(out)

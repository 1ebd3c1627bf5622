"""Strings with Unicode escapes: `U&'\\2603'`."""

from __future__ import annotations

import re

_LAST = 0x10FFFF


def unescaped(written: str, escape: str) -> str:
    """The text. Raises `ValueError`, in Trino's words, for what is no escape and no character."""
    e = re.escape(escape)
    pattern = re.compile(f"{e}{e}|{e}\\+([0-9a-fA-F]{{6}})|{e}([0-9a-fA-F]{{4}})|{e}", re.S)

    def character(match: re.Match[str]) -> str:
        if match[0] == escape * 2:
            return escape
        digits = match[1] or match[2]
        if digits is None:
            raise ValueError("Incomplete escape sequence: " + match[0])
        number = int(digits, 16)
        if number > _LAST or 0xD800 <= number <= 0xDFFF:
            raise ValueError(f"Invalid escaped character: {digits}")
        return chr(number)

    return pattern.sub(character, written)

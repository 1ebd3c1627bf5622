"""The rule for separators of delimited files; requests and the encoder share it (contract H7)."""

from __future__ import annotations

SEPARATOR_PATTERN = r'^([^"\r\n\x00]|\\t)$'
"""The same rule for JSON Schema."""
_TAB_ESCAPE = "\\t"
_FORBIDDEN = frozenset('"\r\n\0')


def parse_separator(text: str | None) -> str:
    r"""The one character that separates fields; `\t` means a tab.

    Raises `ValueError` for none or several characters, for a quote and for a line end.
    """
    character = "\t" if text == _TAB_ESCAPE else text
    if character is None or len(character) != 1 or character in _FORBIDDEN:
        raise ValueError(
            "column_separator must be exactly one character, not a quote or a line break; "
            "\\t is a tab"
        )
    return character

"""Text that may be sent to a terminal: control characters are shown and never sent.

A value, an error or the name of a table could otherwise command the terminal.
"""

from __future__ import annotations

import unicodedata

_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def printable(text: str) -> str:
    """The text as one line, with an escape for what is not printable."""
    if text.isprintable():
        return text
    return "".join(_visible_form(character) for character in text)


def _visible_form(character: str) -> str:
    if character.isprintable() or character == " ":
        return character
    if character in _ESCAPES:
        return _ESCAPES[character]
    if unicodedata.category(character) not in _UNPRINTABLE:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:x}}}"

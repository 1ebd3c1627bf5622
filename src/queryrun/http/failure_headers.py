"""Why a run failed, in headers (contract H10): bodies have no place for it that strictly generated
clients would accept."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

from queryrun.runs.model import Run
from queryrun.runs.state import RunState

CODE = "queryrun-error-code"
MESSAGE = "queryrun-error-message"
NAMES = (CODE, MESSAGE)
MAX_ENCODED_BYTES = 2000
"""Of the message as sent. Proxies commonly reserve 4 KiB for all headers of a response."""

_ELLIPSIS = quote("…")


def failure_headers(run: Run) -> dict[str, str]:
    """The code and the message of a failed run; empty for every other run."""
    if run.failure is None or run.state is not RunState.FAILED:
        return {}
    return {CODE: run.failure.code.value, MESSAGE: encoded_message(run.failure.message)}


def encoded_message(text: str) -> str:
    """The text as a header's value: UTF-8, percent-encoded (RFC 3986), every byte but letters,
    digits and `-._~`.

    What it decodes to is one line: control characters and other line breaks become spaces. A long
    text is cut between characters and ends with `…`.
    """
    encoded = quote(_one_line(text), safe="", errors="replace")
    return encoded if len(encoded) <= MAX_ENCODED_BYTES else _cut(text)


def _one_line(text: str) -> str:
    return "".join(" " if unicodedata.category(one) in ("Cc", "Zl", "Zp") else one for one in text)


def _cut(text: str) -> str:
    """Character by character, so that no escape and no character is split."""
    parts: list[str] = []
    left = MAX_ENCODED_BYTES - len(_ELLIPSIS)
    for character in _one_line(text[:MAX_ENCODED_BYTES]):
        part = quote(character, safe="", errors="replace")
        left -= len(part)
        if left < 0:
            break
        parts.append(part)
    return "".join(parts) + _ELLIPSIS

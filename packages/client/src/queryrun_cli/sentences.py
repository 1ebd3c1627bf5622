"""Errors of the machine as one sentence: the one place that turns them into words.

What is a bug has no sentence and keeps its traceback, which belongs in a report.
"""

from __future__ import annotations

import os
from typing import BinaryIO


def sentence_of(error: BaseException) -> str | None:
    """One line for whoever typed the command; None for what is a bug of ours."""
    if isinstance(error, UnicodeDecodeError):
        return f"a file is not UTF-8 (byte 0x{error.object[error.start]:02x}): convert it"
    if isinstance(error, UnicodeEncodeError):
        return "a text cannot be written in the encoding of this terminal: set LC_ALL=C.UTF-8"
    if isinstance(error, MemoryError):
        return "no memory is left"
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return "no thread can be started: the limit of processes or of memory is reached"
    if isinstance(error, OSError):
        return _of_system(error)
    return None


def _of_system(error: OSError) -> str:
    """What failed, and the system's words for why."""
    reason = error.strerror or str(error) or type(error).__name__
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if _is_name(name)]
    return f"{' -> '.join(names)}: {reason}" if names else reason


def _is_name(name: object) -> bool:
    return isinstance(name, str | bytes | os.PathLike)


MAX_TEXT_BYTES = 64 * 1024**2
"""Far more than statements have, and far less than a device such as /dev/zero would give."""


def text_of(stream: BinaryIO, name: str) -> str:
    """What `text_in` makes of all that the stream has; `ValueError` too when that is no text of a
    size that anybody writes."""
    data = stream.read(MAX_TEXT_BYTES + 1)
    if len(data) > MAX_TEXT_BYTES:
        raise ValueError(f"{name} has more than {MAX_TEXT_BYTES // 1024**2} MiB: that is no SQL")
    return text_in(data, name)


def text_in(data: bytes, name: str) -> str:
    """UTF-8 text, without a byte order mark. `ValueError` names the line that is none.

    `name` is what the message calls the text: a file, or standard input.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError(f"{name} is UTF-16, not UTF-8: `iconv -f UTF-16 -t UTF-8` converts it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{name}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8; if it is Latin-1, "
            "`iconv -f ISO-8859-1 -t UTF-8` converts it"
        ) from None

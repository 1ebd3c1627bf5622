"""What result files are called: `<run id>_<digits>.<ext>[.gz|.zip|.zst][.enc]` (contract F4)."""

from __future__ import annotations

import re

_KEY = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,199}")
_PACKED = {"none": "", "gzip": ".gz", "zip": ".zip", "zstd": ".zst"}
_ENCRYPTED = ".enc"


def file_key(
    run_id: str, digits: str, content_type: str, content_encoding: str, *, encrypted: bool
) -> str:
    """The key of a run's file. `digits` tells the attempts of one run apart."""
    return checked_key(
        f"{run_id}_{digits}.{content_type}{_PACKED[content_encoding]}"
        f"{_ENCRYPTED if encrypted else ''}"
    )


def member_name(key: str) -> str:
    """The name of the one member of a zip file: its own, without `.enc` and `.zip`."""
    return key.removesuffix(_ENCRYPTED).removesuffix(".zip")


def checked_key(key: str) -> str:
    """The key, if it is one: a plain file name of ours. Raises `ValueError` for anything else."""
    if not _KEY.fullmatch(key):
        raise ValueError("not a key of a result file")
    return key

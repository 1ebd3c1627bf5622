"""What result files are called: `<run id>_<digits>.<ext>[.gz|.zip|.zst][.enc]` (contract F4)."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import quote

_KEY = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,199}")
_PACKED = {"none": "", "gzip": ".gz", "zip": ".zip", "zstd": ".zst"}
_ENCRYPTED = ".enc"

MEDIA_TYPES = {
    ".json": "application/x-ndjson",
    ".csv": "text/csv; charset=utf-8",
    ".tsv": "text/tab-separated-values; charset=utf-8",
    ".dsv": "text/plain; charset=utf-8",
    ".parquet": "application/vnd.apache.parquet",
    ".arrow": "application/vnd.apache.arrow.stream",
    ".gz": "application/gzip",
    ".zip": "application/zip",
    ".zst": "application/zstd",
}
"""By the last suffix. Of a compressed file it is the compression's: a `Content-Encoding` would
make clients unpack what they asked for packed (contract A11)."""
UNKNOWN_TYPE = "application/octet-stream"
"""Of everything else, such as `.enc`."""


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


def media_type(key: str) -> str:
    """The `Content-Type` of a file in a download."""
    return MEDIA_TYPES.get(PurePosixPath(key).suffix, UNKNOWN_TYPE)


def disposition(key: str) -> str:
    """The `Content-Disposition` of a file in a download: to be saved, under its own name."""
    name = PurePosixPath(key).name
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"

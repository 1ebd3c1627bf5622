"""Names of result files: `<run id>_<digits>.<ext>[.gz|.zip|.zst][.enc]` (contract F4)."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import quote

from queryrun.results.formats import ContentEncoding, ContentType

_KEY = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,199}")
_ENCRYPTED = ".enc"
_BY_SUFFIX = {one.spec.suffix: one.spec.media_type for one in (*ContentType, *ContentEncoding)}
UNKNOWN_TYPE = "application/octet-stream"
"""Of every other file, such as `.enc`."""
MEDIA_TYPES = tuple(dict.fromkeys(filter(None, (*_BY_SUFFIX.values(), UNKNOWN_TYPE))))
"""Every media type that a download may have."""


def file_key(
    run_id: str,
    digits: str,
    content_type: ContentType,
    content_encoding: ContentEncoding,
    *,
    encrypted: bool,
) -> str:
    """The key of a run's file. `digits` distinguishes the attempts of one run."""
    suffixes = content_type.spec.suffix + content_encoding.spec.suffix
    return checked_key(f"{run_id}_{digits}{suffixes}{_ENCRYPTED if encrypted else ''}")


def run_id_of(key: str) -> str:
    """The id of the run whose file has this key."""
    return PurePosixPath(key).name.partition("_")[0]


def member_name(key: str) -> str:
    """The name of the one member of a zip file: its own, without `.enc` and `.zip`."""
    return key.removesuffix(_ENCRYPTED).removesuffix(ContentEncoding.ZIP.spec.suffix)


def checked_key(key: str) -> str:
    """The key, if it is a plain file name of ours. Raises `ValueError` for anything else."""
    if not _KEY.fullmatch(key):
        raise ValueError("not a key of a result file")
    return key


def media_type(key: str) -> str:
    """The `Content-Type` of a file in a download, by the last suffix of its name."""
    return _BY_SUFFIX.get(PurePosixPath(key).suffix) or UNKNOWN_TYPE


def disposition(key: str) -> str:
    """The `Content-Disposition` of a file in a download: an attachment under its own name."""
    name = PurePosixPath(key).name
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"

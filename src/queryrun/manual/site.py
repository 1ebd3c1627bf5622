"""What `make docs` has built: the pages of the manual, and what they load."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

STATIC = Path(__file__).parent / "static"
MANIFEST = "manifest.json"
NOT_BUILT = "the manual is not installed here: run `make docs` in a clone, then reload this page"

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
"""Of the files that a build may have. Others are not served."""
_NEVER_COMPRESSED = {".png"}


class Manifest(msgspec.Struct, frozen=True):
    """The files of one build, and the digests of the scripts within its pages."""

    version: str
    files: frozenset[str]
    scripts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ManualFile:
    """One file, compressed if that was asked for and is of use."""

    content: bytes
    media_type: str
    is_gzip: bool


class Site:
    """The files of the build in one directory; they are read when they are requested."""

    def __init__(self, directory: Path = STATIC) -> None:
        self._directory = directory

    def manifest(self) -> Manifest | None:
        """The build; None when there is none."""
        try:
            content = (self._directory / MANIFEST).read_bytes()
        except FileNotFoundError:
            return None
        return msgspec.json.decode(content, type=Manifest)

    def file(self, name: str, manifest: Manifest, *, gzip: bool) -> ManualFile | None:
        """A file that the manifest names; None for every other name."""
        suffix = Path(name).suffix
        media_type = MEDIA_TYPES.get(suffix)
        if media_type is None or name not in manifest.files:
            return None
        is_gzip = gzip and suffix not in _NEVER_COMPRESSED
        stored = self._directory / (f"{name}.gz" if is_gzip else name)
        return ManualFile(stored.read_bytes(), media_type, is_gzip)

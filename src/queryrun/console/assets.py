"""What `make console` has built: scripts and styles whose names change with their content."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path

import msgspec

STATIC = Path(__file__).parent / "static"
MANIFEST = "manifest.json"

MEDIA_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}

NOT_BUILT = "The console is not built. Run `make console` in a clone, then reload this page."

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="Ask, watch, stop, find again and share query runs.">
<meta name="color-scheme" content="light dark">
<title>queryrun</title>
<base href="{base}">
<link rel="icon" href="assets/{icon}">
<link rel="stylesheet" href="assets/{style}">
{preloads}</head>
<body data-nonce="{nonce}">
<div id="app"><main><h1>queryrun</h1><noscript>The console needs JavaScript.</noscript></main></div>
<script type="module" src="assets/{script}"></script>
</body>
</html>
"""


class Manifest(msgspec.Struct, frozen=True):
    """The files of one build."""

    script: str
    style: str
    icon: str
    preloads: tuple[str, ...]
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, compressed if that was asked for."""

    content: bytes
    media_type: str
    is_gzip: bool


class Assets:
    """The files of the build in one directory; they are read when they are requested."""

    def __init__(self, directory: Path = STATIC) -> None:
        self._directory = directory

    def manifest(self) -> Manifest | None:
        """The newest build; None when there is none."""
        try:
            content = (self._directory / MANIFEST).read_bytes()
        except FileNotFoundError:
            return None
        return msgspec.json.decode(content, type=Manifest)

    def page(self, manifest: Manifest, base: str, nonce: str) -> str:
        """The one HTML page of the console. `base` is where its addresses start."""
        preloads = "".join(
            f'<link rel="modulepreload" href="assets/{escape(name)}">\n'
            for name in manifest.preloads
        )
        return _PAGE.format(
            base=escape(base),
            nonce=escape(nonce),
            script=escape(manifest.script),
            style=escape(manifest.style),
            icon=escape(manifest.icon),
            preloads=preloads,
        )

    def file(self, name: str, *, gzip: bool) -> Asset | None:
        """A file that the manifest names; None for every other name."""
        manifest = self.manifest()
        media_type = MEDIA_TYPES.get(Path(name).suffix)
        if manifest is None or media_type is None or name not in manifest.files:
            return None
        stored = self._directory / (f"{name}.gz" if gzip else name)
        return Asset(stored.read_bytes(), media_type, gzip)

"""A step of the build: a wheel without its console or its manual is refused, with what to do.

Both are built by Node and by a site generator, which a build of the wheel should not have to fetch.
A source archive has them already.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGES = {"make console": "src/queryrun/console/static", "make docs": "src/queryrun/manual/static"}
WITHOUT = "QUERYRUN_BUILD_WITHOUT_PAGES"


class PagesHook(BuildHookInterface[Any]):
    """Hatchling calls `initialize` before it collects files."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 hatchling gives it
        """Refuse to go on without the pages, except for an editable install."""
        missing = missing_pages(Path(self.root))
        if missing and version != "editable" and not os.environ.get(WITHOUT):
            raise RuntimeError(
                f"the pages of the service are not built: run {' and '.join(missing)} first "
                f"(`make dist` does all of it), or set {WITHOUT}=1 for a package without them"
            )


def missing_pages(root: Path) -> list[str]:
    """The commands whose results are not there."""
    return [
        f"`{command}`"
        for command, folder in PAGES.items()
        if not (root / folder / "manifest.json").is_file()
    ]

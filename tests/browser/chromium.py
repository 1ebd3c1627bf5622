"""The browser of these tests, and axe: `python -m tests.browser.chromium` (`make browser`) installs
both from npm into .cache/browser. A Chromium on the PATH is used where npm's does not run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.build_console import INSTALL, node_path

HERE = Path(__file__).parent
CACHE = Path(__file__).resolve().parents[2] / ".cache/browser"
EXECUTABLE = CACHE / "chromium"
AXE = CACHE / "node_modules/axe-core/axe.min.js"
SYSTEM = ("chromium", "chromium-browser", "google-chrome")
UNPACK = "import c from '@sparticuz/chromium'; console.log(await c.executablePath())"


def executable() -> str | None:
    """The browser to test with; None when there is none."""
    if EXECUTABLE.exists() and AXE.exists():
        return str(EXECUTABLE)
    return next((found for name in SYSTEM if (found := shutil.which(name))), None)


def install() -> int:
    """Install what is locked. Returns a status for the shell."""
    CACHE.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, CACHE / name)
    path = node_path()
    environment = os.environ | {"PATH": path, "TMPDIR": str(CACHE)}
    npm, node = shutil.which("npm", path=path) or "npm", shutil.which("node", path=path) or "node"
    for command in ([npm, *INSTALL], [node, "--input-type=module", "--eval", UNPACK]):
        status = subprocess.run(command, cwd=CACHE, env=environment).returncode
        if status:
            return status
    return subprocess.run(
        [str(EXECUTABLE), "--version"], stdout=subprocess.DEVNULL, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(install())

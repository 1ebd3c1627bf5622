"""Build the console: `python -m tools.build_console`, or `make console`.

Node and npm come from the PATH or, where there are none, from a Python wheel into `.cache/node`.
Every package comes from a lock file by its hash, and runs no script while it is installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "console"
NODE = ROOT / ".cache/node"
INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
MIN_NODE = 20


def main() -> int:
    """Install, check the types, build. Returns npm's status; 1 when there is no Node."""
    try:
        path = node_path()
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"the console is not built, because there is no Node: {error}", file=sys.stderr)
        return 1
    environment = os.environ | {"PATH": path}
    for command in (INSTALL, ("run", "--silent", "check"), ("run", "--silent", "build")):
        npm = shutil.which("npm", path=path) or "npm"
        status = subprocess.run([npm, *command], cwd=SOURCE, env=environment).returncode  # noqa: S603
        if status:
            print("the console is not built: see npm's message above", file=sys.stderr)
            return status
    return 0


def node_path() -> str:
    """A PATH with Node and npm on it, those of a wheel when the machine has none or old ones."""
    path = os.environ.get("PATH", os.defpath)
    if has_node(path):
        return path
    if not (NODE / "bin/npm").exists():
        venv.create(NODE, with_pip=True)
        pip = [str(NODE / "bin/python"), "-m", "pip", "install", "--quiet", "--require-hashes"]
        subprocess.run([*pip, "-r", str(SOURCE / "node.lock")], check=True)  # noqa: S603
    return f"{NODE / 'bin'}{os.pathsep}{path}"


def has_node(path: str) -> bool:
    """Whether both are there and Node is recent enough."""
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    if node is None or npm is None:
        return False
    found = subprocess.run([node, "--version"], capture_output=True, text=True)  # noqa: S603
    major = found.stdout.strip().removeprefix("v").partition(".")[0]
    return major.isdecimal() and int(major) >= MIN_NODE


if __name__ == "__main__":
    sys.exit(main())

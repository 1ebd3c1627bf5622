"""`make version VERSION=1.2.3`: write the version into every file that needs it.

`pyproject.toml` is where it is kept; the other files cannot read it from there, and a test compares
them with it.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NUMBER = r"\d+\.\d+\.\d+(?:rc\d+)?"
COPIES = {
    "pyproject.toml": (r'(?m)^(version = ")NUMBER', r"(queryrun-client==)NUMBER"),
    "packages/client/pyproject.toml": (r'(?m)^(version = ")NUMBER',),
    "deploy/Dockerfile": (r"(queryrun:)NUMBER",),
    "deploy/compose.yaml": (r"(queryrun:)NUMBER",),
    "deploy/kubernetes/base/kustomization.yaml": (r"(newTag: )NUMBER",),
    "docs/how-to/install.md": (r"(queryrun:)NUMBER",),
    "deploy/kubernetes/examples/first-client.yaml": (r"(queryrun:)NUMBER",),
}
"""Every file with the version, and what stands before it."""


def main(arguments: list[str]) -> int:
    """Write the version that was given. Returns a status."""
    if len(arguments) != 1 or not re.fullmatch(NUMBER, arguments[0]):
        print("give one version such as 1.2.3 or 1.2.3rc1: make version VERSION=1.2.3")
        return 2
    for name, patterns in COPIES.items():
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        for pattern in patterns:
            text = re.sub(pattern.replace("NUMBER", NUMBER), rf"\g<1>{arguments[0]}", text)
        path.write_text(text, encoding="utf-8")
    return 0


def version() -> str:
    """The version of this tree."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["project"]["version"])


def copies() -> list[tuple[str, str]]:
    """Every file with a version, and each version found in it."""
    found = []
    for name, patterns in COPIES.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        for pattern in patterns:
            matches = list(re.finditer(pattern.replace("NUMBER", f"({NUMBER})"), text))
            found += [(name, match[2]) for match in matches] or [(name, "none")]
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

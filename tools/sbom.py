"""`make sbom`: what the image installs, as CycloneDX 1.6, from its lock file. Needs no network.

    python -m tools.sbom > sbom.cdx.json

The same lock gives the same bytes: there is no time and no random number in it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "deploy/requirements.lock"
_PACKAGE = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==(?P<version>[^ ;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def bill(lock: str, project: dict[str, Any]) -> dict[str, Any]:
    """The bill of materials of this lock for this project."""
    name, version = project["name"], project["version"]
    components = list(_components(lock))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": name,
                "name": name,
                "version": version,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": components,
        "dependencies": [{"ref": name, "dependsOn": [one["bom-ref"] for one in components]}],
    }


def _components(lock: str) -> Iterator[dict[str, Any]]:
    """A package may be installed from any of several files: each one's hash is named."""
    for entry in re.split(r"\n(?=\S)", lock):
        found = _PACKAGE.match(entry)
        if found is None:
            continue
        url = f"pkg:pypi/{found['name'].lower().replace('_', '-')}@{found['version']}"
        yield {
            "type": "library",
            "bom-ref": url,
            "name": found["name"],
            "version": found["version"],
            "purl": url,
            "externalReferences": [
                {
                    "type": "distribution",
                    "url": f"https://pypi.org/project/{found['name']}/{found['version']}/",
                    "hashes": [
                        {"alg": "SHA-256", "content": digest}
                        for digest in sorted(set(_HASH.findall(entry)))
                    ],
                }
            ],
        }


def text_of_bill() -> str:
    """The bill of this repository, as JSON."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return json.dumps(bill(LOCK.read_text(encoding="utf-8"), project), indent=2)


if __name__ == "__main__":
    print(text_of_bill())

"""`make audit`: known vulnerabilities of what the image installs, by pip-audit.

Exit status 0: all packages were looked up and none has a known vulnerability. 1: some have. 2: not
audited, because the database of vulnerabilities could not be asked, or not about every package.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOCK = "deploy/requirements.lock"
GOOD, VULNERABLE, NOT_AUDITED = 0, 1, 2
TIMEOUT_S = 300
_COMMAND = (
    *("--requirement", LOCK, "--require-hashes", "--disable-pip"),
    *("--format", "json", "--progress-spinner", "off", "--timeout", "10"),
)


def main() -> int:
    """Run pip-audit and say what came of it."""
    program = Path(sys.executable).with_name("pip-audit")
    try:
        done = subprocess.run(  # noqa: S603 - a program of our own environment
            [program, *_COMMAND], capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
        report = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        print("not audited: the database of vulnerabilities cannot be reached from here")
        return NOT_AUDITED
    status, lines = verdict(report)
    print("\n".join(lines))
    return status


def verdict(report: Mapping[str, Any]) -> tuple[int, list[str]]:
    """The exit status and the lines to print. A package that was skipped was not audited."""
    packages = report["dependencies"]
    skipped = [one["name"] for one in packages if "skip_reason" in one]
    lines = [
        f"{one['name']} {one['version']}: {found['id']}, fixed in {_fixes(found)}"
        for one in packages
        for found in one.get("vulns", ())
    ]
    if lines:
        return VULNERABLE, [*lines, f"{len(lines)} known vulnerabilities"]
    if skipped or not packages:
        known = len(packages) - len(skipped)
        text = f"not audited: the database answers for {known} of {len(packages)} packages"
        return NOT_AUDITED, [text]
    return GOOD, [f"no known vulnerability in {len(packages)} packages"]


def _fixes(found: Mapping[str, Any]) -> str:
    return ", ".join(found.get("fix_versions") or ["no version yet"])


if __name__ == "__main__":
    sys.exit(main())

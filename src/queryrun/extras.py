"""What an extra of this distribution brings, and whether it is there.

The message names packages and not `queryrun[…]`: it can be typed however queryrun was installed.
"""

from __future__ import annotations

import re
from importlib import metadata

from queryrun.errors import ConfigurationError

_DISTRIBUTION = "queryrun"
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def requirements(extra: str) -> list[str]:
    """What the extra requires, as pip reads it; nothing when there is no such extra."""
    try:
        required = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []
    marked = (line.partition(";") for line in required)
    pattern = re.compile(rf"extra\s*==\s*['\"]{re.escape(extra)}['\"]")
    return [name.strip() for name, _, marker in marked if pattern.search(marker)]


def install_command(extra: str) -> str:
    """`pip install '…' '…'`: what brings everything of the extra."""
    return _install(requirements(extra))


def require_extra(extra: str, reason: str) -> None:
    """`ConfigurationError` when a package of the extra is missing. `reason` is what needs it.

    Looks at names, and not at versions, and imports nothing.
    """
    missing = [line for line in requirements(extra) if not _is_installed(_name_of(line))]
    if missing:
        command = _install(missing)
        raise ConfigurationError(f"{reason}, and what it needs is not installed: {command}")


def _install(required: list[str]) -> str:
    return " ".join(("pip install", *(f"'{line}'" for line in required)))


def _name_of(requirement: str) -> str:
    match = _NAME.match(requirement)
    return match[0] if match else requirement


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True

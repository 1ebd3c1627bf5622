"""The three APIs of this service. Each has its own body shapes, for errors too."""

from __future__ import annotations

from enum import Enum


class ApiVersion(Enum):
    """Whose body shapes a response uses (contract D1, D2, E)."""

    V2 = "v2"
    V1 = "v1"
    OAUTH = "oauth"


def api_version_of(path: str) -> ApiVersion:
    """The API that a path belongs to; v2 unless the path is another's."""
    if path.startswith("/query/jobs"):
        return ApiVersion.V1
    return ApiVersion.OAUTH if path.startswith("/oauth/") else ApiVersion.V2

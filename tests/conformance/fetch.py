"""Trino's published test sources and documentation, from Maven Central into `.cache`."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.differential.suite import TRINO_VERSION

CACHE = Path(__file__).parents[2] / ".cache" / "trino" / f"{TRINO_VERSION}-sources"


@dataclass(frozen=True, slots=True)
class Archive:
    """`artifact` is Maven's, without group and version; `kind` is what its statements are about."""

    name: str
    type: str
    classifier: str
    kind: str

    @property
    def file(self) -> str:
        """Its name in a repository."""
        classifier = f"-{self.classifier}" if self.classifier else ""
        return f"{self.name}-{TRINO_VERSION}{classifier}.{self.type}"


ARCHIVES = (
    Archive("trino-testing", "jar", "sources", "queries"),
    Archive("trino-main", "jar", "test-sources", "functions"),
    Archive("trino-docs", "zip", "", "documentation"),
)


def found() -> list[tuple[Archive, Path]]:
    """The archives that have been fetched; all or none."""
    paths = [(archive, CACHE / archive.file) for archive in ARCHIVES]
    return paths if all(path.is_file() for _, path in paths) else []


def fetch() -> None:
    """Bring them into the cache unless they are there (15 MB)."""
    CACHE.mkdir(parents=True, exist_ok=True)
    for archive in ARCHIVES:
        if not (CACHE / archive.file).is_file():
            _fetch(archive)


def _fetch(archive: Archive) -> None:
    artifact = f"io.trino:{archive.name}:{TRINO_VERSION}:{archive.type}"
    if archive.classifier:
        artifact += f":{archive.classifier}"
    subprocess.run(
        ["mvn", "-q", "-B", "dependency:get", f"-Dartifact={artifact}", "-Dtransitive=false"],
        check=True,
    )
    repository = Path(os.environ.get("MAVEN_REPOSITORY", Path.home() / ".m2" / "repository"))
    shutil.copy(
        repository / "io/trino" / archive.name / TRINO_VERSION / archive.file, CACHE / archive.file
    )

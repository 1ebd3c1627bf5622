"""Clients that openapi-generator makes from `docs/reference/openapi-contract.json`, for Java,
Python and TypeScript, and the drivers that call them.

`python -m tests.clients.generated_clients` (`make generated-clients`) fetches what that takes into
.cache/generators, with Maven, npm and pip. Tests make and compile the clients when the document or
a driver has changed. The generator needs a Java, the Java client a JDK (17 or newer).
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs/reference/openapi-contract.json"
HERE = Path(__file__).parent / "generated"
TOOLS = ROOT / ".cache/generators"
PINS = ("pom.xml", "package.json", "package-lock.json", "requirements.lock")
SOURCES = ("Driver.java", "driver.py", "driver.ts", "tsconfig.json")
LANGUAGES = ("java", "python", "typescript")
GENERATORS: dict[str, dict[str, Any]] = {
    "java": {"generatorName": "java", "library": "okhttp-gson"},
    "python": {"generatorName": "python"},
    "typescript": {"generatorName": "typescript-fetch"},
}
STRICT = {
    "disallowAdditionalPropertiesIfNotPresent": True,
    "hideGenerationTimestamp": True,
    "openApiNullable": False,
}
"""A closed schema is one whose unknown keys are an error."""


OLDEST_JDK = 17
NO_JDK = f"there is no JDK of version {OLDEST_JDK} or newer"


def what_is_missing(language: str) -> str:
    """Why there can be no client in this language here; empty when there can."""
    if shutil.which("java") is None:
        return "there is no Java, which the generator needs"
    if language == "java" and not _has_jdk():
        return NO_JDK
    if _stamp().exists() and _stamp().read_text(encoding="utf-8") == _digest(HERE, PINS):
        return ""
    return "the generator is not there; `make generated-clients` fetches it"


def fetch() -> None:
    """Bring the generator, the libraries of the clients and the compilers into the cache."""
    if _stamp().exists() and _stamp().read_text(encoding="utf-8") == _digest(HERE, PINS):
        return
    shutil.rmtree(TOOLS, ignore_errors=True)
    TOOLS.mkdir(parents=True)
    jars = f"-DoutputDirectory={TOOLS / 'jars'}"
    _run("mvn", "-q", "-B", "-f", HERE / "pom.xml", "dependency:copy-dependencies", jars)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, TOOLS / name)
    _run("npm", "ci", "--ignore-scripts", directory=TOOLS)
    _run(sys.executable, "-m", "venv", TOOLS / "python")
    lock = HERE / "requirements.lock"
    _run(_python(), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", lock)
    _stamp().write_text(_digest(HERE, PINS), encoding="utf-8")


def command(language: str) -> list[str]:
    """What starts the driver of a client, which is made first if it is not there."""
    made = _made()
    return {
        "java": ["java", "-XX:TieredStopAtLevel=1", "-cp", _class_path(made), "Driver"],
        "python": [str(_python()), str(made / "python/driver.py")],
        "typescript": ["node", str(made / "typescript/js/driver.js")],
    }[language]


def _made() -> Path:
    """The directory of the clients of this document, these drivers and these tools. Test processes
    start at once; one of them makes it."""
    parts = [_digest(DOCUMENT.parent, [DOCUMENT.name]), _digest(HERE, (*PINS, *SOURCES))]
    key = sha256(json.dumps([*parts, GENERATORS, STRICT]).encode()).hexdigest()[:16]
    made = TOOLS / "made" / key
    made.parent.mkdir(exist_ok=True)
    with (made.parent / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.is_dir():
            with tempfile.TemporaryDirectory(dir=made.parent) as directory:
                _make(Path(directory) / key)
                (Path(directory) / key).rename(made)
    return made


def _make(directory: Path) -> None:
    _generate(directory)
    shutil.copy(HERE / "driver.py", directory / "python/driver.py")
    shutil.copy(HERE / "Driver.java", directory / "java/Driver.java")
    for name in ("driver.ts", "tsconfig.json"):
        shutil.copy(HERE / name, directory / "typescript" / name)
    (directory / "typescript/node_modules").symlink_to(TOOLS / "node_modules")
    tsc = TOOLS / "node_modules/typescript/bin/tsc"
    _run("node", tsc, "--project", directory / "typescript")
    if _has_jdk():
        _compile_java(directory)


def _generate(directory: Path) -> None:
    """All of them by one process of the generator, which takes seconds to start."""
    configurations = []
    for language, choice in GENERATORS.items():
        where = directory / language / ("client" if language == "typescript" else "")
        content = {
            **choice,
            "inputSpec": str(DOCUMENT),
            "outputDir": str(where),
            "globalProperties": dict.fromkeys(
                ("apiDocs", "modelDocs", "apiTests", "modelTests"), "false"
            ),
            "additionalProperties": STRICT,
        }
        path = directory / f"{language}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")
        configurations.append(path)
    (generator,) = (TOOLS / "jars").glob("openapi-generator-cli-*.jar")
    _run("java", "-jar", generator, "batch", "--fail-fast", "--threads", "2", *configurations)


def _compile_java(directory: Path) -> None:
    """With the names of parameters, by which the driver finds them."""
    sources = [str(path) for path in (directory / "java").rglob("*.java")]
    (directory / "java/sources").write_text("\n".join(sources), encoding="utf-8")
    options = ["-nowarn", "-proc:none", "-parameters", "-encoding", "UTF-8"]
    options += ["--release", str(OLDEST_JDK)]
    where = ["-cp", _class_path(directory), "-d", directory / "java/classes"]
    _run("javac", *options, *where, f"@{directory / 'java/sources'}")


def _has_jdk() -> bool:
    """Whether the compiler on the path is new enough; it prints `javac 17.0.15`."""
    if shutil.which("javac") is None:
        return False
    done = subprocess.run(["javac", "-version"], capture_output=True, text=True, check=True)
    found = re.match(r"javac (\d+)", done.stdout + done.stderr)
    return found is not None and int(found[1]) >= OLDEST_JDK


def _class_path(directory: Path) -> str:
    jars = [path for path in (TOOLS / "jars").glob("*.jar") if "generator" not in path.name]
    return os.pathsep.join(map(str, [directory / "java/classes", *sorted(jars)]))


def _python() -> Path:
    return TOOLS / "python/bin/python"


def _stamp() -> Path:
    return TOOLS / "installed"


def _digest(directory: Path, names: Any) -> str:
    digest = sha256()
    for name in names:
        digest.update((directory / name).read_bytes())
    return digest.hexdigest()


def _run(*words: object, directory: Path = ROOT) -> None:
    """A command that must succeed; what it printed is in the error."""
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False, cwd=directory
    )
    if done.returncode:
        raise RuntimeError(f"{words[0]} failed: {(done.stdout + done.stderr)[-3000:]}")


if __name__ == "__main__":
    fetch()

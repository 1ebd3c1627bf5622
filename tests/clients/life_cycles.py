"""Programs that other generators' clients make possible: each creates a run, waits for it,
downloads its file, and cancels a second one (`generated/life_cycle.*`).

The clients are made from `docs/reference/openapi.json`, additions of ours included, by
openapi-python-client, openapi-typescript (with openapi-fetch) and openapi-generator for Go. A
generator that cannot read a part of the document fails; none may leave out an operation.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.clients import generated_clients as base

DOCUMENT = base.ROOT / "docs/reference/openapi.json"
SOURCES = ("life_cycle.py", "life_cycle.ts", "life_cycle.go", "tsconfig.life_cycle.json")
NO_GO = "there is no Go"
TIMEOUT_S = 250.0


def what_is_missing(generator: str) -> str:
    """Why there can be no client by this generator here; empty when there can."""
    if generator == "go" and shutil.which("go") is None:
        return NO_GO
    return base.what_is_missing("go")


def run_life_cycle(generator: str, url: str, token: str, sql: str, runaway: str) -> dict[str, Any]:
    """What the program of this generator's client prints."""
    made = _made(generator)
    commands = {
        "openapi-python-client": [str(base._python()), str(made / "life_cycle.py")],
        "openapi-typescript": ["node", str(made / "js/life_cycle.js")],
        "go": [str(made / "life_cycle")],
    }
    done = subprocess.run(
        [*commands[generator], url, token, sql, runaway],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    if done.returncode:
        raise AssertionError(f"{generator}: {(done.stdout + done.stderr)[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _made(generator: str) -> Path:
    """The directory of a client of this document and these tools. One process makes it."""
    parts = [
        base._digest(DOCUMENT.parent, [DOCUMENT.name]),
        base._digest(base.HERE, (*base.PINS, *SOURCES)),
        base._digest(Path(__file__).parent, [Path(__file__).name]),
    ]
    key = f"{generator}-{sha256(json.dumps(parts).encode()).hexdigest()[:16]}"
    made = base.TOOLS / "made" / key
    made.parent.mkdir(exist_ok=True)
    with (made.parent / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.is_dir():
            with tempfile.TemporaryDirectory(dir=made.parent) as directory:
                target = Path(directory) / key
                target.mkdir()
                MAKERS[generator](target)
                target.rename(made)
    return made


def _make_python(target: Path) -> None:
    """A warning is a part of the document that the client does not have."""
    binaries = base._python().parent
    base._run(
        "env",
        f"PATH={binaries}{os.pathsep}{os.environ['PATH']}",
        binaries / "openapi-python-client",
        "generate",
        "--fail-on-warning",
        "--meta=none",
        f"--path={DOCUMENT}",
        f"--output-path={target / 'queryrun_api'}",
    )
    shutil.copy(base.HERE / "life_cycle.py", target)


def _make_typescript(target: Path) -> None:
    """The types of the document, and a program that the compiler checks against them."""
    modules = base.TOOLS / "node_modules"
    (target / "node_modules").symlink_to(modules)
    (target / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    cli = modules / "openapi-typescript/bin/cli.js"
    base._run("node", cli, DOCUMENT, "-o", target / "api.d.ts")
    shutil.copy(base.HERE / "life_cycle.ts", target)
    shutil.copy(base.HERE / "tsconfig.life_cycle.json", target / "tsconfig.json")
    base._run("node", modules / "typescript/bin/tsc", "--project", target)


def _make_go(target: Path) -> None:
    """A module without requirements: nothing is fetched."""
    (generator,) = (base.TOOLS / "jars").glob("openapi-generator-cli-*.jar")
    words = ["java", "-Xmx1g", "-jar", generator, "generate", "-g", "go", "-i", DOCUMENT]
    words += ["-o", target, "--git-host", "example.com"]
    words += ["--git-user-id", "queryrun", "--git-repo-id", "api"]
    words += ["--additional-properties", "packageName=queryrunapi,hideGenerationTimestamp=true"]
    names = ("apiTests", "modelTests", "apiDocs", "modelDocs")
    words += ["--global-property", ",".join(f"{name}=false" for name in names)]
    base._run(*words)
    (target / "program").mkdir()
    shutil.copy(base.HERE / "life_cycle.go", target / "program/main.go")
    base._run("go", "build", "-o", target / "life_cycle", "./program", directory=target)


MAKERS: dict[str, Callable[[Path], None]] = {
    "openapi-python-client": _make_python,
    "openapi-typescript": _make_typescript,
    "go": _make_go,
}
GENERATORS = tuple(MAKERS)

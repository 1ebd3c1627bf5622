"""`make try-image`: run the very commands of deploy/Dockerfile on this machine, without containers.

Every stage gets a directory of its own in the stead of `/`, COPY takes what the ignore file lets
through, and RUN is executed with the paths of the image replaced. What it cannot show: users,
layers and the base image. At the end the program of the last stage prints its version.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from tools.set_version import ROOT, version

DOCKERFILE = ROOT / "deploy/Dockerfile"
MOVED = ("/build", "/opt/", "/usr/local/bin/dumb-init", "/var/lib/queryrun")
ROOT_ONLY = ("groupadd", "useradd")
"""Commands that would change this machine; the words after them up to `&&` are left out."""


@dataclass
class Stage:
    """A stage of the build, and the directory that is its root."""

    root: Path
    work: str = "/build"
    ran: list[str] = field(default_factory=list)

    def path(self, name: str) -> Path:
        """Where a path of the image is here."""
        absolute = name if name.startswith("/") else f"{self.work}/{name}"
        return self.root / absolute.lstrip("/")

    def here(self, command: str) -> str:
        """A command with the image's paths replaced by those of this stage."""
        steps = [one.strip() for one in command.split("&&")]
        kept = " && ".join(one for one in steps if not one.startswith((*ROOT_ONLY, "install ")))
        for name in MOVED:
            kept = re.sub(rf"(?<![\w.]){re.escape(name)}", f"{self.root}{name}", kept)
        return kept


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined."""
    text = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [
        (word, " ".join(rest.split())) for word, _, rest in (one.partition(" ") for one in lines)
    ]


def main() -> int:
    """Build every stage below a temporary directory, then start the program. Returns a status."""
    with tempfile.TemporaryDirectory(prefix="queryrun-image-") as directory:
        stages: dict[str, Stage] = {}
        stage, entrypoint = Stage(Path(directory)), [""]
        for word, rest in instructions():
            if word == "FROM":
                name = rest.partition(" AS ")[2] or "last"
                stage = stages[name] = Stage(Path(directory) / name)
                stage.path(".").mkdir(parents=True)
            elif word == "WORKDIR":
                stage.work = rest
                stage.path(".").mkdir(parents=True, exist_ok=True)
            elif word == "COPY":
                copy(rest.split(), stage, stages)
            elif word == "RUN":
                run(stage, rest)
            elif word == "ENTRYPOINT":
                entrypoint = json.loads(rest)
        return start(stage, stages, entrypoint)


def copy(words: list[str], stage: Stage, stages: dict[str, Stage]) -> None:
    """COPY: from the repository as git knows it, or from an earlier stage."""
    origin = words.pop(0).partition("=")[2] if words[0].startswith("--from") else ""
    *sources, target = words
    for source in sources:
        end = stage.path(target)
        end = end / Path(source).name if target.endswith("/") else end
        end.parent.mkdir(parents=True, exist_ok=True)
        found = stages[origin].path(source) if origin else ROOT / source
        if found.is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "node_modules", "static")
            shutil.copytree(found, end, symlinks=True, ignore=None if origin else ignore)
        else:
            shutil.copy2(found, end)


def run(stage: Stage, command: str) -> None:
    """RUN, as the image's shell does it."""
    here = stage.here(command)
    if here:
        print(f"RUN {command}", flush=True)
        subprocess.run(["/bin/sh", "-ec", here], cwd=stage.path("."), check=True)  # noqa: S603


def start(stage: Stage, stages: dict[str, Stage], entrypoint: list[str]) -> int:
    """The entry point with `--version`: that of the virtual environment where it was built."""
    program = stages["build"].path("/opt/queryrun/bin/queryrun")
    argv = [str(stage.path(entrypoint[0])), *entrypoint[1:-1], str(program), "--version"]
    print(f"ENTRYPOINT {' '.join(argv)}", flush=True)
    done = subprocess.run(argv, capture_output=True, text=True, check=True)  # noqa: S603
    print(done.stdout, end="")
    return 0 if done.stdout.strip() == f"queryrun {version()}" else 1


if __name__ == "__main__":
    sys.exit(main())

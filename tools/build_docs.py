"""Build the documentation as a site: `python -m tools.build_docs`, or `make docs`.

The site generator comes from `docs/requirements.lock` by its hashes, into `.cache/docs`. The pages
are those of `docs/`, and a few of the repository's root. Links to files that are not pages (code,
tests, deploy/) become their paths in text: a reader of the site may have no clone.
The site goes into `src/queryrun/manual/static`, from where the service serves it.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tools.set_version import ROOT, version

DOCS = ROOT / "docs"
TARGET = ROOT / "src/queryrun/manual/static"
LOCK = DOCS / "requirements.lock"
ENVIRONMENT = ROOT / ".cache/docs"
OF_THE_ROOT = {
    "README.md": "about.md",
    "SECURITY.md": "explanation/security.md",
    "CONTRIBUTING.md": "contributing/README.md",
    "CHANGELOG.md": "contributing/changelog.md",
    "CODE_OF_CONDUCT.md": "contributing/code-of-conduct.md",
}
"""Pages at the root of the repository, and where the site has them."""
LEFT_OUT = {".py", ".in", ".lock", ".toml"}
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
FENCE = re.compile(r"^```.*?^```", flags=re.DOTALL | re.MULTILINE)
INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", flags=re.DOTALL)
COMPRESSED = {".html", ".css", ".js", ".json", ".txt", ".svg", ".xml"}


def main() -> int:
    """Build into a directory beside the target, then take its place. Returns a status."""
    if not install():
        return 1
    with tempfile.TemporaryDirectory() as directory:
        source, built = Path(directory) / "pages", Path(directory) / "site"
        gather(source)
        status = generate(source, built)
        if status:
            print("the documentation is not built: see the message above", file=sys.stderr)
            return status
        finish(source, built)
        shutil.rmtree(TARGET, ignore_errors=True)
        shutil.copytree(built, TARGET)
    return 0


def install() -> bool:
    """Make the generator's environment anew when its lock has changed."""
    stamp, digest = ENVIRONMENT / ".lock", hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="ascii") == digest:
        return True
    try:
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
        pip = [str(ENVIRONMENT / "bin/python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "--require-hashes", "-r", str(LOCK)], check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"the documentation is not built, its tools are missing: {error}", file=sys.stderr)
        return False
    stamp.write_text(digest, encoding="ascii")
    return True


def gather(source: Path) -> None:
    """Copy every page and picture into one directory, as the site has them."""
    for path in sorted(DOCS.rglob("*")):
        if path.is_file() and path.suffix not in LEFT_OUT and "__pycache__" not in path.parts:
            copy_page(path, source / path.relative_to(DOCS))
    for name, page in OF_THE_ROOT.items():
        copy_page(ROOT / name, source / page)


def copy_page(path: Path, target: Path) -> None:
    """Copy one file; the links of a page are changed to where their targets are on the site."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".md":
        target.write_text(relinked(path), encoding="utf-8")
    else:
        shutil.copyfile(path, target)


def relinked(path: Path) -> str:
    """The text of a page, with links as the site needs them. Code blocks stay as they are."""
    text, kept = path.read_text(encoding="utf-8"), 0
    parts = []
    for fence in FENCE.finditer(text):
        parts += [_relink(text[kept : fence.start()], path), fence[0]]
        kept = fence.end()
    return "".join([*parts, _relink(text[kept:], path)])


def _relink(text: str, path: Path) -> str:
    return LINK.sub(lambda found: _link(found, path), text)


def _link(found: re.Match[str], path: Path) -> str:
    """One link: to a page of the site, or, when it has none for the target, text with its path."""
    mark, text, target = found.groups()
    address, _, anchor = target.partition("#")
    if not address or ":" in address:
        return found[0]
    file = Path(os.path.normpath(path.parent / address))
    page = page_of(file)
    if page is None:
        name = file.relative_to(ROOT).as_posix()
        plain = text.strip("`")
        return f"`{name}`" if plain in name else f"{text} (`{name}`)"
    own = page_of(path) or PurePosixPath()
    to = os.path.relpath(page, own.parent) + (f"#{anchor}" if anchor else "")
    return f"{mark}[{text}]({to})"


def page_of(file: Path) -> PurePosixPath | None:
    """Where the site has this file of the repository; None when it does not."""
    if file.is_relative_to(DOCS) and file.suffix not in LEFT_OUT and file.is_file():
        return PurePosixPath(file.relative_to(DOCS).as_posix())
    name = file.relative_to(ROOT).as_posix()
    return PurePosixPath(OF_THE_ROOT[name]) if name in OF_THE_ROOT else None


def generate(source: Path, built: Path) -> int:
    """Let the generator write the site; its status. A dead link is an error to it."""
    # As a module: the script names the path at which the environment was made, wherever it is now.
    command = [str(ENVIRONMENT / "bin/python"), "-m", "mkdocs", "build", "--strict"]
    environ = {
        "PATH": os.environ.get("PATH", os.defpath),
        "QUERYRUN_DOCS_SOURCE": str(source),
        "QUERYRUN_DOCS_TARGET": str(built),
        "QUERYRUN_DOCS_FOOTER": f"queryrun {version()}",
        "NO_MKDOCS_2_WARNING": "true",
        "SOURCE_DATE_EPOCH": "0",
    }
    configuration = ["--config-file", str(ROOT / "mkdocs.yml")]
    done = subprocess.run(  # noqa: S603
        [*command, *configuration],
        env=environ,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        print(done.stdout, file=sys.stderr)
    return done.returncode


def finish(source: Path, built: Path) -> None:
    """Add `llms.txt`, compressed copies, and the list of what may be served and executed."""
    (built / "llms.txt").write_text(llms_txt(source), encoding="utf-8")
    for useless in (*built.glob("sitemap.xml*"), *built.rglob("*.map")):
        useless.unlink()
    shutil.rmtree(built / "assets/javascripts/lunr")  # searching in languages that we have not
    files = sorted(path for path in built.rglob("*") if path.is_file())
    for path in files:
        if path.suffix in COMPRESSED:
            packed = gzip.compress(path.read_bytes(), mtime=0)
            path.with_name(path.name + ".gz").write_bytes(packed)
    manifest = {
        "version": version(),
        "files": [path.relative_to(built).as_posix() for path in files],
        "scripts": sorted(script_hashes(files)),
    }
    (built / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def script_hashes(files: list[Path]) -> set[str]:
    """The scripts within pages, as a content security policy names them."""
    pages = (path.read_text(encoding="utf-8") for path in files if path.suffix == ".html")
    scripts = {script for page in pages for script in INLINE_SCRIPT.findall(page)}
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    return {f"sha256-{base64.b64encode(digest).decode()}" for digest in digests}


def llms_txt(source: Path) -> str:
    """Every page with its first sentence, for programs that read: https://llmstxt.org."""
    lines = [
        "# queryrun",
        "",
        "> A self-hosted service that runs SQL: submit a statement, get a",
        "> durable run, download its file, or cancel it and know that the work has stopped.",
        "",
        "## Pages",
        "",
    ]
    lines += [f"- [{title}]({address}): {first}" for title, address, first in summaries(source)]
    return "\n".join(lines) + "\n"


def summaries(source: Path) -> Iterator[tuple[str, str, str]]:
    """Title, address and first sentence of every page."""
    for path in sorted(source.rglob("*.md")):
        text = FENCE.sub("", path.read_text(encoding="utf-8"))
        title, _, rest = text.partition("\n")
        paragraphs = (one.strip() for one in rest.split("\n\n"))
        prose = next((one for one in paragraphs if re.match(r"[A-Z`*\[]", one)), "")
        plain = LINK.sub(r"\2", " ".join(prose.split())).replace("**", "")
        first = re.split(r"(?<=[.]) ", plain)[0]
        relative = path.relative_to(source).with_suffix(".html").as_posix()
        address = relative.replace("README.html", "index.html")
        yield re.sub(r"<[^>]*>", "", title.lstrip("# ")), address, first


if __name__ == "__main__":
    sys.exit(main())

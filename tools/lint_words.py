"""Finds identifiers that use a word of our own where the field has one (`tools/words.toml`).

    python -m tools.lint_words [PATH...]     # files or directories; src, tests, … by default

Prints `file:line: name: word -> the field's word` and exits with 1 when there is any. Only names
where they are *defined* count, so that a library's own names may be used as they are.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_PATHS = ("src", "packages", "tests", "benchmarks", "tools")
LOG_METHODS = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@dataclass(frozen=True, slots=True)
class Finding:
    """One word in one name."""

    path: Path
    line: int
    name: str
    word: str


def words_of(name: str) -> list[str]:
    """The words of an identifier in either style, in lower case."""
    return [word.lower() for word in _WORD.findall(name)]


def defined_names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every name that a module defines, and the log events it writes, with their lines."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                if not node.name.startswith(("test_", "Test")):
                    yield node.name, node.lineno
            case ast.arg():
                yield node.arg, node.lineno
            case ast.Name(ctx=ast.Store()):
                yield node.id, node.lineno
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr, node.lineno
            case ast.Call(func=ast.Attribute(attr=method), args=[ast.Constant(value=str(event))]):
                if method in LOG_METHODS and event.isidentifier():
                    yield event, node.lineno


def findings(path: Path, instead: dict[str, str]) -> Iterator[Finding]:
    """The words of one Python file that have another word in the field."""
    for word in words_of(path.stem) if not path.stem.startswith("test_") else ():
        if word in instead:
            yield Finding(path, 1, path.stem, word)
    for name, line in defined_names(ast.parse(path.read_bytes())):
        for word in words_of(name):
            if word in instead:
                yield Finding(path, line, name, word)


def python_files(paths: list[Path]) -> Iterator[Path]:
    """The Python files below these paths, each once, in order."""
    for path in paths:
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


def main(arguments: list[str]) -> int:
    """Print what is found; 1 when something is."""
    instead: dict[str, str] = tomllib.loads((ROOT / "tools/words.toml").read_text())["instead"]
    paths = [Path(argument) for argument in arguments] or [
        ROOT / name for name in DEFAULT_PATHS if (ROOT / name).is_dir()
    ]
    found = 0
    for path in python_files(paths):
        for finding in findings(path, instead):
            found += 1
            hint = instead[finding.word] or "say what it is"
            print(f"{finding.path}:{finding.line}: {finding.name}: {finding.word} -> {hint}")
    if found:
        print(f"{found} names use words of our own; see tools/words.toml", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

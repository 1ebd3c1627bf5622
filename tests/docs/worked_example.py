"""Pages of docs/contributing whose steps are applied to a copy of the source tree.

A step is a sentence that names a file, and the block that follows it:

- "New file `PATH`:" writes the block to a new file.
- "In `PATH`, add to `NAME`:" makes the block the last element of the collection that the module
  assigns to `NAME`, or the last lines of the class `NAME`.
- "In `PATH`, below `LINE`:" puts the block below the only line of the file that reads like this.
"""

from __future__ import annotations

import ast
import re
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.docs.executed import ROOT

_STEP = re.compile(
    r"(?:[Nn]ew file `(?P<new>[^`]+)`"
    r"|In `(?P<changed>[^`]+)`,\s+(?:add\s+to\s+`(?P<name>\w+)`|below\s+`(?P<line>[^`]+)`)):\n\n"
    r"```(?:python|sql)\n(?P<text>.*?)^```",
    flags=re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Step:
    """One change to one file. Neither a collection that grows nor a line: the file is new."""

    path: str
    text: str
    name: str = ""
    """The collection that the text becomes the last element of."""
    line: str = ""
    """The line below which the text is put."""


def steps_of(page: str) -> Iterator[Step]:
    """The steps of a page, in order."""
    for found in _STEP.finditer((ROOT / page).read_text(encoding="utf-8")):
        path = found["new"] or found["changed"]
        yield Step(path, found["text"], found["name"] or "", found["line"] or "")


def copy_with_steps(page: str, directory: Path) -> list[str]:
    """Copy `src` to `directory` and apply the steps of the page there; the paths it touched.

    Compiled files come along: a server of the copy starts in a second and not in six. What another
    process is just writing does not.
    """
    shutil.copytree(ROOT / "src", directory / "src", ignore=shutil.ignore_patterns("*.pyc.*"))
    touched = []
    for step in steps_of(page):
        _apply(step, directory / step.path)
        touched.append(step.path)
    return touched


def _apply(step: Step, path: Path) -> None:
    if step.name or step.line:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        _insert(step, lines)
        path.write_text("".join(lines), encoding="utf-8")
        return
    assert not path.exists(), f"{step.path} is not new"
    path.parent.mkdir(exist_ok=True)
    path.write_text(step.text, encoding="utf-8")


def _insert(step: Step, lines: list[str]) -> None:
    if step.line:
        above = step.line + "\n"
        assert lines.count(above) == 1, f"{step.line!r} is not once in {step.path}"
        lines.insert(lines.index(above) + 1, step.text)
        return
    element = textwrap.indent(step.text.rstrip(), " " * 4)
    index, end = _insertion(step.name, "".join(lines))
    lines.insert(index, element + end)


def _insertion(name: str, source: str) -> tuple[int, str]:
    """The index of the new line, and what ends it: before a collection's bracket, or at the end of
    a class."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node.end_lineno or 0, "\n"
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return (node.end_lineno or 0) - 1, ",\n"
    raise AssertionError(f"{name} is not defined")

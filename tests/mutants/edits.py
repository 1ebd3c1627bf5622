"""Edits of a syntax tree: what a mutation breaks is found by its structure, not by its text.

Line breaks, comments and quotes do not matter, and neither does anything outside the function that
an edit names; an edit whose target is not there exactly once does not apply.
"""

from __future__ import annotations

import ast
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

_Scope = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


class DoesNotApply(ValueError):
    """What the edit names is not there exactly once."""


class FileEdit(ABC):
    """One change to one file of a tree."""

    file: str

    @abstractmethod
    def edited(self, source: str) -> str:
        """The file's text after the change. Raises `DoesNotApply`."""

    def apply(self, tree: Path) -> None:
        """Rewrite the file below `tree`. Raises `DoesNotApply`, and then nothing has changed."""
        path = tree / self.file
        path.write_text(self.edited(path.read_text(encoding="utf-8")), encoding="utf-8")


@dataclass(frozen=True)
class Edit(FileEdit):
    """Replaces the one expression or statement `old` inside `within` by `new`.

    `within` is the qualified name of a function or class, or empty for the whole module. `new` is
    an expression where `old` is one, else any number of statements, none included.
    """

    file: str
    within: str
    old: str
    new: str

    def edited(self, source: str) -> str:
        """The source with the edit in it, formatted as `ast.unparse` does."""
        module = ast.parse(source)
        replacer = _replacer(self.old, self.new)
        replacer.visit(_scope(module, self.within))
        if replacer.found != 1:
            raise DoesNotApply(f"{self.old!r} is {replacer.found} times in {self.where}")
        return ast.unparse(ast.fix_missing_locations(module))

    @property
    def where(self) -> str:
        """The file, and the scope in it."""
        return f"{self.file}: {self.within}" if self.within else self.file


@dataclass(frozen=True)
class TableEdit(FileEdit):
    """Sets one entry of the dict `table` of a module, after the module has made it."""

    file: str
    table: str
    key: str
    value: str

    def edited(self, source: str) -> str:
        """The source with the entry set, formatted as `ast.unparse` does."""
        module = ast.parse(source)
        made = [i for i, node in enumerate(module.body) if _assigned_name(node) == self.table]
        if len(made) != 1:
            raise DoesNotApply(f"{self.table} is not made once in {self.file}")
        entry = ast.parse(f"{self.table}[{self.key}] = {self.value}").body
        module.body[made[0] + 1 : made[0] + 1] = entry
        return ast.unparse(ast.fix_missing_locations(module))


@dataclass(frozen=True)
class SqlEdit(FileEdit):
    """Replaces `old` in the statement that a file of named SQL calls `statement` by `new`."""

    file: str
    statement: str
    old: str
    new: str

    def edited(self, source: str) -> str:
        """The source with the edit in it."""
        named = re.compile(
            rf"^-- name: {self.statement}$.*?(?=^-- (?:name|fragment): |\Z)", re.M | re.S
        )
        found = named.findall(source)
        if len(found) != 1 or found[0].count(self.old) != 1:
            raise DoesNotApply(f"{self.old!r} is not once in {self.file}: {self.statement}")
        return source.replace(found[0], found[0].replace(self.old, self.new))


def _assigned_name(node: ast.stmt) -> str | None:
    match node:
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return name
    return None


def _scope(module: ast.Module, qualified: str) -> _Scope:
    scope: _Scope = module
    for name in filter(None, qualified.split(".")):
        inner = [node for node in scope.body if _is_named(node, name)]
        if len(inner) != 1:
            raise DoesNotApply(f"{qualified} is not there once")
        scope = inner[0]
    return scope


def _is_named(
    node: ast.stmt, name: str
) -> TypeGuard[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    named = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return isinstance(node, named) and node.name == name


def _replacer(old: str, new: str) -> _ReplaceExpression | _ReplaceStatement:
    statements = ast.parse(old).body
    if len(statements) != 1:
        raise DoesNotApply(f"{old!r} is not one statement or expression")
    if isinstance(statements[0], ast.Expr) and (replacement := _expression(new)) is not None:
        return _ReplaceExpression(statements[0].value, replacement)
    return _ReplaceStatement(statements[0], ast.parse(new).body)


def _expression(text: str) -> ast.expr | None:
    """The expression that the text is; None when it is statements, or nothing."""
    body = ast.parse(text).body
    return body[0].value if len(body) == 1 and isinstance(body[0], ast.Expr) else None


class _ReplaceExpression(ast.NodeTransformer):
    def __init__(self, old: ast.expr, new: ast.expr) -> None:
        self._old, self._new = ast.dump(old), new
        self.found = 0

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, ast.expr) and ast.dump(node) == self._old:
            self.found += 1
            return self._new
        return self.generic_visit(node)


class _ReplaceStatement(ast.NodeTransformer):
    def __init__(self, old: ast.stmt, new: list[ast.stmt]) -> None:
        self._old, self._new = ast.dump(old), new
        self.found = 0

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, ast.stmt) and ast.dump(node) == self._old:
            self.found += 1
            return self._new or ast.Pass()
        return self.generic_visit(node)

"""SQL/JSON paths: `lax $.a[*]?(@.b > 1)` as a tree. What is no path raises `PathError`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<number>(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?)
    |(?P<string>"(?:[^"]|"")*")|(?P<variable>\$[A-Za-z_]\w*|\$"(?:[^"]|"")*")
    |(?P<word>[A-Za-z_]\w*)|(?P<operator>\.\.|==|!=|<>|<=|>=|&&|\|\||[$@.*?()\[\],+\-/%<>!])""",
    re.X,
)
_METHODS = frozenset(
    ["type", "size", "double", "ceiling", "floor", "abs", "keyvalue", "decimal", "bigint"]
)
_BUILT = frozenset(["type", "size", "double", "ceiling", "floor", "abs", "keyvalue"])
_COMPARISONS = frozenset(["==", "!=", "<>", "<", "<=", ">", ">="])


class PathError(ValueError):
    """The text is no path, or none that is supported: `is_supported` tells."""

    def __init__(self, message: str, *, is_supported: bool = True) -> None:
        super().__init__(message)
        self.is_supported = is_supported


@dataclass(frozen=True, slots=True)
class Node:
    """`kind` and what belongs to it: nodes, names, values."""

    kind: str
    args: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Path:
    """A whole path. `variables`: the names that PASSING must give."""

    is_lax: bool
    root: Node
    variables: frozenset[str]


def read_path(text: str) -> Path:
    """The path that the text is."""
    return _Reader(text).path()


class _Reader:
    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        self.at = 0
        self.variables: set[str] = set()
        position = 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise PathError(f"unexpected character in the JSON path: {text[position]}")
            if match.lastgroup != "space":
                self.tokens.append((match.lastgroup or "", match[0]))
            position = match.end()
        self.tokens.append(("end", "<EOF>"))

    def path(self) -> Path:
        kind, word = self.tokens[0]
        if kind != "word" or word.lower() not in {"lax", "strict"}:
            raise PathError(f"mismatched input '{word}' expecting {{'lax', 'strict'}}")
        self.at = 1
        root = self._sum()
        if self.tokens[self.at][0] != "end":
            raise PathError(f"mismatched input '{self.tokens[self.at][1]}' expecting <EOF>")
        return Path(word.lower() == "lax", root, frozenset(self.variables))

    # --- tokens -----------------------------------------------------------------------------

    def _takes(self, *words: str) -> str:
        kind, text = self.tokens[self.at]
        if kind in {"operator", "word"} and text.lower() in words:
            self.at += 1
            return text.lower()
        return ""

    def _needs(self, word: str) -> None:
        if not self._takes(word):
            raise PathError(f"mismatched input '{self.tokens[self.at][1]}' expecting '{word}'")

    # --- expressions ------------------------------------------------------------------------

    def _sum(self) -> Node:
        left = self._product()
        while op := self._takes("+", "-"):
            left = Node("arithmetic", (op, left, self._product()))
        return left

    def _product(self) -> Node:
        left = self._unary()
        while op := self._takes("*", "/", "%"):
            left = Node("arithmetic", (op, left, self._unary()))
        return left

    def _unary(self) -> Node:
        if op := self._takes("+", "-"):
            return Node("sign", (op, self._unary()))
        return self._accessors(self._primary())

    def _accessors(self, found: Node) -> Node:
        while True:
            if self._takes(".."):
                found = Node("descendants", (found, self._key()))
            elif self._takes("."):
                found = self._member(found)
            elif self._takes("["):
                found = self._subscripts(found)
            elif self._takes("?"):
                self._needs("(")
                found = Node("filter", (found, self._either()))
                self._needs(")")
            else:
                return found

    def _member(self, base: Node) -> Node:
        if self._takes("*"):
            return Node("wildcard", (base,))
        kind, text = self.tokens[self.at]
        if kind == "word" and self.tokens[self.at + 1][1] == "(":
            return self._method(base, text)
        return Node("member", (base, self._key()))

    def _key(self) -> str:
        kind, text = self.tokens[self.at]
        if kind not in {"word", "string"}:
            raise PathError(f"mismatched input '{text}' expecting a key")
        self.at += 1
        return text if kind == "word" else text[1:-1].replace('""', '"')

    def _method(self, base: Node, name: str) -> Node:
        if name not in _BUILT:
            is_known = name in _METHODS or name == "datetime"
            raise PathError(f"The JSON path method {name}()", is_supported=not is_known)
        self.at += 1
        self._needs("(")
        self._needs(")")
        return Node("method", (base, name))

    def _subscripts(self, base: Node) -> Node:
        if self._takes("*"):
            self._needs("]")
            return Node("items", (base,))
        ranges = []
        while True:
            first = self._sum()
            ranges.append((first, self._sum() if self._takes("to") else None))
            if not self._takes(","):
                break
        self._needs("]")
        return Node("subscripts", (base, tuple(ranges)))

    def _primary(self) -> Node:
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            return Node("literal", (_number(text),))
        if kind == "string":
            return Node("literal", (text[1:-1].replace('""', '"'),))
        if kind == "variable":
            name = text[1:] if text[1] != '"' else text[2:-1].replace('""', '"')
            self.variables.add(name)
            return Node("variable", (name,))
        words = {"true": True, "false": False, "null": None}
        if kind == "word" and text.lower() in words:
            return Node("literal", (words[text.lower()],))
        if kind == "word" and text.lower() == "last":
            return Node("last")
        if text == "$":
            return Node("root")
        if text == "@":
            return Node("current")
        if text == "(":
            found = self._sum()
            self._needs(")")
            return found
        raise PathError(f"mismatched input '{text}' in the JSON path")

    # --- predicates -------------------------------------------------------------------------

    def _either(self) -> Node:
        left = self._both()
        while self._takes("||"):
            left = Node("or", (left, self._both()))
        return left

    def _both(self) -> Node:
        left = self._not()
        while self._takes("&&"):
            left = Node("and", (left, self._not()))
        return left

    def _not(self) -> Node:
        if self._takes("!"):
            return Node("not", (self._not(),))
        return self._test()

    def _test(self) -> Node:
        if self._takes("exists"):
            self._needs("(")
            found = Node("exists", (self._sum(),))
            self._needs(")")
            return found
        start = self.at
        if self._takes("("):
            try:
                inner = self._either()
                self._needs(")")
            except PathError:
                self.at = start
            else:
                if self._takes("is"):
                    self._needs("unknown")
                    return Node("is_unknown", (inner,))
                if self.tokens[self.at][1] in {")", "&&", "||"}:
                    return inner
                self.at = start
        left = self._sum()
        op = self._takes(*_COMPARISONS)
        if op:
            return Node("compare", (op.replace("<>", "!="), left, self._sum()))
        if self._takes("starts"):
            self._needs("with")
            return Node("starts_with", (left, self._sum()))
        if self._takes("like_regex"):
            raise PathError("like_regex in a JSON path", is_supported=False)
        raise PathError(f"mismatched input '{self.tokens[self.at][1]}' expecting a comparison")


def _number(text: str) -> Any:
    if "e" in text.lower():
        return float(text)
    return Decimal(text) if "." in text else int(text)


def read_passing(text: str) -> dict[str, Any]:
    """The names of PASSING, as they are handed to the worker."""
    found: dict[str, Any] = json.loads(text)
    return found

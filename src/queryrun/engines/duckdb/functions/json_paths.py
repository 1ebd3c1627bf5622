"""SQL/JSON paths over documents: what a path leads to, with Trino's lax and strict rules."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from queryrun.sql.json_text import formatted_double, formatted_text
from queryrun.sql.trino.json_path import Node, Path


class EvaluationError(ValueError):
    """A path that cannot be followed in this document; the text is Trino's."""


@dataclass(frozen=True, slots=True)
class Opaque:
    """A value that PASSING gives and JSON has not: a date. It is what it prints as."""

    text: str


ABSENT = object()
"""What a NULL is as JSON: no item at all."""
_MAX = 2**63


def parsed_document(text: str) -> Any:
    """A document with numbers as Trino has them: whole ones, and doubles."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise EvaluationError("conversion to JSON failed: ") from None


def _no_constant(word: str) -> Any:
    raise ValueError(word)


def document_text(item: Any) -> str:
    """A document without blanks, its keys in their order."""
    if isinstance(item, Opaque):
        raise EvaluationError("conversion from JSON failed: ")
    if isinstance(item, dict):
        pairs = (f"{formatted_text(k)}:{document_text(v)}" for k, v in item.items())
        return "{" + ",".join(pairs) + "}"
    if isinstance(item, list):
        return "[" + ",".join(map(document_text, item)) + "]"
    if isinstance(item, str):
        return formatted_text(item)
    if isinstance(item, float):
        return formatted_double(item)
    if isinstance(item, Decimal):
        return f"{item:f}"
    return {True: "true", False: "false", None: "null"}[item] if not _is_int(item) else str(item)


def _is_int(item: Any) -> bool:
    return isinstance(item, int) and not isinstance(item, bool)


def is_number(item: Any) -> bool:
    """Whether it is a number of any sort."""
    return isinstance(item, int | float | Decimal) and not isinstance(item, bool)


def evaluated(path: Path, root: Any, variables: Mapping[str, Any]) -> list[Any]:
    """The items that the path leads to. Raises `EvaluationError`."""
    return _Evaluation(path.is_lax, root, variables).items(path.root)


class _Evaluation:
    def __init__(self, is_lax: bool, root: Any, variables: Mapping[str, Any]) -> None:
        self.is_lax = is_lax
        self.root = root
        self.variables = variables
        self.current: list[Any] = []
        self.last: list[int] = []

    def items(self, node: Node) -> list[Any]:
        found: list[Any] = getattr(self, f"_{node.kind}")(*node.args)
        return found

    # --- where it begins --------------------------------------------------------------------

    def _root(self) -> list[Any]:
        return [] if self.root is ABSENT else [self.root]

    def _current(self) -> list[Any]:
        return [self.current[-1]]

    def _literal(self, value: Any) -> list[Any]:
        return [value]

    def _variable(self, name: str) -> list[Any]:
        value = self.variables[name]
        return [] if value is ABSENT else [value]

    def _last(self) -> list[Any]:
        if not self.last:
            raise EvaluationError("path evaluation failed: accessing the last array element")
        return [self.last[-1]]

    # --- accessors --------------------------------------------------------------------------

    def _unwrapped(self, found: list[Any]) -> Iterator[Any]:
        """In lax mode arrays stand for what is in them."""
        for item in found:
            if self.is_lax and isinstance(item, list):
                yield from item
            else:
                yield item

    def _structural(self, message: str) -> list[Any]:
        if self.is_lax:
            return []
        raise EvaluationError(f"path evaluation failed: structural error: {message}")

    def _member(self, base: Node, key: str) -> list[Any]:
        found: list[Any] = []
        for item in self._unwrapped(self.items(base)):
            if not isinstance(item, dict):
                found += self._structural("invalid item type. Expected: OBJECT")
            elif key not in item:
                found += self._structural(f"missing member '{key}' in JSON object")
            else:
                found.append(item[key])
        return found

    def _wildcard(self, base: Node) -> list[Any]:
        found: list[Any] = []
        for item in self._unwrapped(self.items(base)):
            if isinstance(item, dict):
                found += item.values()
            else:
                found += self._structural("invalid item type. Expected: OBJECT")
        return found

    def _descendants(self, base: Node, key: str) -> list[Any]:
        found: list[Any] = []
        for item in self.items(base):
            _descend(item, key, found)
        return found

    def _items(self, base: Node) -> list[Any]:
        found: list[Any] = []
        for item in self.items(base):
            if isinstance(item, list):
                found += item
            elif self.is_lax:
                found.append(item)
            else:
                found += self._structural("invalid item type. Expected: ARRAY")
        return found

    def _subscripts(self, base: Node, ranges: tuple[tuple[Node, Node | None], ...]) -> list[Any]:
        found: list[Any] = []
        for item in self.items(base):
            if not isinstance(item, list):
                if not self.is_lax:
                    self._structural("invalid item type. Expected: ARRAY")
                item = [item]
            self.last.append(len(item) - 1)
            for first, last in ranges:
                found += self._range(item, first, last)
            self.last.pop()
        return found

    def _range(self, item: list[Any], first: Node, last: Node | None) -> list[Any]:
        start = self._index(first)
        end = start if last is None else self._index(last)
        if start < 0 or end >= len(item) or start > end:
            self._structural(
                f"invalid array subscript: [{start}, {end}] for array of size {len(item)}"
            )
        return item[max(start, 0) : max(end + 1, 0)]

    def _index(self, node: Node) -> int:
        found = list(self._unwrapped(self.items(node)))
        if len(found) != 1 or not is_number(found[0]):
            raise EvaluationError(
                "path evaluation failed: array subscript 'from' value must be singleton numeric"
            )
        return int(found[0])

    def _filter(self, base: Node, test: Node) -> list[Any]:
        found = []
        for item in self._unwrapped(self.items(base)):
            self.current.append(item)
            if self.test(test) is True:
                found.append(item)
            self.current.pop()
        return found

    # --- arithmetic and methods -------------------------------------------------------------

    def _arithmetic(self, op: str, left: Node, right: Node) -> list[Any]:
        a, b = self._operand(left, op), self._operand(right, op)
        return [_calculated(op, a, b)]

    def _operand(self, node: Node, op: str) -> Any:
        found = list(self._unwrapped(self.items(node)))
        if len(found) != 1 or not is_number(found[0]):
            raise EvaluationError(f"path evaluation failed: invalid operand to {op} operator")
        return found[0]

    def _sign(self, op: str, node: Node) -> list[Any]:
        found = list(self._unwrapped(self.items(node)))
        if not all(map(is_number, found)):
            raise EvaluationError("path evaluation failed: invalid item type. Expected: NUMBER")
        return [-item if op == "-" else item for item in found]

    def _method(self, base: Node, name: str) -> list[Any]:
        found = self.items(base)
        if name in {"type", "size"}:
            return [_METHODS[name](item, self.is_lax) for item in found]
        items = list(self._unwrapped(found))
        if name == "keyvalue":
            return [pair for number, item in enumerate(items) for pair in _pairs(item, number)]
        return [_METHODS[name](item, self.is_lax) for item in items]

    # --- predicates: True, False, or None for unknown ---------------------------------------

    def test(self, node: Node) -> bool | None:
        found: bool | None = getattr(self, f"_test_{node.kind}")(*node.args)
        return found

    def _test_or(self, left: Node, right: Node) -> bool | None:
        a, b = self.test(left), self.test(right)
        return True if a or b else None if a is None or b is None else False

    def _test_and(self, left: Node, right: Node) -> bool | None:
        a, b = self.test(left), self.test(right)
        return False if a is False or b is False else None if a is None or b is None else True

    def _test_not(self, node: Node) -> bool | None:
        found = self.test(node)
        return None if found is None else not found

    def _test_is_unknown(self, node: Node) -> bool | None:
        return self.test(node) is None

    def _test_exists(self, node: Node) -> bool | None:
        try:
            return bool(self.items(node))
        except EvaluationError:
            return None

    def _test_compare(self, op: str, left: Node, right: Node) -> bool | None:
        return self._any_pair(left, right, lambda a, b: _compared(op, a, b))

    def _test_starts_with(self, left: Node, right: Node) -> bool | None:
        return self._any_pair(left, right, _starts_with)

    def _any_pair(
        self, left: Node, right: Node, test: Callable[[Any, Any], bool | None]
    ) -> bool | None:
        try:
            first = list(self._unwrapped(self.items(left)))
            second = list(self._unwrapped(self.items(right)))
        except EvaluationError:
            return None
        is_error = is_found = False
        for a in first:
            for b in second:
                result = test(a, b)
                is_error, is_found = is_error or result is None, is_found or result is True
                if self.is_lax and (is_error or is_found):
                    return None if is_error else True
        return None if is_error else is_found


def _descend(item: Any, key: str, found: list[Any]) -> None:
    if isinstance(item, dict):
        if key in item:
            found.append(item[key])
        for value in item.values():
            _descend(value, key, found)
    elif isinstance(item, list):
        for value in item:
            _descend(value, key, found)


def _calculated(op: str, a: Any, b: Any) -> Any:
    if isinstance(a, float) or isinstance(b, float):
        a, b = float(a), float(b)
    elif isinstance(a, Decimal) or isinstance(b, Decimal):
        a, b = Decimal(a), Decimal(b)
    try:
        if op in {"/", "%"} and isinstance(a, int):
            quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
            found: Any = quotient if op == "/" else a - quotient * b
        elif op == "%":
            found = math.fmod(a, b) if isinstance(a, float) else a % b
        else:
            found = _OPERATIONS[op](a, b)
    except (ArithmeticError, ValueError):
        raise EvaluationError("path evaluation failed: Division by zero") from None
    if isinstance(found, int) and not -_MAX <= found < _MAX:
        raise EvaluationError("path evaluation failed: bigint overflow")
    return found


_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}


def _compared(op: str, a: Any, b: Any) -> bool | None:
    if a is None or b is None:
        if op not in {"==", "!="}:
            return None if not (a is None and b is None) else op in {"<=", ">="}
        return (a is b) == (op == "==")
    same = (is_number(a) and is_number(b)) or (
        type(a) is type(b) and isinstance(a, str | bool | Opaque)
    )
    if not same:
        return None
    if isinstance(a, Opaque):
        a, b = a.text, b.text
    if op == "==":
        return bool(a == b)
    if op == "!=":
        return bool(a != b)
    return bool({"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[op])


def _starts_with(a: Any, b: Any) -> bool | None:
    return a.startswith(b) if isinstance(a, str) and isinstance(b, str) else None


def _type(item: Any, _: bool) -> str:
    if isinstance(item, bool):
        return "boolean"
    if is_number(item):
        return "number"
    names = {dict: "object", list: "array", str: "string", type(None): "null"}
    return names.get(type(item), "string")


def _size(item: Any, is_lax: bool) -> int:
    if isinstance(item, list):
        return len(item)
    if is_lax:
        return 1
    raise EvaluationError("path evaluation failed: invalid item type. Expected: ARRAY")


def _double(item: Any, _: bool) -> float:
    try:
        if isinstance(item, str) or is_number(item):
            return float(item)
    except ValueError:
        pass
    raise EvaluationError("path evaluation failed: invalid item type for double() method")


def _stepped(name: str) -> Callable[[Any, bool], Any]:
    def step(item: Any, _: bool) -> Any:
        if not is_number(item):
            raise EvaluationError("path evaluation failed: invalid item type. Expected: NUMBER")
        if isinstance(item, int) or name == "abs":
            return abs(item) if name == "abs" else item
        if isinstance(item, Decimal):
            rounding = ROUND_CEILING if name == "ceiling" else ROUND_FLOOR
            return item.to_integral_value(rounding)
        return float(math.ceil(item) if name == "ceiling" else math.floor(item))

    return step


def _pairs(item: Any, number: int) -> list[Any]:
    if not isinstance(item, dict):
        raise EvaluationError("path evaluation failed: invalid item type. Expected: OBJECT")
    return [{"name": key, "value": value, "id": number} for key, value in item.items()]


_METHODS: dict[str, Callable[[Any, bool], Any]] = {
    "type": _type, "size": _size, "double": _double, "ceiling": _stepped("ceiling"),
    "floor": _stepped("floor"), "abs": _stepped("abs"),
}  # fmt: skip

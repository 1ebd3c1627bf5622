"""The types of a result's columns: parsed from Trino's names, as types of Python and of Arrow.

Files in a text format do not say what their values are, so reading them alone must guess: `007`
becomes 7, and an empty file has no columns. A server that reports `columns` ends the guessing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Context, Decimal
from typing import Any, TypedDict

import msgspec

from queryrun_client.model import Column

_PLAIN: dict[str, Any] = {
    "boolean": bool,
    "tinyint": int,
    "smallint": int,
    "integer": int,
    "bigint": int,
    "real": float,
    "double": float,
    "decimal": Decimal,
    "varchar": str,
    "char": str,
    "uuid": str,
    "varbinary": bytes,
    "date": date,
    "time": time,
    "timestamp": datetime,
    "timestamp with time zone": datetime,
}
"""Values of a text format in these types are read without a loss, up to microseconds."""
_TOKEN = re.compile(r'\s*("(?:[^"]|"")*"|\d+|[A-Za-z_][A-Za-z0-9_]*(?: [a-z]+)*|[(),])')
_MICROSECONDS = 6
_WHOLE = Context(prec=38, traps=[])
"""As many digits as a decimal may have; the usual context has 28. More are not a number here."""
_as_json = msgspec.json.Encoder(decimal_format="number").encode
_dictionary: Any = TypedDict
"""Called with names that are only known now, which type checkers do not allow of `TypedDict`."""
_IN_WORDS = frozenset({"with time zone"})


@dataclass(frozen=True, slots=True)
class Type:
    """A parsed type: its name, its numbers (precision, scale), the types within it, their names."""

    name: str
    numbers: tuple[int, ...] = ()
    parts: tuple[Type, ...] = ()
    names: tuple[str, ...] = ()


def parse_type(text: str) -> Type:
    """The type that a server names. One that this module cannot parse has no parts and no values
    of its own: it is read as it is written."""
    try:
        tokens = _Tokens(text)
        found = _parse(tokens)
    except (ValueError, IndexError):
        return Type(text)
    return found if tokens.at_end else Type(text)


class _Tokens:
    """What is left of a type's text, token by token."""

    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text)
        if "".join(self._tokens).replace(" ", "") != text.replace(" ", ""):
            raise ValueError(text)
        self._next = 0

    @property
    def at_end(self) -> bool:
        return self._next == len(self._tokens)

    def lookahead(self) -> str:
        return "" if self.at_end else self._tokens[self._next]

    def take(self) -> str:
        self._next += 1
        return str(self._tokens[self._next - 1])


def _parse(tokens: _Tokens) -> Type:
    name = tokens.take().lower()
    numbers, parts, names = [], [], []
    if tokens.lookahead() == "(":
        tokens.take()
        while tokens.lookahead() != ")":
            if tokens.lookahead().isdigit():
                numbers.append(int(tokens.take()))
            else:
                names.append(_field_name(tokens) if name == "row" else "")
                parts.append(_parse(tokens))
            if tokens.lookahead() == ",":
                tokens.take()
        tokens.take()
    if tokens.lookahead() in _IN_WORDS:
        name = f"{name} {tokens.take()}"
    return Type(name, tuple(numbers), tuple(parts), tuple(names))


def _field_name(tokens: _Tokens) -> str:
    """The name in front of a field's type; empty when the field has none."""
    quoted = tokens.lookahead()
    if not quoted.startswith('"'):
        return ""
    return tokens.take()[1:-1].replace('""', '"')


# --- Python ---------------------------------------------------------------------------------


def python_type(kind: Type) -> Any:
    """What msgspec decodes a value of json into; never None, which every value may be. Values of
    type json, and of types that this module does not know, are what their JSON is
    (`decoder_of`)."""
    if kind.name == "array":
        return list[python_type(kind.parts[0]) | None]  # type: ignore[misc]
    if kind.name == "map":
        key, value = (python_type(part) for part in kind.parts)
        return dict[key, value | None]  # type: ignore[valid-type]
    if kind.name == "row" and all(kind.names):
        fields = {
            n: python_type(part) | None for n, part in zip(kind.names, kind.parts, strict=True)
        }
        return _dictionary("Fields", fields)
    if kind.name.startswith("time") and (kind.numbers or (0,))[0] > _MICROSECONDS:
        return str
    return _PLAIN.get(kind.name, Any)


def decoder_of(kind: Any) -> msgspec.json.Decoder[Any]:
    """Decodes json into the type. Numbers that no type is known of keep their digits, too."""
    return msgspec.json.Decoder(kind, float_hook=Decimal)


def row_type(columns: Sequence[Column]) -> Any:
    """A row of json as a dictionary with the columns' own types."""
    fields = {one.name: python_type(parse_type(one.type)) | None for one in columns}
    return _dictionary("TypedRow", fields)


def with_scale(kind: Type) -> Callable[[Any], Any] | None:
    """A function that gives the decimals within a decoded value of json as many digits behind the
    point as their type has: a number of json need not have its last zeros. It rounds nothing. None
    for types without decimals."""
    if kind.name == "decimal":
        return _scale_of(kind)
    parts = [with_scale(part) for part in kind.parts]
    if not any(parts):
        return None
    first, *others = [part or _unchanged for part in parts]
    if kind.name == "array":
        return lambda value: value and [first(one) for one in value]
    if kind.name == "map":
        (item,) = others
        return lambda value: value and {first(k): item(v) for k, v in value.items()}
    if not all(kind.names):
        return None
    members = dict(zip(kind.names, [first, *others], strict=True))
    return lambda value: value and {name: members[name](one) for name, one in value.items()}


def _scale_of(kind: Type) -> Callable[[Any], Any]:
    unit = Decimal(1).scaleb(-kind.numbers[1] if len(kind.numbers) > 1 else 0)

    def scaled(value: Decimal | None) -> Decimal | None:
        if value is None:
            return None
        whole = value.quantize(unit, context=_WHOLE)
        return whole if whole == value else value

    return scaled


def _unchanged(value: Any) -> Any:
    return value


# --- Arrow ----------------------------------------------------------------------------------


def arrow_type(arrow: Any, kind: Type) -> Any:
    """The Arrow type that keeps every value; text for the types that this module does not know."""
    if kind.name == "array":
        return arrow.list_(arrow_type(arrow, kind.parts[0]))
    if kind.name == "map":
        return arrow.map_(*(arrow_type(arrow, part) for part in kind.parts))
    if kind.name == "row" and all(kind.names):
        pairs = zip(kind.names, kind.parts, strict=True)
        return arrow.struct([(name, arrow_type(arrow, part)) for name, part in pairs])
    if kind.name == "decimal":
        return arrow.decimal128(*kind.numbers)
    if python_type(kind) is str:
        return arrow.string()
    plain = {
        "boolean": arrow.bool_(),
        "tinyint": arrow.int8(),
        "smallint": arrow.int16(),
        "integer": arrow.int32(),
        "bigint": arrow.int64(),
        "real": arrow.float32(),
        "double": arrow.float64(),
        "varbinary": arrow.binary(),
        "date": arrow.date32(),
        "time": arrow.time64("us"),
        "timestamp": arrow.timestamp("us"),
        "timestamp with time zone": arrow.timestamp("us", "UTC"),
    }
    return plain.get(kind.name, arrow.string())


def arrow_schema(arrow: Any, columns: Sequence[Column]) -> Any:
    """The schema of a table with these columns."""
    return arrow.schema([(one.name, arrow_type(arrow, parse_type(one.type))) for one in columns])


def arrow_value(kind: Type, value: Any) -> Any:
    """A decoded value of json as `arrow_type` takes it: JSON within a value is text there."""
    if value is None:
        return None
    if kind.name == "array":
        return [arrow_value(kind.parts[0], one) for one in value]
    if kind.name == "map":
        key, item = kind.parts
        return [(arrow_value(key, k), arrow_value(item, v)) for k, v in value.items()]
    if kind.name == "row" and all(kind.names):
        pairs = zip(kind.names, kind.parts, strict=True)
        return {name: arrow_value(part, value[name]) for name, part in pairs}
    if kind.name in _PLAIN or (isinstance(value, str) and kind.name != "json"):
        return value
    return _as_json(value).decode()

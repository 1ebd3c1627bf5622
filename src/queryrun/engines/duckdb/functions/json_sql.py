"""JSON_EXISTS, JSON_VALUE, JSON_QUERY, JSON_OBJECT and JSON_ARRAY of SQL.

Documents and values of PASSING come as text. `passing` is a JSON object: a name, and what its value
is (`s`tring, `n`umber, `b`oolean, `j`son, `o`ther), in the order of the values.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from queryrun.engines.duckdb.functions.documents import double_text
from queryrun.engines.duckdb.functions.json_paths import (
    ABSENT,
    EvaluationError,
    Opaque,
    document_text,
    evaluated,
    parsed_document,
)
from queryrun.engines.duckdb.functions.registry import InputError, formatted, worker_function
from queryrun.sql.json_text import formatted_text, in_java_order
from queryrun.sql.trino.json_path import Path, read_passing, read_path

_WIDE = Context(prec=400)
_WHOLE = {"tinyint": 2**7, "smallint": 2**15, "integer": 2**31, "bigint": 2**63}


@lru_cache(maxsize=256)
def _path(text: str) -> Path:
    return read_path(text)


@lru_cache(maxsize=256)
def _passing(text: str) -> dict[str, str]:
    return read_passing(text)


def _found(
    document: str | None, path: str, passing: str, values: Sequence[str | None]
) -> list[Any]:
    root = ABSENT if document is None else parsed_document(document)
    pairs = zip(_passing(passing).items(), values, strict=True)
    variables = {name: _variable(kind, value) for (name, kind), value in pairs}
    return evaluated(_path(path), root, variables)


def _variable(kind: str, value: str | None) -> Any:
    if kind == "j":
        return ABSENT if value is None else parsed_document(value)
    if value is None:
        return None
    if kind == "i":
        return int(value)
    if kind == "m":
        return Decimal(value)
    if kind == "d":
        return float(value)
    if kind == "b":
        return value == "true"
    return value if kind == "s" else Opaque(value)


@worker_function(
    "qr_json_exists(VARCHAR, VARCHAR, VARCHAR, VARCHAR[], VARCHAR) -> BOOLEAN", sees_nulls=True
)
def _json_exists(
    document: str | None, path: str, passing: str, values: list[str | None], on_error: str
) -> bool | None:
    if document is None:
        return None
    try:
        return bool(_found(document, path, passing, values))
    except EvaluationError as error:
        if on_error == "ERROR":
            raise InputError(str(error)) from None
        return {"TRUE": True, "FALSE": False, "UNKNOWN": None}[on_error]


@worker_function(
    "qr_json_query(VARCHAR, VARCHAR, VARCHAR, VARCHAR[], VARCHAR) -> VARCHAR", sees_nulls=True
)
def _json_query(
    document: str | None, path: str, passing: str, values: list[str | None], options: str
) -> str | None:
    """`options`: wrapper, quotes, on empty, on error."""
    if document is None:
        return None
    wrapper, quotes, on_empty, on_error = options.split(",")
    try:
        found = _found(document, path, passing, values)
        if not found:
            message = "cannot extract JSON array or object from path: JSON path found no items"
            return _instead(on_empty, message)
        return _queried(found, wrapper, quotes)
    except EvaluationError as error:
        return _instead(on_error, str(error))


def _instead(what: str, message: str) -> str | None:
    if what == "ERROR":
        raise InputError(message)
    return {"NULL": None, "EMPTY ARRAY": "[]", "EMPTY OBJECT": "{}"}[what]


def _queried(found: list[Any], wrapper: str, quotes: str) -> str:
    single = found[0] if len(found) == 1 else None
    is_wrapped = wrapper == "UNCONDITIONAL" or (
        wrapper == "CONDITIONAL" and not (len(found) == 1 and isinstance(single, dict | list))
    )
    if is_wrapped:
        return document_text(found)
    if len(found) > 1:
        raise EvaluationError("cannot extract JSON: JSON path found multiple items")
    if quotes == "OMIT" and isinstance(single, str):
        return single
    return document_text(single)


@worker_function(
    "qr_json_value(VARCHAR, VARCHAR, VARCHAR, VARCHAR[], VARCHAR) -> VARCHAR[]", sees_nulls=True
)
def _json_value(
    document: str | None, path: str, passing: str, values: list[str | None], target: str
) -> list[str | None] | None:
    """What was found (`value`, `empty`, `error`), and the value or message as text."""
    if document is None:
        return None
    try:
        found = _found(document, path, passing, values)
        if not found:
            return ["empty", None]
        if len(found) > 1 or isinstance(found[0], dict | list):
            what = (
                "found multiple items"
                if len(found) > 1
                else ("found an item that cannot be converted to an SQL value")
            )
            return ["error", f"cannot extract SQL scalar from JSON: JSON path {what}"]
        return ["value", None if found[0] is None else _scalar(found[0], target)]
    except EvaluationError as error:
        return ["error", str(error)]


def _scalar(item: Any, target: str) -> str:
    """A value as text that the type reads. Raises `EvaluationError` where it has none."""
    name, _, rest = target.partition("(")
    try:
        if name in _WHOLE:
            return str(_integer(item, _WHOLE[name]))
        if name in {"double", "real"}:
            return formatted(float(_plain(item)))
        if name == "decimal":
            precision, scale = (int(part) for part in rest.rstrip(")").split(","))
            return str(_decimal(item, precision, scale))
        if name == "char":
            return _string(item)
        if name == "boolean":
            return _boolean(item)
    except (ValueError, InvalidOperation, OverflowError):
        message = "cannot extract SQL scalar from JSON: JSON path found an item that"
        raise EvaluationError(f"{message} cannot be converted to {target}") from None
    return _text(item)


def _string(item: Any) -> str:
    if not isinstance(item, str):
        raise OverflowError(item)
    return item


def _plain(item: Any) -> Any:
    if isinstance(item, Opaque):
        raise OverflowError(item)
    return item


def _integer(item: Any, limit: int) -> int:
    item = _plain(item)
    if isinstance(item, str):
        number = int(item)
    else:
        number = int(
            Decimal(str(item) if isinstance(item, float) else item).to_integral_value(ROUND_HALF_UP)
        )
    if not -limit <= number < limit:
        raise ValueError(item)
    return number


def _decimal(item: Any, precision: int, scale: int) -> Decimal:
    number = Decimal(str(_plain(item)) if isinstance(item, float | str) else _plain(item))
    rounded = number.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP, _WIDE)
    if abs(rounded) >= 10 ** (precision - scale):
        raise ValueError(item)
    return rounded


def _boolean(item: Any) -> str:
    item = _plain(item)
    if isinstance(item, str):
        word = item.lower()
        if word not in {"true", "t", "1", "false", "f", "0"}:
            raise ValueError(item)
        return "true" if word in {"true", "t", "1"} else "false"
    return "true" if item else "false"


def _text(item: Any) -> str:
    if isinstance(item, Opaque):
        return item.text
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, float):
        return double_text(item, 17)
    return f"{item:f}" if isinstance(item, Decimal) else str(item)


@worker_function(
    "qr_json_items_at(VARCHAR, VARCHAR, VARCHAR, VARCHAR[], BOOLEAN) -> VARCHAR[]",
    sees_nulls=True,
)
def _json_items_at(
    document: str | None, path: str, passing: str, values: list[str | None], fails: bool
) -> list[str] | None:
    """The items that a JSON_TABLE makes rows of."""
    if document is None:
        return None
    try:
        return [document_text(item) for item in _found(document, path, passing, values)]
    except EvaluationError as error:
        if fails:
            raise InputError(str(error)) from None
        return []


# --- constructors ---------------------------------------------------------------------------


@worker_function("qr_json_checked(VARCHAR) -> VARCHAR")
def _json_checked(document: str) -> str:
    """A text that is said to be JSON."""
    try:
        return document_text(parsed_document(document))
    except EvaluationError as error:
        raise InputError(str(error)) from None


@worker_function("qr_json_array(VARCHAR[], BOOLEAN) -> VARCHAR")
def _json_array(documents: list[str | None], keeps_null: bool) -> str:
    kept = [one for one in documents if one is not None or keeps_null]
    return "[" + ",".join("null" if one is None else one for one in kept) + "]"


@worker_function("qr_json_object(VARCHAR[], VARCHAR[], BOOLEAN, BOOLEAN) -> VARCHAR")
def _json_object(
    keys: list[str | None], documents: list[str | None], keeps_null: bool, is_unique: bool
) -> str:
    found: dict[str, str] = {}
    seen: set[str] = set()
    for key, document in zip(keys, documents, strict=True):
        if key is None:
            raise InputError("null value passed for JSON object key to JSON_OBJECT function")
        if is_unique and key in seen:
            raise InputError("duplicate key passed to JSON_OBJECT function")
        seen.add(key)
        if document is None and not keeps_null:
            continue
        if key in found:
            raise InputError("cannot construct a JSON object with duplicate key")
        found[key] = "null" if document is None else document
    ordered = in_java_order(list(found))
    return "{" + ",".join(f"{formatted_text(key)}:{found[key]}" for key in ordered) + "}"


_ENCODINGS = {"UTF8": "utf-8", "UTF16": "utf-16-le", "UTF32": "utf-32-le"}


@worker_function("qr_json_encoded(VARCHAR, VARCHAR) -> BLOB")
def _json_encoded(document: str, encoding: str) -> bytes:
    return document.encode(_ENCODINGS[encoding])


@worker_function("qr_json_decoded(BLOB, VARCHAR) -> VARCHAR")
def _json_decoded(document: bytes, encoding: str) -> str:
    """What is no text is no JSON either, which is said where it is read."""
    return document.decode(_ENCODINGS[encoding], "replace")

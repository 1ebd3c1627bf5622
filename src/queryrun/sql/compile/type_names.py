"""Types as a statement names them."""

from __future__ import annotations

from collections.abc import Callable

from queryrun.sql.compile import moments
from queryrun.sql.compile import types as t
from queryrun.sql.compile.typed import UnsupportedCastError
from queryrun.sql.compile.types import Type
from queryrun.sql.trino.records.ast import TypeName

_SIMPLE = {
    "boolean": t.BOOLEAN, "tinyint": t.TINYINT, "smallint": t.SMALLINT, "integer": t.INTEGER,
    "int": t.INTEGER, "bigint": t.BIGINT, "real": t.REAL, "double": t.DOUBLE, "date": t.DATE,
    "varchar": t.VARCHAR, "varbinary": t.VARBINARY, "json": t.JSON, "uuid": t.UUID,
    "ipaddress": t.IPADDRESS, t.DAYS.name: t.DAYS, t.MONTHS.name: t.MONTHS,
}  # fmt: skip
_MOMENTS: dict[str, Callable[[int], Type]] = {
    "timestamp": t.timestamp,
    t.TSTZ: t.timestamp_tz,
    "time": t.time,
    t.TIMETZ: t.time_tz,
}

_WITH_PARTS = {"array", "map", "row"}
_NOT_BUILT = frozenset(
    ["hyperloglog", "p4hyperloglog", "qdigest", "tdigest", "setdigest", "geometry", "bingtile",
     "sphericalgeography", "kdbtree", "color", "objectid", "json2016", "jsonpath", "unknown"]
)  # fmt: skip
"""Types of Trino 476 that we do not offer; any other name is none of its types."""


def type_of(written: TypeName) -> tuple[Type, int | None]:
    """The type that is named, and the length that a varchar is cut to. `UnsupportedCastError`."""
    numbers = [argument for argument in written.arguments if isinstance(argument, int)]
    if written.name in _MOMENTS:
        precision = numbers[0] if numbers else 3
        if precision > moments.MAX_DIGITS:
            word = written.name.split()[0].upper()
            message = f"{word} precision must be in range [0, {moments.MAX_DIGITS}]: {precision}"
            raise UnsupportedCastError(message, is_mismatch=True)
        return _MOMENTS[written.name](precision), None
    if written.name not in _WITH_PARTS and len(numbers) < len(written.arguments):
        raise _unknown(written)
    if written.name == "decimal":
        precision, scale = [*numbers, 38, 0][0], [*numbers, 0, 0][1]
        if not 0 < precision <= 38 or scale > precision:
            raise UnsupportedCastError(
                f"decimal({precision},{scale}) is not a type", is_mismatch=True
            )
        return Type("decimal", (precision, scale)), None
    if written.name in _WITH_PARTS:
        parts = [type_of(part)[0] for part in written.arguments if isinstance(part, TypeName)]
        return Type(written.name, parts=tuple(parts), names=tuple(written.fields)), None
    if written.name == "char":
        size = numbers[0] if numbers else 1
        if size > t.MAX_CHAR:
            message = f"CHAR length must be in range [0, {t.MAX_CHAR}], got {size}"
            raise UnsupportedCastError(message, is_mismatch=True)
        return t.char(size), None
    if written.name in _SIMPLE and len(numbers) <= int(written.name == "varchar"):
        return _SIMPLE[written.name], numbers[0] if numbers else None
    if written.name in _NOT_BUILT:
        raise UnsupportedCastError(f"Type {written.name}")
    raise _unknown(written)


def _unknown(written: TypeName) -> UnsupportedCastError:
    return UnsupportedCastError(f"Unknown type: {written.name}", is_mismatch=True)

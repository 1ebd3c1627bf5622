"""The worker's functions: one entry each, made known to an instance when a statement needs it.

A row costs some two microseconds, so what people use most runs natively: see
`docs/reference/sql.md`. Each is listed in `sql/guard/duckdb_functions.json` under `worker`.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import duckdb
from duckdb.func import FunctionNullHandling, PythonUDFType

from queryrun.sql.compile.signatures import split_types
from queryrun.sql.digits import TOO_MANY_DIGITS, has_too_many_digits

Call = Callable[..., Any]
_SIGNATURE = re.compile(r"(?P<name>qr_\w+)\((?P<params>.*)\) -> (?P<returns>.+)")
_USES = re.compile(r"\bqr_[a-z0-9_]+")
_TOO_DEEP = "The value is nested too deeply"
_BOUNDS = {"BIGINT": 2**63, "INTEGER": 2**31}


class InputError(ValueError):
    """A value that the function does not take; the text is Trino's and is shown to the caller."""


class UnsupportedError(ValueError):
    """A value that we cannot do faithfully: a refusal, not an error of the caller's."""


@dataclass(frozen=True, slots=True)
class WorkerFunction:
    """One function: `params` and `returns` are DuckDB's types, `call` takes and gives values."""

    name: str
    params: tuple[str, ...]
    returns: str
    call: Call
    sees_nulls: bool
    is_volatile: bool


FUNCTIONS: dict[str, WorkerFunction] = {}


def worker_function(
    signature: str, *, sees_nulls: bool = False, is_volatile: bool = False
) -> Callable[[Call], Call]:
    """Register `qr_name(type, type) -> type`. Unless it sees nulls, NULL gives NULL unseen."""
    match = _SIGNATURE.fullmatch(signature)
    if match is None:
        raise ValueError(signature)
    params = tuple(part.strip() for part in split_types(match["params"]))

    def register(call: Call) -> Call:
        name = match["name"]
        if name in FUNCTIONS:
            raise ValueError(f"{name} is there twice")
        FUNCTIONS[name] = WorkerFunction(
            name, params, match["returns"], call, sees_nulls, is_volatile
        )
        return call

    return register


def used_by(sql: str) -> list[WorkerFunction]:
    """The functions that a translated statement calls; a name within a string does no harm."""
    if "qr_" not in sql:
        return []
    names = dict.fromkeys(_USES.findall(sql))
    return [FUNCTIONS[name] for name in names if name in FUNCTIONS]


def _ignore(_what: str) -> None:
    """For an instance that no statement with TRY runs on."""


def register_on(
    connection: duckdb.DuckDBPyConnection,
    function: WorkerFunction,
    on_refusal: Callable[[str], None] = _ignore,
) -> None:
    """Make a function known to the connection's instance, for good.

    `on_refusal` hears what a value asks for that is not supported, also where TRY hides that.
    """
    connection.create_function(
        function.name,
        _guarded(function, on_refusal),
        list(function.params),
        function.returns,
        type=PythonUDFType.NATIVE,
        null_handling=FunctionNullHandling.SPECIAL,
        side_effects=function.is_volatile,
    )


def _guarded(function: WorkerFunction, on_refusal: Callable[[str], None]) -> Call:
    """Nulls answered, and every error either worded for the caller or not shown at all.

    Values decide how deep a function recurses and how many digits it reads, so what Python has
    no room for is no fault of the function's.
    """
    call, sees_nulls = _in_range(function), function.sees_nulls

    def guarded(*args: Any) -> Any:
        if not sees_nulls and None in args:
            return None
        try:
            return call(*args)
        except UnsupportedError as refusal:
            on_refusal(str(refusal))
            raise
        except (InputError, MemoryError):
            raise
        except RecursionError:
            on_refusal(_TOO_DEEP)
            raise UnsupportedError(_TOO_DEEP) from None
        except Exception as error:
            if isinstance(error, ValueError) and has_too_many_digits(error):
                raise InputError(TOO_MANY_DIGITS) from None
            raise RuntimeError(type(error).__name__) from None

    # DuckDB asks for the number of parameters
    guarded.__signature__ = _signature(len(function.params))  # type: ignore[attr-defined]
    return guarded


def _in_range(function: WorkerFunction) -> Call:
    """Its call; a whole number beyond the type that it returns fails in Trino's words, not in
    those of DuckDB's binding."""
    call, bound = function.call, _BOUNDS.get(function.returns)
    if bound is None:
        return call

    def checked(*args: Any) -> Any:
        found = call(*args)
        if found is not None and not -bound <= found < bound:
            raise InputError(f"Out of range for {function.returns.lower()}: {found}")
        return found

    return checked


def _signature(count: int) -> inspect.Signature:
    kind = inspect.Parameter.POSITIONAL_ONLY
    return inspect.Signature([inspect.Parameter(f"p{n}", kind) for n in range(count)])


def formatted(value: float) -> str:
    """A double as text, to be cast where it is used: DuckDB takes a NaN of Python's for NULL."""
    return "NaN" if math.isnan(value) else repr(value).replace("inf", "Infinity")

"""checksum: the sum of the values' hashes of 64 bits, which Trino has by type."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NoReturn

from queryrun.sql.compile import types as t
from queryrun.sql.compile.typed import Typed
from queryrun.sql.duckdb import clocks
from queryrun.sql.duckdb.compiler import DuckDBCompiler
from queryrun.sql.duckdb.decimals import unscaled
from queryrun.sql.duckdb.functions.table import aggregate
from queryrun.sql.duckdb.intervals import amount
from queryrun.sql.duckdb.values import exact
from queryrun.sql.trino.records import ast

_PRIME = 0x9E3779B185EBCA87
_ALL = 2**64
_MAX_SHORT_DIGITS = 18
"""Of a decimal that Trino keeps in 64 bits."""


@aggregate("checksum")
def _checksum(c: DuckDBCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    hashed = c.once(value, lambda one: Typed(_Hashes(c, node).of(one), t.BIGINT)).sql
    weighted = f"coalesce({hashed}, 1)::UHUGEINT * {_PRIME}::UHUGEINT % {_ALL}::UHUGEINT"
    total = c.aggregated(node, "sum", [f"CAST({weighted} AS HUGEINT)"])
    return Typed(f"qr_little_endian_64(CAST({total} % {_ALL} AS UBIGINT))", t.VARBINARY)


@dataclass(frozen=True, slots=True)
class _Hashes:
    """Makes SQL of hashes, as UBIGINT; NULL of NULL. Within a row Trino takes its simpler ones."""

    c: DuckDBCompiler
    node: ast.Call
    is_simple: bool = False

    def of(self, value: Typed) -> str:
        """The hash of a value."""
        kind, sql = value.type, exact(value)
        if kind == t.UNKNOWN:
            return "CAST(NULL AS UBIGINT)"
        if kind.name in {"varchar", "char"}:
            return f"qr_hash_bytes(encode({sql}))"
        if kind == t.VARBINARY:
            return f"qr_hash_bytes({sql})"
        if kind.name in {"timestamp", t.TSTZ, "time"} and not t.is_fine(kind):
            return self._of_moment(value)
        if kind.parts:
            return self._of_nested(value)
        number = _integer(value)
        if number:
            return self._of_integer(number)
        if not self.is_simple and t.is_floating(kind):
            return f"qr_hash_{kind.name}({sql})"
        if not self.is_simple and kind.name == "decimal":
            return f"qr_hash_wide({unscaled(value)})"
        self._refuse(kind)

    def _refuse(self, kind: t.Type) -> NoReturn:
        within = " in a row" if self.is_simple else ""
        self.c.refuse(f"checksum of {kind}{within}", self.node.at)

    def _of_integer(self, sql: str) -> str:
        return f"qr_hash_{'simple' if self.is_simple else 'integer'}({sql})"

    def _of_moment(self, value: Typed) -> str:
        if value.type.name == "time":
            return self._of_integer(f"({clocks.micros(value.sql)} * 1000000)")
        micros = f"epoch_us({value.sql})"
        if value.type.name == "timestamp":
            return self._of_integer(micros)
        if self.is_simple:
            self._refuse(value.type)
        millis = f"CAST(floor({micros} / 1000) AS BIGINT)"
        if value.type.params[0] <= 3:
            return self._of_integer(millis)
        picos = f"(({micros} % 1000 + 1000) % 1000 * 1000000)"
        return f"xor({self._of_integer(millis)}, {self._of_integer(picos)})"

    def _part(self, sql: str, kind: t.Type) -> str:
        return f"coalesce({self.of(Typed(sql, kind))}, 0)::UHUGEINT"

    def _of_nested(self, value: Typed) -> str:
        """Of an array and a row each part's beside 31 times the one before; of a map the sum."""
        sql, parts, item = value.sql, value.type.parts, self.c.fresh("p")
        if value.type.name == "row":
            return replace(self, is_simple=True)._of_row(value)
        if value.type.name == "array":
            hashes = f"list_transform({sql}, lambda {item}: {self._part(item, parts[0])})"
            step = f"lambda h, e: (h * 31 + e) % {_ALL}::UHUGEINT"
        else:
            key, held = self._part(f"{item}.key", parts[0]), self._part(f"{item}.value", parts[1])
            hashes = f"list_transform(map_entries({sql}), lambda {item}: xor({key}, {held}))"
            step = f"lambda h, e: (h + e) % {_ALL}::UHUGEINT"
        return f"CAST(list_reduce({hashes}, {step}, 0::UHUGEINT) AS UBIGINT)"

    def _of_row(self, value: Typed) -> str:
        total = "1::UHUGEINT"
        for number, kind in enumerate(value.type.parts, 1):
            part = self._part(f"{value.sql}[{number}]", kind)
            total = f"({total} * 31 + {part}) % {_ALL}::UHUGEINT"
        return f"CASE WHEN {value.sql} IS NOT NULL THEN CAST({total} AS UBIGINT) END"


def _integer(value: Typed) -> str:
    """A value of which Trino has 64 bits as a BIGINT; empty of another."""
    kind, sql = value.type, exact(value)
    if kind == t.BOOLEAN or t.is_integer(kind):
        return f"CAST({sql} AS BIGINT)"
    if kind == t.DATE:
        return f"({sql} - DATE '1970-01-01')"
    if kind in {t.DAYS, t.MONTHS}:
        return f"CAST({amount(value)} AS BIGINT)"
    if kind.name == "decimal" and kind.params[0] <= _MAX_SHORT_DIGITS:
        return f"CAST({unscaled(value)} AS BIGINT)"
    return ""

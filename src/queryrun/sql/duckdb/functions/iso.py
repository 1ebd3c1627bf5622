"""`from_iso8601_timestamp` and its like: each value keeps the offset that it is written with."""

from __future__ import annotations

from queryrun.sql.compile import types as t
from queryrun.sql.compile.iso_moments import read_iso, read_iso_date_time
from queryrun.sql.compile.typed import Typed
from queryrun.sql.duckdb import casts_time, fine
from queryrun.sql.duckdb.compiler import DuckDBCompiler
from queryrun.sql.duckdb.functions.table import special
from queryrun.sql.duckdb.values import exact, picos
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.spelling import text

_DIGITS = {"from_iso8601_timestamp": 3, "from_iso8601_timestamp_nanos": 9}


@special(*_DIGITS)
def _from_iso8601_timestamp(c: DuckDBCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    value = c.as_type(node, value, t.VARCHAR)
    digits = _DIGITS[node.name]
    if isinstance(value.constant, str):
        return _literal(c, value.constant, digits)
    read = "qr_iso_date_time_nanos" if digits > 6 else "qr_iso_nanos"
    nanos = f"{read}({exact(value)}, {text(c.zone)})"
    if digits > 6:
        return Typed(f"(CAST({nanos} AS HUGEINT) * 1000)", t.timestamp_tz(digits, t.VARIES))
    millis = f"(({nanos} - (({nanos} % 1000000) + 1000000) % 1000000) // 1000)"
    return Typed(f"make_timestamptz({millis})", t.timestamp_tz(digits, t.VARIES))


def _literal(c: DuckDBCompiler, written: str, digits: int) -> Typed:
    found = read_iso_date_time(written) if digits > 6 else read_iso(written)
    if found is None:
        return c.fails(f'Invalid format: "{written}"', t.timestamp_tz(digits), [])
    nanos = found.nanos if digits > 6 else found.nanos // 10**6 * 10**6
    whole = Typed(fine.micros_literal(nanos // 1000), t.timestamp(min(digits, 6)))
    zoned = casts_time.in_zone(whole, found.zone, c.zone)
    if digits <= 6:
        return zoned
    kind = t.timestamp_tz(digits, found.zone)
    return Typed(f"({picos(zoned)} + {nanos % 1000 * 1000})", kind)

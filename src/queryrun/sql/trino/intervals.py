"""Intervals as result columns: the texts that Trino's clients print."""

from __future__ import annotations

from collections.abc import Sequence

from queryrun.sql.trino import types as t
from queryrun.sql.trino.scope import Output
from queryrun.sql.trino.types import Type


def printed(sql: str, outputs: Sequence[Output]) -> str:
    """The statement with its intervals as texts; `sql` itself when it has none.

    `3 00:00:05.000` and `-1-2`. Microseconds, which Trino's intervals do not have, are kept where
    they are not zero.
    """
    if not any(output.type in _TEXTS for output in outputs):
        return sql
    names = [f"c{index}" for index in range(len(outputs))]
    items = [
        f"{_TEXTS[output.type].format(name)} AS {name}" if output.type in _TEXTS else name
        for name, output in zip(names, outputs, strict=True)
    ]
    return f"SELECT {', '.join(items)} FROM ({sql}\n) AS q({', '.join(names)})"


def _part(divisor: int, modulus: int, digits: int) -> str:
    part = f"(abs(epoch_us({{0}})) // {divisor}) % {modulus}"
    return f"lpad(CAST({part} AS VARCHAR), {digits}, '0')"


_SECOND = 1_000_000
_DAYS = (
    "CASE WHEN epoch_us({0}) < 0 THEN '-' ELSE '' END || abs(epoch_us({0})) // 86400000000 || ' ' "
    f"|| {_part(3600 * _SECOND, 24, 2)} || ':' || {_part(60 * _SECOND, 60, 2)} || ':' "
    f"|| {_part(_SECOND, 60, 2)} || '.' || CASE WHEN epoch_us({{0}}) % 1000 = 0 "
    f"THEN {_part(1000, 1000, 3)} ELSE {_part(1, _SECOND, 6)} END"
)
_MONTH_COUNT = "(datepart('year', {0}) * 12 + datepart('month', {0}))"
_MONTHS = (
    f"CASE WHEN {_MONTH_COUNT} < 0 THEN '-' ELSE '' END "
    f"|| abs({_MONTH_COUNT}) // 12 || '-' || abs({_MONTH_COUNT}) % 12"
)
_TEXTS: dict[Type, str] = {t.DAYS: _DAYS, t.MONTHS: _MONTHS}

"""Columns whose type is defined: SQL that reads each text as that type, or fails."""

from __future__ import annotations

import re

from queryrun.tables.definition import ColumnRule, has_offsets
from queryrun.tables.sql import quoted_text

_YES = "('true', 't', 'yes', 'y', '1')"
_NO = "('false', 'f', 'no', 'n', '0')"
_WHOLE = "[+-]?[0-9]+"
_POINT = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_COMMA = r"[+-]?(?:[0-9]+|[0-9]{1,3}(?:\.[0-9]{3})+)(?:,[0-9]+)?"
_EXPONENT = r"(?:[eE][+-]?[0-9]+)?"


def rule_sql(value: str, rule: ColumnRule) -> str:
    """The value of a text as the rule's type; NULL for a text that is none of it."""
    kind = rule.kind
    if kind == "VARCHAR":
        return value
    if kind == "BOOLEAN":
        return (
            f"CASE WHEN lower({value}) IN {_YES} THEN true "
            f"WHEN lower({value}) IN {_NO} THEN false END"
        )
    if kind == "JSON":
        return f"CASE WHEN json_valid({value}) THEN CAST({value} AS JSON) END"
    if kind in {"DATE", "TIMESTAMP", "TIMESTAMPTZ"}:
        return _time(value, rule)
    return _number(value, rule)


def _number(value: str, rule: ColumnRule) -> str:
    """No digit is rounded away: a decimal with more than its type has is none of it."""
    number = f"replace(replace({value}, '.', ''), ',', '.')" if rule.decimal_comma else value
    pattern = _COMMA if rule.decimal_comma else _POINT
    decimal = re.fullmatch(r"DECIMAL\(\d+,(\d+)\)", rule.kind)
    if decimal:
        rest = f"rtrim(split_part({number}, '.', 2), '0')"
        fits = f"regexp_full_match({value}, '{pattern}') AND length({rest}) <= {decimal[1]}"
    elif rule.kind in {"DOUBLE", "FLOAT"}:
        fits = f"regexp_full_match({value}, '{pattern}{_EXPONENT}')"
    else:
        fits = f"regexp_full_match({value}, '{_WHOLE}')"
    return f"CASE WHEN {fits} THEN TRY_CAST({number} AS {rule.kind}) END"


def _time(value: str, rule: ColumnRule) -> str:
    zone = quoted_text(rule.time_zone or "UTC")
    if rule.format:
        return _formatted(value, rule, zone)
    if rule.kind == "DATE":
        return f"CASE WHEN qr_class({value}) = 'd' THEN TRY_CAST({value} AS DATE) END"
    if rule.kind == "TIMESTAMP":
        return f"CASE WHEN qr_class({value}) IN ('d', 't') THEN TRY_CAST({value} AS TIMESTAMP) END"
    local = (
        f"WHEN qr_class({value}) IN ('d', 't') "
        f"THEN {_local(f'TRY_CAST({value} AS TIMESTAMP)', zone)}"
    )
    return (
        f"CASE WHEN qr_class({value}) = 'o' THEN TRY_CAST({value} AS TIMESTAMPTZ) "
        f"{local if rule.time_zone else ''} END"
    )


def _formatted(value: str, rule: ColumnRule, zone: str) -> str:
    """A date has no time of day that would be dropped; an offset counts more than a zone."""
    read = f"try_strptime({value}, {quoted_text(rule.format)})"
    if rule.kind == "DATE":
        return f"CASE WHEN CAST({read} AS TIME) = TIME '00:00:00' THEN CAST({read} AS DATE) END"
    if rule.kind == "TIMESTAMP":
        return f"CAST({read} AS TIMESTAMP)"
    if has_offsets(rule.format):
        return f"CAST({read} AS TIMESTAMPTZ)"
    return _local(f"CAST({read} AS TIMESTAMP)", zone)


def _local(moment: str, zone: str) -> str:
    """NULL for a time that the zone's clocks have passed over; of two the later."""
    instant = f"timezone({zone}, {moment})"
    return f"CASE WHEN timezone({zone}, {instant}) = {moment} THEN {instant} END"

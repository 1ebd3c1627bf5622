"""What the values of a text column are, over the whole column, and the type that follows.

A value belongs to exactly one class, by its text alone. Classes are counted, and the counts
decide the type: never a sample, never the first rows. A type is chosen only when every value of
the column can be read back from it; otherwise the column is text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

INTEGER = "i"
"""A whole number in its plain form that fits 64 bits."""
LARGE = "I"
"""A whole number in its plain form of up to 38 digits."""
NUMBER = "f"
"""A number with a point or an exponent whose digits a double keeps."""
DECIMAL = "F"
"""A number of up to 38 digits that a double does not keep."""
DIGITS = "z"
"""Digits with a zero in front: a code, not a number."""
BOOLEAN = "b"
DATE = "d"
DAY_FIRST = "y"
"""dd/mm/yyyy whose day is above 12."""
MONTH_FIRST = "m"
"""mm/dd/yyyy whose day is above 12."""
SLASHED = "a"
"""A date either way."""
MOMENT = "t"
"""Date and time without a zone."""
INSTANT = "o"
"""Date and time with an offset."""
TEXT = "x"
NESTED = "j"
"""A JSON array or object."""
INEXACT = "n"
"""A JSON number that no type keeps."""

_NUMERIC = {INTEGER, LARGE, NUMBER, DECIMAL}
_MOMENTS = {DATE, MOMENT}
_FAMILIES = (_NUMERIC, {BOOLEAN}, _MOMENTS, {INSTANT}, {DAY_FIRST, MONTH_FIRST, SLASHED})
MAX_DIGITS = 38
MAX_EXACT_INTEGER = 2**53
"""Up to here a double keeps every whole number."""

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a column of one file: how many values of each class, and their digits."""

    counts: Counts = field(default_factory=dict)
    whole_digits: int = 0
    fraction_digits: int = 0
    has_exponent: bool = False
    max_integer: int = 0
    """The largest whole number that is in class `INTEGER`, without its sign."""

    @property
    def classes(self) -> set[str]:
        """The classes that occur."""
        return {name for name, count in self.counts.items() if count}

    @property
    def values(self) -> int:
        """How many there are, NULL and the empty text left out."""
        return sum(self.counts.values())


def joined(facts: Iterable[Facts]) -> Facts:
    """The facts of a column of several files."""
    every = list(facts)
    counts: dict[str, int] = {}
    for one in every:
        for name, count in one.counts.items():
            counts[name] = counts.get(name, 0) + count
    return Facts(
        counts,
        max((one.whole_digits for one in every), default=0),
        max((one.fraction_digits for one in every), default=0),
        any(one.has_exponent for one in every),
        max((one.max_integer for one in every), default=0),
    )


def type_of(facts: Facts, *, is_json: bool = False) -> str:
    """The type, as DuckDB names it, that keeps every value. `VARCHAR` when none other does.

    For dates with slashes `DATE/d` and `DATE/m` say which part is the day; for JSON `JSON` stands
    for a column of several sorts of values, and `NESTED` for one of arrays or objects alone.
    """
    found = facts.classes
    if not found:
        return "VARCHAR"
    if found <= _NUMERIC:
        return _number(facts, found) or ("JSON" if is_json else "VARCHAR")
    for classes, name in _BY_CLASSES:
        if found <= classes:
            return name
    if not is_json:
        return "VARCHAR"
    return _json(found)


_BY_CLASSES: tuple[tuple[set[str], str], ...] = (
    ({BOOLEAN}, "BOOLEAN"),
    ({DATE}, "DATE"),
    (_MOMENTS, "TIMESTAMP"),
    ({INSTANT}, "TIMESTAMPTZ"),
    ({SLASHED}, "VARCHAR"),
    ({DAY_FIRST, SLASHED}, "DATE/d"),
    ({MONTH_FIRST, SLASHED}, "DATE/m"),
)
_JSON_TEXT = {TEXT, DATE, MOMENT, INSTANT}


def _json(found: set[str]) -> str:
    if found <= _JSON_TEXT:
        return "VARCHAR"
    return "NESTED" if found == {NESTED} else "JSON"


def _number(facts: Facts, found: set[str]) -> str | None:
    """None when no type keeps all the numbers."""
    if found == {INTEGER}:
        return "BIGINT"
    if found <= {INTEGER, NUMBER} and facts.max_integer <= MAX_EXACT_INTEGER:
        return "DOUBLE"
    if facts.has_exponent or facts.whole_digits + facts.fraction_digits > MAX_DIGITS:
        return None
    return f"DECIMAL({MAX_DIGITS},{facts.fraction_digits})"


def family_of(facts: Facts) -> str:
    """`numbers`, `dates` … when all values are of one sort that is not text; otherwise empty."""
    found = facts.classes
    for classes, name in zip(_FAMILIES, FAMILY_NAMES, strict=True):
        if found and found <= classes:
            return name
    return ""


def is_plainly_text(value: str) -> bool:
    """Whether a value is of no family by its first character, as `qr_class` has it: no SQL is
    needed to know it. False says nothing."""
    return value >= ":" and value not in BOOLEANS


SLASHED_FAMILY = "dates with slashes"
FAMILY_NAMES = ("numbers", "true or false", "dates", "instants", SLASHED_FAMILY)


def fits_sql(family: str) -> str:
    """SQL about a text `v`: whether it is of the family, or a code among numbers."""
    classes = _FAMILIES[FAMILY_NAMES.index(family)] | ({DIGITS} if family == "numbers" else set())
    return f"(v = '' OR qr_class(v) IN ({', '.join(repr(name) for name in sorted(classes))}))"


def may_begin_as_family(facts: Facts) -> bool:
    """Whether rows before a break may be of one family: not known from facts of more rows."""
    return not family_of(facts) and any(facts.classes & family for family in _FAMILIES)


def breaks_family(facts: Facts, family: str) -> bool:
    """Whether values that are not of the family occur among `facts`.

    Digits with a zero in front never do: they say that the column's numbers are codes.
    """
    index = FAMILY_NAMES.index(family)
    others = facts.classes - _FAMILIES[index]
    return bool(others - {DIGITS}) if family == "numbers" else bool(others)


# --- the classes in SQL ---------------------------------------------------------------------

PLAIN = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
_SCIENTIFIC = (
    r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?[eE][+-][0-9]+|-?(?:0|[1-9][0-9]*)\.[0-9]+[eE][0-9]+"
)
_JSON_SCIENTIFIC = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?[eE][+-]?[0-9]+"
_MOMENT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6}0*)?)?"
OFFSET = r"(?:Z|[+-](?:0[0-9]|1[0-4])(?::?[0-5][0-9])?)"
BOOLEANS = ("true", "false", "True", "False", "TRUE", "FALSE")
_MAX_FAST_CHARS = 60
"""A plain number so short is not too small for a double."""

MACROS = (
    # Digits that count: without sign, point, exponent and zeros in front.
    "CREATE OR REPLACE MACRO qr_significant(v) AS length(ltrim(replace(replace("
    "regexp_replace(v, '[eE].*$', ''), '-', ''), '.', ''), '0'))",
    # The shortest spelling of a number's digits, to compare a text with what a double prints.
    "CREATE OR REPLACE MACRO qr_trimmed(v) AS CASE WHEN contains(v, '.') AND NOT contains("
    "lower(v), 'e') THEN rtrim(rtrim(v, '0'), '.') ELSE lower(v) END",
    "CREATE OR REPLACE MACRO qr_prints_back(v) AS coalesce(isfinite(TRY_CAST(v AS DOUBLE)) AND "
    "qr_trimmed(CAST(TRY_CAST(v AS DOUBLE) AS VARCHAR)) = qr_trimmed(v), false)",
    "CREATE OR REPLACE MACRO qr_keeps(v) AS (qr_significant(v) <= 15 AND ("
    f"(length(v) <= {_MAX_FAST_CHARS} AND NOT contains(lower(v), 'e')) OR "
    "regexp_matches(v, '[eE][+-]?0*[0-9]{1,2}$'))) OR qr_prints_back(v)",
    "CREATE OR REPLACE MACRO qr_digits(v) AS length(v) - (v[1] = '-')::INT - contains(v, '.')::INT",
    "CREATE OR REPLACE MACRO qr_number(v) AS CASE "
    f"WHEN regexp_full_match(v, '-?[1-9][0-9]*') AND qr_digits(v) <= {MAX_DIGITS} THEN 'I' "
    "WHEN qr_keeps(v) AND NOT regexp_full_match(v, '-?[1-9][0-9]*') THEN 'f' "
    f"WHEN regexp_full_match(v, '{PLAIN}') AND qr_digits(v) <= {MAX_DIGITS} THEN 'F' END",
    "CREATE OR REPLACE MACRO qr_slashed(v) AS CASE "
    "WHEN try_strptime(v, '%d/%m/%Y') IS NOT NULL AND try_strptime(v, '%m/%d/%Y') IS NOT NULL "
    "THEN 'a' WHEN try_strptime(v, '%d/%m/%Y') IS NOT NULL THEN 'y' "
    "WHEN try_strptime(v, '%m/%d/%Y') IS NOT NULL THEN 'm' ELSE 'x' END",
    "CREATE OR REPLACE MACRO qr_time(v) AS CASE WHEN v < '0001' THEN 'x' "
    "WHEN regexp_full_match(v, '[0-9]{4}-[0-9]{2}-[0-9]{2}') "
    "THEN CASE WHEN TRY_CAST(v AS DATE) IS NULL THEN 'x' ELSE 'd' END "
    f"WHEN regexp_full_match(v, '{_MOMENT}') "
    "THEN CASE WHEN TRY_CAST(v AS TIMESTAMP) IS NULL OR v[12:13] > '23' THEN 'x' ELSE 't' END "
    f"WHEN regexp_full_match(v, '{_MOMENT}{OFFSET}') "
    "THEN CASE WHEN TRY_CAST(v AS TIMESTAMPTZ) IS NULL OR v[12:13] > '23' THEN 'x' ELSE 'o' END "
    "ELSE 'x' END",
    # A date and time as the engine prints it (or with a T), which is most of them. Years of five
    # digits and BC, which it prints as well, are no dates here.
    "CREATE OR REPLACE MACRO qr_plain_moment(v) AS v >= '0001' AND v[5] = '-' AND "
    "(length(v) = 19 OR v[20] = '.') AND coalesce("
    "CAST(TRY_CAST(v AS TIMESTAMP) AS VARCHAR) = replace(v, 'T', ' '), false)",
    # `v` below ':' begins with a digit or a minus: anything else is no number and no date.
    "CREATE OR REPLACE MACRO qr_class(v) AS CASE WHEN v IS NULL OR v = '' THEN NULL "
    f"WHEN v >= ':' THEN CASE WHEN v IN {BOOLEANS} "
    "THEN 'b' ELSE 'x' END WHEN v < '-' THEN 'x' "
    "WHEN CAST(TRY_CAST(v AS BIGINT) AS VARCHAR) = v THEN 'i' "
    f"WHEN regexp_full_match(v, '{PLAIN}|{_SCIENTIFIC}') THEN coalesce(qr_number(v), 'x') "
    "WHEN regexp_full_match(v, '[0-9]+') THEN 'z' "
    "WHEN v[5] = '-' THEN qr_time(v) "
    "WHEN length(v) = 10 AND regexp_full_match(v, '[0-9]{2}/[0-9]{2}/[0-9]{4}') "
    "THEN qr_slashed(v) ELSE 'x' END",
    # JSON: texts begin with a quote (see `json_records`), everything else is as in the file.
    "CREATE OR REPLACE MACRO qr_json_class(v) AS CASE WHEN v IS NULL THEN NULL "
    "WHEN v[1] = '\"' THEN CASE WHEN v[6] = '-' THEN qr_time(v[2:]) ELSE 'x' END "
    "WHEN v[1] IN ('{', '[') THEN 'j' WHEN v IN ('true', 'false') THEN 'b' "
    "WHEN CAST(TRY_CAST(v AS BIGINT) AS VARCHAR) = v THEN 'i' "
    f"WHEN regexp_full_match(v, '{PLAIN}|{_JSON_SCIENTIFIC}') THEN coalesce(qr_number(v), 'n') "
    "ELSE 'n' END",
)
"""What a connection must be told before it can run the SQL made here."""


def facts_sql(source: str, *, is_json: bool = False) -> str:
    """A query with one row for each column and class that occurs, for `read_facts`.

    `source` has the values of all columns one below the other, as `c` (which column) and `v`: so
    the classes are bound once, and not once for each column.
    """
    classify = "qr_json_class" if is_json else "qr_class"
    return (
        "SELECT c, k, count(*), max(length(ltrim(split_part(v, '.', 1), '-'))), "
        "max(length(split_part(v, '.', 2))), bool_or(contains(lower(v), 'e')), "
        "coalesce(max(abs(CAST(TRY_CAST(v AS BIGINT) AS HUGEINT))) FILTER (k = 'i'), 0) "
        f"FROM (SELECT c, v, {classify}(v) AS k FROM {source}) WHERE k IS NOT NULL GROUP BY c, k"
    )


def read_facts(rows: Sequence[tuple[Any, ...]], columns: int) -> list[Facts]:
    """The facts of each column in the rows that `facts_sql` returns."""
    found: list[list[Facts]] = [[] for _ in range(columns)]
    for column, name, count, whole, fraction, exponent, largest in rows:
        counts = {str(name): int(count)}
        is_number = name in _NUMERIC
        facts = Facts(counts, int(whole), int(fraction), bool(exponent), int(largest))
        found[int(column)].append(facts if is_number else Facts(counts))
    return [joined(facts) for facts in found]


def value_sql(column: str, kind: str, *, is_json: bool = False) -> str:
    """The value of a text column as the type that `type_of` has chosen.

    Only right for values of the classes that led to the type: see `checked_sql`.
    """
    text = (
        f"CASE WHEN {column}[1] = '\"' THEN {column}[2:] ELSE {column} END" if is_json else column
    )
    if kind == "VARCHAR":
        return text
    if kind == "NESTED":
        return column
    if kind == "JSON":
        encoded = f"CASE WHEN {column}[1] = '\"' THEN to_json({column}[2:]) ELSE {column} END"
        return f"CAST({encoded} AS JSON)"
    if not is_json:
        text = f"nullif({text}, '')"
    if kind.startswith("DATE/"):
        order = "%d/%m/%Y" if kind == "DATE/d" else "%m/%d/%Y"
        return f"CAST(strptime({text}, '{order}') AS DATE)"
    return f"CAST({text} AS {kind})"


_TRIED = {"BIGINT", "DOUBLE", "DATE", "TIMESTAMP"}


def tried_sql(column: str, kind: str, *, is_json: bool = False) -> str:
    """The cast that test and value have in common, for `checked_sql`: so it is made once.

    Empty for a type that is tested by other means.
    """
    if kind not in _TRIED:
        return ""
    return f"TRY_CAST({_bare(column, kind, is_json)} AS {kind})"


def _bare(column: str, kind: str, is_json: bool) -> str:
    """The text of a value; dates and times are texts in JSON, and numbers none."""
    return f"{column}[2:]" if is_json and kind in {"DATE", "TIMESTAMP", "TIMESTAMPTZ"} else column


def checked_sql(
    column: str, kind: str, facts: Facts, *, is_json: bool = False, tried: str = ""
) -> str:
    """`value_sql`, failing with `MISMATCH` for a value whose class would lead to another type.

    `facts` are those that led to the type; `tried` is where the result of `tried_sql` is.
    """
    value = tried or value_sql(column, kind, is_json=is_json)
    if kind in {"JSON", "NESTED"}:
        return value
    if kind == "VARCHAR":
        fine = _stays_text(column, facts, is_json)
        return f"CASE WHEN {fine} THEN {value} ELSE error('{MISMATCH}') END" if fine else value
    empty = "" if is_json else f" OR {column} = ''"
    return (
        f"CASE WHEN {column} IS NULL{empty} THEN NULL "
        f"WHEN {_is_of(column, kind, is_json, tried or tried_sql(column, kind, is_json=is_json))} "
        f"THEN {value} ELSE error('{MISMATCH}') END"
    )


MISMATCH = "queryrun:mismatch"


def _stays_text(column: str, facts: Facts, is_json: bool) -> str:
    """Which values leave a column text; empty for any. A column without values may be anything."""
    is_none = f"{column} IS NULL" if is_json else f"coalesce({column}, '') = ''"
    if not facts.classes:
        return is_none
    if is_json:
        return f"{is_none} OR {column}[1] = '\"'"
    if facts.classes == {SLASHED}:
        return f"{is_none} OR qr_class({column}) = '{SLASHED}'"
    return ""


def _is_of(column: str, kind: str, is_json: bool, tried: str) -> str:
    """Fast tests first: most values are spelled as the engine would print them."""
    classify = f"qr_json_class({column})" if is_json else f"qr_class({column})"
    text = _bare(column, kind, is_json)
    if kind == "BIGINT":
        return f"CAST({tried} AS VARCHAR) = {column}"
    if kind == "DOUBLE":
        return (
            f"((length({column}) <= 15 AND regexp_full_match({column}, '{PLAIN}')) "
            f"OR (CAST({tried} AS VARCHAR) = {column} AND regexp_full_match({column}, '{PLAIN}')) "
            f"OR CASE {classify} WHEN 'f' THEN true WHEN 'i' THEN "
            f"abs(CAST(TRY_CAST({column} AS BIGINT) AS HUGEINT)) <= {MAX_EXACT_INTEGER} "
            "ELSE false END)"
        )
    if kind == "DATE":
        return f"length({text}) = 10 AND {text} >= '0001' AND CAST({tried} AS VARCHAR) = {text}"
    if kind == "TIMESTAMP":
        printed = f"CAST({tried} AS VARCHAR)"
        return (  # years of five digits and BC print longer
            f"((length({text}) = 19 AND {printed} = {text}) OR ({text} >= '0001' "
            f"AND {text}[5] = '-' AND (length({text}) = 19 OR {text}[20] = '.') "
            f"AND ({printed} = {text} OR {printed} = replace({text}, 'T', ' '))) "
            f"OR {classify} IN ('t', 'd'))"
        )
    if kind == "TIMESTAMPTZ":
        return f"(({text}[-1] = 'Z' AND qr_plain_moment({text}[:-2])) OR {classify} = 'o')"
    if kind.startswith("DECIMAL("):
        scale = int(kind.partition(",")[2][:-1])
        fraction = rf"(?:\.[0-9]{{1,{scale}}})?" if scale else ""
        whole = MAX_DIGITS - scale - 1
        digits = rf"0|[1-9][0-9]{{0,{whole}}}" if whole >= 0 else "0"
        return f"regexp_full_match({column}, '-?(?:{digits}){fraction}')"
    if kind == "BOOLEAN" and not is_json:
        alternatives = (f"{column} = '{word}'" for word in BOOLEANS)
        return f"({' OR '.join(alternatives)})"
    classes = {"BOOLEAN": "'b'", "DATE/d": "'y', 'a'", "DATE/m": "'m', 'a'"}
    return f"{classify} IN ({classes[kind]})"

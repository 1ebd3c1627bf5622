"""What strangers send is read in time linear in its length, whatever it looks like.

The texts are so long that quadratic time would be minutes, and cubic or exponential time years.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryrun.engines.duckdb import failures as duckdb_failures
from queryrun.engines.duckdb.functions import documents
from queryrun.engines.spark import failures as spark_failures
from queryrun.http.compression import GZIP_ITEM
from queryrun.http.files import RANGE
from queryrun.http.prefer import PREFERENCE
from queryrun.http.server import body, head
from queryrun.http.v2.filters import CLAUSE
from queryrun.sql.compile import show
from queryrun.sql.compile.moments import ZONED
from queryrun.sql.duckdb import translate
from queryrun.sql.parameters import BadParameterError, Parameter, check
from queryrun.sql.trino.immediate import is_immediate

LENGTH = 65_000
BLANKS = " " * LENGTH
BOUND_S = 10.0
"""Of CPU time. Linear: some milliseconds."""


def refused(kind: str, value: str) -> None:
    """A parameter that is no value of its type."""
    with pytest.raises(BadParameterError):
        check(Parameter("", kind, value))


def like(pattern: str, value: str, escape: str | None = None) -> bool:
    """As SHOW TABLES LIKE has it."""
    return show._matches(show._like_tokens(pattern, escape), value)


READINGS: dict[str, Callable[[], object]] = {
    "Prefer, blanks before a value": lambda: PREFERENCE.fullmatch(f'wait={BLANKS}"a"b'),
    "Prefer, blanks in a value": lambda: PREFERENCE.fullmatch(f'wait=a{BLANKS}a{BLANKS}"a'),
    "Prefer, blanks behind a name": lambda: PREFERENCE.fullmatch(f"wait{BLANKS}x"),
    "Accept-Encoding": lambda: GZIP_ITEM.fullmatch(f"gzip{BLANKS};{BLANKS}x"),
    "Range": lambda: RANGE.fullmatch("bytes=" + "1-" * LENGTH),
    "a filter": lambda: CLAUSE.fullmatch("a." * LENGTH),
    "a chunk's extensions": lambda: body._CHUNK_LINE.fullmatch(b"0" + b";a= " * LENGTH + b"\0"),
    "a chunk's blanks": lambda: body._CHUNK_LINE.fullmatch(b"0;a=" + b" \t" * LENGTH + b"\0"),
    "a trailer": lambda: body._TRAILER_LINE.fullmatch(b"a" * LENGTH + b"\0"),
    "a request line": lambda: head._REQUEST_LINE.fullmatch(b"GET " + b"a" * LENGTH + b" HTTP/"),
    "header lines": lambda: head._HEADER_LINES.fullmatch(b"a:b\r\n" * LENGTH + b"\0"),
    "a zone behind blanks": lambda: refused("timestamp with time zone", f"{BLANKS}x"),
    "a zone of words": lambda: refused("timestamp with time zone", " a" * 30_000 + "?"),
    "a moment and blanks": lambda: refused(
        "timestamp with time zone", f"2024-01-01{BLANKS[:-99]}?"
    ),
    "a type behind blanks": lambda: refused(f"a{BLANKS}x", "1"),
    "a type's blanks": lambda: refused(f"decimal({BLANKS}1{BLANKS},{BLANKS}", "1"),
    "comments before a statement": lambda: is_immediate("/**/" * LENGTH + "SELECT 1"),
    "comments in each other": lambda: is_immediate("/*" * LENGTH),
    "lines before a statement": lambda: is_immediate("--\n" * LENGTH + "EXECUT"),
    "a moment in a statement": lambda: ZONED.match(f"2{BLANKS}?"),
    "LIKE of SHOW": lambda: like("%_" * 500 + "z", "a" * 1_000),
    "an engine's advice": lambda: translate._ADVICE.sub("", f"a{BLANKS}b"),
    "DuckDB's advice": lambda: duckdb_failures._ADVICE_ON_SETTINGS.sub("", "\n" * LENGTH + "b"),
    "Spark's advice": lambda: spark_failures._ADVICE_ON_SETTINGS.sub("", "a " * LENGTH + "."),
    "a number of JSON": lambda: documents._IS_DOUBLE.fullmatch("1" * LENGTH + "x"),
    "Spark's trace": lambda: spark_failures._TAIL.sub("", "a" + "\n" * LENGTH + "b"),
    "Spark's trace of tabs": lambda: spark_failures._TAIL.sub("", "\n\t\t" * LENGTH + "b"),
}


@pytest.mark.parametrize("what", READINGS)
def test_a_text_is_read_in_time_linear_in_its_length(what: str) -> None:
    began_s = time.process_time()
    READINGS[what]()
    assert time.process_time() - began_s < BOUND_S


@pytest.mark.parametrize(
    ("header", "value"),
    [("wait=5", "5"), (" wait = 5 ", "5"), ('wait="5"; a=b', "5"), ("wait", None), ("wait=", "")],
)
def test_a_preference_has_a_name_and_a_value(header: str, value: str | None) -> None:
    found = PREFERENCE.fullmatch(header)
    assert found is not None
    assert (found[1], found[2] and found[2].strip()) == ("wait", value)


@pytest.mark.parametrize("header", ["", "=5", "wait 5", 'wait="a"b', "wäit=5"])
def test_what_is_no_preference_is_none(header: str) -> None:
    assert PREFERENCE.fullmatch(header) is None


@pytest.mark.parametrize(
    "kind", ["decimal(1 2)", "decimal(\u0661)", "decimal(,)", "decimal()", "time(1,)", "date zone"]
)
def test_numbers_of_a_type_are_digits_with_commas(kind: str) -> None:
    refused(kind, "1")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("decimal( 10 , 2 )", "1.25"),
        ("double  precision".replace("  ", " "), "1"),
        ("time (3)", "12:00:00.123"),
        ("timestamp (3) with time zone", "2024-01-01 00:00:00   Europe/Berlin"),
        ("timestamp with time zone", "2024-01-01T00:00:00+02:00"),
    ],
)
def test_blanks_may_stand_where_they_stand_in_statements(kind: str, value: str) -> None:
    check(Parameter("", kind, value))


@given(st.text("ab%_!\\", max_size=8), st.text("ab%_!\\", max_size=8))
def test_like_is_what_a_regular_expression_would_find(pattern: str, value: str) -> None:
    words = {"%": ".*", "_": "."}
    expected = "".join(words.get(one) or re.escape(one) for one in pattern)
    assert like(pattern, value) is bool(re.fullmatch(expected, value, re.S))
    assert like("".join(f"!{one}" for one in value), value, "!")

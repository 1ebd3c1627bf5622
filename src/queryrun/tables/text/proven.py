"""Whole columns of texts as typed arrays, where one test of all of them proves every value.

The engine's tests look at each value by itself. Arrow's casts take a twentieth of their time, but
are lenient (`007`, `0x1F`); so what they accept counts only with a proof that each text is one that
`kinds` gives the type to. What has no such proof is not wrong: the engine then tests each value.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from queryrun.tables.text.kinds import BOOLEANS, OFFSET, PLAIN, SLASHED, Facts

_FIRST_DAY, _FIRST_MOMENT = -719_162, -62_135_510_400_000_000
"""Of the year 1, as days and microseconds from 1970; the moment is a day later, because the local
time of an instant must be of that year too."""
_EXACT_CHARS = 15
"""A double keeps every number of so many characters."""
_MIN_PRINTED, _MAX_PRINTED = 0.001, 1e15
"""Doubles that Arrow and the engine both print without an exponent."""
_HOURS_CHARS = 13
"""Of a date and hours without minutes, which Arrow takes for a time."""

_POWERS = [pa.scalar(10**digits, pa.int64()) for digits in range(19)]
"""By their number of zeros."""

TYPES: Mapping[str, pa.DataType] = {
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us"),
    "TIMESTAMPTZ": pa.timestamp("us", "UTC"),
    "VARCHAR": pa.string(),
}
"""The types that are read here; a column of another is the engine's."""


def proven(text: pa.StringArray, kind: str, facts: Facts) -> pa.Array | None:
    """The values as `kind`; None when they are not all proven to be of it, which says nothing.

    An empty text, of quotes, is NULL, but stays in a column of texts. `facts` are those that led
    to the type.
    """
    if kind == "VARCHAR":
        return _text(text, facts)
    found = _found(text, kind)
    if found is None and (empty := pc.equal(pc.binary_length(text), 0)).true_count:
        found = _found(pc.if_else(empty, pa.scalar(None, pa.string()), text), kind)
    return found


def _found(text: pa.StringArray, kind: str) -> pa.Array | None:
    if not _size(text):
        return pa.nulls(len(text), TYPES[kind])
    try:
        return _READERS[kind](text)
    except pa.ArrowInvalid:
        return None


def _text(text: pa.StringArray, facts: Facts) -> pa.Array | None:
    """A column without values, or of dates that may be read two ways, is no text for good."""
    if not facts.classes:
        return text if not _size(text) else None
    return None if facts.classes == {SLASHED} else text


def _integers(text: pa.StringArray) -> pa.Array | None:
    """Plain forms are the shortest: all texts are plain when together they have as many characters
    as the numbers' digits and signs. Letters (of `0x1F`, which may be shorter), signs and blanks
    are ruled out before.
    """
    if not _has_only_digits(text):
        return None
    values = pc.cast(text, pa.int64())
    bounds, sizes, signs = pc.min_max(values), values, 0
    if bounds["min"].as_py() < 0:
        sizes, signs = pc.abs_checked(values), pc.less(values, 0).true_count
        bounds = pc.min_max(sizes)
    fewest, largest = (len(str(bounds[name].as_py())) for name in ("min", "max"))
    chars = (len(values) - values.null_count) * fewest + signs
    for power in _POWERS[fewest:largest]:
        chars += pc.greater_equal(sizes, power).true_count
    return values if chars == _size(text) else None


def _doubles(text: pa.StringArray) -> pa.Array | None:
    """What begins with 1 to 9 and does not end in a point is in its plain form."""
    if not _has_only_digits(text):
        return None
    values = pc.cast(text, pa.float64())
    is_short = pc.less(text, "1")
    if is_short.true_count and not _all_match(text.filter(is_short), PLAIN):
        return None
    if pc.ends_with(text, ".").true_count:
        return None
    is_long = pc.greater(pc.binary_length(text), _EXACT_CHARS)
    return values if not is_long.true_count or _print_back(text, values, is_long) else None


def _print_back(text: pa.StringArray, values: pa.Array, is_long: pa.BooleanArray) -> bool:
    """Whether the doubles print the long texts as they are."""
    texts, found = text.filter(is_long), values.filter(is_long)
    sizes = pc.min_max(pc.abs(found))
    if sizes["min"].as_py() < _MIN_PRINTED or sizes["max"].as_py() >= _MAX_PRINTED:
        return False
    return bool(pc.equal(pc.cast(found, pa.string()), texts).true_count == len(texts))


def _booleans(text: pa.StringArray) -> pa.Array | None:
    index = pc.index_in(text, pa.array(BOOLEANS))
    if index.null_count != text.null_count:
        return None
    return pc.equal(pc.bit_wise_and(index, 1), 0)  # true and false take turns


def _dates(text: pa.StringArray) -> pa.Array | None:
    """Arrow takes `2024-12-31` alone."""
    values = pc.cast(text, pa.date32())
    return values if pc.min(values.view(pa.int32())).as_py() >= _FIRST_DAY else None


def _moments(text: pa.StringArray) -> pa.Array | None:
    return _from_year_one(text, TYPES["TIMESTAMP"], _HOURS_CHARS)


def _instants(text: pa.StringArray) -> pa.Array | None:
    """Arrow takes offsets that nobody has."""
    is_utc = pc.ends_with(text, "Z").true_count == len(text) - text.null_count
    if not is_utc and not _all_match(text, f".{{16,}}{OFFSET}"):
        return None
    return _from_year_one(text, TYPES["TIMESTAMPTZ"], _HOURS_CHARS + 1)


def _from_year_one(text: pa.StringArray, kind: pa.DataType, hours_chars: int) -> pa.Array | None:
    if pc.equal(pc.binary_length(text), hours_chars).true_count:
        return None
    values = pc.cast(text, kind)
    return values if pc.min(values.view(pa.int64())).as_py() >= _FIRST_MOMENT else None


_READERS = {
    "BIGINT": _integers,
    "DOUBLE": _doubles,
    "BOOLEAN": _booleans,
    "DATE": _dates,
    "TIMESTAMP": _moments,
    "TIMESTAMPTZ": _instants,
}


def _all_match(text: pa.StringArray, pattern: str) -> bool:
    found = pc.match_substring_regex(text, f"^(?:{pattern})$")
    return bool(found.true_count == len(text) - text.null_count)


def _bounds(text: pa.StringArray) -> tuple[int, int]:
    """Where the texts of an array begin and end in its buffer: a NULL has no characters there."""
    offsets = memoryview(text.buffers()[1]).cast("i")
    return offsets[text.offset], offsets[text.offset + len(text)]


def _size(text: pa.StringArray) -> int:
    """The characters of all texts, in bytes."""
    begin, end = _bounds(text)
    return end - begin


def _has_only_digits(text: pa.StringArray) -> bool:
    """Whether the texts, which are not all empty, have nothing but digits and `-`, `.`, `/`."""
    begin, end = _bounds(text)
    data = pa.Array.from_buffers(pa.uint8(), end - begin, [None, text.buffers()[2].slice(begin)])
    found = pc.min_max(data)
    return bool(found["min"].as_py() >= ord("-") and found["max"].as_py() <= ord("9"))

"""Rarer functions of numbers, bits and vectors, by Trino's names."""

# ruff: noqa: E501 - a table: one function a line

from __future__ import annotations

from queryrun.sql.compile import types as t
from queryrun.sql.compile.shared_functions import type_name
from queryrun.sql.compile.signatures import read_signatures
from queryrun.sql.compile.typed import Typed
from queryrun.sql.spark import intervals
from queryrun.sql.spark.binding import all_bound, bound
from queryrun.sql.spark.compiler import SparkCompiler
from queryrun.sql.spark.functions.plain import PLAIN
from queryrun.sql.spark.functions.table import special
from queryrun.sql.spark.types import spark_name, text
from queryrun.sql.trino.records import ast

TABLE = r"""
bit_count(bigint, bigint) -> bigint = CASE WHEN {1} = 64 THEN CAST(bit_count({0}) AS BIGINT) WHEN {1} NOT BETWEEN 2 AND 64 THEN raise_error('Bits specified in bit_count must be between 2 and 64') WHEN shiftright({0}, CAST({1} - 1 AS INT)) NOT IN (0, -1) THEN raise_error('Number must be representable with the bits specified') ELSE CAST(bit_count({0} & (shiftleft(1L, CAST({1} AS INT)) - 1)) AS BIGINT) END
width_bucket(double, array(double)) -> bigint = CASE WHEN {0} IS NULL OR {1} IS NULL THEN NULL WHEN size({1}) = 0 THEN raise_error('Bins cannot be an empty array') WHEN isnan({0}) THEN raise_error('Operand cannot be NaN') WHEN coalesce(exists({1}, u1 -> u1 IS NULL OR NOT abs(u1) < CAST('Infinity' AS DOUBLE)), false) THEN raise_error('Bin values must be finite') WHEN array_sort({1}) IS DISTINCT FROM {1} THEN raise_error('width_bucket of bins that are not sorted is not supported') ELSE CAST(size(filter({1}, u1 -> u1 <= {0})) AS BIGINT) END
wilson_interval_lower(bigint, bigint, double) -> double = @-
wilson_interval_upper(bigint, bigint, double) -> double = @+
random(integer) -> integer = CASE WHEN {0} <= 0 THEN raise_error('bound must be positive') ELSE CAST(floor(rand() * {0}) AS INT) END
random(bigint) -> bigint = CASE WHEN {0} <= 0 THEN raise_error('bound must be positive') ELSE CAST(floor(rand() * {0}) AS BIGINT) END
to_milliseconds(interval_day) -> bigint = CAST(floor(CAST(extract(DAY FROM {0}) AS BIGINT) * 86400000 + extract(HOUR FROM {0}) * 3600000 + extract(MINUTE FROM {0}) * 60000 + extract(SECOND FROM {0}) * 1000) AS BIGINT)
ngrams(array(T), bigint) -> array(array(T)) = CASE WHEN {0} IS NULL OR {1} IS NULL THEN NULL WHEN {1} <= 0 THEN raise_error('N must be positive') WHEN {1} >= size({0}) THEN array({0}) ELSE transform(sequence(1, size({0}) - CAST({1} AS INT) + 1), u1 -> slice({0}, u1, CAST({1} AS INT))) END
contains_sequence(array(T), array(T)) -> boolean = CASE WHEN {0} IS NULL OR {1} IS NULL THEN NULL WHEN size({1}) = 0 THEN true WHEN size({1}) > size({0}) THEN false ELSE exists(sequence(1, size({0}) - size({1}) + 1), u1 -> slice({0}, u1, size({1})) <=> {1}) END
"""
_SHARE = "(CAST({0} AS DOUBLE) / {1})"
_WILSON = (
    "CASE WHEN {0} < 0 THEN raise_error('number of successes must not be negative') "
    "WHEN {1} <= 0 THEN raise_error('number of trials must be positive') "
    "WHEN {0} > {1} THEN raise_error('number of successes must not be larger than number of trials') "
    "WHEN NOT {2} >= 0 OR isnan({2}) THEN raise_error('z-score must not be negative') "
    f"ELSE ({_SHARE} + {{2}} * {{2}} / {{1}} / 2 @ {{2}} * sqrt({_SHARE} * (1 - {_SHARE}) / {{1}} "
    "+ {2} * {2} / {1} / {1} / 4)) / (1 + {2} * {2} / {1}) END"
)
_RANDOM = (
    "random(@t, @t) -> @t = CASE WHEN {0} >= {1} THEN raise_error('upper bound must be greater than lower bound') "
    "WHEN CAST({1} AS DOUBLE) - {0} > 9E15D THEN raise_error('random of so wide a range is not supported') "
    "ELSE CAST({0} + CAST(floor(rand() * (CAST({1} AS DOUBLE) - {0})) AS BIGINT) AS @s) END\n"
)
_INTEGERS = (t.TINYINT, t.SMALLINT, t.INTEGER, t.BIGINT)
_FULL = TABLE.replace("@-", _WILSON.replace("@", "-")).replace("@+", _WILSON.replace("@", "+"))
_FULL += "".join(_RANDOM.replace("@t", str(k)).replace("@s", spark_name(k)) for k in _INTEGERS)

for _name, _overloads in read_signatures(_FULL).items():
    PLAIN[_name] = [*PLAIN.get(_name, []), *_overloads]
PLAIN["rand"] = PLAIN["random"]

_BITS = {"tinyint": 8, "smallint": 16, "integer": 32, "bigint": 64}


@special("bitwise_left_shift", "bitwise_right_shift", "bitwise_right_shift_arithmetic")
def _shift(c: SparkCompiler, node: ast.Call) -> Typed:
    """In the width of the first argument; a bigint is shifted by the last six bits of the second."""
    value, by = c.args(node, 2)
    if not t.is_integer(value.type):
        c.wrong_arguments(node, [value, by])
    kind = value.type
    parts = {
        "v": f"CAST({value.sql} AS BIGINT)",
        "n": c.as_type(node, by, t.BIGINT if by.type == t.UNKNOWN else t.INTEGER).sql,
    }
    found = all_bound(parts, lambda u: _shifted(node.name, u, _BITS[kind.name]), "u1")
    return Typed(f"CAST({found} AS {spark_name(kind)})", kind)


def _shifted(name: str, u: str, bits: int) -> str:
    count = f"CAST({u}.n & 63 AS INT)"
    mask, half = (1 << bits) - 1, 1 << (bits - 1)
    own = f"{u}.v" if bits == 64 else f"({u}.v & {mask}L)"
    beyond = "0L"
    if name == "bitwise_left_shift":
        found = f"shiftleft({own}, {count})"
    elif name == "bitwise_right_shift":
        found = f"shiftrightunsigned({own}, {count})"
    else:
        beyond = f"if({u}.v < 0, -1L, 0L)"
        found = f"shiftright({u}.v, {count})"
    if bits < 64 and name != "bitwise_right_shift_arithmetic":
        found = f"((({found} & {mask}L) ^ {half}L) - {half}L)"
    return f"CASE WHEN {u}.v IS NULL THEN NULL WHEN {u}.n >= {bits} THEN {beyond} ELSE {found} END"


# --- spellings of numbers -------------------------------------------------------------------

_UNITS = (("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


@special("human_readable_seconds")
def _human_readable_seconds(c: SparkCompiler, node: ast.Call) -> Typed:
    value = c.as_type(node, c.args(node, 1)[0], t.DOUBLE)
    failing = c.failing("Invalid argument found: no finite number")

    def words(u: str) -> str:
        parts, above = [], 0
        for unit, seconds in _UNITS:
            rest = f"({u} % {above}L)" if above else u
            count = f"({rest} div {seconds}L)"
            parts.append(
                f"CASE WHEN {count} > 0 THEN {count} || if({count} > 1, ' {unit}s', ' {unit}') END"
            )
            above = seconds
        joined = f"concat_ws(', ', {', '.join(parts)})"
        return f"if({u} = 0, '0 seconds', {joined})"

    def checked(u: str) -> str:
        finite = f"abs({u}) < CAST('Infinity' AS DOUBLE)"
        whole = f"CAST(least(floor(abs({u}) + 0.5D), 9223372036854774784L) AS BIGINT)"
        found = bound(whole, words, "u2")
        return f"CASE WHEN {finite} THEN {found} WHEN {u} IS NOT NULL THEN {failing} END"

    return Typed(f"({bound(value.sql, checked, 'u1')})", t.VARCHAR)


_SCALES = ((15, "Q"), (12, "T"), (9, "B"), (6, "M"), (3, "K"))


@special("format_number")
def _format_number(c: SparkCompiler, node: ast.Call) -> Typed:
    """Three digits and a unit; a double is cut to a whole number before."""
    (value,) = c.args(node, 1)
    if not t.is_number(value.type):
        c.wrong_arguments(node, [value])
    if not t.is_integer(value.type):
        wide = c.as_type(node, value, t.DOUBLE).sql
        sql = bound(wide, lambda u: f"CAST(if(isnan({u}), 0, {_clipped(u)}) AS BIGINT)", "u1")
    else:
        sql = c.as_type(node, value, t.BIGINT).sql

    def formatted(u: str) -> str:
        cases = [
            f"WHEN abs({u}) >= 1E{power}BD THEN {_short(f'({u} * 1E-{power}BD)', unit)}"
            for power, unit in _SCALES
        ]
        return f"(CASE {' '.join(cases)} ELSE CAST({u} AS STRING) END)"

    return Typed(bound(f"CAST({sql} AS DECIMAL(20,0))", formatted, "u3"), t.VARCHAR)


def _clipped(u: str) -> str:
    return f"if({u} < 0, ceil(greatest({u}, -9.2E18D)), floor(least({u}, 9.2E18D)))"


def _short(scaled: str, unit: str) -> str:
    def digits(u: str) -> str:
        rounded = (
            f"CASE WHEN abs({u}) < 10 THEN CAST(round({u}, 2) AS STRING) WHEN abs({u}) < 100 "
            f"THEN CAST(round({u}, 1) AS STRING) ELSE CAST(round({u}, 0) AS STRING) END"
        )
        return f"regexp_replace(regexp_replace({rounded}, '([.][0-9]*?)0+\\\\z', '$1'), '[.]\\\\z', '')"

    return f"{bound(scaled, digits, 'u4')} || '{unit}'"


_MILLIS = {
    "ns": "1E-6D", "us": "1E-3D", "ms": "1D", "s": "1E3D", "m": "6E4D", "h": "36E5D", "d": "864E5D",
}  # fmt: skip


@special("parse_duration")
def _parse_duration(c: SparkCompiler, node: ast.Call) -> Typed:
    """In doubles, rounded half up to whole milliseconds."""
    value = c.as_type(node, c.args(node, 1)[0], t.VARCHAR)
    wrong = c.failing("duration is not a valid data duration string")
    beyond = c.failing("parse_duration of so long a time is not supported")

    def read(u: str) -> str:
        cases = " ".join(f"WHEN '{unit}' THEN {millis}" for unit, millis in _MILLIS.items())
        number = f"CAST(regexp_extract({u}, '[0-9.]+', 0) AS DOUBLE)"
        amount = f"{number} * CASE regexp_extract({u}, '[A-Za-z]+', 0) {cases} END"
        fits = rf"{u} RLIKE '^\\s*[0-9]+([.][0-9]+)?\\s*({'|'.join(_MILLIS)})\\s*\\z'"
        return (
            f"(CASE WHEN {u} IS NULL THEN NULL WHEN NOT {fits} THEN {wrong} "
            f"WHEN {amount} >= 1E17D THEN {beyond} ELSE floor({amount} + 0.5D) END)"
        )

    return intervals.of_amount(bound(value.sql, read, "u3"), t.DAYS)


_DATA_UNITS = {unit: 1024**power for power, unit in enumerate(("B", "kB", "MB", "GB", "TB", "PB"))}


@special("parse_data_size", "parse_presto_data_size")
def _parse_data_size(c: SparkCompiler, node: ast.Call) -> Typed:
    value = c.as_type(node, c.args(node, 1)[0], t.VARCHAR)
    kind = t.decimal(38, 0)
    wrong = c.failing("Invalid data size")
    beyond = c.unsupported("parse_data_size of such a size")

    def read(u: str) -> str:
        cases = " ".join(
            f"WHEN '{unit}' THEN CAST({size} AS DECIMAL(16,0))"
            for unit, size in _DATA_UNITS.items()
        )
        unit = f"CASE regexp_extract({u}, '[A-Za-z]+\\\\z', 0) {cases} END"
        number = f"CAST(regexp_extract({u}, '^[0-9.]+', 0) AS DECIMAL(20,6))"
        few = f"{u} RLIKE '^[0-9]{{1,14}}([.][0-9]{{1,6}})?[A-Za-z]+\\\\z'"
        whole = f"CAST(floor({number} * ({unit})) AS {spark_name(kind)})"
        return (
            f"(CASE WHEN {u} IS NULL THEN NULL WHEN NOT {u} RLIKE "
            f"'^[0-9]+([.][0-9]+)?(B|kB|MB|GB|TB|PB|EB|ZB|YB)\\\\z' THEN {wrong} "
            f"WHEN {few} AND NOT {u} RLIKE '[EZY]B\\\\z' THEN {whole} ELSE {beyond} END)"
        )

    return Typed(bound(value.sql, read, "u1"), kind)


# --- vectors --------------------------------------------------------------------------------


@special("dot_product", "cosine_similarity", "cosine_distance", "euclidean_distance")
def _vectors(c: SparkCompiler, node: ast.Call) -> Typed:
    """Of equally long arrays of doubles without NULL; what NULL counts for is left to others."""
    args = c.args(node, 2)
    if any(arg.type.name == "map" for arg in args):
        c.refuse(f"{node.name} of maps", node.at)
    parts = {
        name: c.as_type(node, arg, t.array(t.DOUBLE)).sql
        for name, arg in zip("ab", args, strict=True)
    }
    lengths = c.failing("The arguments must have the same length")
    missing = c.unsupported(f"{node.name} of arrays with NULL")
    zero = c.failing("Vector magnitude cannot be zero")

    def total(terms: str) -> str:
        return f"aggregate({terms}, 0D, (s, x) -> s + x)"

    def product(a: str, b: str) -> str:
        return total(f"zip_with({a}, {b}, (x, y) -> x * y)")

    def found(u: str) -> str:
        a, b = f"{u}.a", f"{u}.b"
        if node.name == "dot_product":
            value = product(a, b)
        elif node.name == "euclidean_distance":
            value = f"sqrt({total(f'zip_with({a}, {b}, (x, y) -> (x - y) * (x - y))')})"
        else:
            norms = f"(sqrt({product(a, a)}) * sqrt({product(b, b)}))"
            cosine = f"({product(a, b)} / {norms})"
            cosine = cosine if node.name == "cosine_similarity" else f"(1 - {cosine})"
            value = f"CASE WHEN {product(a, a)} = 0 OR {product(b, b)} = 0 THEN {zero} ELSE {cosine} END"
        return (
            f"(CASE WHEN {a} IS NULL OR {b} IS NULL THEN NULL "
            f"WHEN size({a}) <> size({b}) THEN {lengths} "
            f"WHEN array_contains(transform(concat({a}, {b}), x -> x IS NULL), true) THEN {missing} "
            f"ELSE {value} END)"
        )

    return Typed(all_bound(parts, found, "u1"), t.DOUBLE)


# --- what is known of a type ----------------------------------------------------------------


@special("typeof")
def _typeof(c: SparkCompiler, node: ast.Call) -> Typed:
    return Typed(text(type_name(c, node)), t.VARCHAR)


@special("version")
def _version(c: SparkCompiler, node: ast.Call) -> Typed:
    c.args(node, 0, 0)
    return Typed("'476'", t.VARCHAR)

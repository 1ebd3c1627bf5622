"""More scalar functions as templates: those that the worker has (`qr_…`), and rarer native ones."""

# ruff: noqa: E501 - a table: one function a line

from __future__ import annotations

from queryrun.sql.compile import moments
from queryrun.sql.compile import types as t
from queryrun.sql.compile.shared_functions import type_name
from queryrun.sql.compile.signatures import read_signatures
from queryrun.sql.compile.typed import Typed
from queryrun.sql.duckdb import fine
from queryrun.sql.duckdb.casts_time import local
from queryrun.sql.duckdb.compiler import DuckDBCompiler
from queryrun.sql.duckdb.functions.plain import PLAIN
from queryrun.sql.duckdb.functions.table import special
from queryrun.sql.duckdb.values import cast, exact
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.spelling import text

_HMACS = "\n".join(
    f"hmac_{name}(varbinary, varbinary) -> varbinary = qr_hmac({{0}}, {{1}}, '{name}')"
    for name in ("md5", "sha1", "sha256", "sha512")
)
_URLS = "\n".join(
    f"url_extract_{part}(varchar) -> varchar = qr_url_part({{0}}, '{part}')"
    for part in ("protocol", "path", "query", "fragment")
)

TABLE = f"""
soundex(varchar) -> varchar = qr_soundex({{0}})
word_stem(varchar) -> varchar = qr_word_stem({{0}}, 'en')
word_stem(varchar, varchar) -> varchar = qr_word_stem({{0}}, {{1}})
contains(varchar, ipaddress) -> boolean = qr_ip_contains({{0}}, {{1}})
luhn_check(varchar) -> boolean = qr_luhn_check({{0}})
strpos(varchar, varchar, bigint) -> bigint = qr_strpos({{0}}, {{1}}, {{2}})
split(varchar, varchar, bigint) -> array(varchar) = qr_split({{0}}, {{1}}, {{2}})
split_to_map(varchar, varchar, varchar) -> map(varchar, varchar) = qr_split_to_map({{0}}, {{1}}, {{2}})
split_to_multimap(varchar, varchar, varchar) -> map(varchar, array(varchar)) = qr_split_to_multimap({{0}}, {{1}}, {{2}})
{_URLS}
url_extract_host(varchar) -> varchar = qr_url_host({{0}})
url_extract_port(varchar) -> bigint = qr_url_port({{0}})
url_extract_parameter(varchar, varchar) -> varchar = qr_url_parameter({{0}}, {{1}})
from_base(varchar, bigint) -> bigint = qr_from_base({{0}}, {{1}})
bit_count(bigint, bigint) -> bigint = qr_bit_count({{0}}, {{1}})
human_readable_seconds(double) -> varchar = qr_human_readable_seconds({{0}})
parse_data_size(varchar) -> decimal38 = qr_parse_data_size({{0}})
parse_presto_data_size(varchar) -> decimal38 = qr_parse_data_size({{0}})
parse_duration(varchar) -> interval_day = to_milliseconds(qr_parse_duration_ms({{0}}))
to_milliseconds(interval_day) -> bigint = (epoch_us(TIMESTAMP '1970-01-01' + {{0}}) // 1000)
format_number(bigint) -> varchar = qr_format_integer({{0}})
format_number(double) -> varchar = qr_format_number({{0}})
normal_cdf(double, double, double) -> double = CAST(qr_normal_cdf({{0}}, {{1}}, {{2}}) AS DOUBLE)
inverse_normal_cdf(double, double, double) -> double = CAST(qr_inverse_normal_cdf({{0}}, {{1}}, {{2}}) AS DOUBLE)
beta_cdf(double, double, double) -> double = CAST(qr_beta_cdf({{0}}, {{1}}, {{2}}) AS DOUBLE)
t_cdf(double, double) -> double = CAST(qr_t_cdf({{0}}, {{1}}) AS DOUBLE)
t_pdf(double, double) -> double = CAST(qr_t_pdf({{0}}, {{1}}) AS DOUBLE)
wilson_interval_lower(bigint, bigint, double) -> double = CAST(qr_wilson({{0}}, {{1}}, {{2}}, -1) AS DOUBLE)
wilson_interval_upper(bigint, bigint, double) -> double = CAST(qr_wilson({{0}}, {{1}}, {{2}}, 1) AS DOUBLE)
random(tinyint) -> tinyint = CAST(qr_random_below({{0}}) AS TINYINT)
random(smallint) -> smallint = CAST(qr_random_below({{0}}) AS SMALLINT)
random(integer) -> integer = CAST(qr_random_below({{0}}) AS INTEGER)
random(bigint) -> bigint = qr_random_below({{0}})
random(tinyint, tinyint) -> tinyint = CAST(qr_random({{0}}, {{1}}) AS TINYINT)
random(smallint, smallint) -> smallint = CAST(qr_random({{0}}, {{1}}) AS SMALLINT)
random(integer, integer) -> integer = CAST(qr_random({{0}}, {{1}}) AS INTEGER)
random(bigint, bigint) -> bigint = qr_random({{0}}, {{1}})
crc32(varbinary) -> bigint = qr_crc32({{0}})
sha512(varbinary) -> varbinary = qr_sha512({{0}})
xxhash64(varbinary) -> varbinary = qr_xxhash64({{0}})
murmur3(varbinary) -> varbinary = qr_murmur3({{0}})
{_HMACS}
from_utf8(varbinary) -> varchar = qr_from_utf8({{0}}, '�')
from_utf8(varbinary, varchar) -> varchar = qr_from_utf8({{0}}, {{1}})
from_utf8(varbinary, bigint) -> varchar = qr_from_utf8_by_code({{0}}, {{1}})
from_base32(varchar) -> varbinary = qr_from_base32({{0}})
from_base32(varbinary) -> varbinary = qr_from_base32(decode({{0}}))
from_base64(varbinary) -> varbinary = from_base64(decode({{0}}) || CASE octet_length({{0}}) % 4 WHEN 2 THEN '==' WHEN 3 THEN '=' ELSE '' END)
from_base64url(varbinary) -> varbinary = qr_from_base64url(decode({{0}}))
to_base32(varbinary) -> varchar = qr_to_base32({{0}})
from_base64url(varchar) -> varbinary = qr_from_base64url({{0}})
to_base64url(varbinary) -> varchar = qr_to_base64url({{0}})
from_big_endian_32(varbinary) -> integer = qr_from_big_endian_32({{0}})
from_big_endian_64(varbinary) -> bigint = qr_from_big_endian_64({{0}})
from_ieee754_32(varbinary) -> real = CAST(qr_from_ieee754_32({{0}}) AS FLOAT)
from_ieee754_64(varbinary) -> double = CAST(qr_from_ieee754_64({{0}}) AS DOUBLE)
to_big_endian_32(integer) -> varbinary = qr_to_big_endian_32({{0}})
to_big_endian_64(bigint) -> varbinary = qr_to_big_endian_64({{0}})
to_ieee754_32(real) -> varbinary = qr_to_ieee754_32({{0}})
to_ieee754_64(double) -> varbinary = qr_to_ieee754_64({{0}})
reverse(varbinary) -> varbinary = qr_reverse_bytes({{0}})
lpad(varbinary, bigint, varbinary) -> varbinary = qr_pad_bytes({{0}}, {{1}}, {{2}}, true)
rpad(varbinary, bigint, varbinary) -> varbinary = qr_pad_bytes({{0}}, {{1}}, {{2}}, false)
ngrams(array(T), bigint) -> array(array(T)) = CASE WHEN {{0}} IS NULL OR {{1}} IS NULL THEN NULL WHEN {{1}} <= 0 THEN error('N must be positive') WHEN {{1}} >= len({{0}}) THEN [{{0}}] ELSE list_transform(range(1, len({{0}}) - {{1}} + 2), lambda gram: ({{0}})[gram:gram + {{1}} - 1]) END
contains_sequence(array(T), array(T)) -> boolean = CASE WHEN {{0}} IS NULL OR {{1}} IS NULL THEN NULL ELSE len({{1}}) = 0 OR len(list_filter(range(1, len({{0}}) - len({{1}}) + 2), lambda start: ({{0}})[start:start + len({{1}}) - 1] IS NOT DISTINCT FROM {{1}})) > 0 END
multimap_from_entries(array(row(K, V))) -> map(K, array(V)) = map_from_entries(list_transform(list_distinct(list_transform({{0}}, lambda pair: CASE WHEN pair IS NULL THEN error('map entry cannot be null') WHEN pair[1] IS NULL THEN error('map key cannot be null') ELSE pair[1] END)), lambda key: {{{{'key': key, 'value': list_transform(list_filter({{0}}, lambda pair: pair[1] = key), lambda pair: pair[2])}}}}))
width_bucket(double, array(double)) -> bigint = CASE WHEN len(list_filter({{1}}, lambda bin: NOT isfinite(bin))) = 0 AND len({{1}}) > 0 AND NOT isnan({{0}}) AND list_sort({{1}}) IS NOT DISTINCT FROM {{1}} THEN len(list_filter({{1}}, lambda bin: bin <= {{0}})) ELSE qr_width_bucket({{0}}, {{1}}) END
"""

for _name, _overloads in read_signatures(TABLE).items():
    PLAIN[_name] = [*PLAIN.get(_name, []), *_overloads]
PLAIN["rand"] = PLAIN["random"]

_BITS = {"tinyint": 8, "smallint": 16, "integer": 32, "bigint": 64}


@special("bitwise_left_shift", "bitwise_right_shift", "bitwise_right_shift_arithmetic")
def _shift(c: DuckDBCompiler, node: ast.Call) -> Typed:
    """In the width of the first argument; a bigint is shifted by the last six bits of the second."""
    value, by = c.args(node, 2)
    if not t.is_integer(value.type):
        c.wrong_arguments(node, [value, by])
    by = c.as_type(node, by, t.BIGINT) if by.type == t.UNKNOWN else c.as_type(node, by, t.INTEGER)
    bits = _BITS[value.type.name]

    def shifted(value: Typed, by: Typed) -> Typed:
        sql = _shifted(node.name, f"CAST({value.sql} AS HUGEINT)", exact(by), bits)
        there = f"{value.sql} IS NOT NULL"
        sql = f"CASE WHEN {there} THEN CAST({sql} AS {c.type_name(value.type)}) END"
        return Typed(f"({sql})", value.type)

    return c.once(value, lambda one: c.once(by, lambda other: shifted(one, other)))


def _shifted(name: str, value: str, by: str, bits: int) -> str:
    modulus, half = 1 << bits, 1 << (bits - 1)
    count = f"CAST({by} & 63 AS INTEGER)"
    unsigned = f"(({value} + {modulus}) % {modulus})"
    power = f"(CAST(1 AS HUGEINT) << {count})"
    if name == "bitwise_left_shift":
        kept = f"({unsigned} % ({modulus} // least({power}, {modulus}))) * {power}"
        result = f"(({kept} + {half}) % {modulus} - {half})"
        return f"(CASE WHEN {by} >= {bits} THEN 0 ELSE {result} END)"
    if name == "bitwise_right_shift":
        result = f"(({unsigned} // {power} + {half}) % {modulus} - {half})"
        return f"(CASE WHEN {by} >= {bits} THEN 0 ELSE {result} END)"
    last = f"(CASE WHEN {value} >= 0 THEN 0 ELSE -1 END)"
    floored = f"(({value} - (({value} % {power}) + {power}) % {power}) // {power})"
    return f"(CASE WHEN {by} >= {bits} THEN {last} ELSE {floored} END)"


@special("combinations")
def _combinations(c: DuckDBCompiler, node: ast.Call) -> Typed:
    """The worker knows which positions; the values stay what they are."""
    values, size = c.args(node, 2)
    if values.type.name != "array":
        c.wrong_arguments(node, [values, size])
    size = c.as_type(node, size, t.BIGINT)

    def chosen(values: Typed) -> Typed:
        positions = f"qr_combinations(len({values.sql}), {exact(size)})"
        inner = f"list_transform(positions, lambda position: ({values.sql})[position])"
        sql = f"list_transform({positions}, lambda positions: {inner})"
        return Typed(sql, t.array(values.type))

    return c.once(values, chosen)


@special("repeat")
def _repeat(c: DuckDBCompiler, node: ast.Call) -> Typed:
    value, count = c.args(node, 2)
    if count.type == t.BIGINT:
        count = Typed(f"CAST({count.sql} AS INTEGER)", t.INTEGER)
    return c.plain(node, [value, count])


@special("concat_ws")
def _concat_ws(c: DuckDBCompiler, node: ast.Call) -> Typed:
    values = c.args(node, 2, 127)
    if len(values) == 2 and values[1].type.name == "array":
        joined = c.as_type(node, values[1], t.array(t.VARCHAR)).sql
        glue = c.as_type(node, values[0], t.VARCHAR).sql
        sql = f"CASE WHEN {glue} IS NOT NULL THEN array_to_string({joined}, {glue}) END"
        return Typed(f"({sql})", t.VARCHAR)
    texts = [c.as_type(node, value, t.VARCHAR).sql for value in values]
    return Typed(f"concat_ws({', '.join(texts)})", t.VARCHAR)


@special("map_concat")
def _map_concat(c: DuckDBCompiler, node: ast.Call) -> Typed:
    maps = c.args(node, 2, 127)
    kind = c.unified(maps, node.at, "map_concat")
    if kind.name != "map":
        c.wrong_arguments(node, maps)
    items = [exact(cast(value, kind)) for value in maps]
    missing = " OR ".join(f"{item} IS NULL" for item in items)
    return Typed(f"(CASE WHEN {missing} THEN NULL ELSE map_concat({', '.join(items)}) END)", kind)


@special("array_histogram")
def _array_histogram(c: DuckDBCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    if value.type.name != "array":
        c.wrong_arguments(node, [value])
    kind = t.map_of(value.type.parts[0], t.BIGINT)

    empty = f"CAST(map([], []) AS {c.type_name(kind)})"
    return c.once(
        value,
        lambda one: Typed(
            f"(CASE WHEN {one.sql} IS NOT NULL THEN "
            f"coalesce(CAST(list_histogram({one.sql}) AS {c.type_name(kind)}), {empty}) END)",
            kind,
        ),
    )


_VECTORS = {
    "dot_product": "list_inner_product({0}, {1})",
    "euclidean_distance": "list_distance({0}, {1})",
    "cosine_similarity": "{dot} / sqrt({squares})",
    "cosine_distance": "1 - {dot} / sqrt({squares})",
}
"""As Trino divides, not as DuckDB's own do: the product of both squares may be no double."""


@special(*_VECTORS)
def _vectors(c: DuckDBCompiler, node: ast.Call) -> Typed:
    """Of equally long arrays of doubles. A NULL in one counts as zero, but makes a cosine NULL."""
    args = c.args(node, 2)
    if any(arg.type.name == "map" for arg in args):
        c.refuse(f"{node.name} of maps", node.at)
    doubles = [c.as_type(node, arg, t.array(t.DOUBLE)) for arg in args]

    def computed(values: list[Typed]) -> Typed:
        a, b = (value.sql for value in values)
        missing = " OR ".join(f"{v} IS NULL" for v in (a, b))
        if node.name.startswith("cosine"):
            nulls = (f"len(list_filter({v}, lambda x: x IS NULL)) > 0" for v in (a, b))
            missing = " OR ".join([missing, *nulls])
        lengths = c.failing("The arguments must have the same length")
        # DuckDB's functions fail for a NULL in whatever row, also where none is computed
        filled = [f"list_transform({v}, lambda x: coalesce(x, 0))" for v in (a, b)]
        return Typed(
            f"(CASE WHEN len({a}) <> len({b}) THEN {lengths} WHEN {missing} THEN NULL "
            f"ELSE {_of_vectors(c, node.name, filled)} END)",
            t.DOUBLE,
        )

    return c.once_each(doubles, computed)


def _of_vectors(c: DuckDBCompiler, name: str, vectors: list[str]) -> str:
    dot, *squares = (
        f"list_inner_product({x}, {y})" for x, y in (vectors, *((v, v) for v in vectors))
    )
    sql = _VECTORS[name].format(*vectors, dot=dot, squares=" * ".join(squares))
    if not name.startswith("cosine"):
        return sql
    zero = c.failing("Vector magnitude cannot be zero")
    norms = " OR ".join(f"{square} = 0" for square in squares)
    return f"CASE WHEN len({vectors[0]}) = 0 OR {norms} THEN {zero} ELSE {sql} END"


@special("array_sort")
def _array_sort(c: DuckDBCompiler, node: ast.Call) -> Typed:
    if len(node.args) == 2:
        return _sorted_by(c, node)
    return c.plain(node, c.args(node, 1))


def _sorted_by(c: DuckDBCompiler, node: ast.Call) -> Typed:
    """Each item's position is the number of those before it; equal ones keep their order."""
    value = c.expr(node.args[0])
    if value.type.name != "array":
        c.wrong_arguments(node, [value])

    def found(value: Typed) -> Typed:
        other, own, ranked = c.fresh("p"), c.fresh("p"), c.fresh("p")
        item = value.type.parts[0]
        positions = f"range(1, len({value.sql}) + 1)"
        pair = [Typed(f"({value.sql})[{position}]", item) for position in (other, own)]
        order = c.as_type(node, c.lambda_of(node, node.args[1], pair), t.BIGINT)
        wrong = c.failing("Lambda comparator must return either -1, 0, or 1")
        checked = c.once(
            order,
            lambda one: Typed(
                f"(CASE WHEN {one.sql} = -1 THEN true WHEN {one.sql} = 0 THEN {other} < {own} "
                f"WHEN {one.sql} = 1 THEN false ELSE {wrong} END)",
                t.BOOLEAN,
            ),
        )
        others = f"list_filter({positions}, lambda {other}: {other} <> {own} AND {checked.sql})"
        ranks = f"list_transform({positions}, lambda {own}: row(len({others}), {own}))"
        body = f"lambda {ranked}: ({value.sql})[{ranked}[2]]"
        return Typed(f"list_transform(list_sort({ranks}), {body})", value.type)

    return c.once(value, found)


@special("map_zip_with")
def _map_zip_with(c: DuckDBCompiler, node: ast.Call) -> Typed:
    if len(node.args) != 3:
        c.wrong_arguments(node, [])
    maps = [c.expr(arg) for arg in node.args[:2]]
    if any(value.type.name != "map" for value in maps):
        c.wrong_arguments(node, maps)
    if maps[0].type.parts[0] != maps[1].type.parts[0]:
        c.refuse("map_zip_with of maps with keys of two types", node.at)

    def found(a: Typed, b: Typed) -> Typed:
        key, kind = c.fresh("p"), a.type.parts[0]
        values = [Typed(f"map_extract_value({m.sql}, {key})", m.type.parts[1]) for m in (a, b)]
        body = c.lambda_of(node, node.args[2], [Typed(key, kind), *values])
        both = f"list_distinct(list_concat(map_keys({a.sql}), map_keys({b.sql})))"
        entry = f"{{'key': {key}, 'value': {exact(body)}}}"
        sql = f"map_from_entries(list_transform({both}, lambda {key}: {entry}))"
        missing = f"{a.sql} IS NULL OR {b.sql} IS NULL"
        result = t.map_of(kind, body.type)
        return Typed(f"(CASE WHEN {missing} THEN NULL ELSE {sql} END)", result)

    return c.once(maps[0], lambda a: c.once(maps[1], lambda b: found(a, b)))


@special("timezone_hour", "timezone_minute")
def _offset(c: DuckDBCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    if value.type.name not in {t.TSTZ, t.TIMETZ}:
        c.wrong_arguments(node, [value])

    def parts(value: Typed) -> Typed:
        if value.type.name == t.TIMETZ:
            shift = moments.offset_minutes(value.type.zone)
            minutes = f"(CASE WHEN {value.sql} IS NOT NULL THEN CAST({shift} AS BIGINT) END)"
        else:
            whole = fine.coarse(value)
            minutes = f"((epoch_us({local(whole)}) - epoch_us({whole.sql})) // 60000000)"
        by = "// 60" if node.name == "timezone_hour" else "% 60"
        return Typed(f"({minutes} {by})", t.BIGINT)

    return parts(value)


@special("typeof")
def _typeof(c: DuckDBCompiler, node: ast.Call) -> Typed:
    return Typed(text(type_name(c, node)), t.VARCHAR)


@special("version")
def _version(c: DuckDBCompiler, node: ast.Call) -> Typed:
    c.args(node, 0, 0)
    return Typed("'476'", t.VARCHAR)

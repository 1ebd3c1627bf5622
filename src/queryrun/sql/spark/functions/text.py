"""Functions of strings, addresses and bytes, by Trino's names: templates, and what looks closer."""

# ruff: noqa: E501 - a table: one function a line

from __future__ import annotations

from queryrun.sql.compile import types as t
from queryrun.sql.compile.signatures import read_signatures
from queryrun.sql.compile.typed import Typed
from queryrun.sql.spark.binding import all_bound, bound
from queryrun.sql.spark.casts import without_spaces
from queryrun.sql.spark.compiler import SparkCompiler
from queryrun.sql.spark.functions.plain import LITERALLY, PLAIN
from queryrun.sql.spark.functions.table import special
from queryrun.sql.spark.types import text
from queryrun.sql.trino.records import ast

_IS_URL = "coalesce(try_parse_url({0}, 'PROTOCOL'), try_parse_url({0}, 'PATH')) IS NOT NULL"
"""For java.net.URI, which Trino has too: one without a path has a protocol (`mailto:a@b`)."""


def _decoded(sql: str) -> str:
    """Escapes alone: a plus sign is one."""
    return f"url_decode(replace({sql}, '+', '%2B'))"


def _url(part: str, sql: str) -> str:
    taken = sql.replace("$", f"try_parse_url({{0}}, '{part}')")
    return f"CASE WHEN {_IS_URL} THEN coalesce({taken}, '') END"


_POSITIONS = (
    "filter(sequence(1, greatest(length({0}), 1)), u1 -> substring({0}, u1, length({1})) = {1})"
)
_BYTES = "transform(sequence(1, octet_length({0})), u1 -> substring(hex({0}), 2 * u1 - 1, 2))"
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

TABLE = rf"""
soundex(varchar) -> varchar = CASE WHEN {{0}} RLIKE '^[A-Za-z]*\\z' THEN soundex({{0}}) WHEN {{0}} IS NOT NULL THEN raise_error('soundex of anything but letters is not supported') END
luhn_check(varchar) -> boolean = CASE WHEN {{0}} = '' THEN false WHEN {{0}} RLIKE '^[0-9]+\\z' THEN luhn_check({{0}}) WHEN {{0}} IS NOT NULL THEN raise_error('Input contains non-digit character') END
strpos(varchar, varchar, bigint) -> bigint = CASE WHEN {{2}} = 0 THEN raise_error('instance must be a positive or negative number.') WHEN {{0}} IS NULL OR {{1}} IS NULL OR {{2}} IS NULL THEN NULL WHEN {{1}} = '' THEN 1L WHEN {{2}} < 0 AND octet_length({{0}}) <> length({{0}}) THEN raise_error('strpos from the end of a string with characters beyond ASCII is not supported') ELSE CAST(coalesce(try_element_at({_POSITIONS}, CAST(greatest(least({{2}}, 2147483647), -2147483647) AS INT)), 0) AS BIGINT) END
split(varchar, varchar, bigint) -> array(varchar) = CASE WHEN {{2}} <= 0 THEN raise_error('Limit must be positive') WHEN {{2}} > 2147483647 THEN raise_error('Limit is too large') WHEN {{1}} = '' THEN raise_error('The delimiter may not be the empty string') ELSE split({{0}}, {LITERALLY}, CAST({{2}} AS INT)) END
url_extract_protocol(varchar) -> varchar = {_url("PROTOCOL", "$")}
url_extract_path(varchar) -> varchar = {_url("PATH", _decoded("$"))}
url_extract_query(varchar) -> varchar = {_url("QUERY", _decoded("$"))}
url_extract_fragment(varchar) -> varchar = {_url("REF", _decoded("$"))}
url_extract_host(varchar) -> varchar = {_url("HOST", "$")}
url_extract_port(varchar) -> bigint = CASE WHEN try_parse_url({{0}}, 'HOST') IS NOT NULL THEN CAST(nullif(regexp_extract(try_parse_url({{0}}, 'AUTHORITY'), ':([0-9]+)\\z', 1), '') AS BIGINT) END
from_utf8(varbinary) -> varchar = CASE WHEN is_valid_utf8({{0}}) THEN decode({{0}}, 'UTF-8') WHEN {{0}} IS NOT NULL THEN raise_error('from_utf8 of bytes that are no UTF-8 is not supported') END
crc32(varbinary) -> bigint = crc32({{0}})
sha512(varbinary) -> varbinary = unhex(sha2({{0}}, 512))
to_base64url(varbinary) -> varchar = translate(base64({{0}}), '+/', '-_')
from_base64url(varchar) -> varbinary = CASE WHEN {{0}} RLIKE '^[A-Za-z0-9_-]*=*\\z' THEN unbase64(translate({{0}}, '-_', '+/')) WHEN {{0}} IS NOT NULL THEN raise_error('Illegal base64 character') END
to_base32(varbinary) -> varchar = CASE WHEN octet_length({{0}}) = 0 THEN '' ELSE rpad(array_join(transform(regexp_extract_all(array_join(transform({_BYTES}, u2 -> lpad(conv(u2, 16, 2), 8, '0')), ''), '.{{{{1,5}}}}', 0), u3 -> substring('{_BASE32}', CAST(conv(rpad(u3, 5, '0'), 2, 10) AS INT) + 1, 1)), ''), CAST(8 * ceil(octet_length({{0}}) / 5D) AS INT), '=') END
from_base32(varchar) -> varbinary = CASE WHEN trim(TRAILING '=' FROM {{0}}) = '' THEN x'' WHEN {{0}} RLIKE '^[A-Z2-7]*=*\\z' AND length(trim(TRAILING '=' FROM {{0}})) % 8 NOT IN (1, 3, 6) THEN unhex(array_join(transform(regexp_extract_all(array_join(transform(regexp_extract_all(trim(TRAILING '=' FROM {{0}}), '.', 0), u1 -> lpad(conv(instr('{_BASE32}', u1) - 1, 10, 2), 5, '0')), ''), '.{{{{8}}}}', 0), u2 -> lpad(conv(u2, 2, 16), 2, '0')), '')) WHEN {{0}} IS NOT NULL THEN raise_error('Unrecognized character or length of base32') END
to_big_endian_32(integer) -> varbinary = unhex(right(lpad(hex({{0}}), 16, '0'), 8))
to_big_endian_64(bigint) -> varbinary = unhex(lpad(hex({{0}}), 16, '0'))
from_big_endian_32(varbinary) -> integer = CASE WHEN octet_length({{0}}) <> 4 THEN raise_error('expected 4-byte input') ELSE CAST(CAST(conv(repeat(if(hex({{0}}) >= '8', 'F', '0'), 8) || hex({{0}}), 16, -10) AS BIGINT) AS INT) END
from_big_endian_64(varbinary) -> bigint = CASE WHEN octet_length({{0}}) <> 8 THEN raise_error('expected 8-byte input') ELSE CAST(conv(hex({{0}}), 16, -10) AS BIGINT) END
reverse(varbinary) -> varbinary = CASE WHEN octet_length({{0}}) = 0 THEN {{0}} ELSE unhex(array_join(reverse({_BYTES}), '')) END
lpad(varbinary, bigint, varbinary) -> varbinary = CASE WHEN {{1}} < 0 OR {{1}} > 2147483647 THEN raise_error('Target length must be in the range [0..2147483647]') WHEN octet_length({{2}}) = 0 THEN raise_error('Padding bytes must not be empty') ELSE lpad({{0}}, CAST({{1}} AS INT), {{2}}) END
rpad(varbinary, bigint, varbinary) -> varbinary = CASE WHEN {{1}} < 0 OR {{1}} > 2147483647 THEN raise_error('Target length must be in the range [0..2147483647]') WHEN octet_length({{2}}) = 0 THEN raise_error('Padding bytes must not be empty') ELSE rpad({{0}}, CAST({{1}} AS INT), {{2}}) END
"""

for _name, _overloads in read_signatures(TABLE).items():
    PLAIN[_name] = [*PLAIN.get(_name, []), *_overloads]


@special("trim", "ltrim", "rtrim")
def _trim(c: SparkCompiler, node: ast.Call) -> Typed:
    """The spaces at a char's end are not there to be kept."""
    args = c.args(node, 1, 2)
    if args[0].type.name != "char":
        return c.plain(node, args)
    args[0] = Typed(args[0].sql, t.VARCHAR)
    return Typed(without_spaces(c.plain(node, args).sql), t.VARCHAR)


@special("upper", "lower", "reverse")
def _same_length(c: SparkCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    if value.type.name != "char":
        return c.plain(node, [value])
    found = c.plain(node, [c.cast_to(value, t.VARCHAR)])
    return Typed(without_spaces(found.sql), value.type)


@special("url_extract_parameter")
def _url_parameter(c: SparkCompiler, node: ast.Call) -> Typed:
    """The first of that name; empty where it has no value."""
    url, name = (c.as_type(node, value, t.VARCHAR).sql for value in c.args(node, 2))
    pairs = f"split(try_parse_url({url}, 'QUERY'), '&', -1)"
    parts = f"transform({pairs}, u1 -> split(u1, '=', 2))"
    of_name = f"filter({parts}, u1 -> url_decode(u1[0]) = {name})"
    value = f"transform({of_name}, u1 -> if(size(u1) = 2, url_decode(u1[1]), ''))"
    return Typed(f"try_element_at({value}, 1)", t.VARCHAR)


def _entries(c: SparkCompiler, node: ast.Call) -> str:
    """The entries of a string, each with a key `k` and a value `v`."""
    value, between, within = (c.as_type(node, value, t.VARCHAR) for value in c.args(node, 3))
    if not (isinstance(between.constant, str) and isinstance(within.constant, str)):
        c.refuse(f"{node.name} with delimiters that are no literals", node.at)
    if not between.constant or not within.constant:
        c.invalid("entryDelimiter or keyValueDelimiter is empty", node.at)
    if between.constant == within.constant:
        c.invalid("entryDelimiter and keyValueDelimiter must not be the same", node.at)
    parts = f"split({value.sql}, {literally(between.constant)}, -1)"
    without_end = bound(
        parts, lambda u: f"if(element_at({u}, -1) = '', slice({u}, 1, size({u}) - 1), {u})", "u0"
    )
    failing = c.failing("Key-value delimiter must appear exactly once in each entry")
    pairs = f"transform({without_end}, u1 -> split(u1, {literally(within.constant)}, -1))"
    entry = f"if(size(u2) = 2, named_struct('k', u2[0], 'v', u2[1]), {failing})"
    return f"transform({pairs}, u2 -> {entry})"


def literally(value: str) -> str:
    """A regular expression for nothing but these characters, as a literal."""
    return text("\\Q" + value.replace("\\E", "\\E\\\\E\\Q") + "\\E")


@special("split_to_map")
def _split_to_map(c: SparkCompiler, node: ast.Call) -> Typed:
    return Typed(f"map_from_entries({_entries(c, node)})", t.map_of(t.VARCHAR, t.VARCHAR))


@special("split_to_multimap")
def _split_to_multimap(c: SparkCompiler, node: ast.Call) -> Typed:
    return Typed(grouped(_entries(c, node)), t.map_of(t.VARCHAR, t.array(t.VARCHAR)))


def grouped(entries: str) -> str:
    """A map of each key `k` of these entries to its values `v`."""

    def by_key(u: str) -> str:
        own = f"transform(filter({u}, u5 -> u5.k = u4), u5 -> u5.v)"
        keys = f"array_distinct(transform({u}, u4 -> u4.k))"
        return f"map_from_entries(transform({keys}, u4 -> named_struct('k', u4, 'v', {own})))"

    return bound(entries, by_key, "u3")


@special("hmac_md5", "hmac_sha1", "hmac_sha256", "hmac_sha512")
def _hmac(c: SparkCompiler, node: ast.Call) -> Typed:
    """RFC 2104, in hexadecimal digits until the hash is taken."""
    value, key = (c.as_type(node, value, t.VARBINARY).sql for value in c.args(node, 2))
    block = 128 if node.name == "hmac_sha512" else 64
    taken = {
        "hmac_md5": "md5({})", "hmac_sha1": "sha1({})",
        "hmac_sha256": "sha2({}, 256)", "hmac_sha512": "sha2({}, 512)",
    }[node.name]  # fmt: skip
    failing = c.failing("Empty key")

    def padded(sign: int) -> str:
        digits = "substring(u6.k, 2 * u7 - 1, 2)"
        mixed = f"CAST(conv({digits}, 16, 10) AS INT) ^ {sign}"
        return f"array_join(transform(sequence(1, {block}), u7 -> lpad(hex({mixed}), 2, '0')), '')"

    def made(u: str) -> str:
        inner = taken.format(f"unhex({padded(0x36)} || {u}.v)")
        return f"unhex({taken.format(f'unhex({padded(0x5C)} || {inner})')})"

    hashed = taken.format(key)
    short = f"if(octet_length({key}) > {block}, upper({hashed}), hex({key}))"
    parts = {"k": f"rpad({short}, {2 * block}, '0')", "v": f"hex({value})"}
    found = all_bound(parts, made, "u6")
    return Typed(
        f"(CASE WHEN octet_length({key}) = 0 THEN {failing} ELSE {found} END)", t.VARBINARY
    )


@special("from_base")
def _from_base(c: SparkCompiler, node: ast.Call) -> Typed:
    value, base = c.args(node, 2)
    parts = {
        "v": c.as_type(node, value, t.VARCHAR).sql,
        "b": f"CAST({c.as_type(node, base, t.BIGINT).sql} AS INT)",
    }
    no_base = c.failing("Radix must be between 2 and 36")
    no_number = c.failing("Not a valid number in this base")

    def read(u: str) -> str:
        digits = f"lower(trim(LEADING '+-' FROM {u}.v))"
        fits = (
            f"{u}.v RLIKE '^[+-]?[0-9A-Za-z]{{1,64}}\\\\z' AND forall(regexp_extract_all({digits}, "
            f"'.', 0), u9 -> instr('{_DIGITS}', u9) <= {u}.b)"
        )
        size = f"CAST(conv({digits}, {u}.b, 10) AS DECIMAL(20,0))"
        number = f"CAST(if({u}.v LIKE '-%', -{size}, {size}) AS BIGINT)"
        return (
            f"CASE WHEN {u}.v IS NULL OR {u}.b IS NULL THEN NULL "
            f"WHEN {u}.b NOT BETWEEN 2 AND 36 THEN {no_base} "
            f"WHEN {fits} THEN {number} ELSE {no_number} END"
        )

    return Typed(all_bound(parts, read, "u8"), t.BIGINT)

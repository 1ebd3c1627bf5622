"""Scalar functions that are a template in Spark's SQL, by Trino's names and types."""

# ruff: noqa: E501 - a table: one function a line

from __future__ import annotations

from queryrun.sql.compile.cast_site import WHITE_SPACE
from queryrun.sql.compile.signatures import read_signatures

_NAN = "CAST('NaN' AS DOUBLE)"
_SPACES = "'" + "".join(f"\\u{code:04x}" for code in WHITE_SPACE) + "'"
_WIDE = "4503599627370496D"
"""From here on (2^52) doubles are whole numbers, and Spark's floor would end at 2^63."""
LITERALLY = r"concat('\\Q', replace({1}, '\\E', '\\E\\\\E\\Q'), '\\E')"
"""The second argument as a regular expression that means nothing but its own characters."""

PLAIN = read_signatures(rf"""
abs(tinyint) -> tinyint = abs({{0}})
abs(smallint) -> smallint = abs({{0}})
abs(integer) -> integer = abs({{0}})
abs(bigint) -> bigint = abs({{0}})
abs(double) -> double = abs({{0}})
abs(real) -> real = abs({{0}})
acos(double) -> double = acos({{0}})
asin(double) -> double = asin({{0}})
atan(double) -> double = atan({{0}})
atan2(double, double) -> double = atan2({{0}}, {{1}})
cbrt(double) -> double = cbrt({{0}})
ceil(double) -> double = CASE WHEN abs({{0}}) >= {_WIDE} THEN {{0}} ELSE CAST(ceil({{0}}) AS DOUBLE) END
ceil(real) -> real = CASE WHEN abs({{0}}) >= {_WIDE} THEN {{0}} ELSE CAST(ceil({{0}}) AS FLOAT) END
ceil(bigint) -> bigint = {{0}}
ceil(integer) -> integer = {{0}}
cos(double) -> double = cos({{0}})
cosh(double) -> double = cosh({{0}})
degrees(double) -> double = degrees({{0}})
e() -> double = e()
exp(double) -> double = exp({{0}})
floor(double) -> double = CASE WHEN abs({{0}}) >= {_WIDE} THEN {{0}} ELSE CAST(floor({{0}}) AS DOUBLE) END
floor(real) -> real = CASE WHEN abs({{0}}) >= {_WIDE} THEN {{0}} ELSE CAST(floor({{0}}) AS FLOAT) END
floor(bigint) -> bigint = {{0}}
floor(integer) -> integer = {{0}}
infinity() -> double = CAST('Infinity' AS DOUBLE)
is_finite(double) -> boolean = (abs({{0}}) < CAST('Infinity' AS DOUBLE))
is_infinite(double) -> boolean = (abs({{0}}) = CAST('Infinity' AS DOUBLE))
is_nan(double) -> boolean = ({{0}} = {_NAN})
is_nan(real) -> boolean = ({{0}} = {_NAN})
ln(double) -> double = CASE WHEN {{0}} = 0 THEN CAST('-Infinity' AS DOUBLE) WHEN {{0}} < 0 THEN {_NAN} ELSE ln({{0}}) END
log10(double) -> double = CASE WHEN {{0}} = 0 THEN CAST('-Infinity' AS DOUBLE) WHEN {{0}} < 0 THEN {_NAN} ELSE log10({{0}}) END
log2(double) -> double = CASE WHEN {{0}} = 0 THEN CAST('-Infinity' AS DOUBLE) WHEN {{0}} < 0 THEN {_NAN} ELSE log2({{0}}) END
log(double, double) -> double = CASE WHEN {{0}} <= 0 OR {{1}} <= 0 OR {{0}} = 1 THEN {_NAN} ELSE ln({{1}}) / ln({{0}}) END
nan() -> double = {_NAN}
pi() -> double = pi()
power(double, double) -> double = power({{0}}, {{1}})
radians(double) -> double = radians({{0}})
random() -> double = rand()
round(tinyint) -> tinyint = {{0}}
round(smallint) -> smallint = {{0}}
round(integer) -> integer = {{0}}
round(bigint) -> bigint = {{0}}
round(double) -> double = {{0}}
sign(bigint) -> bigint = CAST(sign({{0}}) AS BIGINT)
sign(tinyint) -> tinyint = CAST(sign({{0}}) AS TINYINT)
sign(smallint) -> smallint = CAST(sign({{0}}) AS SMALLINT)
sign(integer) -> integer = CAST(sign({{0}}) AS INT)
sign(double) -> double = sign({{0}})
sin(double) -> double = sin({{0}})
sinh(double) -> double = sinh({{0}})
sqrt(double) -> double = sqrt({{0}})
tan(double) -> double = tan({{0}})
tanh(double) -> double = tanh({{0}})
truncate(double) -> double = CASE WHEN abs({{0}}) >= {_WIDE} THEN {{0}} ELSE sign({{0}}) * CAST(floor(abs({{0}})) AS DOUBLE) END
width_bucket(double, double, double, bigint) -> bigint = CASE WHEN {{3}} <= 0 THEN raise_error('bucketCount must be greater than 0') WHEN {{1}} = {{2}} THEN raise_error('bounds cannot equal each other') WHEN isnan({{0}}) THEN raise_error('operand must not be NaN') WHEN NOT abs({{1}}) < CAST('Infinity' AS DOUBLE) OR isnan({{1}}) THEN raise_error('first bound must be finite') WHEN NOT abs({{2}}) < CAST('Infinity' AS DOUBLE) OR isnan({{2}}) THEN raise_error('second bound must be finite') WHEN {{1}} < {{2}} AND {{0}} < {{1}} OR {{1}} > {{2}} AND {{0}} >= {{1}} THEN 0 WHEN {{1}} < {{2}} AND {{0}} >= {{2}} OR {{1}} > {{2}} AND {{0}} < {{2}} THEN {{3}} + 1 WHEN {{1}} < {{2}} THEN CAST(floor({{3}} * ({{0}} - {{1}}) / ({{2}} - {{1}}) + 1) AS BIGINT) ELSE {{3}} - CAST(floor({{3}} * ({{0}} - {{2}}) / ({{1}} - {{2}}) + 1) AS BIGINT) + 1 END
bitwise_and(bigint, bigint) -> bigint = ({{0}} & {{1}})
bitwise_or(bigint, bigint) -> bigint = ({{0}} | {{1}})
bitwise_xor(bigint, bigint) -> bigint = ({{0}} ^ {{1}})
bitwise_not(bigint) -> bigint = (~{{0}})
length(varchar) -> bigint = CAST(length({{0}}) AS BIGINT)
length(varbinary) -> bigint = CAST(octet_length({{0}}) AS BIGINT)
lower(varchar) -> varchar = lower({{0}})
upper(varchar) -> varchar = CASE WHEN contains({{0}}, 'ß') THEN array_join(transform(split({{0}}, 'ß', -1), part -> upper(part)), 'ß') ELSE upper({{0}}) END
reverse(varchar) -> varchar = reverse({{0}})
reverse(array(T)) -> array(T) = reverse({{0}})
trim(varchar) -> varchar = trim(BOTH {_SPACES} FROM {{0}})
ltrim(varchar) -> varchar = trim(LEADING {_SPACES} FROM {{0}})
rtrim(varchar) -> varchar = trim(TRAILING {_SPACES} FROM {{0}})
trim(varchar, varchar) -> varchar = trim(BOTH {{1}} FROM {{0}})
ltrim(varchar, varchar) -> varchar = trim(LEADING {{1}} FROM {{0}})
rtrim(varchar, varchar) -> varchar = trim(TRAILING {{1}} FROM {{0}})
replace(varchar, varchar) -> varchar = replace({{0}}, {{1}}, '')
starts_with(varchar, varchar) -> boolean = startswith({{0}}, {{1}})
strpos(varchar, varchar) -> bigint = CAST(instr({{0}}, {{1}}) AS BIGINT)
levenshtein_distance(varchar, varchar) -> bigint = CAST(levenshtein({{0}}, {{1}}) AS BIGINT)
hamming_distance(varchar, varchar) -> bigint = CASE WHEN length({{0}}) <> length({{1}}) THEN raise_error('The input strings to hamming_distance function must have the same length') ELSE CAST(size(filter(zip_with(split({{0}}, '', -1), split({{1}}, '', -1), (x, y) -> x <> y), item -> item)) AS BIGINT) END
translate(varchar, varchar, varchar) -> varchar = translate({{0}}, {{1}}, {{2}})
lpad(varchar, bigint, varchar) -> varchar = lpad({{0}}, CAST({{1}} AS INT), {{2}})
rpad(varchar, bigint, varchar) -> varchar = rpad({{0}}, CAST({{1}} AS INT), {{2}})
to_utf8(varchar) -> varbinary = encode({{0}}, 'UTF-8')
to_hex(varbinary) -> varchar = hex({{0}})
from_hex(varchar) -> varbinary = unhex({{0}})
to_base64(varbinary) -> varchar = base64({{0}})
md5(varbinary) -> varbinary = unhex(md5({{0}}))
sha1(varbinary) -> varbinary = unhex(sha1({{0}}))
sha256(varbinary) -> varbinary = unhex(sha2({{0}}, 256))
url_encode(varchar) -> varchar = url_encode({{0}})
url_decode(varchar) -> varchar = url_decode({{0}})
split(varchar, varchar) -> array(varchar) = split({{0}}, {LITERALLY}, -1)
array_join(array(varchar), varchar) -> varchar = array_join({{0}}, {{1}})
array_join(array(varchar), varchar, varchar) -> varchar = array_join({{0}}, {{1}}, {{2}})
cardinality(array(T)) -> bigint = CAST(size({{0}}) AS BIGINT)
cardinality(map(K, V)) -> bigint = CAST(size({{0}}) AS BIGINT)
contains(array(T), T) -> boolean = array_contains({{0}}, {{1}})
array_position(array(T), T) -> bigint = array_position({{0}}, {{1}})
array_remove(array(T), T) -> array(T) = CASE WHEN {{1}} IS NULL THEN NULL ELSE filter({{0}}, item -> item IS DISTINCT FROM {{1}}) END
array_max(array(T)) -> T = CASE WHEN exists({{0}}, item -> item IS NULL) THEN NULL ELSE array_max({{0}}) END
array_min(array(T)) -> T = CASE WHEN exists({{0}}, item -> item IS NULL) THEN NULL ELSE array_min({{0}}) END
array_sort(array(T)) -> array(T) = array_sort({{0}})
array_distinct(array(T)) -> array(T) = array_distinct({{0}})
arrays_overlap(array(T), array(T)) -> boolean = arrays_overlap({{0}}, {{1}})
flatten(array(array(T))) -> array(T) = flatten(filter({{0}}, item -> item IS NOT NULL))
repeat(T, integer) -> array(T) = array_repeat({{0}}, {{1}})
slice(array(T), bigint, bigint) -> array(T) = slice({{0}}, CAST({{1}} AS INT), CAST({{2}} AS INT))
trim_array(array(T), bigint) -> array(T) = CASE WHEN {{1}} < 0 OR {{1}} > size({{0}}) THEN raise_error('size must not exceed array cardinality') ELSE slice({{0}}, 1, CAST(size({{0}}) - {{1}} AS INT)) END
map_keys(map(K, V)) -> array(K) = map_keys({{0}})
map_values(map(K, V)) -> array(V) = map_values({{0}})
map_entries(map(K, V)) -> array(row(K, V)) = transform(map_entries({{0}}), pair -> named_struct('field0', pair.key, 'field1', pair.value))
map_from_entries(array(row(K, V))) -> map(K, V) = map_from_entries({{0}})
map(array(K), array(V)) -> map(K, V) = map_from_arrays({{0}}, {{1}})
map_concat(map(K, V), map(K, V)) -> map(K, V) = map_concat(map_filter({{0}}, (k, v) -> NOT map_contains_key({{1}}, k)), {{1}})
json_array_length(varchar) -> bigint = CAST(json_array_length({{0}}) AS BIGINT)
json_array_length(json) -> bigint = CAST(json_array_length({{0}}) AS BIGINT)
is_json_scalar(varchar) -> boolean = (schema_of_variant(parse_json({{0}})) NOT LIKE 'OBJECT<%' AND schema_of_variant(parse_json({{0}})) NOT LIKE 'ARRAY<%')
is_json_scalar(json) -> boolean = (schema_of_variant(parse_json({{0}})) NOT LIKE 'OBJECT<%' AND schema_of_variant(parse_json({{0}})) NOT LIKE 'ARRAY<%')
json_parse(varchar) -> json = to_json(parse_json({{0}}))
from_base64(varchar) -> varbinary = unbase64({{0}})
last_day_of_month(date) -> date = last_day({{0}})
last_day_of_month(timestamp) -> date = last_day({{0}})
to_unixtime(timestamp) -> double = (CAST(unix_micros(CAST({{0}} AS TIMESTAMP)) AS DOUBLE) / 1e6D)
to_unixtime(timestamp_tz) -> double = (CAST(unix_micros({{0}}) AS DOUBLE) / 1e6D)
to_iso8601(date) -> varchar = CAST({{0}} AS STRING)
uuid() -> uuid = uuid()
""")

PLAIN["ceiling"] = PLAIN["ceil"]
PLAIN["pow"] = PLAIN["power"]
PLAIN["rand"] = PLAIN["random"]

CANNOT_FAIL = (
    frozenset(PLAIN)
    - {"abs", "hamming_distance", "from_hex", "url_decode", "array_join", "repeat", "slice"}
    - {
        "trim_array",
        "map_from_entries",
        "map",
        "is_json_scalar",
        "json_parse",
        "from_base64",
    }
) | {
    "substr",
    "substring",
    "split_part",
    "regexp_like",
    "regexp_count",
    "regexp_replace",
    "mod",
    "concat",
    "to_base",
}
"""What can stand in TRY: gives NULL for a NULL argument, and fails for no argument at all."""

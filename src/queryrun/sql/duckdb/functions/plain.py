"""Scalar functions that are a template in DuckDB's SQL, by Trino's names and types."""

# ruff: noqa: E501 - a table: one function a line

from __future__ import annotations

from queryrun.sql.compile.cast_site import WHITE_SPACE
from queryrun.sql.compile.signatures import read_signatures

_NAN = "CAST('NaN' AS DOUBLE)"
_SPACES = "||".join(f"chr({code})" for code in WHITE_SPACE)
_LOW, _HIGH, _MAX = "least({1}, {2})", "greatest({1}, {2})", 2**63 - 1
_SHARE = f"({{3}} * ({{0}} - {_LOW}) / ({_HIGH} - {_LOW}) + 1)"
_RISING_BUCKET = (
    f"CASE WHEN {{0}} < {_LOW} THEN 0 WHEN {{0}} >= {_HIGH} THEN {{3}}::HUGEINT + 1"
    f" WHEN isnan({_SHARE}) THEN 0 WHEN {_SHARE} >= {_MAX} THEN {_MAX}"
    f" ELSE CAST(trunc({_SHARE}) AS HUGEINT) END"
)
_WIDTH_BUCKET = (
    "CASE WHEN {3} <= 0 THEN error('bucketCount must be greater than 0')"
    " WHEN isnan({0}) THEN error('operand must not be NaN')"
    " WHEN NOT isfinite({1}) THEN error('first bound must be finite')"
    " WHEN NOT isfinite({2}) THEN error('second bound must be finite')"
    " WHEN {1} = {2} THEN error('bounds cannot equal each other')"
    f" WHEN {{0}} >= {_HIGH} AND {{3}} = {_MAX}"
    " THEN error('Bucket for value ' || CAST({0} AS VARCHAR) || ' is out of range')"
    f" WHEN {{1}} < {{2}} THEN CAST({_RISING_BUCKET} AS BIGINT)"
    f" WHEN {{0}} < {{2}} AND {{3}} = {_MAX} THEN -{_MAX} - 1"
    f" ELSE CAST({{3}}::HUGEINT - ({_RISING_BUCKET}) + 1 AS BIGINT) END"
)
"""With bounds that fall, buckets are counted from above. Trino's own wraps at the largest count."""

PLAIN = read_signatures(f"""
abs(tinyint) -> tinyint = abs({{0}})
abs(smallint) -> smallint = abs({{0}})
abs(integer) -> integer = abs({{0}})
abs(bigint) -> bigint = abs({{0}})
abs(double) -> double = abs({{0}})
abs(real) -> real = abs({{0}})
acos(double) -> double = CASE WHEN abs({{0}}) > 1 THEN {_NAN} ELSE acos({{0}}) END
asin(double) -> double = CASE WHEN abs({{0}}) > 1 THEN {_NAN} ELSE asin({{0}}) END
atan(double) -> double = atan({{0}})
atan2(double, double) -> double = atan2({{0}}, {{1}})
cbrt(double) -> double = cbrt({{0}})
ceil(double) -> double = ceil({{0}})
ceil(real) -> real = ceil({{0}})
ceil(tinyint) -> tinyint = {{0}}
ceil(smallint) -> smallint = {{0}}
ceil(integer) -> integer = {{0}}
ceil(bigint) -> bigint = {{0}}
cos(double) -> double = cos({{0}})
cosh(double) -> double = cosh({{0}})
degrees(double) -> double = degrees({{0}})
e() -> double = exp(CAST(1 AS DOUBLE))
exp(double) -> double = exp({{0}})
floor(double) -> double = floor({{0}})
floor(real) -> real = floor({{0}})
floor(tinyint) -> tinyint = {{0}}
floor(smallint) -> smallint = {{0}}
floor(integer) -> integer = {{0}}
floor(bigint) -> bigint = {{0}}
infinity() -> double = CAST('Infinity' AS DOUBLE)
is_finite(double) -> boolean = isfinite({{0}})
is_infinite(double) -> boolean = isinf({{0}})
is_nan(double) -> boolean = isnan({{0}})
is_nan(real) -> boolean = isnan({{0}})
ln(double) -> double = CASE WHEN {{0}} = 0 THEN CAST('-Infinity' AS DOUBLE) WHEN {{0}} < 0 THEN {_NAN} ELSE ln({{0}}) END
log10(double) -> double = CASE WHEN {{0}} = 0 THEN CAST('-Infinity' AS DOUBLE) WHEN {{0}} < 0 THEN {_NAN} ELSE log10({{0}}) END
log2(double) -> double = CASE WHEN {{0}} = 0 THEN CAST('-Infinity' AS DOUBLE) WHEN {{0}} < 0 THEN {_NAN} ELSE log2({{0}}) END
log(double, double) -> double = CASE WHEN {{0}} IS NULL OR {{1}} IS NULL THEN NULL WHEN {{0}} < 0 OR {{1}} < 0 THEN {_NAN} ELSE (CASE WHEN {{1}} = 0 THEN CAST('-Infinity' AS DOUBLE) ELSE ln({{1}}) END) / (CASE WHEN {{0}} = 0 THEN CAST('-Infinity' AS DOUBLE) ELSE ln({{0}}) END) END
nan() -> double = {_NAN}
pi() -> double = pi()
power(double, double) -> double = pow({{0}}, {{1}})
radians(double) -> double = radians({{0}})
random() -> double = random()
round(tinyint) -> tinyint = {{0}}
round(smallint) -> smallint = {{0}}
round(integer) -> integer = {{0}}
round(bigint) -> bigint = {{0}}
round(double) -> double = round({{0}})
round(real) -> real = CAST(round(CAST({{0}} AS DOUBLE)) AS FLOAT)
round(double, integer) -> double = CASE WHEN {{1}} IS NULL THEN NULL WHEN NOT isfinite({{0}}) OR NOT isfinite({{0}} * pow(10, {{1}})) THEN {{0}} WHEN {{0}} < 0 THEN -(round(-{{0}} * pow(10, {{1}})) / pow(10, {{1}})) ELSE round({{0}} * pow(10, {{1}})) / pow(10, {{1}}) END
round(real, integer) -> real = CAST(CASE WHEN {{1}} IS NULL THEN NULL WHEN NOT isfinite({{0}}) OR NOT isfinite(CAST({{0}} AS DOUBLE) * pow(10, {{1}})) THEN {{0}} WHEN {{0}} < 0 THEN -(round(-CAST({{0}} AS DOUBLE) * pow(10, {{1}})) / pow(10, {{1}})) ELSE round(CAST({{0}} AS DOUBLE) * pow(10, {{1}})) / pow(10, {{1}}) END AS FLOAT)
sign(bigint) -> bigint = CAST(sign({{0}}) AS BIGINT)
sign(tinyint) -> tinyint = CAST(sign({{0}}) AS TINYINT)
sign(smallint) -> smallint = CAST(sign({{0}}) AS SMALLINT)
sign(integer) -> integer = CAST(sign({{0}}) AS INTEGER)
sign(real) -> real = CASE WHEN isnan({{0}}) THEN {{0}} ELSE CAST(sign({{0}}) AS FLOAT) END
sign(double) -> double = CASE WHEN isnan({{0}}) THEN {{0}} ELSE CAST(sign({{0}}) AS DOUBLE) END
sin(double) -> double = sin({{0}})
sinh(double) -> double = sinh({{0}})
sqrt(double) -> double = CASE WHEN {{0}} < 0 THEN {_NAN} ELSE sqrt({{0}}) END
tan(double) -> double = tan({{0}})
tanh(double) -> double = tanh({{0}})
truncate(double) -> double = trunc({{0}})
truncate(real) -> real = CAST(trunc({{0}}) AS FLOAT)
width_bucket(double, double, double, bigint) -> bigint = {_WIDTH_BUCKET}
bitwise_and(bigint, bigint) -> bigint = ({{0}} & {{1}})
bitwise_or(bigint, bigint) -> bigint = ({{0}} | {{1}})
bitwise_xor(bigint, bigint) -> bigint = xor({{0}}, {{1}})
bitwise_not(bigint) -> bigint = (~{{0}})
length(varchar) -> bigint = length({{0}})
length(varbinary) -> bigint = octet_length({{0}})
lower(varchar) -> varchar = lower({{0}})
upper(varchar) -> varchar = CASE WHEN contains({{0}}, 'ß') THEN array_to_string(list_transform(string_split({{0}}, 'ß'), lambda part: upper(part)), 'ß') ELSE upper({{0}}) END
reverse(varchar) -> varchar = reverse({{0}})
reverse(array(T)) -> array(T) = list_reverse({{0}})
trim(varchar) -> varchar = trim({{0}}, {_SPACES})
ltrim(varchar) -> varchar = ltrim({{0}}, {_SPACES})
rtrim(varchar) -> varchar = rtrim({{0}}, {_SPACES})
trim(varchar, varchar) -> varchar = trim({{0}}, {{1}})
ltrim(varchar, varchar) -> varchar = ltrim({{0}}, {{1}})
rtrim(varchar, varchar) -> varchar = rtrim({{0}}, {{1}})
replace(varchar, varchar) -> varchar = replace({{0}}, {{1}}, '')
starts_with(varchar, varchar) -> boolean = starts_with({{0}}, {{1}})
strpos(varchar, varchar) -> bigint = strpos({{0}}, {{1}})
chr(bigint) -> varchar = chr(CAST({{0}} AS INTEGER))
levenshtein_distance(varchar, varchar) -> bigint = levenshtein({{0}}, {{1}})
hamming_distance(varchar, varchar) -> bigint = CASE WHEN length({{0}}) <> length({{1}}) THEN error('The input strings to hamming_distance function must have the same length') WHEN {{0}} = '' THEN 0 ELSE hamming({{0}}, {{1}}) END
translate(varchar, varchar, varchar) -> varchar = translate({{0}}, {{1}}, {{2}})
lpad(varchar, bigint, varchar) -> varchar = CASE WHEN {{1}} NOT BETWEEN 0 AND 2147483647 THEN error('Target length must be in the range [0..2147483647]') WHEN {{2}} = '' THEN error('Padding string must not be empty') ELSE lpad({{0}}, CAST({{1}} AS INTEGER), {{2}}) END
rpad(varchar, bigint, varchar) -> varchar = CASE WHEN {{1}} NOT BETWEEN 0 AND 2147483647 THEN error('Target length must be in the range [0..2147483647]') WHEN {{2}} = '' THEN error('Padding string must not be empty') ELSE rpad({{0}}, CAST({{1}} AS INTEGER), {{2}}) END
to_utf8(varchar) -> varbinary = encode({{0}})
to_hex(varbinary) -> varchar = hex({{0}})
from_hex(varchar) -> varbinary = CASE WHEN length({{0}}) % 2 = 1 THEN error('invalid input length') ELSE unhex({{0}}) END
to_base64(varbinary) -> varchar = to_base64({{0}})
md5(varbinary) -> varbinary = unhex(md5({{0}}))
sha1(varbinary) -> varbinary = unhex(sha1({{0}}))
sha256(varbinary) -> varbinary = unhex(sha256({{0}}))
url_encode(varchar) -> varchar = replace(replace(replace(url_encode({{0}}), '%20', '+'), '%2A', '*'), '~', '%7E')
url_decode(varchar) -> varchar = CASE WHEN regexp_matches({{0}}, '%([^0-9a-fA-F]|.[^0-9a-fA-F]|.?$)') THEN error('URLDecoder: Illegal hex characters in escape (%) pattern') ELSE url_decode(replace({{0}}, '+', '%20')) END
split(varchar, varchar) -> array(varchar) = CASE WHEN {{1}} = '' THEN error('The delimiter may not be the empty string') ELSE string_split({{0}}, {{1}}) END
array_join(array(varchar), varchar) -> varchar = CASE WHEN {{0}} IS NOT NULL AND {{1}} IS NOT NULL THEN coalesce(array_to_string({{0}}, {{1}}), '') END
array_join(array(varchar), varchar, varchar) -> varchar = CASE WHEN {{0}} IS NOT NULL AND {{1}} IS NOT NULL AND {{2}} IS NOT NULL THEN coalesce(array_to_string(list_transform({{0}}, lambda joined: coalesce(joined, {{2}})), {{1}}), '') END
cardinality(array(T)) -> bigint = len({{0}})
cardinality(map(K, V)) -> bigint = CAST(cardinality({{0}}) AS BIGINT)
contains(array(double), double) -> boolean = CASE WHEN {{0}} IS NULL OR {{1}} IS NULL THEN NULL WHEN NOT isnan({{1}}) AND list_contains({{0}}, {{1}}) THEN true WHEN len(list_filter({{0}}, lambda item: item IS NULL)) > 0 THEN NULL ELSE false END
contains(array(real), real) -> boolean = CASE WHEN {{0}} IS NULL OR {{1}} IS NULL THEN NULL WHEN NOT isnan({{1}}) AND list_contains({{0}}, {{1}}) THEN true WHEN len(list_filter({{0}}, lambda item: item IS NULL)) > 0 THEN NULL ELSE false END
contains(array(T), T) -> boolean = CASE WHEN {{0}} IS NULL OR {{1}} IS NULL THEN NULL WHEN list_contains({{0}}, {{1}}) THEN true WHEN len(list_filter({{0}}, lambda item: item IS NULL)) > 0 THEN NULL ELSE false END
array_position(array(double), double) -> bigint = CASE WHEN {{0}} IS NULL OR {{1}} IS NULL THEN NULL WHEN isnan({{1}}) THEN 0 ELSE CAST(coalesce(list_position({{0}}, {{1}}), 0) AS BIGINT) END
array_position(array(real), real) -> bigint = CASE WHEN {{0}} IS NULL OR {{1}} IS NULL THEN NULL WHEN isnan({{1}}) THEN 0 ELSE CAST(coalesce(list_position({{0}}, {{1}}), 0) AS BIGINT) END
array_position(array(T), T) -> bigint = CASE WHEN {{0}} IS NULL OR {{1}} IS NULL THEN NULL ELSE CAST(coalesce(list_position({{0}}, {{1}}), 0) AS BIGINT) END
array_remove(array(double), double) -> array(double) = CASE WHEN {{1}} IS NULL THEN NULL ELSE list_filter({{0}}, lambda item: item IS DISTINCT FROM {{1}} OR isnan({{1}})) END
array_remove(array(real), real) -> array(real) = CASE WHEN {{1}} IS NULL THEN NULL ELSE list_filter({{0}}, lambda item: item IS DISTINCT FROM {{1}} OR isnan({{1}})) END
array_remove(array(T), T) -> array(T) = CASE WHEN {{1}} IS NULL THEN NULL ELSE list_filter({{0}}, lambda item: item IS DISTINCT FROM {{1}}) END
array_max(array(double)) -> double = CASE WHEN len(list_filter({{0}}, lambda item: item IS NULL)) > 0 THEN NULL ELSE coalesce(list_max(list_filter({{0}}, lambda item: NOT isnan(item))), list_max({{0}})) END
array_max(array(real)) -> real = CASE WHEN len(list_filter({{0}}, lambda item: item IS NULL)) > 0 THEN NULL ELSE coalesce(list_max(list_filter({{0}}, lambda item: NOT isnan(item))), list_max({{0}})) END
array_max(array(T)) -> T = CASE WHEN len(list_filter({{0}}, lambda item: item IS NULL)) > 0 THEN NULL ELSE list_max({{0}}) END
array_min(array(T)) -> T = CASE WHEN len(list_filter({{0}}, lambda item: item IS NULL)) > 0 THEN NULL ELSE list_min({{0}}) END
array_sort(array(T)) -> array(T) = list_sort({{0}}, 'ASC', 'NULLS LAST')
array_distinct(array(T)) -> array(T) = CASE WHEN {{0}} IS NOT NULL THEN list_transform(list_sort(list_transform(list_filter(list_zip(list_sort(list_zip({{0}}, range(1, len({{0}}) + 1))), list_concat([NULL], list_sort(list_zip({{0}}, range(1, len({{0}}) + 1))))), lambda pair: pair[1] IS NOT NULL AND (pair[2] IS NULL OR pair[1][1] IS DISTINCT FROM pair[2][1])), lambda pair: row(pair[1][2], pair[1][1]))), lambda pair: pair[2]) END
arrays_overlap(array(T), array(T)) -> boolean = CASE WHEN {{0}} IS NULL OR {{1}} IS NULL THEN NULL WHEN list_has_any({{0}}, {{1}}) THEN true WHEN len({{0}}) > 0 AND len({{1}}) > 0 AND (len(list_filter({{0}}, lambda item: item IS NULL)) > 0 OR len(list_filter({{1}}, lambda item: item IS NULL)) > 0) THEN NULL ELSE false END
flatten(array(array(T))) -> array(T) = flatten({{0}})
repeat(T, integer) -> array(T) = CASE WHEN {{1}} < 0 THEN error('count argument of repeat function must be greater than or equal to 0') WHEN {{1}} > 10000 THEN error('count argument of repeat function must be less than or equal to 10000') WHEN {{1}} > 1000 AND {{1}} * CAST(octet_length(encode(CAST({{0}} AS VARCHAR))) AS BIGINT) > 1000000 THEN error('result of repeat function must not take more than 1000000 bytes') ELSE list_transform(range({{1}}), lambda number: {{0}}) END
slice(array(T), bigint, bigint) -> array(T) = CASE WHEN {{0}} IS NULL THEN NULL WHEN {{1}} = 0 THEN error('SQL array indices start at 1') WHEN {{2}} < 0 THEN error('length must be greater than or equal to 0') WHEN {{1}} > 0 THEN ({{0}})[{{1}}:{{1}} + {{2}} - 1] WHEN -{{1}} > len({{0}}) THEN ({{0}})[1:0] ELSE ({{0}})[len({{0}}) + {{1}} + 1:len({{0}}) + {{1}} + {{2}}] END
trim_array(array(T), bigint) -> array(T) = CASE WHEN {{0}} IS NULL THEN NULL WHEN {{1}} < 0 OR {{1}} > len({{0}}) THEN error('size must not exceed array cardinality') ELSE ({{0}})[1:len({{0}}) - {{1}}] END
map_keys(map(K, V)) -> array(K) = map_keys({{0}})
map_values(map(K, V)) -> array(V) = map_values({{0}})
map_entries(map(K, V)) -> array(row(K, V)) = list_transform(map_entries({{0}}), lambda pair: row(pair.key, pair.value))
map_from_entries(array(row(K, V))) -> map(K, V) = map(list_transform({{0}}, lambda pair: pair[1]), list_transform({{0}}, lambda pair: pair[2]))
map(array(K), array(V)) -> map(K, V) = map({{0}}, {{1}})
map_concat(map(K, V), map(K, V)) -> map(K, V) = CASE WHEN {{0}} IS NOT NULL AND {{1}} IS NOT NULL THEN map_concat({{0}}, {{1}}) END
json_array_length(varchar) -> bigint = CASE WHEN json_valid({{0}}) AND json_type({{0}}) = 'ARRAY' THEN CAST(json_array_length({{0}}) AS BIGINT) END
json_array_length(json) -> bigint = CASE WHEN json_type({{0}}) = 'ARRAY' THEN CAST(json_array_length({{0}}) AS BIGINT) END
is_json_scalar(varchar) -> boolean = (json_type({{0}}) NOT IN ('OBJECT', 'ARRAY'))
is_json_scalar(json) -> boolean = (json_type({{0}}) NOT IN ('OBJECT', 'ARRAY'))
date(varchar) -> date = CAST({{0}} AS DATE)
date(timestamp) -> date = CAST({{0}} AS DATE)
date(date) -> date = {{0}}
from_unixtime(double) -> timestamp_tz3 = make_timestamptz(CAST(round({{0}} * 1000) AS BIGINT) * 1000)
from_base64(varchar) -> varbinary = from_base64({{0}} || CASE length({{0}}) % 4 WHEN 2 THEN '==' WHEN 3 THEN '=' ELSE '' END)
last_day_of_month(date) -> date = last_day({{0}})
last_day_of_month(timestamp) -> date = last_day({{0}})
to_unixtime(timestamp_tz) -> double = epoch({{0}})
to_unixtime(timestamp) -> double = epoch({{0}})
to_iso8601(date) -> varchar = strftime({{0}}, '%Y-%m-%d')
uuid() -> uuid = uuid()
current_date() -> date = current_date
""")

PLAIN["ceiling"] = PLAIN["ceil"]
PLAIN["pow"] = PLAIN["power"]
PLAIN["rand"] = PLAIN["random"]

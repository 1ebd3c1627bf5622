"""Why something is refused, or has a result where Trino fails: a reason for each cause.

A cause is what the judge found, with its numbers as 9 and its quoted parts as … (`report.cause`).
"""

# ruff: noqa: E501 - a table: one reason a line

from __future__ import annotations

import re

_SKETCH = "a sketch (HyperLogLog, qdigest, tdigest, setdigest) as a value is not built"
_INTERNAL = "an internal function of Trino's planner, in no documentation"
_ONLY_NULL = "of nothing but NULL: the type that Trino chooses there is not known here"
_ORDER = "Trino fails for NULL and NaN inside, unless it decides before it comes to them; DuckDB orders them"
_MAPS = "a map whose keys or values are of another type inside is not brought to the other's"
_TO_JSON = "the spelling of such keys in JSON is Trino's own, and is not built"
_CORRELATED = "DuckDB can execute this correlation, Trino cannot"
_OF_TRINO = "an internal error of Trino 476; the query has a result"

REFUSED_BY_REASON = (
    (r"A part of this statement is not supported by the embedded engine", "DuckDB cannot bind or plan it, most often a subquery where it does not allow one, or a value of nothing but NULL; nothing is executed"),
    (r"PLAN in JSON_TABLE", "nested paths are joined as Trino joins them without PLAN; other plans are not built"),
    (r"^Ordering (arrays or rows with NULL|values of type)", _ORDER),
    (r"A measure of a row pattern OVER a window|^Row pattern recognition", "patterns in windows are not built; MATCH_RECOGNIZE is"),
    (r"Function \$", _INTERNAL),
    (r"(RIGHT|FULL) JOIN LATERAL", "DuckDB has no such join"),
    (r"json_array_get of a string", "Trino's result is no JSON; `json_extract` has one"),
    (r"several time zones", "a value's zone is known from the statement, and is not stored with the value"),
    (r"Function (make_set_digest|values_at_quantiles|value_at_quantile|merge|intersection_cardinality|jaccard_index|hash_counts|qdigest_agg|tdigest_agg|empty_approx_set)\b", _SKETCH),
    (r"cosine_similarity of maps", "sparse vectors are not built; arrays are"),
    (r"A date before the year", "clients and file formats have no such dates"),
    (r"strpos from the end", "Trino reverses bytes there, so that characters of several bytes fare otherwise than DuckDB's"),
    (r"(Comparing|comparing) values of types? (json|.*json)", "JSON is kept as text: whether two texts are one value is not decided in such a comparison"),
    (r"Function (inverse_beta_cdf|spooky_hash)", "not built"),
    (r"replace of an empty string", "Trino puts the replacement between all characters; DuckDB does not"),
    (r"Type unknown|Function \w+\(unknown, ", _ONLY_NULL),
    (r"WITH SESSION", "a statement cannot change the source's settings"),
    (r"typeof of varchar|Function codepoint\(varchar\)", "lengths of varchar are tracked for literals and casts only"),
    (r"Function from_hex\(varbinary\)", "not built; `from_hex` of a varchar is"),
    (r"array_join of array\(json\)", "not built"),
    (r"Table functions", "not built"),
    (r"Function current_(path|user|groups)", "a statement has no path and no groups, and whose it is it does not know here"),
    (r"a path that is no literal", "paths are read when the statement is translated"),
    (r"round of a decimal to such a number", "the digits must be a literal"),
    (r"A query in a navigation or aggregate", "a measure is computed of the matched rows, where DuckDB allows no subquery"),
    (r"A row by chance in VALUES", "each field of a row would be by another chance"),
    (r"Comparing with a subquery of several columns", "not built where the other side has no row type"),
    (r"cast from map\(.* to json", _TO_JSON),
    (r"GROUP BY a map", "DuckDB does not recognise such an expression in the SELECT list"),
    (r"Z in a date pattern", "zones in `parse_datetime` would differ from value to value"),
    (r"%h in date_parse", "DuckDB reads hours of twelve with AM or PM only"),
    (r"A number of JSON beyond a double", "numbers of JSON are compared as doubles"),
    (r"width_bucket of bins", "Trino searches by halves, and finds anything where bins are not sorted"),
    (r"cast from varchar to timestamp\(9\) with time zone", "the zone would differ from value to value"),
    (r"The remainder of a decimal", "it does not fit the 38 digits that DuckDB has on the way"),
    (r"Comparing values of types (map|unknown)", _MAPS),
)  # fmt: skip
"""Patterns of what is said behind `not_supported: `, and why it is refused."""

ONLY_WE_BY_REASON = (
    (r"Given correlated subquery is not supported", _CORRELATED),
    (r"Invalid JSON path", "a path without `$` is read as a member's name"),
    (r"Out of range for timestamp with time zone", "years beyond 73,000 fit here"),
    (r"For SELECT DISTINCT, ORDER BY expressions", "`SELECT DISTINCT a, a + b … ORDER BY a + b` is in its list; Trino's check fails there"),
    (r"must be an aggregate expression", "names of fields that differ by case alone are one here"),
    (r"GENERIC_INTERNAL_ERROR", _OF_TRINO),
    (r"Could not choose a best candidate", "`array(array(integer)) || array(unknown)` has one meaning here"),
    (r"array_position does not support arrays|map key cannot be indeterminate", "a NULL inside of a value that is compared or a key does not fail here"),
    (r"result of repeat function", "results are bounded by the run's memory, not by a size of Trino's"),
)  # fmt: skip
"""Patterns of Trino's error, and why there is a result here."""


def reason(kind: str, cause: str) -> str:
    """Why; empty where nobody has said it yet."""
    table = REFUSED_BY_REASON if kind == "refused" else ONLY_WE_BY_REASON
    message = cause.removeprefix("not_supported: ")
    return next((why for pattern, why in table if re.search(pattern, message)), "")

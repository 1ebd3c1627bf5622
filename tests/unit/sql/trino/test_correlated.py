"""What Trino cannot decorrelate is refused with its words; what it can is computed.

The shapes and what becomes of them were asked of a Trino 476.
"""

from __future__ import annotations

import pytest

from queryrun.errors import FailureCode
from tests.unit.sql.trino.translation import failure, translated

_OUTER = "FROM (VALUES (1, 1)) o(a, b)"
_INNER = "FROM (VALUES (1, 1), (3, 1)) i(a, b)"
_USES = {
    "scalar": "SELECT ({}) " + _OUTER,
    "exists": "SELECT EXISTS ({}) " + _OUTER,
    "in": "SELECT o.a IN ({}) " + _OUTER,
    "all": "SELECT o.a >= ALL ({}) " + _OUTER,
    "lateral": "SELECT * " + _OUTER + " CROSS JOIN LATERAL ({}) t(x)",
}
_SHAPES = {
    "SELECT o.a": "in all",
    "SELECT o.a WHERE true": "in all",
    "SELECT o.a WHERE o.b = 1": "scalar in all lateral",
    "SELECT 1 WHERE o.b = 1": "",
    f"SELECT i.b {_INNER} WHERE i.a = o.a": "",
    f"SELECT i.b {_INNER} WHERE i.a < o.a": "",
    f"SELECT o.a {_INNER} WHERE i.a = o.a": "scalar in all lateral",
    f"SELECT i.b {_INNER} WHERE i.a = o.a LIMIT 1": "scalar in all lateral",
    f"SELECT i.a {_INNER} WHERE i.a = o.a LIMIT 1": "in",
    f"SELECT i.a {_INNER} WHERE i.a = o.a AND o.b = 1 LIMIT 1": "in",
    f"SELECT i.b {_INNER} WHERE i.a < o.a LIMIT 1": "scalar exists in all lateral",
    f"SELECT i.b {_INNER} WHERE i.a = o.a ORDER BY i.b LIMIT 1": "in",
    f"SELECT i.b {_INNER} WHERE i.a < o.a ORDER BY i.b LIMIT 1": "scalar exists in all lateral",
    f"SELECT i.b {_INNER} WHERE i.a = o.a OFFSET 1": "scalar exists in all lateral",
    f"SELECT max(i.b) {_INNER} WHERE i.a < o.a": "in all",
    f"SELECT max(i.b) + o.a {_INNER} WHERE i.a < o.a": "in all",
    f"SELECT max(i.b + o.b) {_INNER} WHERE i.a = o.a": "scalar in all lateral",
    f"SELECT count(*) {_INNER} WHERE i.a = o.a GROUP BY i.b": "in",
    f"SELECT count(*) {_INNER} WHERE i.a < o.a GROUP BY i.b": "scalar exists in",
    f"SELECT i.a {_INNER} WHERE i.a < o.a GROUP BY i.a": "in",
    f"SELECT DISTINCT i.b {_INNER} WHERE i.a < o.a": "scalar exists in",
    f"SELECT count(*) {_INNER} WHERE i.a = o.a HAVING count(*) > 1": "scalar exists in all lateral",
    f"SELECT row_number() OVER () {_INNER} WHERE i.a = o.a": "scalar in all lateral",
    f"SELECT i.b {_INNER} WHERE i.a = o.a UNION ALL SELECT 1": "scalar exists in all lateral",
    f"SELECT i.b {_INNER} WHERE i.a IN (SELECT o.a)": "scalar exists in all lateral",
    f"SELECT max(x) FROM (SELECT count(*) x {_INNER} WHERE i.a = o.a)": "scalar in all lateral",
    "SELECT x FROM UNNEST(ARRAY[o.a, o.b]) u(x) WHERE x = 1": "scalar exists in all lateral",
    "VALUES o.a": "in all",
}


@pytest.mark.parametrize("use", _USES)
@pytest.mark.parametrize("shape", _SHAPES)
def test_a_correlated_subquery_is_refused_where_trino_refuses_it(shape: str, use: str) -> None:
    statement = _USES[use].format(shape)
    if use not in _SHAPES[shape].split():
        assert "SELECT" in translated(statement)
        return
    found = failure(statement)
    assert found.code is FailureCode.NOT_SUPPORTED
    assert found.message == "Given correlated subquery is not supported"

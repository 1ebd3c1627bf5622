"""Trino's statements, and its library of class C. Rows come from sequences, without a catalog.

Memory is kept within what a small server gives one query: a failed statement proves
nothing.
"""

from __future__ import annotations

from queryrun.cancel_suite.statements import EngineStatements, Statement, copies, of


def _rows(*names: str) -> str:
    """10,000 rows for each name, crossed."""
    parts = (f"UNNEST(sequence(1, 10000)) AS t_{name}({name})" for name in names)
    return " CROSS JOIN ".join(parts)


_THREE = _rows("i", "j", "k")
_FOUR = _rows("i", "j", "k", "l")
_LONG_ROWS = f"SELECT i, j, k, 'row ' || CAST(i AS varchar) AS t FROM {_THREE}"


def _in_list() -> str:
    """A long list to parse, to plan and to compile."""
    numbers = ",".join(str(number) for number in range(100_000, 130_000))
    return f"SELECT count(*) FROM {_THREE} WHERE i * j + k IN ({numbers})"


def _join_order() -> str:
    tables = " CROSS JOIN ".join(f"UNNEST(sequence(1, 3)) AS t{n}(c{n})" for n in range(16))
    return f"SELECT count(*) FROM {tables} CROSS JOIN {_THREE} WHERE c0 + c15 + i * j = k - 40000"


def _many_case_arms() -> str:
    arms = " ".join(f"WHEN i % {n + 3} = {n} THEN {n}" for n in range(300))
    return f"SELECT sum(CASE {arms} ELSE 0 END) FROM {_FOUR}"


def _library() -> list[Statement]:
    computing = [
        of("cross join count", f"SELECT count(*) FROM {_FOUR} WHERE i + j * k = -l"),
        of("inequality join", f"SELECT count(*) FROM ({_select(_rows('i', 'j'), 'i * 7 + j AS a')})"
            f" x JOIN ({_select(_rows('k', 'l'), 'k * 5 + l AS b')}) y ON a < b AND a * b % 7 = 3"),
        of("equality join that explodes", f"SELECT count(*) FROM"
            f" ({_select(_rows('i', 'j'), 'i % 10 AS a, j AS c')}) x JOIN"
            f" ({_select(_rows('k', 'l'), 'k % 10 AS b, l AS d')}) y ON a = b WHERE c * d = -1"),
        of("hashing", f"SELECT count(*) FROM {_FOUR} WHERE to_hex(sha256(to_utf8(CAST(i * j + k AS"
            " varchar)))) LIKE '%ABCDEF12%'"),
        of("regular expression", f"SELECT count(*) FROM {_FOUR} WHERE regexp_like(CAST(i * j AS"
            " varchar) || 'abcabc', '(a|b|c)+(d|e|f)*([0-9]+)x{3}$')"),
        of("nested quantifiers", f"SELECT count(*) FROM {_THREE} WHERE regexp_like(lpad('', 26,"
            " 'a') || CAST(i AS varchar), '^(a+)+b$')"),
        of("json parsing", f"SELECT count(*) FROM {_FOUR} WHERE json_extract_scalar('{{\"a\": [' ||"
            " CAST(i AS varchar) || ', {\"b\": \"x' || CAST(j AS varchar) || '\"}]}', '$.a[1].b')"
            " LIKE 'z%'"),
        of("window over everything", "SELECT max(s) FROM (SELECT sum(i) OVER (ORDER BY j ROWS"
            f" BETWEEN 5000 PRECEDING AND 5000 FOLLOWING) AS s FROM {_rows('i', 'x')}"
            " CROSS JOIN UNNEST(sequence(1, 50)) AS t_j(j) WHERE x < 20)"),
        of("group by of many", "SELECT count(*) FROM (SELECT i % 1000 AS a, j % 1000 AS b,"
            f" count(*) AS n FROM {_FOUR} GROUP BY 1, 2)"),
        of("grouping sets", "SELECT count(*) FROM (SELECT a, b, c, count(*) AS n FROM (SELECT"
            f" i % 97 AS a, j % 101 AS b, k % 11 AS c FROM {_FOUR}) GROUP BY CUBE (a, b, c))"),
        of("approx_distinct", f"SELECT approx_distinct(i * j + k * l) FROM {_FOUR}"),
        of("approx_percentile", f"SELECT approx_percentile(i * j + k * l, 0.9) FROM {_FOUR}"),
        of("sort of the best", f"SELECT i, j FROM {_FOUR} ORDER BY i * j % 977, k LIMIT 10"),
        of("array functions", "SELECT sum(cardinality(array_distinct(transform(sequence(1, 3000 +"
            f" i % 3), x -> x % (j + 1))))) FROM {_THREE}"),
        of("reduce", "SELECT sum(reduce(sequence(1, 9000 + i % 3), 0, (s, x) -> s + x % (j + 1),"
            f" s -> s)) FROM {_THREE}"),
        of("array_sort", "SELECT sum(array_sort(transform(sequence(1, 9000), x -> x * j % 977))"
            f"[1]) FROM {_THREE}"),
        of("levenshtein", "SELECT sum(levenshtein_distance(lpad('', 900, 'ab'), lpad('', 800 + i %"
            f" 100, 'ba'))) FROM {_THREE}"),
        of("replace in long strings", "SELECT sum(length(replace(lpad('', 50000, 'abc'), 'b',"
            f" CAST(i AS varchar)))) FROM {_THREE}"),
        of("reverse and upper", "SELECT count(*) FROM (SELECT reverse(upper(lpad('', 50000, 'abc')"
            f" || CAST(i AS varchar))) AS t FROM {_THREE}) WHERE t < '0'"),
        of("correlated subquery", f"SELECT count(*) FROM {_THREE} WHERE (SELECT count(*) FROM"
            " UNNEST(sequence(1, 1000)) AS u(v) WHERE v % 7 = i % 7) = j"),
        of("exact decimals", f"SELECT sum(CAST(i AS decimal(20, 4)) * CAST(j AS decimal(18, 6)) %"
            f" decimal '97.5') FROM {_FOUR}"),
        of("union of many", " UNION ALL ".join(f"SELECT count(*) AS n FROM {_THREE} WHERE i + j ="
            f" k - {30000 + n}" for n in range(12))),
    ]  # fmt: skip
    planning = [
        Statement("plan: IN list of 30,000 constants", _in_list),
        Statement("plan: join order of 16 tables", _join_order),
        Statement("case of 300 arms", _many_case_arms),
    ]
    return [*computing, *planning, *copies(_LONG_ROWS)]


def _select(rows: str, items: str) -> str:
    return f"SELECT {items} FROM {rows}"


TRINO = EngineStatements(
    runaway=f"SELECT count(*) AS n FROM {_FOUR} WHERE i + j * k = -l",
    stubborn="SELECT sum(reduce(sequence(1, 9000 + i % 3), 0, (s, x) -> s + x % (j + 1), s -> s))"
    f" AS n FROM {_THREE}",
    heavy=f"SELECT count(*) AS n FROM (SELECT i % 1000 AS a, j % 1000 AS b, count(*) AS n FROM"
    f" {_FOUR} GROUP BY 1, 2)",
    spilling=None,
    short=("SELECT 42 AS answer", "SELECT i FROM UNNEST(sequence(1, 2000)) AS t(i)"),
    long_file=_LONG_ROWS,
    library=tuple(_library()),
)

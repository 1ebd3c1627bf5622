"""Spark's statements, and its library of class C. Rows come from `range`, so no table is needed.

Memory is kept within what a small cluster gives one statement: a failed statement
proves nothing.
"""

from __future__ import annotations

from queryrun.cancel_suite.statements import EngineStatements, Statement, copies, of

_E = 2_000_000_000
_CROSS = f"range({_E}) AS a CROSS JOIN range(1000) AS b"
_LONG_ROWS = f"SELECT id AS i, id * 2 AS j, concat('row ', id) AS t FROM range({_E})"


def _in_list() -> str:
    """A long list to parse and to plan."""
    numbers = ",".join(str(number) for number in range(100_000, 130_000))
    return f"SELECT count(*) AS n FROM {_CROSS} WHERE a.id % 977 * b.id IN ({numbers})"


def _join_order() -> str:
    tables = ", ".join(f"range(3) AS t{n}" for n in range(12))
    links = " AND ".join(f"t{n}.id = t{n + 1}.id" for n in range(11))
    return f"SELECT count(*) AS n FROM {tables}, {_CROSS} WHERE {links} AND a.id > b.id + t0.id"


def _many_case_arms() -> str:
    arms = " ".join(f"WHEN id % {n + 3} = {n} THEN {n}" for n in range(300))
    return f"SELECT sum(CASE {arms} ELSE 0 END) AS n FROM range({_E})"


def _library() -> list[Statement]:
    computing = [
        of("cross join count", f"SELECT count(*) AS n FROM {_CROSS} WHERE a.id + b.id = -1"),
        of("inequality join", "SELECT count(*) AS n FROM range(2000000) AS a JOIN range(2000000) AS"
            " b ON a.id < b.id WHERE a.id * b.id % 7 = 3"),
        of("equality join that explodes", "SELECT count(*) AS n FROM range(3000000) AS a JOIN"
            " range(3000000) AS b ON a.id % 10 = b.id % 10 WHERE"
            " md5(string(a.id)) < md5(string(b.id))"),
        of("hashing", f"SELECT count(*) AS n FROM range({_E}) WHERE md5(string(id)) LIKE"
            " '%abcdef12%'"),
        of("regular expression", f"SELECT count(*) AS n FROM range({_E}) WHERE concat("
            "md5(string(id)),"
            " md5(string(id + 1))) RLIKE '(a|b|c)+(d|e|f)*([0-9]+)x{3}$'"),
        of("nested quantifiers", f"SELECT count(*) AS n FROM range({_E}) WHERE concat(repeat('a',"
            " 24), id) RLIKE '^(a+)+b$'"),
        of("json parsing", f"SELECT count(*) AS n FROM range({_E}) WHERE get_json_object(concat("
            "'{\"a\": [', id, ', {\"b\": \"', md5(string(id)), '\"}]}'), '$.a[1].b')"
            " LIKE '00000000%'"),
        of("window over everything", "SELECT max(s) AS m FROM (SELECT sum(id) OVER (PARTITION BY id"
            " % 7 ORDER BY hash(id) ROWS BETWEEN 3000 PRECEDING AND 3000 FOLLOWING) AS s FROM"
            " range(3000000))"),
        of("group by of many", "SELECT count(*) AS n FROM (SELECT hash(id) % 100000 AS h,"
            f" count(*) AS c FROM range({_E}) GROUP BY 1)"),
        of("grouping sets", "SELECT count(*) AS n FROM (SELECT id % 97 AS a, id % 1009 AS b,"
            f" id % 13 AS c, count(*) AS n FROM range({_E})"
            " GROUP BY CUBE (id % 97, id % 1009, id % 13))"),
        of("approx_count_distinct", f"SELECT approx_count_distinct(hash(id)) AS n FROM"
            f" range({_E})"),
        of("percentile", f"SELECT approx_percentile(hash(id), 0.5) AS p FROM range({_E})"),
        of("sort of the best", f"SELECT id FROM range({_E}) ORDER BY hash(id) LIMIT 10"),
        of("array functions", "SELECT sum(size(array_distinct(transform(sequence(1, 3000 + id % 3),"
            f" x -> x % 977)))) AS n FROM range({_E})"),
        of("aggregate of a lambda", "SELECT sum(aggregate(sequence(1, 9000 + id % 3), 0L, (s, x) ->"
            f" s + x % 7)) AS n FROM range({_E})"),
        of("explode", "SELECT count(*) AS n FROM (SELECT explode(sequence(1, id % 10000 + 1)) AS u"
            f" FROM range({_E})) WHERE u % 3 = 1"),
        of("levenshtein", "SELECT sum(levenshtein(repeat('ab', 900), repeat('ba', 800 + id % 100)))"
            f" AS n FROM range({_E})"),
        of("replace in long strings", "SELECT sum(length(replace(repeat('abc', 20000), 'b', id)))"
            f" AS n FROM range({_E})"),
        of("reverse and upper", "SELECT max(reverse(upper(concat(repeat('abc', 20000), id)))) AS m"
            f" FROM range({_E})"),
        of("exact decimals", "SELECT sum(CAST(id AS DECIMAL(20, 4)) * CAST(1.5 AS DECIMAL(18, 6)) %"
            f" 97.5BD) AS s FROM range({_E})"),
        of("sort that shuffles", "SELECT max(m) AS m FROM (SELECT md5(string(id)) AS m FROM"
            " range(30000000)"
            " ORDER BY md5(string(id)))"),
        of("distinct strings", "SELECT count(DISTINCT md5(string(id))) AS n FROM range(50000000)"),
    ]  # fmt: skip
    planning = [
        Statement("plan: IN list of 30,000 constants", _in_list),
        Statement("plan: join order of 12 tables", _join_order),
        Statement("case of 300 arms", _many_case_arms),
    ]
    return [*computing, *planning, *copies(_LONG_ROWS)]


SPARK = EngineStatements(
    runaway=f"SELECT count(*) AS n FROM {_CROSS} WHERE a.id + b.id = -1",
    stubborn="SELECT sum(aggregate(sequence(1, 9000 + id % 3), 0L, (s, x) -> s + x % 7)) AS n FROM"
    f" range({_E})",
    heavy="SELECT count(*) AS n FROM (SELECT hash(id) % 100000 AS h, count(*) AS c FROM"
    f" range({_E}) GROUP BY 1)",
    spilling=None,
    short=("SELECT 42 AS answer", "SELECT id FROM range(2000)"),
    long_file=_LONG_ROWS,
    library=tuple(_library()),
)

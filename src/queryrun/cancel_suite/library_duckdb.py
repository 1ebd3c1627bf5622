"""DuckDB's statements, and the library of class C: each is hard to stop in a different way.

Each runs for at least many seconds, within 2 GB of memory on two cores, so that a cancel finds it
computing. None needs data. DuckDB's interrupt stops those that are `interruptible` within
milliseconds; the others need longer, or a kill.
"""

from __future__ import annotations

from functools import cache

from queryrun.cancel_suite.statements import COMPRESSED, EngineStatements, Statement, of, text

_ENDLESS = 2_000_000_000


# --- planning -------------------------------------------------------------------------------


def _in_list() -> str:
    """400,000 constants: seconds of planning without a check for interrupts."""
    numbers = ",".join(map(str, range(100_000, 499_998, 3)))[:990_000].rpartition(",")[0]
    return f"SELECT count(*) FROM range(100) t(i) WHERE i IN ({numbers})"


def _short_in_list() -> str:
    """400,000 constants of one digit each, within a million characters."""
    return f"SELECT count(*) FROM range(100) t(i) WHERE i IN ({','.join('1' * 400_000)})"


def _expression_in_list() -> str:
    constants = ",".join(f"i+{n}" for n in range(90_000))
    return f"SELECT count(*) FROM range(100000) t(i) WHERE i*i IN ({constants})"


def _join_order() -> str:
    tables = ", ".join(f"range(3) t{n}(i)" for n in range(60))
    links = " AND ".join(
        f"t{n}.i = t{(n * 7 + 1) % 60}.i + t{(n * 3 + 2) % 60}.i" for n in range(60)
    )
    return f"SELECT count(*) FROM {tables} WHERE {links}"


def _clique() -> str:
    tables = ", ".join(f"range(100) t{n}(i)" for n in range(40))
    links = " AND ".join(f"t{a}.i = t{b}.i" for a in range(40) for b in range(a))
    endless = "range(10000000000) x(i), range(1000) y(i)"
    return f"SELECT count(*) FROM {tables}, {endless} WHERE {links} AND x.i > y.i + t0.i"


def _wide_union() -> str:
    parts = " UNION ALL ".join(f"SELECT i+{n} AS i FROM range(1000000) t(i)" for n in range(1200))
    return f"SELECT count(DISTINCT i) FROM ({parts})"


def _million_characters() -> str:
    """Flat, so that the guard stays within its time limit: a few hundred long comparisons."""
    texts = " OR ".join(f"s LIKE '%{n}{'xy' * 1_500}%'" for n in range(325))
    return f"SELECT count(*) FROM (SELECT md5(i::VARCHAR) AS s FROM {_numbers()}) WHERE {texts}"


def _million_character_text() -> str:
    text = "ab" * 490_000
    return f"SELECT count(*) FROM {_numbers()} WHERE levenshtein('{text}', i::VARCHAR) = 1"


def _deep_nesting() -> str:
    inner = "SELECT i FROM range(3000000) t(i)"
    for level in range(60):
        inner = f"SELECT i, count(*) OVER (ORDER BY i + {level}) AS c FROM ({inner})"
        inner = f"SELECT i + c % 2 AS i FROM ({inner})"
    return f"SELECT sum(i) FROM ({inner})"


def _many_case_arms() -> str:
    arms = " ".join(f"WHEN i % {n + 3} = {n} THEN {n}" for n in range(8_000))
    return f"SELECT sum(CASE {arms} ELSE 0 END) FROM range(100000000) t(i)"


# --- the rest -------------------------------------------------------------------------------


@cache
def _numbers() -> str:
    return f"range({_ENDLESS}) t(i)"


def _computing() -> list[Statement]:
    e = _ENDLESS
    return [
        of("cross join count", f"SELECT count(*) FROM range({e}) a(i), range({e}) b(j)"
            " WHERE i + j = 3", interruptible=True),
        of("three-way inequality join", "SELECT count(*) FROM range(100000) a(i), range(100000)"
            " b(j), range(100000) c(k) WHERE i < j AND j < k AND i * j * k % 7 = 3",
            interruptible=True),
        of("endless recursion", "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r"
            " WHERE n < 2000000000) SELECT count(*) FROM r", interruptible=True),
        of("recursion that doubles", "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT r.n + x"
            " FROM r, range(2) t(x) WHERE r.n < 40) SELECT count(*) FROM r", interruptible=True),
        of("recursion with distinct", "WITH RECURSIVE r(n, s) AS (SELECT 1, 'x' UNION SELECT"
            " n + 1, md5(s) FROM r WHERE n < 100000000) SELECT max(s) FROM r", interruptible=True),
        of("scan and hash", f"SELECT count(*) FROM {_numbers()} WHERE md5(i::VARCHAR) LIKE"
            " '%abcdef12%'", interruptible=True),
        of("regular expression", f"SELECT count(*) FROM {_numbers()} WHERE regexp_matches("
            "md5(i::VARCHAR) || md5((i+1)::VARCHAR), '(a|b|c)+(d|e|f)*([0-9]+)x{3}$')",
            interruptible=True),
        of("nested quantifiers", "SELECT count(*) FROM range(100000000) t(i) WHERE"
            " regexp_matches(repeat('a', 3000) || i, '(a*)*(a*)*(a*)*b{20}$')"),
        of("regexp over huge strings", "SELECT count(*) FROM range(100000) t(i) WHERE"
            " regexp_matches(repeat('ab', 5000000) || i, '(a|b|ab)*c')"),
        of("regexp_extract_all", "SELECT sum(len(regexp_extract_all(repeat('a1b2', 500000) || i,"
            " '[a-z][0-9]'))) FROM range(100000) t(i)"),
        of("json parsing", f"SELECT count(*) FROM {_numbers()} WHERE json_extract_string("
            "'{\"a\": [' || i || ', {\"b\": \"' || md5(i::VARCHAR) || '\"}]}', '$.a[1].b')"
            " LIKE '00000000%'", interruptible=True),
        of("huge json values", "SELECT sum(json_array_length('[' || repeat('1,', 3000000) || i ||"
            " ']')) FROM range(100000) t(i)"),
        of("lateral generate_series", "SELECT count(*) FROM range(1000000) a(i),"
            " LATERAL (SELECT sum(x) AS s FROM generate_series(1, 100000) g(x)"
            " WHERE x % 7 = i % 7)", interruptible=True),
        of("unnest of ranges", "SELECT count(*) FROM (SELECT unnest(range(i)) AS u FROM"
            " range(10000000) t(i)) WHERE u % 3 = 1"),
        of("window functions", "SELECT max(s) FROM (SELECT sum(i) OVER (ORDER BY hash(i) ROWS"
            " BETWEEN 5000 PRECEDING AND 5000 FOLLOWING) AS s FROM range(30000000) t(i))"),
        of("window median", "SELECT max(m) FROM (SELECT median(i) OVER (ORDER BY hash(i) ROWS"
            " BETWEEN 2000 PRECEDING AND CURRENT ROW) AS m FROM range(20000000) t(i))"),
        of("quantiles", f"SELECT approx_quantile(hash(i), 0.5), stddev(hash(i) % 1000) FROM"
            f" {_numbers()}", interruptible=True),
        of("big sort", "SELECT i FROM range(200000000) t(i) ORDER BY hash(i)"),
        of("sort of wide rows", "SELECT i, md5(i::VARCHAR) AS a, sha256(i::VARCHAR) AS b FROM"
            " range(50000000) t(i) ORDER BY a, b"),
        of("hash aggregate, 200 M groups", "SELECT count(*) FROM (SELECT hash(i) AS h, count(*)"
            " FROM range(200000000) t(i) GROUP BY h)"),
        of("distinct strings", "SELECT count(DISTINCT sha256(i::VARCHAR)) FROM range(100000000)"
            " t(i)"),
        of("hash join", "SELECT count(*) FROM range(100000000) a(i) JOIN range(100000000) b(j)"
            " ON hash(i) % 90000000 = hash(j + 1) % 90000000"),
        of("join that explodes", "SELECT count(*) FROM range(5000000) a(i) JOIN range(5000000)"
            " b(j) ON i % 10 = j % 10 WHERE md5(i::VARCHAR) < md5(j::VARCHAR)"),
        of("as-of join", "SELECT count(*) FROM range(60000000) a(i) ASOF JOIN range(60000000) b(j)"
            " ON i >= j * 2"),
        of("grouping sets", "SELECT count(*) FROM (SELECT i % 97 a, i % 1009 b, hash(i) % 99991 c,"
            " count(*) FROM range(2000000000) t(i) GROUP BY CUBE (a, b, c))"),
        of("string_agg", "SELECT length(string_agg(md5(i::VARCHAR), ',')) FROM range(60000000)"
            " t(i)"),
        of("list of everything", "SELECT len(list(i)) FROM (SELECT i FROM"
            " range(100000000) t(i) WHERE md5(i::VARCHAR) > '0')"),
        of("list_sort", "SELECT list_sort(list(hash(i)))[1] FROM range(60000000) t(i)"),
        of("list_sum(range(100000000))", "SELECT list_sum(range(100000000))"),
        of("list_sum of many ranges", "SELECT sum(list_sum(range(20000 + i % 3))) FROM"
            " range(1000000000) t(i)"),
        of("list_transform", "SELECT list_sum(list_transform(range(3000 + i % 3), lambda x:"
            " hash(x) % 10)) + i FROM range(1000000000) t(i)"),
        of("list_distinct", "SELECT len(list_distinct(list_transform(range(10000000),"
            " lambda x: hash(x + i)))) FROM range(1000) t(i)"),
        of("repeat() per row", "SELECT sum(length(repeat('abc', 100000 + (i % 3)::INTEGER))) FROM"
            " range(100000000) t(i)"),
        of("replace() in huge strings", "SELECT sum(length(replace(repeat('abc', 30000000), 'b',"
            " i::VARCHAR))) FROM range(10000) t(i)"),
        of("reverse and upper of huge strings", "SELECT max(reverse(upper(repeat('äbc', 20000000)"
            " || i))) FROM range(10000) t(i)"),
        of("levenshtein of 60,000 characters", "SELECT levenshtein(repeat('ab', 30000),"
            " repeat('ba', 30000 + i::INTEGER)) FROM range(1000) t(i)"),
        of("jaro_winkler of huge strings", "SELECT sum(jaro_winkler_similarity(repeat('ab',"
            " 100000), repeat('ba', 100000 + i::INTEGER))) FROM range(1000) t(i)"),
        of("huge numbers", "SELECT sum(factorial((i % 30)::INTEGER) % 97) FROM"
            f" {_numbers()}", interruptible=True),
        of("pivot of many columns", "PIVOT (SELECT i % 3000 AS c, hash(i) % 1000000 AS r, i FROM"
            " range(100000000) t(i)) ON c IN (1, 2, 3, 4, 5, 6, 7, 8) USING sum(i) GROUP BY r"),
        of("correlated subquery", "SELECT sum((SELECT count(*) FROM range(3000) b(j) WHERE"
            " hash(j) % 100 < hash(a.i) % 100)) FROM range(3000000) a(i)"),
    ]  # fmt: skip


def _spilling() -> list[Statement]:
    return [
        Statement(f"spill: {name}", text(sql), spills=True)
        for name, sql in (
            ("sort at the memory limit", "SELECT max(a) FROM (SELECT i, repeat(md5(i::VARCHAR), 8)"
             " AS a FROM range(60000000) t(i) ORDER BY md5(i::VARCHAR)) WHERE i % 2 = 0"),
            ("aggregate at the memory limit", "SELECT max(m) FROM (SELECT md5(i::VARCHAR) AS k,"
             " max(repeat(md5(i::VARCHAR), 4)) AS m FROM range(60000000) t(i) GROUP BY k)"),
            ("join at the memory limit", "SELECT count(*) FROM (SELECT md5(i::VARCHAR) AS k,"
             " repeat('x', 60) || i AS v FROM range(40000000) t(i)) a JOIN (SELECT"
             " md5((i * 2)::VARCHAR) AS k, repeat('y', 60) || i AS v FROM range(40000000) t(i)) b"
             " USING (k) WHERE a.v > b.v"),
        )
    ]  # fmt: skip


def _planning() -> list[Statement]:
    """Statements whose planning is slow: a cancel must be bounded before execution too."""
    return [
        Statement("plan: IN list of 1,000,000 characters", _in_list),
        Statement("plan: IN list of 400,000 constants", _short_in_list),
        Statement("plan: IN list of expressions", _expression_in_list),
        Statement("plan: join order of 60 tables", _join_order),
        Statement("plan: join order of a clique of 40", _clique),
        Statement("plan: union of 1,200", _wide_union),
        Statement("1,000,000 characters of LIKE", _million_characters),
        Statement("1,000,000-character text", _million_character_text),
        Statement("deep nesting of windows", _deep_nesting),
        Statement("case of 8,000 arms", _many_case_arms),
    ]


_WIDE = f"SELECT i, i * 2 AS j, 'row ' || i AS t, hash(i) AS h FROM {_numbers()}"


def _copying() -> list[Statement]:
    """Every format and codec, because each writes its file by different code."""
    plain = [
        Statement(f"copy 2e9 rows: {form}", text(_WIDE), content_type=form)
        for form in ("json", "csv", "tsv", "dsv", "parquet", "arrow")
    ]
    compressed = [
        Statement(f"copy 2e9 rows: {form}, {compression}", text(_WIDE), False, form, compression)
        for form, compression in COMPRESSED
    ]
    encrypted = [
        Statement(f"copy 2e9 rows: {name}, encrypted", text(_WIDE), False, "csv", name, True)
        for name in ("none", "gzip")
    ]
    long_rows = "SELECT repeat(md5(i::VARCHAR), 8000) AS t FROM range(100000000) t(i)"
    wide_rows = Statement("copy rows of 256 kB", text(long_rows))
    return [*plain, *compressed, *encrypted, wide_rows]


DUCKDB = EngineStatements(
    runaway="SELECT count(*) AS n FROM range(10000000000) a(i) JOIN range(1000) b(i) ON a.i > b.i",
    stubborn="SELECT sum(list_sum(range(20000 + i % 3))) AS n FROM range(1000000000) t(i)",
    heavy="SELECT count(*) FROM (SELECT DISTINCT md5(i::VARCHAR) FROM range(100000000) t(i))",
    spilling="SELECT max(a) FROM (SELECT i, repeat(md5(i::VARCHAR), 8) AS a FROM range(60000000)"
    " t(i) ORDER BY md5(i::VARCHAR)) WHERE i % 2 = 0",
    short=("SELECT 42 AS answer", "SELECT i FROM range(2000) t(i)"),
    long_file="SELECT i, 'row ' || i AS t FROM range(2000000000) t(i)",
    library=(*_computing(), *_spilling(), *_planning(), *_copying()),
)

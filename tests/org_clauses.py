"""Statements that reach rows by other ways than SELECT … WHERE: row patterns, tables of JSON,
routines, samples, lateral joins, statistics, plans, catalogs; and what DuckDB alone has.

For `org_differential.py`, which asks them of two databases. `number` and `condition` make
expressions over a table's name, some of which fail on hidden rows.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

Expression = Callable[[str], str]
"""Of the columns of the relation of this name."""

_AGGREGATES = [
    *("checksum({n})", "checksum({t}.note)", "approx_distinct({n})", "geometric_mean({n})"),
    *("max_by({t}.note, {n})", "min({n}, 2)", "count_if({c})", "bool_or({c})"),
    *("approx_percentile({n}, 0.5)", "max(format('%d', {t}.k))"),
    *("array_sort(array_agg({n}))", "array_sort(array_agg(DISTINCT {t}.note))"),
    *("listagg({t}.note, ',') WITHIN GROUP (ORDER BY {t}.id)", "sum({n}) FILTER (WHERE {c})"),
    *("reduce(array_agg({n}), 0, (s, x) -> s + 1 / x, s -> s)", "stddev({n})", "entropy({n})"),
    *("cardinality(filter(array_agg({n}), x -> 9 / x > 1))", "numeric_histogram(3, {n})"),
    *("map_keys(map_agg({t}.id, {n}))", "cardinality(histogram({t}.note))", "bitwise_or_agg({n})"),
    *("any_match(array_agg({n}), x -> 7 % x = 0)", "max(word_stem({t}.note))"),
    *("sum(levenshtein_distance({t}.note, 'secret1'))", "max(to_hex(md5(to_utf8({t}.note))))"),
]  # fmt: skip
_VALUES = [
    *("TRY({n})", "TRY(CAST({t}.note AS integer))", "regexp_extract({t}.note, '[0-9]+')"),
    *("json_value(concat('{{\"a\": ', CAST({n} AS varchar), '}}'), 'lax $.a')", "{t}"),
    *("json_exists({t}.note, 'strict $.a' ERROR ON ERROR)", "json_parse({t}.note)"),
    *("format('%s is %05d', {t}.note, {n})", "split({t}.note, 'e')[2]", "repeat({t}.note, {n})"),
    *("CAST(ROW({n}, {t}.note) AS ROW(a bigint, b varchar))", "sequence(1, {t}.k)[2]"),
    *("date_add('day', {n}, DATE '2020-01-01')", "{t}.k > ALL (SELECT p.k FROM plain p)"),
    *("{n} = ANY (SELECT {m} FROM item o)", "chr(CAST({n} AS bigint))", "word_stem({t}.note)"),
    *("(SELECT max({m}) FROM item o WHERE o.id = {t}.id)", "from_base64({t}.note)"),
    *("CASE WHEN {c} THEN {n} / {t}.k END", "coalesce(TRY(1 / {t}.k), 9)", "typeof({n})"),
]  # fmt: skip
_FRAMES = [
    *("ROWS BETWEEN 2 PRECEDING AND CURRENT ROW", "RANGE BETWEEN 3 PRECEDING AND 3 FOLLOWING"),
    *("GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING", "ROWS BETWEEN t.k PRECEDING AND CURRENT ROW"),
]
_EXPLAINED = [
    *("", "(TYPE LOGICAL)", "(TYPE DISTRIBUTED)", "(TYPE LOGICAL, FORMAT JSON)"),
    *("(TYPE IO, FORMAT JSON)", "(TYPE VALIDATE)", "(TYPE DISTRIBUTED, FORMAT GRAPHVIZ)"),
]
_LISTED = [
    *("information_schema.columns", "information_schema.tables", "information_schema.schemata"),
    *("information_schema.views", "system.jdbc.columns", "system.jdbc.tables", "system.jdbc.types"),
    *("system.metadata.table_comments", "system.runtime.queries", "system.metadata.catalogs"),
    *('"account$files"', '"account$partitions"', '"item$snapshots"', '"account$history"'),
]
_DISPLAYED = [
    *("SHOW COLUMNS FROM {t}", "DESCRIBE {t}", "SHOW CREATE TABLE {t}", "TABLE {t}"),
    *("SHOW STATS FOR {t}", "SHOW STATS FOR (SELECT * FROM {t} t WHERE {c})", "SHOW TABLES"),
    *("SHOW STATS FOR (SELECT id, note FROM {t} WHERE id > 9)", "SHOW FUNCTIONS LIKE 'max%'"),
    *('SELECT "$path", "$file_size" FROM {t}', 'SELECT "$row_id", id FROM {t}', "SHOW SCHEMAS"),
]  # fmt: skip
_NATIVE = [
    "FROM {t} t SELECT t.id, {n} AS v QUALIFY row_number() OVER (PARTITION BY t.k ORDER BY t.id)<3",
    "SELECT DISTINCT ON (t.k) t.k, t.note, {n} FROM {t} t ORDER BY t.k, t.id",
    "FROM (PIVOT {t} ON k IN (0, 1, 2, 5) USING sum(id) GROUP BY note) ORDER BY ALL LIMIT 9",
    "FROM (UNPIVOT (SELECT id, k FROM {t}) ON id, k) ORDER BY ALL LIMIT 9",
    "SELECT a.id, b.id FROM {t} a ASOF JOIN {u} b ON a.id >= b.id ORDER BY ALL LIMIT 9",
    "SELECT a.id, b.id FROM {t} a SEMI JOIN {u} b ON a.id = b.k ORDER BY ALL LIMIT 9",
    "SELECT count(*) FROM {t} a ANTI JOIN {u} b USING (id, k)",
    "SELECT count(*) FROM {t} NATURAL JOIN {u}",
    "SELECT [1 // x for x in list({n}) if x > 0] FROM {t} t",
    "SELECT t FROM {t} t WHERE {c} ORDER BY t.id LIMIT 3",
    "SELECT COLUMNS(* EXCLUDE (org)) FROM {t} ORDER BY id LIMIT 3",
    "SELECT max(COLUMNS(*)) FROM {t}",
    "SELECT * REPLACE (1 // k AS k) FROM {t} ORDER BY id LIMIT 3",
    "SELECT k, count(*), min({n}) FROM {t} t GROUP BY ALL ORDER BY ALL",
    "SELECT unnest(range(t.k)), t.id FROM {t} t WHERE {c} ORDER BY ALL LIMIT 9",
    "SELECT count(*) FROM {t} t USING SAMPLE 100%",
    "SELECT count(*) FROM {t} TABLESAMPLE reservoir(100%)",
    "SELECT count(*) FROM (SELECT * FROM {t} LIMIT 50%) t WHERE {c}",
    "FROM {t} UNION ALL BY NAME FROM {u} ORDER BY ALL LIMIT 9",
    "SELECT approx_top_k(note, 3), mode(note), quantile_disc(k, 0.5) FROM {t}",
    "SELECT histogram(k), arg_max(note, k), product(k), string_agg(note ORDER BY id) FROM {t}",
    "SELECT TRY_CAST(note AS integer), error(note) FROM {t}",
    "SELECT CASE WHEN {c} THEN error(t.note) END FROM {t} t",
    "SUMMARIZE {t}",
    "SUMMARIZE SELECT * FROM {t} t WHERE {c}",
    "DESCRIBE SELECT * FROM {t}",
    "SHOW {t}",
    "FROM {t} t, LATERAL (SELECT 1 // t.k AS v) SELECT max(v)",
    "SELECT sum(v) FROM (FROM {t} t SELECT {n} AS v) WHERE v > (SELECT avg(k) FROM {u})",
    "WITH RECURSIVE r AS (SELECT min(id) AS i FROM {t} UNION ALL SELECT (SELECT min(t.id) FROM {t} "
    "t WHERE t.id > r.i) FROM r WHERE r.i < 20) SELECT count(*), max(i) FROM r",
    "WITH c AS MATERIALIZED (FROM {t}) SELECT count(*) FROM c t WHERE {c}",
    "SELECT {t}.rowid FROM {t} LIMIT 1",
    "FROM duckdb_{word}()",
    "FROM {word}('{t}')",
    "SELECT {word}({t}.note) FROM {t} LIMIT 3",
    "FROM {t} t WHERE t.id = getvariable('x') OR current_setting('{word}') = 'x'",
    "VALUES ((SELECT max({m}) FROM {u} o)), ((SELECT count(*) FROM {t}))",
]
_WORDS = [
    *("tables", "columns", "temporary_files", "memory", "logs", "query", "query_table", "stats"),
    *("parquet_scan", "read_blob", "glob", "sniff_csv", "pragma_table_info", "histogram_values"),
    *("pragma_storage_info", "json_serialize_sql", "threads", "hash", "md5", "nextval", "sql"),
    *("checkpoint", "seq_scan", "variables", "parse_path", "from_json", "external_file_cache"),
]


@dataclass(frozen=True, slots=True)
class Clauses:
    """Makes one statement of such a kind, in either dialect."""

    random: random.Random
    number: Expression
    condition: Expression

    def trino(self) -> str:
        """A statement in Trino's SQL."""
        makers = [
            *(self._pattern, self._json_table, self._routine, self._aggregate, self._value),
            *(self._lateral, self._sample, self._unnest, self._grouping, self._window, self._set),
            *(self._displayed, self._listed, self._explained, self._ties),
        ]
        return self.random.choice(makers)()

    def native(self) -> str:
        """A statement in DuckDB's own SQL."""
        return self._filled(self._one(_NATIVE))

    def _one(self, choices: list[str]) -> str:
        return self.random.choice(choices)

    def _table(self) -> str:
        return self._one(["account", "item", "plain"])

    def _filled(self, pattern: str, t: str = "") -> str:
        """The pattern with expressions over a relation that it calls `t`; `{t}` is its table."""
        return pattern.format(
            t=t or self._table(),
            u=self._table(),
            n=self.number(t or "t"),
            m=self.number("o"),
            c=self.condition(t or "t"),
            word=self._one(_WORDS),
        )

    def _pattern(self) -> str:
        skip = self._one(["PAST LAST ROW", "TO NEXT ROW", "TO LAST b"])
        rows = self._one(["ONE ROW", "ALL ROWS"])
        quantifier = self._one(["+", "*", "{2}", "?", "{1,3}?"])
        defined = self._one(["prev(b.id) < b.id", f"{self.number('b')} > 0", "1 / b.k >= 0"])
        return (
            f"SELECT last_id, v, c FROM {self._table()} MATCH_RECOGNIZE (PARTITION BY k ORDER BY "
            f"id MEASURES last(b.id) AS last_id, {self.number('b')} AS v, count(*) AS c {rows} PER "
            f"MATCH AFTER MATCH SKIP {skip} PATTERN (a b{quantifier}) DEFINE b AS {defined}) "
            "ORDER BY 1, 2, 3 LIMIT 20"
        )

    def _json_table(self) -> str:
        document = self._one(["'[1, 2, 3]'", "concat('[', t.note, ', 2]')", "t.note"])
        on_error = self._one(["", " ERROR ON ERROR", " EMPTY ON ERROR"])
        return (
            f"SELECT t.id, j.n FROM {self._table()} t, JSON_TABLE({document}, 'lax $[*]' COLUMNS "
            f"(n integer PATH 'lax $', o FOR ORDINALITY){on_error}) j "
            f"WHERE {self.condition('t')} ORDER BY 1, 2 LIMIT 20"
        )

    def _routine(self) -> str:
        body = self._one(
            [
                "RETURN 10 / x",
                "BEGIN DECLARE i bigint DEFAULT 0; WHILE i < 3 DO SET i = i + 6 / x; END WHILE; "
                "RETURN i; END",
                "BEGIN IF x = 0 THEN RETURN 1 / x; ELSE RETURN x; END IF; END",
                "RETURN CASE x WHEN 0 THEN CAST('hidden' AS bigint) ELSE x END",
            ]
        )
        return (
            f"WITH FUNCTION f(x bigint) RETURNS bigint {body} SELECT t.id, f({self.number('t')}) "
            f"FROM {self._table()} t WHERE {self.condition('t')} ORDER BY 1, 2 LIMIT 20"
        )

    def _aggregate(self) -> str:
        value = self._filled(self._one(_AGGREGATES), "t")
        return (
            f"SELECT t.k, {value} AS v FROM {self._table()} t WHERE {self.condition('t')} "
            "GROUP BY t.k ORDER BY 1"
        )

    def _value(self) -> str:
        value = self._filled(self._one(_VALUES), "t")
        return f"SELECT t.id, {value} AS v FROM {self._table()} t ORDER BY t.id LIMIT 20"

    def _lateral(self) -> str:
        before, after = self.random.choice([("CROSS JOIN", ""), ("LEFT JOIN", "ON true")])
        return (
            f"SELECT p.id, x.v FROM plain p {before} LATERAL (SELECT max({self.number('t')}) AS v "
            f"FROM {self._table()} t WHERE t.k = p.k) x {after} ORDER BY 1, 2 LIMIT 20"
        )

    def _sample(self) -> str:
        sample = f"{self._one(['BERNOULLI', 'SYSTEM'])} ({self._one(['0', '100'])})"
        return (
            f"SELECT count(*), max({self.number('t')}) FROM {self._table()} t "
            f"TABLESAMPLE {sample} WHERE {self.condition('t')}"
        )

    def _unnest(self) -> str:
        values = f"ARRAY[{self.number('t')}, t.k], sequence(1, t.k)"
        return (
            f"SELECT t.id, u.a, u.o FROM {self._table()} t CROSS JOIN UNNEST({values}) WITH "
            f"ORDINALITY u(a, b, o) WHERE {self.condition('t')} ORDER BY 1, 3 LIMIT 20"
        )

    def _grouping(self) -> str:
        sets = self._one(["ROLLUP (k, note)", "CUBE (k, note)", "GROUPING SETS ((k), (note), ())"])
        return (
            f"SELECT k, note, grouping(k, note) AS g, sum({self.number('t')}) "
            f"FROM {self._table()} t GROUP BY {sets} ORDER BY 1, 2, 3 LIMIT 20"
        )

    def _window(self) -> str:
        function = self._one(
            ["sum({n})", "first_value({n}) IGNORE NULLS", "ntile(3)", "percent_rank()",
             "lead({n}, 2, 0)", "nth_value({n}, 2)", "count(DISTINCT {n})", "array_agg({n})"]
        ).format(n=self.number("t"))  # fmt: skip
        frame = self._one(["", *_FRAMES])
        return (
            f"SELECT t.id, {function} OVER w AS v FROM {self._table()} t "
            f"WINDOW w AS (PARTITION BY t.k ORDER BY t.id {frame}) ORDER BY 1, 2 LIMIT 20"
        )

    def _set(self) -> str:
        operation = self._one(["UNION", "INTERSECT", "EXCEPT", "EXCEPT ALL", "UNION ALL"])
        return (
            f"SELECT {self.number('t')} AS v FROM {self._table()} t {operation} "
            f"SELECT {self.number('s')} FROM {self._table()} s ORDER BY 1 LIMIT 20"
        )

    def _displayed(self) -> str:
        return self._filled(self._one(_DISPLAYED))

    def _listed(self) -> str:
        return f"SELECT * FROM {self._one(_LISTED)}"

    def _explained(self) -> str:
        inner = self._one([self._aggregate(), self._window(), self._pattern(), self._lateral()])
        return f"EXPLAIN {self._one(_EXPLAINED)} {inner}"

    def _ties(self) -> str:
        return (
            f"SELECT t.k, t.id FROM {self._table()} t WHERE {self.condition('t')} ORDER BY "
            f"{self._one(['t.k', self.number('t')])} FETCH FIRST 3 ROWS WITH TIES"
        )

"""Rows of two orgs, and statements by which a client of one would learn of the other's."""

from __future__ import annotations

ROWS = """SELECT i AS id, CASE WHEN i % 3 = 0 THEN 'north' ELSE 'south' END AS org,
  CASE WHEN i % 3 = 0 THEN 'mine' ELSE 'hidden' END AS note,
  CASE WHEN i % 3 = 0 THEN i ELSE 0 END AS divisor,
  CASE WHEN i % 3 = 0 THEN 'x' ELSE repeat('secret', 100) END AS long
FROM range(3, 3000) t(i)"""
PLAIN = "SELECT i AS id, 'plain' AS note FROM range(10) t(i)"
"""North's rows, and those of others among them: what is asked of the others fails or is large."""

ATTACKS = [
    "SELECT count(*) FROM account",
    "SELECT count(*) FROM account WHERE 1 / divisor >= 0",
    "SELECT count(*) FROM account WHERE CAST(note AS integer) = 1",
    "SELECT max(id), min(note), count(DISTINCT org) FROM account WHERE 10 % divisor < 100",
    "SELECT id FROM account ORDER BY 1 / divisor, id LIMIT 3",
    "SELECT sum(10 / divisor) OVER (ORDER BY id) FROM account",
    "SELECT count(*) FROM account a JOIN plain p ON a.id = p.id AND 1 / a.divisor >= 0",
    "SELECT count(*) FROM plain p LEFT JOIN account a ON 1 / a.divisor = p.id",
    "SELECT count(*) FROM account a WHERE EXISTS (SELECT 1 FROM plain p WHERE p.id = 1/a.divisor)",
    "SELECT count(*) FROM account WHERE length(replace(replace(long, 'e', long), 's', long)) > 9",
    "SELECT max(id / divisor) FROM account GROUP BY org HAVING min(1 / divisor) >= 0",
    "SELECT * FROM account WHERE id < 9 AND 1 / divisor >= 0 ORDER BY id",
    "SELECT a.note FROM account AS a(id, org, note, divisor, long) WHERE a.id = 6",
    "SELECT count(*) FROM (SELECT * FROM account LIMIT 3) t WHERE 1 / divisor >= 0",
    "WITH a AS (SELECT * FROM account) SELECT count(*) FROM a, a b WHERE 1/a.divisor = 1/b.divisor",
    "SELECT count(*) FROM account WHERE regexp_like(long, '(secret)+')",
    "SELECT nosuch FROM account",
    "SELECT id FROM Account WHERE id = (SELECT max(id) FROM ACCOUNT)",
    "SELECT 1 / (SELECT count(*) FROM account WHERE note = 'hidden')",
    "SELECT x.v FROM plain p CROSS JOIN LATERAL (SELECT max(1 / a.divisor) AS v FROM account a "
    "WHERE a.id > p.id) x ORDER BY 1",
    "SELECT lag(note) OVER (ORDER BY id), sum(1 / divisor) OVER (ORDER BY id ROWS BETWEEN 3 "
    "PRECEDING AND 3 FOLLOWING) FROM account ORDER BY id LIMIT 5",
    "SELECT j.n FROM account a, JSON_TABLE('{\"a\": [1, 2]}', 'lax $.a[*]' COLUMNS (n integer PATH "
    "'lax $')) j WHERE 1 / a.divisor >= 0 ORDER BY a.id, j.n LIMIT 5",
    "SELECT * FROM account MATCH_RECOGNIZE (ORDER BY id MEASURES last(b.note) AS n, count(*) AS c "
    "ONE ROW PER MATCH PATTERN (a b) DEFINE b AS 1 / b.divisor >= 0) ORDER BY 1, 2 LIMIT 9",
    "WITH FUNCTION f(x bigint) RETURNS bigint BEGIN DECLARE i bigint DEFAULT 0; IF x = 0 THEN SET "
    "i = 1 / x; END IF; RETURN i; END SELECT sum(f(divisor)) FROM account",
    "EXECUTE IMMEDIATE 'SELECT count(*), min(1 / divisor) FROM account WHERE note <> ?' USING 'a'",
    "EXECUTE IMMEDIATE 'SHOW STATS FOR account'",
    "SELECT count(*) FROM account TABLESAMPLE BERNOULLI (100) WHERE 1 / divisor >= 0",
    "EXPLAIN SELECT * FROM account",
    "EXPLAIN (TYPE IO, FORMAT JSON) SELECT * FROM account WHERE id > 5",
    "EXPLAIN (TYPE LOGICAL, FORMAT JSON) SELECT * FROM account JOIN plain ON account.id = plain.id",
    "SHOW STATS FOR account",
    "SHOW STATS FOR (SELECT id FROM account WHERE note = 'hidden')",
    "SHOW STATS FOR (SELECT * FROM plain WHERE id IN (SELECT divisor FROM account))",
    "SELECT * FROM information_schema.columns ORDER BY table_name, ordinal_position",
    'SELECT "$path" FROM account LIMIT 1',
    "SELECT id FROM account ORDER BY note DESC FETCH FIRST 1 ROW WITH TIES",
    "SELECT transform(array_agg(divisor), x -> 1 / x) FROM account",
    "SELECT from_base64(note) FROM account WHERE note <> 'mine'",
    "WITH FUNCTION account(x bigint) RETURNS bigint RETURN x SELECT max(account(id)) FROM account",
]

NATIVE_ATTACKS = [
    "SELECT account FROM account WHERE id < 7",
    "FROM account NATURAL JOIN plain",
    "SUMMARIZE account",
    "SELECT #2 FROM account LIMIT 1",
    "SELECT COLUMNS('i.*') FROM account WHERE id < 7",
    "FROM account POSITIONAL JOIN plain SELECT plain.id, divisor LIMIT 5",
    "SELECT TRY(1 // divisor) FROM account ORDER BY ALL LIMIT 2",
    "SELECT rowid FROM account LIMIT 1",
    "DESCRIBE account",
    "SELECT histogram(note) FROM account",
    "FROM histogram(account, note)",
    "FROM histogram_values(account, note)",
    "SELECT stats(note) FROM account LIMIT 1",
    "SELECT getvariable('note'), count(*) FROM account",
    "FROM query_table(['account'])",
    "FROM query('FROM account')",
    'FROM "account".parquet',
    "FROM parquet_metadata('account.parquet')",
    "FROM duckdb_tables()",
    "FROM pragma_storage_info('account')",
    "FROM (SUMMARIZE account) WHERE column_name = 'note'",
]
"""In DuckDB's own dialect, whose statements and functions reach further."""

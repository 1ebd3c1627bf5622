-- The tables of our own that the suite asks about, in Trino's SQL; TPC-H's are made by its generator.
-- numbers
SELECT CAST(id AS integer) AS id, CAST(t AS tinyint) AS t, CAST(s AS smallint) AS s, CAST(i AS integer) AS i, CAST(b AS bigint) AS b, CAST(r AS real) AS r, CAST(d AS double) AS d, CAST(m AS decimal(10,2)) AS m, CAST(w AS decimal(38,10)) AS w, g
FROM (VALUES
 (1, 1, 10, 100, 1000, '1.5', '2.25', '12.34', '1.0000000001', 'a'),
 (2, -1, -10, -100, -1000, '-1.5', '-2.25', '-12.34', '-1.0000000001', 'a'),
 (3, 127, 32767, 2147483647, 9223372036854775807, '0.0', '0.1', '99999999.99', '9999999999999999999999999999.9999999999', 'b'),
 (4, 0, 0, 0, 0, '100.0', '1e300', '0.00', '0.0000000000', 'b'),
 (5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'c'),
 (6, 7, 7, 7, 7, '7.0', '7.0', '7.00', '7.0000000000', 'c'),
 (7, -7, -7, -7, -7, '-7.5', '-7.5', '-7.50', '-7.5000000000', NULL),
 (8, 3, 3, 3, 3, '0.5', '3.5', '3.50', '2.5000000000', 'a')
) AS v(id, t, s, i, b, r, d, m, w, g)
-- things
SELECT CAST(id AS integer) AS id, a, b, f, CAST(dt AS date) AS dt, CAST(ts AS timestamp(6)) AS ts, at_timezone(with_timezone(CAST(tz AS timestamp(6)), 'UTC'), 'UTC') AS tz, ia, sa, m, j
FROM (VALUES
 (1, 'hello', 'World', true, '2020-01-31', '2020-01-31 10:11:12.345', '2020-01-31 10:11:12.345', ARRAY[1, 2, 3], ARRAY['x', 'y'], MAP(ARRAY['k', 'l'], ARRAY[1, 2]), '{"a": 1, "b": [1, 2, {"c": "x"}], "d": null}'),
 (2, 'Ärger', '', false, '2020-02-29', '2020-02-29 23:59:59.999', '2020-07-01 00:00:00.000', ARRAY[3, NULL, 1], ARRAY[], MAP(ARRAY['k'], ARRAY[NULL]), '[1, 2, 3]'),
 (3, '  pad  ', 'a,b,c', NULL, '1969-12-31', '1969-12-31 23:59:59.001', '1969-12-31 23:59:59.001', ARRAY[], ARRAY['z', NULL, 'a'], MAP(), '"text"'),
 (4, '', 'a1b22c333', true, '2000-01-01', '2000-01-01 00:00:00.000', '2000-01-01 12:00:00.000', ARRAY[5, 5, 5], ARRAY['b', 'a', 'b'], MAP(ARRAY['z', 'k'], ARRAY[26, 11]), 'not json'),
 (5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
 (6, 'hello', 'hello', false, '2024-12-30', '2024-12-30 06:07:08.900', '2024-12-30 06:07:08.900', ARRAY[2147483647, -1], ARRAY['hello'], MAP(ARRAY['a'], ARRAY[0]), '{"a": {"b": "deep"}, "n": 1.50, "t": true}')
) AS v(id, a, b, f, dt, ts, tz, ia, sa, m, j)
-- people
SELECT * FROM (VALUES (1, 'Ann', 'eng', NULL, DATE '2020-01-01', 100.50), (2, 'Bob', 'eng', 1, DATE '2020-02-01', 90.25), (3, 'Cid', 'ops', 1, DATE '2020-02-15', 80.00), (4, 'Dee', 'ops', 3, DATE '2021-01-01', 80.00), (5, 'Eve', NULL, 3, DATE '2021-06-30', NULL), (6, 'Fay', 'law', 2, NULL, 70.75)) AS v(id, name, team, boss, since, pay)
-- teams
SELECT * FROM (VALUES ('eng', 'Engineering', 3), ('ops', 'Operations', 2), ('hr', 'People', NULL)) AS v(team, title, size)

-- Request rates of all nodes together: one row per key (see rates.py).

-- name: take_portion
-- Takes up to a portion of every window of a key, whose row holds the times at which each window
-- will be full again. Returns how many requests were granted, and in how many milliseconds each
-- window is full. Index: the primary key.
WITH clock AS MATERIALIZED (SELECT ({now})::double precision AS ms),
given AS MATERIALIZED (
    SELECT array_agg(step ORDER BY n) AS steps, array_agg(length ORDER BY n) AS lengths
    FROM unnest(%(steps)s::double precision[], %(lengths)s::double precision[])
        WITH ORDINALITY AS w (step, length, n)
)
INSERT INTO rate_buckets AS b (key, full_at, granted)
SELECT %(key)s, array(SELECT ms + %(portion)s * s FROM unnest(steps) s), %(portion)s
FROM clock, given
ON CONFLICT (key) DO UPDATE SET (full_at, granted) = (
    SELECT array_agg(greatest(w.full_at, ms) + n.granted * w.step ORDER BY w.i), n.granted
    FROM clock, (
        SELECT greatest(0, least(%(portion)s, min(floor(
            (w.length - greatest(coalesce(w.full_at, 0) - ms, 0)) / w.step + 1e-9
        ))))::bigint AS granted
        FROM clock, unnest(b.full_at, %(steps)s::double precision[],
            %(lengths)s::double precision[]) AS w (full_at, step, length)
        WHERE w.step IS NOT NULL
    ) n, unnest(b.full_at, %(steps)s::double precision[]) WITH ORDINALITY AS w (full_at, step, i)
    WHERE w.step IS NOT NULL
    GROUP BY n.granted
)
RETURNING granted, array(SELECT f - ms FROM clock, unnest(full_at) f);

-- name: remove_full_buckets
-- Reads the whole table, from time to time: a bucket that is full is the same as none.
WITH clock AS MATERIALIZED (SELECT ({now})::double precision AS ms)
DELETE FROM rate_buckets USING clock
WHERE NOT EXISTS (SELECT 1 FROM unnest(full_at) f WHERE f > ms);

-- name: create_count_submit
-- Submits of the last minute by key, before this one; counts it unless a key is at its quota. By
-- seconds, of which it looks at 61: whatever minute one looks at, no more were counted in it.
-- Index: the primary key of submit_counts.
CREATE OR REPLACE FUNCTION pg_temp.count_submit(keys text[], quotas bigint[], is_counted boolean)
RETURNS TABLE (key text, used bigint, again_ms bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    now_ms bigint;
    is_full boolean;
BEGIN
    IF is_counted THEN
        PERFORM pg_advisory_xact_lock(k) FROM (
            SELECT hashtextextended(k, {submit_lock}) AS k FROM unnest(keys) k ORDER BY 1) locks;
    END IF;
    now_ms := {now};
    RETURN QUERY SELECT given.key, coalesce(sum(c.count), 0)::bigint,
        (min(c.second) + 61) * 1000 - now_ms
    FROM unnest(keys) AS given (key)
    LEFT JOIN submit_counts c ON c.key = given.key AND c.second > now_ms / 1000 - 61
    GROUP BY given.key;
    is_full := EXISTS (SELECT FROM unnest(keys, quotas) AS given (key, quota)
        WHERE given.quota <= (SELECT coalesce(sum(c.count), 0) FROM submit_counts c
            WHERE c.key = given.key AND c.second > now_ms / 1000 - 61));
    IF is_counted AND NOT is_full THEN
        DELETE FROM submit_counts c WHERE c.key = ANY (keys) AND c.second <= now_ms / 1000 - 61;
        INSERT INTO submit_counts AS c (key, second, count)
        SELECT k, now_ms / 1000, 1 FROM unnest(keys) k
        ON CONFLICT (key, second) DO UPDATE SET count = c.count + 1;
    END IF;
END $$;

-- name: count_submit
SELECT key, used, again_ms FROM pg_temp.count_submit(
    %(keys)s::text[], %(quotas)s::bigint[], %(is_counted)s::boolean);

-- name: remove_old_submits
-- Reads the whole table, from time to time: of who submits no more.
DELETE FROM submit_counts WHERE second <= {now} / 1000 - 61;

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

-- The nodes on this database. As many rows as nodes: a table that small needs no index but its key.

-- name: beat_node
-- What a node says of itself; returns what the other live ones say. Rows of nodes that died without
-- a word are removed after a day. Index: nodes_pkey.
WITH clock AS MATERIALIZED (SELECT {now} AS ms), mine AS (
    INSERT INTO nodes AS n (node, seen_ms, facts) SELECT %(node)s, ms, %(facts)s::text FROM clock
    ON CONFLICT (node) DO UPDATE SET seen_ms = excluded.seen_ms, facts = excluded.facts
), gone AS (
    DELETE FROM nodes USING clock
    WHERE node >= '' AND node <> %(node)s AND seen_ms < ms - 86400000
)
SELECT facts FROM nodes, clock
WHERE node >= '' AND node <> %(node)s AND seen_ms >= ms - %(live_ms)s AND facts IS NOT NULL
ORDER BY node;

-- name: remove_node
-- Index: nodes_pkey.
DELETE FROM nodes WHERE node = %(node)s;

-- What clients keep and have written. All use the primary key of usage. Sorted after runs.sql and
-- transitions.sql, whose fragments are in db/postgres/sql/accounting.sql.

-- name: usage_of_entity
WITH clock AS MATERIALIZED (SELECT {now} AS ms)
SELECT client_id, sum(statement_bytes)::bigint, sum(result_bytes)::bigint,
    (sum(written_bytes) FILTER (WHERE written_day = ms / 86400000))::bigint
FROM usage, clock WHERE tenant_id = %(tenant_id)s AND entity_id = %(entity_id)s
GROUP BY client_id;

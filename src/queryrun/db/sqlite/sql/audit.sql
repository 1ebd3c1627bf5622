-- The audit log.

-- name: audit_head
-- What is no number, which somebody has put there, is read as NULL, and a text as its bytes.
SELECT CASE typeof(position) WHEN 'integer' THEN position END, CAST(digest AS BLOB),
    CASE typeof(base_position) WHEN 'integer' THEN base_position END, CAST(base_digest AS BLOB)
FROM audit_head;

-- name: set_audit_head
UPDATE audit_head SET position = :position, digest = :digest;

-- name: add_audit_log
-- Of all entries of a transaction at once.
INSERT INTO audit_log (position, at_ms, content, digest)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
    json_extract(value, '$[3]')
FROM json_each(:rows);

-- name: audit_log
-- What somebody has broken is read too: a text as its bytes, and a time that is none as -1.
-- Index: the primary key of audit_log.
SELECT position, CASE typeof(at_ms) WHEN 'integer' THEN at_ms ELSE -1 END, CAST(content AS BLOB),
    CAST(digest AS BLOB)
FROM audit_log WHERE position > :after ORDER BY position LIMIT :limit;

-- name: audit_log_before
-- As audit_log.
SELECT position, CASE typeof(at_ms) WHEN 'integer' THEN at_ms ELSE -1 END, CAST(content AS BLOB),
    CAST(digest AS BLOB)
FROM audit_log WHERE position < :before ORDER BY position DESC LIMIT :limit;

-- name: expired_audit
-- The last entry of the beginning of the chain that is older. Times may go back a little.
SELECT position, digest FROM (
    SELECT position, digest, at_ms FROM audit_log ORDER BY position LIMIT :limit
) WHERE at_ms < :before_ms ORDER BY position DESC LIMIT 1;

-- name: remove_audit
DELETE FROM audit_log WHERE position <= :position;

-- name: set_audit_base
UPDATE audit_head SET base_position = :position, base_digest = :digest;

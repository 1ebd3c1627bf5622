-- The audit log.

-- name: audit_head
SELECT position, digest, base_position, base_digest FROM audit_head;

-- name: set_audit_head
UPDATE audit_head SET position = :position, digest = :digest;

-- name: add_audit_log
-- Of all entries of a transaction at once.
INSERT INTO audit_log (position, at_ms, content, digest)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
    json_extract(value, '$[3]')
FROM json_each(:rows);

-- name: audit_log
-- Index: the primary key of audit_log.
SELECT position, at_ms, content, digest
FROM audit_log WHERE position > :after ORDER BY position LIMIT :limit;

-- name: audit_log_before
-- Index: the primary key of audit_log.
SELECT position, at_ms, content, digest
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

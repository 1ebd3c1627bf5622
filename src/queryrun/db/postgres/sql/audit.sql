-- The audit log.

-- name: append_audit
WITH clock AS MATERIALIZED (SELECT {now} AS ms)
INSERT INTO audit_inbox (at_ms, content)
SELECT ms, %(content)s FROM clock;

-- name: take_audit_inbox
-- Index: audit_inbox_pkey.
DELETE FROM audit_inbox WHERE seq IN (SELECT seq FROM audit_inbox ORDER BY seq LIMIT %(limit)s)
RETURNING seq, at_ms, content;

-- name: audit_head
SELECT position, digest, base_position, base_digest FROM audit_head;

-- name: lock_audit_head
SELECT position, digest, base_position, base_digest FROM audit_head FOR UPDATE;

-- name: set_audit_head
UPDATE audit_head SET position = %(position)s, digest = %(digest)s;

-- name: add_audit_log
INSERT INTO audit_log (position, at_ms, content, digest)
VALUES (%s, %s, %s, %s);

-- name: audit_waiting
SELECT count(*), min(at_ms) FROM audit_inbox;

-- name: audit_log
-- Index: audit_log_pkey.
SELECT position, at_ms, content, digest
FROM audit_log WHERE position > %(after)s ORDER BY position LIMIT %(limit)s;

-- name: audit_log_before
-- Index: audit_log_pkey.
SELECT position, at_ms, content, digest
FROM audit_log WHERE position < %(before)s ORDER BY position DESC LIMIT %(limit)s;

-- name: expired_audit
-- The last entry of the beginning of the chain that is older. Times may go back a little.
SELECT position, digest FROM (
    SELECT position, digest, at_ms FROM audit_log ORDER BY position LIMIT %(limit)s
) first WHERE at_ms < %(before_ms)s ORDER BY position DESC LIMIT 1;

-- name: remove_audit
DELETE FROM audit_log WHERE position <= %(position)s;

-- name: set_audit_base
UPDATE audit_head SET base_position = %(position)s, base_digest = %(digest)s;

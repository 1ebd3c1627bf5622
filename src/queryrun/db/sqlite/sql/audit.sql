-- The audit log.

-- name: append_audit
INSERT INTO audit_inbox (at_ms, tenant_id, entity_id, client_id, event, subject, remote_address,
    detail)
VALUES (:audit_at_ms, :audit_tenant_id, :audit_entity_id, :audit_client_id, :audit_event,
    :audit_subject, :audit_remote_address, :audit_detail);

-- name: audit_inbox
-- Index: the primary key of audit_inbox.
SELECT seq, at_ms, tenant_id, entity_id, client_id, event, subject, remote_address,
    detail
FROM audit_inbox ORDER BY seq LIMIT :limit;

-- name: empty_audit_inbox
DELETE FROM audit_inbox WHERE seq <= :seq;

-- name: audit_head
SELECT position, digest, base_position, base_digest FROM audit_head;

-- name: set_audit_head
UPDATE audit_head SET position = :position, digest = :digest;

-- name: add_audit_log
INSERT INTO audit_log (position, at_ms, tenant_id, entity_id, client_id, event, subject, remote_address,
    detail, digest)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: audit_waiting
SELECT count(*), min(at_ms) FROM audit_inbox;

-- name: audit_log
-- Index: the primary key of audit_log.
SELECT position, at_ms, tenant_id, entity_id, client_id, event, subject, remote_address,
    detail, digest
FROM audit_log WHERE position > :after ORDER BY position LIMIT :limit;

-- name: expired_audit
-- The last entry of the beginning of the chain that is older. Times may go back a little.
SELECT position, digest FROM (
    SELECT position, digest, at_ms FROM audit_log ORDER BY position LIMIT :limit
) WHERE at_ms < :before_ms ORDER BY position DESC LIMIT 1;

-- name: remove_audit
DELETE FROM audit_log WHERE position <= :position;

-- name: set_audit_base
UPDATE audit_head SET base_position = :position, base_digest = :digest;

-- Clients, their entities, and the digests of secrets and tokens.

-- fragment: select_clients
-- One row per entity of a client, or one without an entity.
SELECT c.id, c.tenant_id, c.name, c.scopes, c.created_ms, c.revoked_ms, c.org_ids,
    c.expires_ms, e.id, e.tenant_id, e.name
FROM clients c
LEFT JOIN client_entities m ON m.client_id = c.id
LEFT JOIN entities e ON e.id = m.entity_id;

-- name: clients
-- Every client, oldest first. Reads the whole table: only administrators ask.
{select_clients} ORDER BY c.seq, m.position;

-- name: client_by_id
-- Index: the unique one on clients (id).
{select_clients} WHERE c.id = :client_id ORDER BY m.position;

-- name: client_of_token
-- Runs for every request. Indexes: the primary key of tokens, the unique one on clients (id).
SELECT c.id, c.tenant_id, c.name, c.scopes, c.created_ms, c.revoked_ms, c.org_ids,
    c.expires_ms, e.id, e.tenant_id, e.name, t.expires_ms
FROM tokens t
JOIN clients c ON c.id = t.client_id AND c.revoked_ms IS NULL
LEFT JOIN client_entities m ON m.client_id = c.id
LEFT JOIN entities e ON e.id = m.entity_id
WHERE t.digest = :digest
ORDER BY m.position;

-- name: tenants
SELECT id, name FROM tenants ORDER BY name, id;

-- name: entities
SELECT id, tenant_id, name FROM entities ORDER BY name, id;

-- name: entity_by_name
-- Index: entities_directory.
SELECT id, tenant_id, name FROM entities WHERE lower(name) = lower(:name);

-- name: add_tenant
INSERT INTO tenants (id, name) VALUES (:id, :name) ON CONFLICT (id) DO NOTHING;

-- name: add_entity
INSERT INTO entities (id, tenant_id, name) VALUES (:id, :tenant_id, :name)
ON CONFLICT DO NOTHING;

-- name: add_client
INSERT INTO clients (id, tenant_id, name, scopes, org_ids, created_ms, revoked_ms, expires_ms)
VALUES (:id, :tenant_id, :name, :scopes, :org_ids, :created_ms, :revoked_ms, :expires_ms)
ON CONFLICT (id) DO NOTHING;

-- name: change_client
-- Index: the unique one on clients (id).
UPDATE clients SET scopes = :scopes, org_ids = :org_ids, expires_ms = :expires_ms
WHERE id = :id AND revoked_ms IS NULL AND scopes = :scopes_before AND org_ids = :org_ids_before
    AND expires_ms IS :expires_ms_before;

-- name: add_client_entity
INSERT INTO client_entities (client_id, position, entity_id)
VALUES (:client_id, :position, :entity_id);

-- name: add_secret
INSERT INTO client_secrets (client_id, digest) VALUES (:client_id, :digest);

-- name: remove_old_secrets
-- Index: the primary key of client_secrets.
-- Of rotated secrets the ones that are valid longest stay.
DELETE FROM client_secrets WHERE client_id = :client_id AND valid_until_ms IS NOT NULL
    AND digest NOT IN (SELECT digest FROM client_secrets
        WHERE client_id = :client_id AND valid_until_ms IS NOT NULL
        ORDER BY valid_until_ms DESC LIMIT :max_rotated);

-- name: expire_secrets
-- Sets the end of the current secret, and of rotated ones where it is sooner. Index: the primary
-- key of client_secrets.
UPDATE client_secrets SET valid_until_ms = min(coalesce(valid_until_ms, :valid_until_ms),
    :valid_until_ms) WHERE client_id = :client_id;

-- name: secret_digests
-- The current secret first. Index: the primary key of client_secrets.
SELECT s.digest FROM client_secrets s JOIN clients c ON c.id = s.client_id
WHERE s.client_id = :client_id AND c.revoked_ms IS NULL
    AND (s.valid_until_ms IS NULL OR s.valid_until_ms > :now_ms)
ORDER BY s.valid_until_ms IS NOT NULL, s.valid_until_ms DESC;

-- name: revoke_client
-- A second revocation keeps the time of the first.
UPDATE clients SET revoked_ms = coalesce(revoked_ms, :now_ms) WHERE id = :client_id;

-- name: add_token
INSERT INTO tokens (digest, client_id, expires_ms, session_until_ms)
VALUES (:digest, :client_id, :expires_ms, :session_until_ms);

-- name: extend_session
-- Never beyond the end of the session. Index: the primary key of tokens.
UPDATE tokens SET expires_ms = min(:expires_ms, session_until_ms)
WHERE digest = :digest AND session_until_ms IS NOT NULL AND expires_ms > :now_ms
    AND client_id IN (SELECT id FROM clients WHERE revoked_ms IS NULL);

-- name: revoke_token
-- Index: the primary key of tokens.
DELETE FROM tokens WHERE digest = :digest AND client_id = :client_id;

-- name: revoked_since
-- A revocation may be ahead of this clock: another one's. Reads the whole tables, which are small.
SELECT tenant_id, id FROM clients WHERE revoked_ms >= :since_ms
    OR expires_ms BETWEEN :since_ms AND :now_ms
UNION ALL
SELECT tenant_id, client_id FROM revoked_logins
WHERE allowed_ms IS NULL AND revoked_ms >= :since_ms;

-- name: revoke_login
-- A second revocation keeps the time of the first. Index: the primary key of revoked_logins.
INSERT INTO revoked_logins (tenant_id, client_id, subject, revoked_ms)
VALUES (:tenant_id, :client_id, :subject, :revoked_ms)
ON CONFLICT (tenant_id, client_id) DO UPDATE
SET revoked_ms = excluded.revoked_ms, allowed_ms = NULL
WHERE revoked_logins.allowed_ms IS NOT NULL;

-- name: allow_login
-- Index: the primary key of revoked_logins.
UPDATE revoked_logins SET allowed_ms = :now_ms
WHERE tenant_id = :tenant_id AND client_id = :client_id AND allowed_ms IS NULL;

-- name: revoked_login
-- For a request with a token of another issuer. Index: the primary key of revoked_logins.
SELECT tenant_id, client_id, subject, revoked_ms, allowed_ms FROM revoked_logins
WHERE tenant_id = :tenant_id AND client_id = :client_id;

-- name: revoked_logins
-- Index: the primary key of revoked_logins.
SELECT tenant_id, client_id, subject, revoked_ms, allowed_ms FROM revoked_logins
WHERE tenant_id = :tenant_id ORDER BY subject, client_id;

-- name: remove_expired_tokens
-- Reads the whole table, from time to time.
DELETE FROM tokens
WHERE expires_ms <= :now_ms
    OR client_id IN (SELECT id FROM clients WHERE revoked_ms IS NOT NULL);

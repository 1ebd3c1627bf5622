-- Clients, their entities, and the digests of secrets and tokens.

-- fragment: client_columns
c.id, c.tenant_id, c.name, c.scopes, c.created_ms, c.revoked_ms, c.org_ids, c.expires_ms,
e.id, e.tenant_id, e.name

-- fragment: clients_and_entities
-- One row per entity of a client, or one without an entity.
clients c
LEFT JOIN client_entities m ON m.client_id = c.id
LEFT JOIN entities e ON e.id = m.entity_id

-- name: clients
-- Every client, oldest first. Reads the whole table: only administrators ask.
SELECT {client_columns} FROM {clients_and_entities} ORDER BY c.seq, m.position;

-- name: client_by_id
-- Index: clients_id_key.
SELECT {client_columns} FROM {clients_and_entities} WHERE c.id = %(client_id)s ORDER BY m.position;

-- name: client_of_token
-- Runs for requests whose token is not cached. Indexes: tokens_pkey, clients_id_key.
SELECT {client_columns}, t.expires_ms FROM {clients_and_entities}
JOIN tokens t ON t.client_id = c.id
WHERE t.digest = %(digest)s AND c.revoked_ms IS NULL
ORDER BY m.position;

-- name: tenants
SELECT id, name FROM tenants ORDER BY name COLLATE "C", id COLLATE "C";

-- name: entities
SELECT id, tenant_id, name FROM entities ORDER BY name COLLATE "C", id COLLATE "C";

-- name: entity_by_name
-- Index: entities_directory.
SELECT id, tenant_id, name FROM entities WHERE lower(name) = lower(%(name)s);

-- name: add_tenant
INSERT INTO tenants (id, name) VALUES (%(id)s, %(name)s) ON CONFLICT (id) DO NOTHING;

-- name: add_entity
INSERT INTO entities (id, tenant_id, name) VALUES (%(id)s, %(tenant_id)s, %(name)s)
ON CONFLICT DO NOTHING;

-- name: add_client
INSERT INTO clients (id, tenant_id, name, scopes, org_ids, created_ms, revoked_ms, expires_ms)
VALUES (%(id)s, %(tenant_id)s, %(name)s, %(scopes)s, %(org_ids)s, %(created_ms)s, %(revoked_ms)s,
    %(expires_ms)s)
ON CONFLICT (id) DO NOTHING;

-- name: change_client
-- Index: clients_id_key.
UPDATE clients SET scopes = %(scopes)s, org_ids = %(org_ids)s, expires_ms = %(expires_ms)s
WHERE id = %(id)s AND revoked_ms IS NULL
    AND scopes = %(scopes_before)s AND org_ids = %(org_ids_before)s
    AND expires_ms IS NOT DISTINCT FROM %(expires_ms_before)s;

-- name: add_client_entities
INSERT INTO client_entities (client_id, position, entity_id)
SELECT %(client_id)s, position - 1, entity_id
FROM unnest(%(entity_ids)s::text[]) WITH ORDINALITY AS given (entity_id, position);

-- name: add_secret
INSERT INTO client_secrets (client_id, digest) VALUES (%(client_id)s, %(digest)s);

-- name: lock_client
-- Two rotations of one client's secret take turns. Index: clients_id_key.
SELECT 1 FROM clients WHERE id = %(client_id)s FOR UPDATE;

-- name: remove_old_secrets
-- Index: client_secrets_pkey.
-- Of rotated secrets the ones that are valid longest stay.
DELETE FROM client_secrets WHERE client_id = %(client_id)s AND valid_until_ms IS NOT NULL
    AND digest NOT IN (SELECT digest FROM client_secrets
        WHERE client_id = %(client_id)s AND valid_until_ms IS NOT NULL
        ORDER BY valid_until_ms DESC LIMIT %(max_rotated)s);

-- name: expire_secrets
-- Sets the end of the current secret, and of rotated ones where it is sooner. Index:
-- client_secrets_pkey.
UPDATE client_secrets SET valid_until_ms = least(coalesce(valid_until_ms, %(valid_until_ms)s),
    %(valid_until_ms)s) WHERE client_id = %(client_id)s;

-- name: secret_digests
-- The current secret first. Index: client_secrets_pkey.
SELECT s.digest FROM client_secrets s JOIN clients c ON c.id = s.client_id
WHERE s.client_id = %(client_id)s AND c.revoked_ms IS NULL
    AND (s.valid_until_ms IS NULL OR s.valid_until_ms > %(now_ms)s)
ORDER BY s.valid_until_ms IS NOT NULL, s.valid_until_ms DESC;

-- name: revoke_client
-- A second revocation keeps the time of the first.
UPDATE clients SET revoked_ms = coalesce(revoked_ms, %(now_ms)s) WHERE id = %(client_id)s;

-- name: add_token
INSERT INTO tokens (digest, client_id, expires_ms, session_until_ms)
VALUES (%(digest)s, %(client_id)s, %(expires_ms)s, %(session_until_ms)s);

-- name: extend_session
-- Never beyond the end of the session. Index: tokens_pkey.
UPDATE tokens SET expires_ms = least(%(expires_ms)s, session_until_ms)
WHERE digest = %(digest)s AND session_until_ms IS NOT NULL AND expires_ms > %(now_ms)s
    AND client_id IN (SELECT id FROM clients WHERE revoked_ms IS NULL);

-- name: revoke_token
-- Index: the primary key of tokens.
DELETE FROM tokens WHERE digest = %(digest)s AND client_id = %(client_id)s;

-- name: revoked_since
-- A revocation may be ahead of this clock: another one's. Reads the whole tables, which are small.
SELECT tenant_id, id FROM clients WHERE revoked_ms >= %(since_ms)s
    OR expires_ms BETWEEN %(since_ms)s AND %(now_ms)s
UNION ALL
SELECT tenant_id, client_id FROM revoked_logins
WHERE allowed_ms IS NULL AND revoked_ms >= %(since_ms)s;

-- name: revoke_login
-- A second revocation keeps the time of the first. Index: revoked_logins_pkey.
INSERT INTO revoked_logins (tenant_id, client_id, subject, revoked_ms)
VALUES (%(tenant_id)s, %(client_id)s, %(subject)s, %(revoked_ms)s)
ON CONFLICT (tenant_id, client_id) DO UPDATE
SET revoked_ms = excluded.revoked_ms, allowed_ms = NULL
WHERE revoked_logins.allowed_ms IS NOT NULL;

-- name: allow_login
-- Index: revoked_logins_pkey.
UPDATE revoked_logins SET allowed_ms = %(now_ms)s
WHERE tenant_id = %(tenant_id)s AND client_id = %(client_id)s AND allowed_ms IS NULL;

-- name: revoked_login
-- For a request with a token of another issuer. Index: revoked_logins_pkey.
SELECT tenant_id, client_id, subject, revoked_ms, allowed_ms FROM revoked_logins
WHERE tenant_id = %(tenant_id)s AND client_id = %(client_id)s;

-- name: revoked_logins
-- Index: revoked_logins_pkey.
SELECT tenant_id, client_id, subject, revoked_ms, allowed_ms FROM revoked_logins
WHERE tenant_id = %(tenant_id)s ORDER BY subject COLLATE "C", client_id COLLATE "C";

-- name: remove_expired_tokens
-- Reads the whole table, from time to time. By the database's clock alone.
DELETE FROM tokens
WHERE expires_ms <= {now}
    OR client_id IN (SELECT id FROM clients WHERE revoked_ms IS NOT NULL);

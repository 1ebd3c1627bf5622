-- Times are milliseconds since 1970 in UTC. Enumerations are stored as the words of runs/model.py.

CREATE TABLE tenants (
    id   TEXT PRIMARY KEY,
    name TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE entities (
    id        TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    name      TEXT NOT NULL,
    UNIQUE (tenant_id, name)
) WITHOUT ROWID;

CREATE TABLE clients (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    tenant_id  TEXT NOT NULL REFERENCES tenants (id),
    name       TEXT NOT NULL,
    scopes     TEXT NOT NULL,
    org_ids    TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    revoked_ms INTEGER,
    expires_ms INTEGER
);
-- Entities are directories: whoever has one has it alone, also where case does not count.
CREATE UNIQUE INDEX entities_directory ON entities (lower(name));

CREATE TABLE client_entities (
    client_id TEXT NOT NULL REFERENCES clients (id),
    position  INTEGER NOT NULL,
    entity_id TEXT NOT NULL REFERENCES entities (id),
    PRIMARY KEY (client_id, position)
) WITHOUT ROWID;

-- valid_until_ms is NULL for the current secret.
CREATE TABLE client_secrets (
    client_id      TEXT NOT NULL REFERENCES clients (id),
    digest         TEXT NOT NULL,
    valid_until_ms INTEGER,
    PRIMARY KEY (client_id, digest)
) WITHOUT ROWID;

-- session_until_ms is set for the token of a console session: until then it can be extended.
CREATE TABLE tokens (
    digest           TEXT PRIMARY KEY,
    client_id        TEXT NOT NULL REFERENCES clients (id),
    expires_ms       INTEGER NOT NULL,
    session_until_ms INTEGER
) WITHOUT ROWID;

-- Logins at another issuer whose tokens are not taken: none until allowed_ms is set, then only those
-- that were issued from then on. They have no row in clients.
CREATE TABLE revoked_logins (
    tenant_id  TEXT NOT NULL REFERENCES tenants (id),
    client_id  TEXT NOT NULL,
    subject    TEXT NOT NULL,
    revoked_ms INTEGER NOT NULL,
    allowed_ms INTEGER,
    PRIMARY KEY (tenant_id, client_id)
) WITHOUT ROWID;

-- The run row is the queue. It is rewritten whole at every move, so what can be long (the
-- statement) lives in run_requests, which is written once.
CREATE TABLE runs (
    seq                 INTEGER PRIMARY KEY AUTOINCREMENT,
    id                  TEXT NOT NULL UNIQUE,
    tenant_id           TEXT NOT NULL,
    entity_id           TEXT NOT NULL,
    client_id           TEXT NOT NULL,
    source              TEXT NOT NULL,
    state               TEXT NOT NULL,
    attempt             INTEGER NOT NULL,
    remaining_attempts  INTEGER NOT NULL CHECK (remaining_attempts >= 0),
    created_ms          INTEGER NOT NULL,
    updated_ms          INTEGER NOT NULL,
    ready_ms            INTEGER NOT NULL,
    started_ms          INTEGER,
    processing_ms       INTEGER,
    file_key            TEXT,
    file_size_bytes     INTEGER,
    file_sha256         TEXT,
    file_rows           INTEGER,
    file_columns        TEXT,
    failure_code        TEXT,
    failure_message     TEXT,
    failure_line        INTEGER,
    failure_column      INTEGER,
    cancel_requested_ms INTEGER,
    cancel_reason       TEXT,
    canceled_by         TEXT,
    cancel_stage        TEXT,
    cancel_engine_stop  TEXT,
    cancel_steps        TEXT,  -- JSON: [[step, milliseconds after the request], ...]
    canceled_ms         INTEGER
);

CREATE TABLE run_requests (
    run_seq          INTEGER PRIMARY KEY,
    sql              TEXT NOT NULL,
    content_type     TEXT NOT NULL,
    content_encoding TEXT NOT NULL,
    column_separator TEXT,
    encryption_key   TEXT,
    deleted_rows     TEXT NOT NULL,
    timeout_s        REAL,
    tags             TEXT NOT NULL,
    org_ids          TEXT NOT NULL,
    max_retries      INTEGER NOT NULL CHECK (max_retries >= 0),
    extras           TEXT NOT NULL,
    notify_url       TEXT,
    cancel_on_disconnect_s REAL,
    parameters       TEXT NOT NULL,  -- JSON: [{name, type, value}, ...]
    traceparent      TEXT
);

-- The queue: the oldest of each client is the first entry of its stretch of the index.
CREATE INDEX runs_waiting ON runs (source, tenant_id, entity_id, client_id, ready_ms)
    WHERE state = 'accepted';
-- Runs that wait out a back-off are among those that have had an attempt.
CREATE INDEX runs_paused ON runs (source, ready_ms) WHERE state = 'accepted' AND attempt > 0;
-- The slots in use.
CREATE INDEX runs_held ON runs (source, tenant_id, entity_id, client_id)
    WHERE state IN ('in_progress', 'canceling');
-- Retention.
CREATE INDEX runs_ended ON runs (updated_ms) WHERE state IN ('complete', 'failed', 'canceled');
-- Lists: a client's own runs, and an admin's view of an entity or the tenant (each followed by
-- seq). A list merges the stretches of its sources and states: it reads no run that it does not show.
CREATE INDEX runs_of_client ON runs (
    tenant_id, client_id, entity_id, source, state, created_ms);
CREATE INDEX runs_of_tenant ON runs (tenant_id, entity_id, source, state, created_ms);
-- Lists of runs with a tag: what run_requests.tags has, in the order of a list.
CREATE TABLE run_tags (
    tenant_id TEXT NOT NULL,
    name      TEXT NOT NULL,
    value     TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    run_seq   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, name, value, created_ms, run_seq)
) WITHOUT ROWID;

CREATE TABLE attempts (
    run_seq           INTEGER NOT NULL,
    number            INTEGER NOT NULL,
    node              TEXT NOT NULL,
    settling_node     TEXT,
    claimed_ms        INTEGER NOT NULL,
    lease_until_ms    INTEGER NOT NULL,
    handle            TEXT,
    file_key          TEXT,
    ended_ms          INTEGER,
    outcome           TEXT,
    failure_code      TEXT,
    failure_message   TEXT,
    stop_requested_ms INTEGER,
    stop_reason       TEXT,
    stop_by           TEXT,
    stop_stage        TEXT,
    stop_engine       TEXT,
    PRIMARY KEY (run_seq, number)
) WITHOUT ROWID;

CREATE INDEX attempts_live ON attempts (node) WHERE ended_ms IS NULL;

-- updated_ms of a run grows with every move, so its value names the move.
CREATE TABLE run_events (
    run_seq INTEGER NOT NULL,
    at_ms   INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    event   TEXT,
    state   TEXT NOT NULL,
    detail  TEXT,
    PRIMARY KEY (run_seq, at_ms)
) WITHOUT ROWID;

-- Serving an entity replaces its row, which gives it the highest turn: the lowest turn is the
-- entity that has waited longest for its own.
CREATE TABLE entity_turns (
    turn      INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    UNIQUE (tenant_id, entity_id)
);

-- reserved_until_ms is set while the first request is in progress. response may be set then too:
-- it is the one to replay should that request never be completed.
CREATE TABLE idempotency_keys (
    tenant_id         TEXT NOT NULL,
    entity_id         TEXT NOT NULL,
    idempotency_key   TEXT NOT NULL,
    fingerprint       TEXT NOT NULL,
    created_ms        INTEGER NOT NULL,
    reserved_until_ms INTEGER,
    run_id            TEXT,
    response          BLOB,
    PRIMARY KEY (tenant_id, entity_id, idempotency_key)
) WITHOUT ROWID;

-- What each client keeps and has written, counted with its runs. written_bytes is of written_day,
-- in days since 1970. There is one writer, and so one bucket.
CREATE TABLE usage (
    tenant_id       TEXT NOT NULL,
    entity_id       TEXT NOT NULL,
    client_id       TEXT NOT NULL,
    bucket          INTEGER NOT NULL DEFAULT 0,
    statement_bytes INTEGER NOT NULL,
    result_bytes    INTEGER NOT NULL,
    written_day     INTEGER NOT NULL,
    written_bytes   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, entity_id, client_id, bucket)
) WITHOUT ROWID;

-- The ledger: what each attempt has used, written with its end, and (attempt 0) what was downloaded
-- of its run on a day. It outlives the runs. Days are counted since 1970; tags are as in
-- run_requests, tables is a JSON array of [name, bytes, rows].
CREATE TABLE usage_records (
    run_seq           INTEGER NOT NULL,
    attempt           INTEGER NOT NULL,
    day               INTEGER NOT NULL,
    run_id            TEXT NOT NULL,
    tenant_id         TEXT NOT NULL,
    entity_id         TEXT NOT NULL,
    client_id         TEXT NOT NULL,
    source            TEXT NOT NULL,
    tags              TEXT NOT NULL,
    outcome           TEXT NOT NULL,
    cause             TEXT NOT NULL,
    cpu_ms            INTEGER NOT NULL DEFAULT 0,
    wall_ms           INTEGER NOT NULL DEFAULT 0,
    peak_memory_bytes INTEGER NOT NULL DEFAULT 0,
    read_bytes        INTEGER,
    read_rows         INTEGER,
    spilled_bytes     INTEGER,
    written_bytes     INTEGER NOT NULL DEFAULT 0,
    result_rows       INTEGER NOT NULL DEFAULT 0,
    downloads         INTEGER NOT NULL DEFAULT 0,
    downloaded_bytes  INTEGER NOT NULL DEFAULT 0,
    tables            TEXT,
    PRIMARY KEY (run_seq, attempt, day)
) WITHOUT ROWID;
CREATE INDEX usage_of_days ON usage_records (tenant_id, day);

-- The sums of the ledger that reports read and limits of days and months are judged by. Kept by
-- triggers, so in the transaction of each record and at the cost of no statement more. There is one
-- bucket.
CREATE TABLE usage_sums (
    tenant_id        TEXT NOT NULL,
    entity_id        TEXT NOT NULL,
    client_id        TEXT NOT NULL,
    day              INTEGER NOT NULL,
    source           TEXT NOT NULL,
    outcome          TEXT NOT NULL,
    cause            TEXT NOT NULL,
    bucket           INTEGER NOT NULL DEFAULT 0,
    records          INTEGER NOT NULL,
    not_counted      INTEGER NOT NULL,
    cpu_ms           INTEGER NOT NULL,
    wall_ms          INTEGER NOT NULL,
    peak_memory_bytes INTEGER NOT NULL,
    read_bytes       INTEGER NOT NULL,
    read_rows        INTEGER NOT NULL,
    spilled_bytes    INTEGER NOT NULL,
    written_bytes    INTEGER NOT NULL,
    result_rows      INTEGER NOT NULL,
    downloads        INTEGER NOT NULL,
    downloaded_bytes INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, entity_id, client_id, day, source, outcome, cause, bucket)
) WITHOUT ROWID;
CREATE INDEX usage_sums_of_days ON usage_sums (tenant_id, day);
CREATE TRIGGER sum_new_usage AFTER INSERT ON usage_records BEGIN
    INSERT INTO usage_sums (tenant_id, entity_id, client_id, day, source, outcome, cause, records,
        not_counted, cpu_ms, wall_ms, peak_memory_bytes, read_bytes, read_rows, spilled_bytes,
        written_bytes, result_rows, downloads, downloaded_bytes)
    VALUES (new.tenant_id, new.entity_id, new.client_id, new.day, new.source, new.outcome,
        new.cause, 1, new.read_bytes IS NULL OR new.read_rows IS NULL, new.cpu_ms, new.wall_ms,
        new.peak_memory_bytes, coalesce(new.read_bytes, 0), coalesce(new.read_rows, 0),
        coalesce(new.spilled_bytes, 0), new.written_bytes, new.result_rows, new.downloads,
        new.downloaded_bytes)
    ON CONFLICT (tenant_id, entity_id, client_id, day, source, outcome, cause, bucket)
    DO UPDATE SET
        records = records + excluded.records,
        not_counted = not_counted + excluded.not_counted,
        cpu_ms = cpu_ms + excluded.cpu_ms,
        wall_ms = wall_ms + excluded.wall_ms,
        peak_memory_bytes = max(peak_memory_bytes, excluded.peak_memory_bytes),
        read_bytes = read_bytes + excluded.read_bytes,
        read_rows = read_rows + excluded.read_rows,
        spilled_bytes = spilled_bytes + excluded.spilled_bytes,
        written_bytes = written_bytes + excluded.written_bytes,
        result_rows = result_rows + excluded.result_rows,
        downloads = downloads + excluded.downloads,
        downloaded_bytes = downloaded_bytes + excluded.downloaded_bytes;
END;
-- Of a record only its downloads grow.
CREATE TRIGGER sum_more_downloads AFTER UPDATE ON usage_records BEGIN
    UPDATE usage_sums
    SET downloads = downloads + new.downloads - old.downloads,
        downloaded_bytes = downloaded_bytes + new.downloaded_bytes - old.downloaded_bytes
    WHERE tenant_id = new.tenant_id AND entity_id = new.entity_id AND client_id = new.client_id
        AND day = new.day AND source = new.source AND outcome = new.outcome
        AND cause = new.cause AND bucket = 0;
END;

-- The audit log: digest covers the entry and the digest before it. There is one writer, so an entry
-- is put into the chain as it is written.
CREATE TABLE audit_log (
    position INTEGER PRIMARY KEY,
    at_ms    INTEGER NOT NULL,
    content  TEXT NOT NULL,
    digest   TEXT NOT NULL
);
-- The end of the chain, and its beginning: behind what the retention has removed.
CREATE TABLE audit_head (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    position      INTEGER NOT NULL,
    digest        TEXT NOT NULL,
    base_position INTEGER NOT NULL,
    base_digest   TEXT NOT NULL
);
INSERT INTO audit_head VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000', 0, '0000000000000000000000000000000000000000000000000000000000000000');

CREATE TABLE async_requests (
    id           TEXT PRIMARY KEY,
    tenant_id    TEXT NOT NULL,
    entity_id    TEXT NOT NULL,
    client_id    TEXT NOT NULL,
    operation    TEXT NOT NULL,
    run_id       TEXT NOT NULL,
    track_id     TEXT NOT NULL,
    state        TEXT NOT NULL,
    created_ms   INTEGER NOT NULL,
    completed_ms INTEGER,
    response     BLOB
) WITHOUT ROWID;
CREATE INDEX async_requests_in_progress ON async_requests (created_ms) WHERE state = 'in_progress';

-- What people keep for later. shared: 1 for everybody of the entity.
CREATE TABLE saved_statements (
    id         TEXT PRIMARY KEY,
    tenant_id  TEXT NOT NULL,
    entity_id  TEXT NOT NULL,
    client_id  TEXT NOT NULL,
    name       TEXT NOT NULL,
    folder     TEXT NOT NULL,
    sql        TEXT NOT NULL,
    source     TEXT,
    shared     INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX saved_statements_of_client ON saved_statements (client_id);
CREATE INDEX saved_statements_of_entity ON saved_statements (tenant_id, entity_id, folder, name);

-- Who is told of what. events: their names between blanks, one before the first and behind the last.
-- Secrets are encrypted with a key that is not in the database. of_entity: 1 for all runs of the
-- entity, else the client's own.
CREATE TABLE webhooks (
    seq               INTEGER PRIMARY KEY AUTOINCREMENT,
    id                TEXT NOT NULL UNIQUE,
    kind              TEXT NOT NULL,
    tenant_id         TEXT NOT NULL,
    entity_id         TEXT NOT NULL,
    client_id         TEXT NOT NULL,
    url               TEXT NOT NULL,
    events            TEXT NOT NULL,
    description       TEXT NOT NULL,
    of_entity         INTEGER NOT NULL,
    is_paused         INTEGER NOT NULL,
    secret            TEXT NOT NULL,
    previous_secret   TEXT,
    previous_until_ms INTEGER,
    credentials       TEXT,
    created_ms        INTEGER NOT NULL,
    updated_ms        INTEGER NOT NULL
);
CREATE INDEX webhooks_of_entity ON webhooks (tenant_id, entity_id);
CREATE UNIQUE INDEX webhook_of_runs ON webhooks (entity_id, client_id) WHERE kind = 'run';

-- The outbox: a row for each event and receiver, written with the event. next_ms is when the next
-- attempt is due, or the one in progress counts as lost; a pending row of a run waits for those
-- of the same run and receiver before it. A receiver is a webhook, or an origin of URLs of runs.
CREATE TABLE webhook_deliveries (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    webhook_id  TEXT NOT NULL,
    receiver    TEXT NOT NULL,
    tenant_id   TEXT NOT NULL,
    entity_id   TEXT NOT NULL,
    client_id   TEXT NOT NULL,
    event       TEXT NOT NULL,
    at_ms       INTEGER NOT NULL,
    since_ms    INTEGER NOT NULL,
    next_ms     INTEGER NOT NULL,
    state       TEXT NOT NULL DEFAULT 'pending',
    attempts    INTEGER NOT NULL DEFAULT 0,
    url         TEXT,
    run_seq     INTEGER,
    run_id      TEXT,
    source      TEXT,
    run_state   TEXT,
    run_attempt INTEGER,
    code        TEXT,
    content     TEXT,
    ended_ms    INTEGER
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (receiver, next_ms) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_of_run ON webhook_deliveries (run_seq, receiver)
    WHERE state = 'pending' AND run_seq IS NOT NULL;
CREATE INDEX webhook_deliveries_listed ON webhook_deliveries (tenant_id, entity_id, seq);
CREATE INDEX webhook_deliveries_at ON webhook_deliveries (at_ms);

CREATE TABLE webhook_attempts (
    delivery_seq  INTEGER NOT NULL,
    number        INTEGER NOT NULL,
    at_ms         INTEGER NOT NULL,
    duration_ms   INTEGER NOT NULL,
    response_code INTEGER,
    error         TEXT,
    response        TEXT,
    PRIMARY KEY (delivery_seq, number)
) WITHOUT ROWID;

-- Runs that end when nobody listens to them any more: until when somebody listens.
CREATE TABLE run_listeners (
    run_id   TEXT PRIMARY KEY,
    until_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX run_listeners_until ON run_listeners (until_ms);

-- Result files to remove: of runs past their retention, and what attempts left while the store of
-- files did not respond.
CREATE TABLE file_removals (
    file_key      TEXT PRIMARY KEY,
    recorded_ms   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX file_removals_recorded ON file_removals (recorded_ms, file_key);

-- When the latest outage of this database ended, as the nodes saw it: no run is charged for one.
CREATE TABLE store_outage (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    ended_ms INTEGER NOT NULL
);

-- Limits that were set over HTTP (runs/limits.py).
CREATE TABLE limits (
    level   TEXT NOT NULL,
    subject TEXT NOT NULL,
    name    TEXT NOT NULL,
    value   INTEGER NOT NULL CHECK (value >= 0),
    PRIMARY KEY (level, subject, name)
) WITHOUT ROWID;
CREATE INDEX limits_by_name ON limits (name);

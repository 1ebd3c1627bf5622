-- oldest program: 1
-- The tables and columns are those of SQLite's migrations, and so are the words.
-- Times are milliseconds since 1970 in UTC. Enumerations are stored as the words of runs/model.py.

CREATE TABLE tenants (
    id   text PRIMARY KEY,
    name text NOT NULL
);

CREATE TABLE entities (
    id        text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants (id),
    name      text NOT NULL,
    UNIQUE (tenant_id, name)
);
-- Entities are directories: whoever has one has it alone, also where case does not count.
CREATE UNIQUE INDEX entities_directory ON entities (lower(name));

CREATE TABLE clients (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text NOT NULL UNIQUE,
    tenant_id  text NOT NULL REFERENCES tenants (id),
    name       text NOT NULL,
    scopes     text NOT NULL,
    org_ids    text NOT NULL,
    created_ms bigint NOT NULL,
    revoked_ms bigint,
    expires_ms bigint
);

CREATE TABLE client_entities (
    client_id text NOT NULL REFERENCES clients (id),
    position  bigint NOT NULL,
    entity_id text NOT NULL REFERENCES entities (id),
    PRIMARY KEY (client_id, position)
);

-- valid_until_ms is NULL for the current secret.
CREATE TABLE client_secrets (
    client_id      text NOT NULL REFERENCES clients (id),
    digest         text NOT NULL,
    valid_until_ms bigint,
    PRIMARY KEY (client_id, digest)
);

-- session_until_ms is set for the token of a console session: until then it can be extended.
CREATE TABLE tokens (
    digest           text PRIMARY KEY,
    client_id        text NOT NULL REFERENCES clients (id),
    expires_ms       bigint NOT NULL,
    session_until_ms bigint
);

-- Logins at another issuer whose tokens are not taken: none until allowed_ms is set, then only those
-- that were issued from then on. They have no row in clients.
CREATE TABLE revoked_logins (
    tenant_id  text NOT NULL REFERENCES tenants (id),
    client_id  text NOT NULL,
    subject    text NOT NULL,
    revoked_ms bigint NOT NULL,
    allowed_ms bigint,
    PRIMARY KEY (tenant_id, client_id)
);

-- The run row is the queue. It is rewritten whole at every move, so what can be long (the
-- statement) lives in run_requests, which is written once. Ids sort by their bytes.
CREATE TABLE runs (
    seq                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id                  text COLLATE "C" NOT NULL UNIQUE,
    tenant_id           text COLLATE "C" NOT NULL,
    entity_id           text COLLATE "C" NOT NULL,
    client_id           text COLLATE "C" NOT NULL,
    source              text COLLATE "C" NOT NULL,
    state               text COLLATE "C" NOT NULL,
    attempt             bigint NOT NULL,
    remaining_attempts  bigint NOT NULL CHECK (remaining_attempts >= 0),
    created_ms          bigint NOT NULL,
    updated_ms          bigint NOT NULL,
    ready_ms            bigint NOT NULL,
    started_ms          bigint,
    processing_ms       bigint,
    file_key            text,
    file_size_bytes     bigint,
    file_sha256         text,
    file_rows           bigint,
    file_columns        text,
    failure_code        text,
    failure_message     text,
    failure_line        bigint,
    failure_column      bigint,
    cancel_requested_ms bigint,
    cancel_reason       text,
    canceled_by         text,
    cancel_stage        text,
    cancel_engine_stop  text,
    cancel_steps        text,  -- JSON: [[step, milliseconds after the request], ...]
    canceled_ms         bigint
) WITH (
    -- A queue leaves dead rows behind at the pace of its runs: sweep often, a little each time.
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 500,
    autovacuum_analyze_scale_factor = 0.05
);

CREATE TABLE run_requests (
    run_seq          bigint PRIMARY KEY,
    sql              text NOT NULL,
    content_type     text NOT NULL,
    content_encoding text NOT NULL,
    column_separator text,
    encryption_key   text,
    deleted_rows     text NOT NULL,
    timeout_s        double precision,
    tags             text NOT NULL,
    org_ids          text NOT NULL,
    max_retries      bigint NOT NULL CHECK (max_retries >= 0),
    extras           text NOT NULL,
    notify_url       text,
    cancel_on_disconnect_s double precision,
    parameters       text NOT NULL,  -- JSON: [{name, type, value}, ...]
    traceparent      text
);

-- The queue: the oldest of each client is the first entry of its stretch of the index.
CREATE INDEX runs_waiting ON runs (source, tenant_id, entity_id, client_id, ready_ms, seq)
    WHERE state = 'accepted';
-- Runs that wait out a back-off are among those that have had an attempt.
CREATE INDEX runs_paused ON runs (source, ready_ms) WHERE state = 'accepted' AND attempt > 0;
-- The slots in use.
CREATE INDEX runs_held ON runs (source, tenant_id, entity_id, client_id)
    WHERE state IN ('in_progress', 'canceling');
-- Retention.
CREATE INDEX runs_ended ON runs (updated_ms) WHERE state IN ('complete', 'failed', 'canceled');
-- Lists: a client's own runs, and an admin's view of an entity or the tenant. A list merges the
-- stretches of its sources and states: it reads no run that it does not show.
CREATE INDEX runs_of_client ON runs (
    tenant_id, client_id, entity_id, source, state, created_ms, seq);
CREATE INDEX runs_of_tenant ON runs (tenant_id, entity_id, source, state, created_ms, seq);
-- Lists of runs with a tag: what run_requests.tags has, in the order of a list.
CREATE TABLE run_tags (
    tenant_id text COLLATE "C" NOT NULL,
    name      text COLLATE "C" NOT NULL,
    value     text COLLATE "C" NOT NULL,
    created_ms bigint NOT NULL,
    run_seq   bigint NOT NULL,
    PRIMARY KEY (tenant_id, name, value, created_ms, run_seq)
);

CREATE TABLE attempts (
    run_seq           bigint NOT NULL,
    number            bigint NOT NULL,
    node              text COLLATE "C" NOT NULL,
    settling_node     text COLLATE "C",
    claimed_ms        bigint NOT NULL,
    lease_until_ms    bigint NOT NULL,
    handle            text,
    file_key          text,
    ended_ms          bigint,
    outcome           text,
    failure_code      text,
    failure_message   text,
    stop_requested_ms bigint,
    stop_reason       text,
    stop_by           text,
    stop_stage        text,
    stop_engine       text,
    PRIMARY KEY (run_seq, number)
) WITH (
    -- Handles and leases are updated in place.
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 500
);

-- Without lease_until_ms on purpose: an extension then changes no index.
CREATE INDEX attempts_live ON attempts (node) WHERE ended_ms IS NULL;

-- updated_ms of a run grows with every move, so its value names the move.
CREATE TABLE run_events (
    run_seq bigint NOT NULL,
    at_ms   bigint NOT NULL,
    attempt bigint NOT NULL,
    event   text,
    state   text NOT NULL,
    detail  text,
    PRIMARY KEY (run_seq, at_ms)
);

-- Serving an entity gives its row the highest turn: the lowest turn is the entity that has waited
-- longest for its own.
CREATE SEQUENCE turns;
CREATE TABLE entity_turns (
    turn      bigint NOT NULL,
    tenant_id text COLLATE "C" NOT NULL,
    entity_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, entity_id)
) WITH (fillfactor = 50);

-- reserved_until_ms is set while the first request is in progress. response may be set then too:
-- it is the one to replay should that request never be completed.
CREATE TABLE idempotency_keys (
    tenant_id         text NOT NULL,
    entity_id         text NOT NULL,
    idempotency_key   text NOT NULL,
    fingerprint       text NOT NULL,
    created_ms        bigint NOT NULL,
    reserved_until_ms bigint,
    run_id            text,
    response          bytea,
    PRIMARY KEY (tenant_id, entity_id, idempotency_key)
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_ms);

-- What each client keeps and has written, counted with its runs, in several buckets so that its
-- runs do not wait for one row. written_bytes is of written_day, in days since 1970.
CREATE TABLE usage (
    tenant_id       text COLLATE "C" NOT NULL,
    entity_id       text COLLATE "C" NOT NULL,
    client_id       text COLLATE "C" NOT NULL,
    bucket          bigint NOT NULL,
    statement_bytes bigint NOT NULL,
    result_bytes    bigint NOT NULL,
    written_day     bigint NOT NULL,
    written_bytes   bigint NOT NULL,
    PRIMARY KEY (tenant_id, entity_id, client_id, bucket)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

-- The ledger: what each attempt has used, written with its end, and (attempt 0) what was downloaded
-- of its run on a day. It outlives the runs. Days are counted since 1970; tags are as in
-- run_requests, tables is a JSON array of [name, bytes, rows].
CREATE TABLE usage_records (
    run_seq           bigint NOT NULL,
    attempt           bigint NOT NULL,
    day               bigint NOT NULL,
    run_id            text NOT NULL,
    tenant_id         text COLLATE "C" NOT NULL,
    entity_id         text COLLATE "C" NOT NULL,
    client_id         text COLLATE "C" NOT NULL,
    source            text COLLATE "C" NOT NULL,
    tags              text NOT NULL,
    outcome           text COLLATE "C" NOT NULL,
    cause             text COLLATE "C" NOT NULL,
    cpu_ms            bigint NOT NULL DEFAULT 0,
    wall_ms           bigint NOT NULL DEFAULT 0,
    peak_memory_bytes bigint NOT NULL DEFAULT 0,
    read_bytes        bigint,
    read_rows         bigint,
    spilled_bytes     bigint,
    written_bytes     bigint NOT NULL DEFAULT 0,
    result_rows       bigint NOT NULL DEFAULT 0,
    downloads         bigint NOT NULL DEFAULT 0,
    downloaded_bytes  bigint NOT NULL DEFAULT 0,
    tables            text,
    PRIMARY KEY (run_seq, attempt, day)
);
CREATE INDEX usage_of_days ON usage_records (tenant_id, day);

-- The sums of the ledger that reports read and limits of days and months are judged by, written by
-- the statements that write its records, in several buckets so that runs of one client do not wait
-- for one row.
CREATE TABLE usage_sums (
    tenant_id        text COLLATE "C" NOT NULL,
    entity_id        text COLLATE "C" NOT NULL,
    client_id        text COLLATE "C" NOT NULL,
    day              bigint NOT NULL,
    source           text COLLATE "C" NOT NULL,
    outcome          text COLLATE "C" NOT NULL,
    cause            text COLLATE "C" NOT NULL,
    bucket           bigint NOT NULL,
    records          bigint NOT NULL,
    not_counted      bigint NOT NULL,
    cpu_ms           bigint NOT NULL,
    wall_ms          bigint NOT NULL,
    peak_memory_bytes bigint NOT NULL,
    read_bytes       bigint NOT NULL,
    read_rows        bigint NOT NULL,
    spilled_bytes    bigint NOT NULL,
    written_bytes    bigint NOT NULL,
    result_rows      bigint NOT NULL,
    downloads        bigint NOT NULL,
    downloaded_bytes bigint NOT NULL,
    PRIMARY KEY (tenant_id, entity_id, client_id, day, source, outcome, cause, bucket)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX usage_sums_of_days ON usage_sums (tenant_id, day);

-- The audit log. Entries wait in audit_inbox, where they disturb nobody, until one node at a time
-- moves them to the end of the chain: digest covers the entry and the digest before it.
CREATE TABLE audit_inbox (
    seq     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at_ms   bigint NOT NULL,
    content text NOT NULL
);
CREATE TABLE audit_log (
    position bigint PRIMARY KEY,
    at_ms    bigint NOT NULL,
    content  text NOT NULL,
    digest   text NOT NULL
);
-- The end of the chain, and its beginning: behind what the retention has removed.
CREATE TABLE audit_head (
    id            bigint PRIMARY KEY CHECK (id = 1),
    position      bigint NOT NULL,
    digest        text NOT NULL,
    base_position bigint NOT NULL,
    base_digest   text NOT NULL
);
INSERT INTO audit_head VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000', 0, '0000000000000000000000000000000000000000000000000000000000000000');

CREATE TABLE async_requests (
    id           text PRIMARY KEY,
    tenant_id    text NOT NULL,
    entity_id    text NOT NULL,
    client_id    text NOT NULL,
    operation    text NOT NULL,
    run_id       text NOT NULL,
    track_id     text NOT NULL,
    state        text NOT NULL,
    created_ms   bigint NOT NULL,
    completed_ms bigint,
    response     bytea
);
CREATE INDEX async_requests_in_progress ON async_requests (created_ms) WHERE state = 'in_progress';
CREATE INDEX async_requests_created ON async_requests (created_ms);

-- Who is told of what. events: their names between blanks, one before the first and behind the last.
-- Secrets are encrypted with a key that is not in the database. of_entity: 1 for all runs of the
-- entity, else the client's own.
CREATE TABLE webhooks (
    seq               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id                text COLLATE "C" NOT NULL UNIQUE,
    kind              text NOT NULL,
    tenant_id         text COLLATE "C" NOT NULL,
    entity_id         text COLLATE "C" NOT NULL,
    client_id         text COLLATE "C" NOT NULL,
    url               text NOT NULL,
    events            text NOT NULL,
    description       text NOT NULL,
    of_entity         bigint NOT NULL,
    is_paused         bigint NOT NULL,
    secret            text NOT NULL,
    previous_secret   text,
    previous_until_ms bigint,
    credentials       text,
    created_ms        bigint NOT NULL,
    updated_ms        bigint NOT NULL
);
CREATE INDEX webhooks_of_entity ON webhooks (tenant_id, entity_id);
CREATE UNIQUE INDEX webhook_of_runs ON webhooks (entity_id, client_id) WHERE kind = 'run';

-- The outbox: a row for each event and receiver, written with the event. next_ms is when the next
-- attempt is due, or the one in progress counts as lost; a pending row of a run waits for those
-- of the same run and receiver before it. A receiver is a webhook, or an origin of URLs of runs.
CREATE TABLE webhook_deliveries (
    seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          text COLLATE "C" NOT NULL UNIQUE,
    webhook_id  text COLLATE "C" NOT NULL,
    receiver    text COLLATE "C" NOT NULL,
    tenant_id   text COLLATE "C" NOT NULL,
    entity_id   text COLLATE "C" NOT NULL,
    client_id   text COLLATE "C" NOT NULL,
    event       text NOT NULL,
    at_ms       bigint NOT NULL,
    since_ms    bigint NOT NULL,
    next_ms     bigint NOT NULL,
    state       text COLLATE "C" NOT NULL DEFAULT 'pending',
    attempts    bigint NOT NULL DEFAULT 0,
    url         text,
    run_seq     bigint,
    run_id      text COLLATE "C",
    source      text,
    run_state   text,
    run_attempt bigint,
    code        text,
    content     text,
    ended_ms    bigint
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (receiver, next_ms) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_of_run ON webhook_deliveries (run_seq, receiver)
    WHERE state = 'pending' AND run_seq IS NOT NULL;
CREATE INDEX webhook_deliveries_listed ON webhook_deliveries (tenant_id, entity_id, seq);
CREATE INDEX webhook_deliveries_at ON webhook_deliveries (at_ms);

CREATE TABLE webhook_attempts (
    delivery_seq  bigint NOT NULL,
    number        bigint NOT NULL,
    at_ms         bigint NOT NULL,
    duration_ms   bigint NOT NULL,
    response_code bigint,
    error         text,
    response        text,
    PRIMARY KEY (delivery_seq, number)
);

-- Runs that end when nobody listens to them any more: until when somebody listens.
CREATE TABLE run_listeners (
    run_id   text PRIMARY KEY,
    until_ms bigint NOT NULL
);
CREATE INDEX run_listeners_until ON run_listeners (until_ms);

-- Result files to remove: of runs past their retention, and what attempts left while the store of
-- files did not respond.
CREATE TABLE file_removals (
    file_key    text COLLATE "C" PRIMARY KEY,
    recorded_ms bigint NOT NULL
);
CREATE INDEX file_removals_recorded ON file_removals (recorded_ms, file_key);

-- When the latest outage of this database ended, as the nodes saw it: no run is charged for one.
CREATE TABLE store_outage (
    id       integer PRIMARY KEY CHECK (id = 1),
    ended_ms bigint NOT NULL
);

-- The nodes on this database, and what each last said of itself.
CREATE TABLE nodes (
    node    text COLLATE "C" PRIMARY KEY,
    seen_ms bigint NOT NULL,
    facts   text
) WITH (fillfactor = 50);

-- Request rates of all nodes together. Each window is the time at which it will be full again.
-- Not logged: after a crash every bucket is full.
CREATE UNLOGGED TABLE rate_buckets (
    key     text PRIMARY KEY,
    full_at double precision[] NOT NULL,
    granted bigint NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

-- What people keep for later. shared: 1 for everybody of the entity.
CREATE TABLE saved_statements (
    id         text PRIMARY KEY,
    tenant_id  text NOT NULL,
    entity_id  text NOT NULL,
    client_id  text NOT NULL,
    name       text NOT NULL,
    folder     text NOT NULL,
    sql        text NOT NULL,
    source     text,
    shared     bigint NOT NULL,
    created_ms bigint NOT NULL,
    updated_ms bigint NOT NULL
);

CREATE INDEX saved_statements_of_client ON saved_statements (client_id);
CREATE INDEX saved_statements_of_entity ON saved_statements (tenant_id, entity_id, folder, name);

-- Limits that were set over HTTP (runs/limits.py).
CREATE TABLE limits (
    level   text NOT NULL,
    subject text NOT NULL,
    name    text NOT NULL,
    value   bigint NOT NULL CHECK (value >= 0),
    PRIMARY KEY (level, subject, name)
);
CREATE INDEX limits_by_name ON limits (name);

-- Submits of the last minute by tenant, entity, client and source, where these have such a limit.
CREATE UNLOGGED TABLE submit_counts (
    key    text COLLATE "C" NOT NULL,
    second bigint NOT NULL,
    count  bigint NOT NULL,
    PRIMARY KEY (key, second)
);

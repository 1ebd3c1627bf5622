-- How a run changes state: each change is one statement, so one round trip. The claim, which
-- chooses what it changes, is in claims.sql.
--
-- A statement compares and sets the state (those that the event applies to, runs/state.py) and the
-- attempt's number, adds one row to run_events, ends the attempt where the change does, and returns
-- the run. It returns no row when the run was not as the event needs it. updated_ms always grows, so
-- its value names the change. Indexes: runs_id_key, attempts_pkey, run_requests_pkey.

-- fragment: changed_run
SELECT {run_columns} FROM moved r JOIN run_requests q ON q.run_seq = r.seq

-- fragment: keep_failure_and_stop
failure_code = %(failure_code)s::text, failure_message = %(failure_message)s::text,
        stop_requested_ms = %(cancel_requested_ms)s::bigint,
        stop_reason = %(cancel_reason)s::text, stop_by = %(canceled_by)s::text,
        stop_stage = %(cancel_stage)s::text, stop_engine = %(cancel_engine_stop)s::text

-- name: complete
WITH clock AS MATERIALIZED (SELECT {now} AS ms), moved AS (
    UPDATE runs r SET state = CASE r.state WHEN 'in_progress' THEN 'complete' END,
        updated_ms = greatest((SELECT ms FROM clock), r.updated_ms + 1),
        {set_by_complete}
    WHERE r.id = %(run_id)s AND (r.state || '') IN ('in_progress') AND r.attempt = %(number)s
    RETURNING r.*
), history AS (
    INSERT INTO run_events (run_seq, at_ms, attempt, event, state, detail)
    SELECT seq, updated_ms, attempt, 'complete', state, %(detail)s::text FROM moved
), ended AS (
    UPDATE attempts a SET ended_ms = m.updated_ms, outcome = 'complete'
    FROM moved m WHERE a.run_seq = m.seq AND a.number = m.attempt
    RETURNING a.*
), used AS (
    {add_usage}
    SELECT tenant_id, entity_id, client_id, mod(seq, 16), 0, file_size_bytes, updated_ms / 86400000,
        file_size_bytes FROM moved
    {to_what_is_used}
), {record_usage}, {announce}
{changed_run};

-- name: fail
WITH clock AS MATERIALIZED (SELECT {now} AS ms), moved AS (
    UPDATE runs r SET state = CASE r.state WHEN 'in_progress' THEN 'failed' END,
        updated_ms = greatest((SELECT ms FROM clock), r.updated_ms + 1),
        {set_by_fail}
    WHERE r.id = %(run_id)s AND (r.state || '') IN ('in_progress') AND r.attempt = %(number)s
    RETURNING r.*
), history AS (
    INSERT INTO run_events (run_seq, at_ms, attempt, event, state, detail)
    SELECT seq, updated_ms, attempt, 'fail', state, %(detail)s::text FROM moved
), ended AS (
    UPDATE attempts a SET ended_ms = m.updated_ms, outcome = 'failed',
        {keep_failure_and_stop}
    FROM moved m WHERE a.run_seq = m.seq AND a.number = m.attempt
    RETURNING a.*
), {count_written}, {record_usage}, {announce}
{changed_run};

-- name: requeue
-- Refused when there is no attempt left to charge.
WITH clock AS MATERIALIZED (SELECT {now} AS ms), moved AS (
    UPDATE runs r SET state = CASE r.state WHEN 'in_progress' THEN 'accepted' END,
        updated_ms = greatest((SELECT ms FROM clock), r.updated_ms + 1),
        ready_ms = (SELECT ms FROM clock) + %(delay_ms)s::bigint,
        remaining_attempts = r.remaining_attempts - %(charge)s
    WHERE r.id = %(run_id)s AND (r.state || '') IN ('in_progress') AND r.attempt = %(number)s
        AND r.remaining_attempts >= %(charge)s
    RETURNING r.*
), history AS (
    INSERT INTO run_events (run_seq, at_ms, attempt, event, state, detail)
    SELECT seq, updated_ms, attempt, 'requeue', state, %(detail)s::text FROM moved
), ended AS (
    UPDATE attempts a SET ended_ms = m.updated_ms, outcome = 'requeued',
        {keep_failure_and_stop}
    FROM moved m WHERE a.run_seq = m.seq AND a.number = m.attempt
    RETURNING a.*
), {count_written}, {record_usage}, {announce}
{changed_run};

-- name: cancel
-- Whichever node holds it. A run that was waiting is canceled with this: nothing of it had started.
WITH clock AS MATERIALIZED (SELECT {now} AS ms), moved AS (
    UPDATE runs r SET state = CASE r.state
            WHEN 'accepted' THEN 'canceled' WHEN 'in_progress' THEN 'canceling' END,
        updated_ms = greatest((SELECT ms FROM clock), r.updated_ms + 1),
        cancel_requested_ms = greatest((SELECT ms FROM clock), r.updated_ms + 1),
        cancel_reason = %(cancel_reason)s::text,
        canceled_by = %(canceled_by)s::text,
        cancel_stage = CASE WHEN r.state = 'accepted' THEN 'queued' END,
        cancel_engine_stop = CASE WHEN r.state = 'accepted' THEN 'never_started' END,
        canceled_ms = CASE WHEN r.state = 'accepted'
            THEN greatest((SELECT ms FROM clock), r.updated_ms + 1) END
    WHERE r.id = %(run_id)s AND (r.state || '') IN ('accepted', 'in_progress')
    RETURNING r.*
), history AS (
    INSERT INTO run_events (run_seq, at_ms, attempt, event, state, detail)
    SELECT seq, updated_ms, attempt, 'cancel', state, %(detail)s::text FROM moved
), {announce}
{changed_run};

-- name: freed
-- The attempt keeps the stop as the run has it.
WITH clock AS MATERIALIZED (SELECT {now} AS ms), moved AS (
    UPDATE runs r SET state = CASE r.state WHEN 'canceling' THEN 'canceled' END,
        updated_ms = greatest((SELECT ms FROM clock), r.updated_ms + 1),
        cancel_stage = %(cancel_stage)s::text,
        cancel_engine_stop = %(cancel_engine_stop)s::text,
        cancel_steps = %(cancel_steps)s::text,
        canceled_ms = greatest((SELECT ms FROM clock), r.updated_ms + 1)
    WHERE r.id = %(run_id)s AND (r.state || '') IN ('canceling') AND r.attempt = %(number)s
    RETURNING r.*
), history AS (
    INSERT INTO run_events (run_seq, at_ms, attempt, event, state, detail)
    SELECT seq, updated_ms, attempt, 'freed', state, %(detail)s::text FROM moved
), ended AS (
    UPDATE attempts a SET ended_ms = m.updated_ms, outcome = 'canceled',
        stop_requested_ms = m.cancel_requested_ms, stop_reason = m.cancel_reason,
        stop_by = m.canceled_by, stop_stage = m.cancel_stage, stop_engine = m.cancel_engine_stop
    FROM moved m WHERE a.run_seq = m.seq AND a.number = m.attempt
    RETURNING a.*
), {count_written}, {record_usage}, {announce}
{changed_run};
